//! What an API server was asked, from its audit log: shows writes that change nothing, and whose they are. What may be in it is for the tests to say.

use anyhow::{Context as _, Result};
use banhbaoring_testing::control_plane::ControlPlane;
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::survey::text;

/// What changes something, if it is granted.
const WRITES: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

/// All requests so far that are answered, in the order of the answers.
///
/// # Errors
/// The control plane keeps no log.
pub fn requests(cluster: &ControlPlane) -> Result<Vec<Value>> {
    let log = cluster.audit_log().context("expected an API server that was started with Options::audit")?;
    // Its last line may be half written.
    Ok(log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// Whether a request wanted to change something.
#[must_use]
pub fn is_write(request: &Value) -> bool {
    WRITES.contains(&text(request, "/verb"))
}

/// When the API server got a request.
///
/// # Errors
/// The log says it in another way than expected.
pub fn received(request: &Value) -> Result<DateTime<Utc>> {
    let at = text(request, "/requestReceivedTimestamp");
    at.parse().with_context(|| format!("expected a time in requestReceivedTimestamp, found `{at}`"))
}

/// A request in a line.
#[must_use]
pub fn told(request: &Value) -> String {
    let [verb, uri, code] =
        ["/verb", "/requestURI", "/responseStatus/code"].map(|pointer| request.pointer(pointer).unwrap_or(&Value::Null));
    format!("{} {verb} {uri}: {code}", text(request, "/requestReceivedTimestamp"))
}
