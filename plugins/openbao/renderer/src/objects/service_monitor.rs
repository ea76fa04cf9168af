//! Where Prometheus finds the nodes. The kind is prometheus-operator's, hence JSON; where it is not served there is none, which [`crate::report`] tells.

use banhbaoring_sdk::PlatformExt;
use serde_json::{Value, json};

use crate::cluster::Cluster;

/// The kind that has to be served.
pub const API: &str = "monitoring.coreos.com/v1/ServiceMonitor";

/// Where metrics are.
const PATH: &str = "/v1/sys/metrics";

pub(super) fn monitor(cluster: &Cluster) -> Option<Value> {
    let telemetry = cluster.spec.telemetry.as_ref()?;
    let spec = telemetry.service_monitor.as_ref().filter(|spec| spec.enabled && cluster.platform.serves(API))?;
    // Seen on a real bao 2.4.0: a standby answers whoever comes with a token with the address of the node that leads, and the header with the token does not go
    // there. So that one is asked, and the others are only seen where nobody needs a token.
    let service = if telemetry.unauthenticated_metrics_access { cluster.name.to_owned() } else { cluster.active_service() };
    let mut endpoint = json!({
        "port": "https",
        "scheme": "https",
        "path": PATH,
        "params": {"format": ["prometheus"]},
        "interval": spec.interval,
        "tlsConfig": {
            "ca": {"configMap": {"name": cluster.ca_config_map(), "key": "ca.crt"}},
            "serverName": cluster.server_name(),
        },
        // All Services of the cluster carry the same labels.
        "relabelings": [{"action": "keep", "sourceLabels": ["__meta_kubernetes_service_name"], "regex": service}],
    });
    if let Some(timeout) = &spec.scrape_timeout {
        endpoint["scrapeTimeout"] = json!(timeout);
    }
    if let Some(token) = spec.token_secret_ref.as_ref().filter(|_| !telemetry.unauthenticated_metrics_access) {
        endpoint["authorization"] = json!({"type": "Bearer", "credentials": {"name": token.secret_name, "key": token.key}});
    }
    let mut labels = spec.labels.clone();
    labels.extend(cluster.labels());
    Some(json!({
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": {"name": cluster.name, "namespace": cluster.namespace, "labels": labels},
        "spec": {"selector": {"matchLabels": cluster.selector()}, "endpoints": [endpoint]},
    }))
}
