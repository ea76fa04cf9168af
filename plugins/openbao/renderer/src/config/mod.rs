//! `config.hcl`: which blocks there are and why. Text is [`crate::hcl`]'s affair; Kubernetes objects are [`crate::objects`]'s.
//!
//! What differs between nodes is not here but in the environment, which wins over the file: version 1 of HCL expands nothing, so
//! `node_id = "${HOSTNAME}"` would give every node the same id.

mod listener;
mod observe;
mod plugins;
mod seal;
mod storage;

use banhbaoring_openbao_api::{LogFormat, LogLevel, OpenBaoClusterSpec};
use banhbaoring_sdk::Failure;

use crate::cluster::Cluster;
use crate::hcl::{Body, HclError};

/// Where the file lies in the container.
pub const CONFIG_FILE: &str = "/etc/bao/config/config.hcl";
/// Where the nodes' certificate lies.
pub const TLS_DIR: &str = "/etc/bao/tls";
/// Where the edge certificate lies.
pub const EDGE_TLS_DIR: &str = "/etc/bao/tls-edge";
/// Where the authority of a private ACME directory lies.
pub const ACME_CA_DIR: &str = "/etc/bao/acme-ca";
/// Where Raft keeps its data.
pub const DATA_DIR: &str = "/bao/data";
/// Where audit devices may write.
pub const AUDIT_DIR: &str = "/bao/audit";
/// Where OpenBao keeps plugins that it runs.
pub const PLUGIN_DIR: &str = "/bao/plugins";

/// The text of `config.hcl`.
pub fn render(cluster: &Cluster) -> Result<String, Failure> {
    body(cluster)?.render().map_err(|error| {
        let field = match &error {
            HclError::NotAnIdentifier { .. } | HclError::DuplicateKey { .. } => "spec.unseal",
        };
        Failure::invalid(field, error.to_string()).because("UnwritableConfig")
    })
}

fn body(cluster: &Cluster) -> Result<Body, Failure> {
    // Named one by one, so that a new field of the spec is not forgotten here.
    let OpenBaoClusterSpec {
        version: _,
        image: _,
        image_verification: _,
        paused: _,
        image_pull_secrets: _,
        replicas: _,
        storage: _,
        audit_storage: _,
        deletion_policy: _,
        deletion_protection: _,
        unseal: _,
        initialization: _,
        tls: _,
        ui,
        log_level,
        log_format,
        listener: _,
        max_lease_ttl,
        default_lease_ttl,
        raft,
        telemetry,
        audit,
        plugin_catalog: _,
        pod: _,
        service_account: _,
        service: _,
        network_policy: _,
        plugins: _,
        extensions: _,
    } = cluster.spec;

    let top = Body::new()
        .attribute("ui", *ui)
        .attribute("log_level", level(*log_level))
        .attribute("log_format", format(*log_format))
        .optional("max_lease_ttl", max_lease_ttl.clone())
        .optional("default_lease_ttl", default_lease_ttl.clone());
    let top = plugins::settings(top, cluster);
    let top = listener::listeners(top, cluster)?;
    let top = top.block("storage", ["raft"], storage::raft(cluster, raft)).block("service_registration", ["kubernetes"], Body::new());
    let top = seal::seal(top, cluster)?;
    let top = observe::telemetry(top, telemetry.as_ref());
    observe::audit(top, cluster, audit)
}

fn level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Trace => "trace",
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}

fn format(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Json => "json",
        LogFormat::Standard => "standard",
    }
}
