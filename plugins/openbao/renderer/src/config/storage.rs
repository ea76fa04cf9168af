//! Integrated storage, and how a node finds the others. No `node_id`: the environment gives it.

use banhbaoring_openbao_api::RaftSpec;

use super::{DATA_DIR, TLS_DIR};
use crate::cluster::{API_PORT, CLUSTER_LABEL, Cluster};
use crate::hcl::Body;

pub(super) fn raft(cluster: &Cluster, spec: &RaftSpec) -> Body {
    let RaftSpec {
        performance_multiplier,
        trailing_logs,
        snapshot_threshold,
        snapshot_interval,
        max_entry_size,
        autopilot_reconcile_interval,
    } = spec;
    Body::new()
        .attribute("path", DATA_DIR)
        .optional("performance_multiplier", *performance_multiplier)
        .optional("trailing_logs", *trailing_logs)
        .optional("snapshot_threshold", *snapshot_threshold)
        .optional("snapshot_interval", snapshot_interval.clone())
        .optional("max_entry_size", *max_entry_size)
        .optional("autopilot_reconcile_interval", autopilot_reconcile_interval.clone())
        .one_of_many("retry_join", [] as [&str; 0], retry_join(cluster))
}

fn retry_join(cluster: &Cluster) -> Body {
    let Cluster { name, namespace, .. } = cluster;
    Body::new()
        // Without a namespace the pods of all namespaces are asked for, which the account may not.
        .attribute("auto_join", format!("provider=k8s namespace={namespace} label_selector=\"{CLUSTER_LABEL}={name}\""))
        .attribute("auto_join_scheme", "https")
        .attribute("auto_join_port", i64::from(API_PORT))
        // Pods are found by address, and no certificate carries their addresses.
        .attribute("leader_tls_servername", cluster.server_name())
        .attribute("leader_ca_cert_file", format!("{TLS_DIR}/ca.crt"))
        .attribute("leader_client_cert_file", format!("{TLS_DIR}/tls.crt"))
        .attribute("leader_client_key_file", format!("{TLS_DIR}/tls.key"))
}
