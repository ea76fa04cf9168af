//! How Prometheus finds a cluster: what prometheus-operator's ServiceMonitor is made of. What metrics OpenBao keeps is [`crate::server`]'s.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;
use crate::unseal::SecretKey;

/// A ServiceMonitor, where the cluster serves `monitoring.coreos.com/v1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceMonitorSpec {
    /// Make one.
    #[serde(default)]
    pub enabled: bool,
    /// Time between scrapes.
    #[serde(default = "interval")]
    #[schemars(regex(pattern = schema::DURATION), length(min = 2, max = 32))]
    pub interval: String,
    /// Longest scrape. Absent: Prometheus's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::DURATION), length(min = 2, max = 32))]
    pub scrape_timeout: Option<String>,
    /// More labels, by which a Prometheus chooses its ServiceMonitors.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub labels: BTreeMap<String, String>,
    /// A token of OpenBao whose policy may read `sys/metrics`. With it the node that leads is scraped, since the others send whoever has a token there;
    /// without one (`unauthenticatedMetricsAccess`) each node is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret_ref: Option<SecretKey>,
}

fn interval() -> String {
    "15s".to_owned()
}
