//! Leader election by a `coordination.k8s.io` Lease: one replica reconciles, the others stand by with their plugins loaded.
//!
//! A leader whose Lease may be another's by now writes nothing: the fence sees to it. It asks once more, and only if it gets no answer or the
//! Lease is another's does the process end, and start again as a standby. Nothing about what leaders do lives here.

use std::time::Duration;

use chrono::Utc;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::fence::Fence;

/// A Lease is good for this long.
const DURATION: Duration = Duration::from_secs(15);
/// It is renewed this often.
const RENEW: Duration = Duration::from_secs(3);
/// A leader that could not renew for this long writes nothing any more, and ends if it cannot renew then either; less than [`DURATION`], so that two never lead at once.
const DEADLINE: Duration = Duration::from_secs(10);

/// The place of one replica in the election.
#[derive(Clone)]
pub struct Election {
    leases: Api<Lease>,
    name: String,
    identity: String,
    fence: Fence,
    observed: Option<Observed>,
}

/// What another holder's Lease looked like, and when we first saw it so: clocks of other machines are not trusted.
#[derive(Clone)]
struct Observed {
    resource_version: String,
    since: Instant,
}

/// Why leading ended.
#[derive(Debug, thiserror::Error)]
pub enum LeaderError {
    /// Another replica holds the Lease.
    #[error("the Lease is held by `{holder}` now; this replica stops and stands by")]
    Lost {
        /// Who.
        holder: String,
    },
    /// The API server could not be asked in time.
    #[error("the Lease could not be renewed for {}s ({source}); this replica stops so that two never lead", DEADLINE.as_secs())]
    NotRenewed {
        /// The last error.
        #[source]
        source: Box<kube::Error>,
    },
}

impl Election {
    /// Takes part under `identity` in the election for the Lease `name` in `namespace`, and opens `fence` for as long as the lead is certain. The
    /// client must not be behind that fence.
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str, fence: Fence) -> Self {
        Self { leases: Api::namespaced(client, namespace), name: name.to_owned(), identity: identity.to_owned(), fence, observed: None }
    }

    /// Returns once this replica leads.
    pub async fn acquire(&mut self) {
        info!(lease = %self.name, identity = %self.identity, "standing by");
        loop {
            let asked = Instant::now();
            match self.try_acquire().await {
                Ok(true) => {
                    self.fence.open_until(asked + DEADLINE);
                    info!(lease = %self.name, identity = %self.identity, "leading");
                    return;
                }
                Ok(false) => {}
                Err(error) => debug!(%error, "the Lease could not be asked"),
            }
            tokio::time::sleep(RENEW).await;
        }
    }

    /// Renews until that fails.
    ///
    /// An attempt that was under way when time ran out says nothing: the process itself may have stood still, with the answer at hand. Only one
    /// that began after that ends the lead. Meanwhile the fence is closed.
    pub async fn hold(&mut self) -> LeaderError {
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(RENEW).await;
            let asked = Instant::now();
            let is_late = asked.duration_since(renewed) > DEADLINE;
            let attempt = tokio::time::timeout(RENEW, self.try_acquire()).await;
            match attempt {
                Ok(Ok(true)) => {
                    // Not from the answer on: it may have lain here while the process stood still.
                    renewed = asked;
                    self.fence.open_until(renewed + DEADLINE);
                }
                Ok(Ok(false)) => {
                    let holder = self.holder().await.unwrap_or_default();
                    return LeaderError::Lost { holder };
                }
                Ok(Err(source)) if is_late => return LeaderError::NotRenewed { source: Box::new(source) },
                Ok(Err(error)) => warn!(%error, "the Lease was not renewed; trying again"),
                Err(_) if is_late => {
                    let source = std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer from the API server");
                    return LeaderError::NotRenewed { source: Box::new(kube::Error::Service(Box::new(source))) };
                }
                Err(_) => warn!("the Lease was not renewed in time; trying again"),
            }
        }
    }

    /// Gives the Lease back, so that the next leader need not wait for it to expire. Nothing is written from then on.
    pub async fn release(&self) {
        self.fence.close();
        let Ok(Some(mut lease)) = self.leases.get_opt(&self.name).await else { return };
        if let Some(spec) = lease.spec.as_mut()
            && spec.holder_identity.as_deref() == Some(&self.identity)
        {
            spec.holder_identity = None;
            spec.lease_duration_seconds = Some(1);
            if let Err(error) = self.leases.replace(&self.name, &PostParams::default(), &lease).await {
                debug!(%error, "the Lease was not given back; it expires by itself");
            }
        }
    }

    async fn holder(&self) -> Option<String> {
        self.leases.get_opt(&self.name).await.ok().flatten()?.spec?.holder_identity
    }

    async fn try_acquire(&mut self) -> Result<bool, kube::Error> {
        let Some(lease) = self.leases.get_opt(&self.name).await? else {
            return accepted(self.leases.create(&PostParams::default(), &self.lease(None, 0)).await);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        let transitions = spec.lease_transitions.unwrap_or(0);
        if holder != self.identity && !holder.is_empty() && !self.has_expired(&lease) {
            return Ok(false);
        }
        let transitions = if holder == self.identity { transitions } else { transitions + 1 };
        let mut next = self.lease(lease.metadata.resource_version.clone(), transitions);
        if holder == self.identity
            && let Some(next) = next.spec.as_mut()
        {
            next.acquire_time = spec.acquire_time;
        }
        // Carries the resourceVersion: of two that try at once, one gets a conflict.
        accepted(self.leases.replace(&self.name, &PostParams::default(), &next).await)
    }

    fn has_expired(&mut self, lease: &Lease) -> bool {
        let resource_version = lease.metadata.resource_version.clone().unwrap_or_default();
        let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds).unwrap_or(0);
        match &self.observed {
            Some(seen) if seen.resource_version == resource_version => {
                seen.since.elapsed() > Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
            }
            _ => {
                self.observed = Some(Observed { resource_version, since: Instant::now() });
                false
            }
        }
    }

    fn lease(&self, resource_version: Option<String>, transitions: i32) -> Lease {
        let now = MicroTime(k8s_openapi::jiff::Timestamp::from_microsecond(Utc::now().timestamp_micros()).unwrap_or_default());
        Lease {
            metadata: ObjectMeta { name: Some(self.name.clone()), resource_version, ..ObjectMeta::default() },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                acquire_time: Some(now.clone()),
                renew_time: Some(now),
                lease_transitions: Some(transitions),
                ..LeaseSpec::default()
            }),
        }
    }
}

/// A conflict is an answer: somebody else was first.
fn accepted(result: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match result {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};

    use http::{Method, Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;

    /// An API server with one Lease, which takes this long to answer at that time.
    fn api_server(delay: impl Fn(Duration) -> Duration + Clone + Send + 'static) -> Client {
        let started = Instant::now();
        let lease: Arc<Mutex<Value>> = Arc::default();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (lease, delay) = (Arc::clone(&lease), delay(started.elapsed()));
            async move {
                tokio::time::sleep(delay).await;
                if request.method() != Method::GET {
                    let sent = request.into_body().collect_bytes().await.unwrap();
                    *lease.lock().unwrap() = serde_json::from_slice(&sent).unwrap();
                }
                let lease = lease.lock().unwrap().clone();
                let missing = json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "no Lease"});
                let (code, answer) = if lease.is_null() { (404, missing) } else { (200, lease) };
                Ok::<_, Infallible>(Response::builder().status(code).body(Body::from(answer.to_string().into_bytes())).unwrap())
            }
        });
        Client::new(service, "default")
    }

    async fn ends(delay: impl Fn(Duration) -> Duration + Clone + Send + 'static, within: Duration) -> Option<LeaderError> {
        let mut election = Election::new(api_server(delay), "default", "lease", "self", Fence::default());
        election.acquire().await;
        tokio::time::timeout(within, election.hold()).await.ok()
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn a_leader_goes_on_where_answers_come_again_and_nobody_took_the_lease() {
        // Two attempts get no answer, the second of them past the deadline.
        let hangs = |at: Duration| if (2..13).contains(&at.as_secs()) { HOUR } else { Duration::ZERO };
        assert!(ends(hangs, Duration::from_secs(20)).await.is_none());
    }

    #[tokio::test]
    async fn a_leader_without_answers_ends() {
        let hangs = |at: Duration| if at.as_secs() >= 2 { HOUR } else { Duration::ZERO };
        let Some(error) = ends(hangs, Duration::from_secs(60)).await else { panic!("it still leads") };
        assert!(error.to_string().contains("could not be renewed for 10s"), "{error}");
    }
}
