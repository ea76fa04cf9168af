//! Probes. The health endpoint answers 501 to 503 for states that are no reason to wait or to kill, so each probe says which states it
//! takes for well. A node that waits to be initialised is ready: initialisation waits for ready nodes.

use k8s_openapi::api::core::v1::{ExecAction, HTTPGetAction, Lifecycle, LifecycleHandler, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::cluster::API_PORT;

/// Serves, or waits to be initialised. A sealed node is not ready, so an update stops at the first node that cannot unseal.
const READY: &str = "/v1/sys/health?standbyok=true&perfstandbyok=true&uninitcode=204";
/// The process answers. Sealed and uninitialised are states that a restart does not mend.
const ALIVE: &str = "/v1/sys/health?standbyok=true&perfstandbyok=true&uninitcode=204&sealedcode=204";

/// The node may get requests.
pub(super) fn readiness() -> Probe {
    Probe { period_seconds: Some(5), failure_threshold: Some(2), ..get(READY) }
}

/// The node need not be killed.
pub(super) fn liveness() -> Probe {
    Probe { period_seconds: Some(10), failure_threshold: Some(6), ..get(ALIVE) }
}

/// A large store may take ten minutes to open.
pub(super) fn startup() -> Probe {
    Probe { period_seconds: Some(5), failure_threshold: Some(120), ..get(ALIVE) }
}

/// Requests go on arriving until the Services have noticed. OpenBao steps down by itself when it is told to end.
pub(super) fn lifecycle() -> Lifecycle {
    Lifecycle {
        pre_stop: Some(LifecycleHandler {
            exec: Some(ExecAction { command: Some(["/bin/sh", "-c", "sleep 5"].map(ToOwned::to_owned).into()) }),
            ..LifecycleHandler::default()
        }),
        ..Lifecycle::default()
    }
}

fn get(path: &str) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::Int(API_PORT),
            scheme: Some("HTTPS".to_owned()),
            ..HTTPGetAction::default()
        }),
        timeout_seconds: Some(3),
        ..Probe::default()
    }
}
