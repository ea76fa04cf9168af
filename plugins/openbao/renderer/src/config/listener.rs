//! Listeners. One for the nodes and everything inside, with a certificate of the cluster's own authority; where clients shall see
//! another certificate, a second one beside it.

use banhbaoring_openbao_api::{ListenerSpec, TlsMode, TlsVersion};
use banhbaoring_sdk::Failure;

use super::{ACME_CA_DIR, DATA_DIR, EDGE_TLS_DIR, TLS_DIR};
use crate::cluster::{API_PORT, CLUSTER_PORT, Cluster, EDGE_PORT};
use crate::hcl::Body;
use crate::version::Feature;

pub(super) fn listeners(top: Body, cluster: &Cluster) -> Result<Body, Failure> {
    let inner = address(API_PORT).attribute("cluster_address", socket(CLUSTER_PORT));
    let top = top.one_of_many("listener", ["tcp"], limits(files(inner, cluster, TLS_DIR), cluster));
    let edge = match cluster.spec.tls.mode {
        TlsMode::OperatorManaged => return Ok(top),
        TlsMode::Secret | TlsMode::CertManager => files(address(EDGE_PORT), cluster, EDGE_TLS_DIR),
        TlsMode::Acme => acme(address(EDGE_PORT), cluster)?,
    };
    Ok(top.one_of_many("listener", ["tcp"], limits(edge, cluster)))
}

fn address(port: i32) -> Body {
    Body::new().attribute("address", socket(port))
}

/// Every address of both families: `0.0.0.0` would not be reached in a cluster that has IPv6 only.
fn socket(port: i32) -> String {
    format!("[::]:{port}")
}

fn files(body: Body, cluster: &Cluster, directory: &str) -> Body {
    let body = body.attribute("tls_cert_file", format!("{directory}/tls.crt")).attribute("tls_key_file", format!("{directory}/tls.key"));
    if cluster.version.has(Feature::TlsAutoReload) { body.attribute("tls_auto_reload", true) } else { body }
}

fn acme(body: Body, cluster: &Cluster) -> Result<Body, Failure> {
    let tls = &cluster.spec.tls;
    let Some(acme) = &tls.acme else {
        return Err(Failure::invalid("spec.tls.acme", "tls.mode ACME needs tls.acme: name the directory and a contact"));
    };
    if tls.dns_names.is_empty() {
        return Err(Failure::invalid("spec.tls.dnsNames", "tls.mode ACME needs the names that the certificate shall carry"));
    }
    Ok(body
        .attribute("tls_acme_cache_path", format!("{DATA_DIR}/acme"))
        .attribute("tls_acme_ca_directory", acme.directory.clone())
        .optional("tls_acme_ca_root", acme.ca_config_map.as_ref().map(|_| format!("{ACME_CA_DIR}/ca.crt")))
        .optional("tls_acme_email", acme.email.clone())
        .attribute("tls_acme_domains", tls.dns_names.as_slice())
        // Would need port 80, which a container without capabilities cannot open.
        .attribute("tls_acme_disable_http_challenge", true))
}

fn limits(body: Body, cluster: &Cluster) -> Body {
    let ListenerSpec { max_request_duration, max_request_size, tls_min_version, tls_cipher_suites } = &cluster.spec.listener;
    let body = body
        .attribute(
            "tls_min_version",
            match tls_min_version {
                Some(TlsVersion::Tls13) => "tls13",
                Some(TlsVersion::Tls12) | None => "tls12",
            },
        )
        .optional("tls_cipher_suites", Some(tls_cipher_suites.join(",")).filter(|suites| !suites.is_empty()))
        .optional("max_request_duration", max_request_duration.clone())
        .optional("max_request_size", *max_request_size);
    let open = cluster.spec.telemetry.as_ref().is_some_and(|telemetry| telemetry.unauthenticated_metrics_access);
    let telemetry = Body::new().optional("unauthenticated_metrics_access", open.then_some(true));
    body.filled("telemetry", telemetry)
}
