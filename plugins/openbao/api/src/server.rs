//! What goes into OpenBao's own configuration: listener, Raft, telemetry, audit, logs. Absent fields are OpenBao's defaults.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::monitoring::ServiceMonitorSpec;
use crate::schema;

/// Those that are not broken; OpenBao does not start with one that it does not know.
const CIPHER_SUITE: &str =
    r"^TLS_ECDHE_(ECDSA|RSA)_WITH_(AES_(128|256)_CBC_SHA|AES_128_GCM_SHA256|AES_256_GCM_SHA384|CHACHA20_POLY1305(_SHA256)?)$";

/// Limits of the API's listener.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("!has(self.tlsMinVersion) || self.tlsMinVersion != 'tls13' || !has(self.tlsCipherSuites) || size(self.tlsCipherSuites) == 0").message("listener.tlsCipherSuites are those of TLS 1.2 and mean nothing with tlsMinVersion tls13: leave them out")
)]
#[serde(rename_all = "camelCase")]
pub struct ListenerSpec {
    /// Longest request, `90s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::DURATION), length(min = 2, max = 32))]
    pub max_request_duration: Option<String>,
    /// Largest request in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 1_073_741_824))]
    pub max_request_size: Option<i64>,
    /// Lowest version of TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_min_version: Option<TlsVersion>,
    /// Cipher suites of TLS 1.2 by their Go names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(regex(pattern = CIPHER_SUITE), length(max = 64)))]
    pub tls_cipher_suites: Vec<String>,
}

impl ListenerSpec {
    /// Nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Versions of TLS, as OpenBao names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[serde(rename = "tls12")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "tls13")]
    Tls13,
}

/// Tuning of Raft.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RaftSpec {
    /// Scales the timeouts: 1 is the fastest to notice a lost leader, 5 is OpenBao's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10), transform = schema::without_format)]
    pub performance_multiplier: Option<u32>,
    /// Log entries that stay after a snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000), transform = schema::without_format)]
    pub trailing_logs: Option<u32>,
    /// Log entries between snapshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000), transform = schema::without_format)]
    pub snapshot_threshold: Option<u32>,
    /// Time between looks whether a snapshot is due, `2m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::DURATION), length(min = 2, max = 32))]
    pub snapshot_interval: Option<String>,
    /// Largest entry in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 65_536, max = 67_108_864), transform = schema::without_format)]
    pub max_entry_size: Option<u32>,
    /// Time between autopilot's looks, `10s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::DURATION), length(min = 2, max = 32))]
    pub autopilot_reconcile_interval: Option<String>,
}

impl RaftSpec {
    /// Nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Metrics.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("!has(self.serviceMonitor) || !self.serviceMonitor.enabled || self.unauthenticatedMetricsAccess != has(self.serviceMonitor.tokenSecretRef)").message("telemetry.serviceMonitor needs a way in: either telemetry.serviceMonitor.tokenSecretRef, or telemetry.unauthenticatedMetricsAccess, and not both"),
    validation = Rule::new("!has(self.serviceMonitor) || !self.serviceMonitor.enabled || duration(self.prometheusRetentionTime) >= duration(self.serviceMonitor.interval) + duration(self.serviceMonitor.interval)").message("telemetry.prometheusRetentionTime must be at least twice telemetry.serviceMonitor.interval: OpenBao forgets metrics that are older, and what is forgotten between two scrapes is never seen")
)]
#[serde(rename_all = "camelCase")]
pub struct TelemetrySpec {
    /// How long Prometheus metrics are kept, `30s`; `0s` switches them off.
    #[serde(default = "retention")]
    #[schemars(regex(pattern = schema::DURATION), length(min = 2, max = 32))]
    pub prometheus_retention_time: String,
    /// Leave the host's name out of the metrics' names.
    #[serde(default = "yes")]
    pub disable_hostname: bool,
    /// Prefix of the metrics' names; OpenBao's default is `vault`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[a-zA-Z_][a-zA-Z0-9_]*$"), length(max = 63))]
    pub metrics_prefix: Option<String>,
    /// Time between counts of tokens, entities and secrets, `10m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::DURATION), length(min = 2, max = 32))]
    pub usage_gauge_period: Option<String>,
    /// Serve metrics without a token, to everybody who reaches the API.
    #[serde(default)]
    pub unauthenticated_metrics_access: bool,
    /// Have Prometheus scrape the nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_monitor: Option<ServiceMonitorSpec>,
}

/// An audit device that OpenBao makes from its configuration.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("self.type != 'file' || (has(self.options) && 'file_path' in self.options)").message("an audit device of type file needs options.file_path (stdout, discard or a path below /bao/audit)")
)]
#[serde(rename_all = "camelCase")]
pub struct AuditDevice {
    /// `file`, `socket`, `syslog`, `http`.
    #[serde(rename = "type")]
    #[schemars(regex(pattern = r"^[a-z][a-z0-9-]*$"), length(max = 63))]
    pub device: String,
    /// Where it is mounted, unique; `stdout`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$"), length(max = 253))]
    pub path: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// Options of the device by their official names, as text: `file_path: stdout`. Quote file modes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::options")]
    pub options: BTreeMap<String, String>,
}

/// Log levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// Much.
    Debug,
    /// What an operator wants.
    #[default]
    Info,
    /// What may need attention.
    Warn,
    /// What is broken.
    Error,
}

/// Log formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// Text.
    Standard,
}

fn retention() -> String {
    "30s".to_owned()
}

fn yes() -> bool {
    true
}
