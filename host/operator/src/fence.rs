//! The fence around the writes of a replica: none of them passes once its Lease may be another's.
//!
//! A process that was stopped goes on exactly where it stood and sends what it was about to send, within milliseconds and long before it asks for
//! its Lease again. Only the clock can tell it, so every write looks at the clock right before it is sent. What is on its way through the kernel by
//! then is beyond any fence: creations and deletions say what they expect to find, and are refused where another was faster. Who leads is decided in `leader`; what is written, by those who
//! write.

use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, Request};
use tokio::time::Instant;

/// Why a write was not sent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a Lease that was renewed in time, found one that another replica may hold by now: {method} {path} was not sent; whoever leads does what is to be done"
)]
pub(crate) struct Fenced {
    method: Method,
    path: String,
}

/// Lets writes pass until a moment that moves on with every renewal. Closed at first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fence {
    until: Arc<Mutex<Option<Instant>>>,
}

impl Fence {
    /// Open until then.
    pub(crate) fn open_until(&self, then: Instant) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(then);
    }

    /// Closed from now on.
    pub(crate) fn close(&self) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether writes pass now.
    pub(crate) fn is_open(&self) -> bool {
        self.until.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| Instant::now() < until)
    }

    /// Whether the request may be sent now. What only reads always may.
    ///
    /// # Errors
    /// It is a write and the fence is closed.
    pub(crate) fn check<B>(&self, request: &Request<B>) -> Result<(), Fenced> {
        if is_write(request.method()) && !self.is_open() {
            return Err(Fenced { method: request.method().clone(), path: request.uri().path().to_owned() });
        }
        Ok(())
    }
}

fn is_write(method: &Method) -> bool {
    *method != Method::GET && *method != Method::HEAD
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn send(fence: &Fence, method: Method) -> Result<(), String> {
        let request = Request::builder().method(method).uri("/api/v1/namespaces/a/secrets/b").body(()).unwrap();
        fence.check(&request).map_err(|fenced| fenced.to_string())
    }

    const WRITES: [Method; 4] = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

    #[test]
    fn a_closed_one_lets_reads_pass_and_no_write() {
        let fence = Fence::default();
        send(&fence, Method::GET).unwrap();
        for method in WRITES {
            let told = send(&fence, method.clone()).unwrap_err();
            assert!(told.contains("was not sent") && told.contains(&format!("{method} /api/v1/namespaces/a/secrets/b")), "{told}");
        }
        fence.open_until(Instant::now() + Duration::from_secs(3600));
        fence.close();
        assert!(send(&fence, Method::PUT).is_err());
    }

    #[test]
    fn an_open_one_lets_writes_pass_until_its_moment_is_over() {
        let fence = Fence::default();
        fence.open_until(Instant::now() + Duration::from_secs(3600));
        for method in WRITES {
            send(&fence, method).unwrap();
        }
        fence.open_until(Instant::now());
        assert!(send(&fence, Method::PATCH).is_err());
    }
}
