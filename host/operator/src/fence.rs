//! The fence around the writes of a replica: none of them passes once its Lease may be another's.
//!
//! A process that was stopped goes on exactly where it stood and sends what it was about to send, within milliseconds and long before it asks for
//! its Lease again. Only the clock can tell it, so every write looks at the clock. Who leads is decided in `leader`; what is written, by those who
//! write.

use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, Request};
use kube::Client;
use kube::client::Body;
use tokio::time::Instant;

/// Why a write was not sent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a Lease that was renewed in time, found one that another replica may hold by now: {method} {path} was not sent; whoever leads does what is to be done"
)]
struct Fenced {
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

    fn is_open(&self) -> bool {
        self.until.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| Instant::now() < until)
    }

    /// A client whose writes pass this fence. What only reads always passes.
    pub(crate) fn around(&self, client: &Client) -> Client {
        let (fence, through) = (self.clone(), client.clone());
        let service = tower::service_fn(move |request: Request<Body>| {
            let (fence, through) = (fence.clone(), through.clone());
            async move {
                if is_write(request.method()) && !fence.is_open() {
                    let fenced = Fenced { method: request.method().clone(), path: request.uri().path().to_owned() };
                    return Err(kube::Error::Service(Box::new(fenced)));
                }
                through.send(request).await
            }
        });
        Client::new(service, client.default_namespace())
    }
}

fn is_write(method: &Method) -> bool {
    *method != Method::GET && *method != Method::HEAD
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use http::Response;

    use super::*;

    /// A fence around an API server that takes everything and tells which methods came.
    fn fenced() -> (Fence, Client, Arc<Mutex<Vec<Method>>>) {
        let came: Arc<Mutex<Vec<Method>>> = Arc::default();
        let seen = came.clone();
        let server = tower::service_fn(move |request: Request<Body>| {
            seen.lock().unwrap().push(request.method().clone());
            async { Ok::<_, Infallible>(Response::new(Body::from(b"{}".to_vec()))) }
        });
        let fence = Fence::default();
        let client = fence.around(&Client::new(server, "default"));
        (fence, client, came)
    }

    async fn send(client: &Client, method: Method) -> Result<(), kube::Error> {
        let request = Request::builder().method(method).uri("/api/v1/namespaces/a/secrets/b").body(Vec::new()).unwrap();
        client.request_text(request).await.map(drop)
    }

    const WRITES: [Method; 4] = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

    #[tokio::test]
    async fn a_closed_one_lets_reads_pass_and_no_write() {
        let (fence, client, came) = fenced();
        send(&client, Method::GET).await.unwrap();
        for method in WRITES {
            let told = send(&client, method.clone()).await.unwrap_err().to_string();
            assert!(told.contains("was not sent") && told.contains(&format!("{method} /api/v1/namespaces/a/secrets/b")), "{told}");
        }
        fence.open_until(Instant::now() + Duration::from_secs(3600));
        fence.close();
        assert!(send(&client, Method::PUT).await.is_err());
        assert_eq!(*came.lock().unwrap(), [Method::GET]);
    }

    #[tokio::test]
    async fn an_open_one_lets_writes_pass_until_its_moment_is_over() {
        let (fence, client, came) = fenced();
        fence.open_until(Instant::now() + Duration::from_secs(3600));
        for method in WRITES {
            send(&client, method).await.unwrap();
        }
        assert_eq!(*came.lock().unwrap(), WRITES);
        fence.open_until(Instant::now());
        assert!(send(&client, Method::PATCH).await.is_err());
        assert_eq!(came.lock().unwrap().len(), WRITES.len());
    }
}
