//! The edge certificate that cert-manager keeps. Its kind is not Kubernetes' own, hence JSON.

use banhbaoring_openbao_api::{IssuerRef, TlsMode};
use banhbaoring_sdk::wit::Platform;
use banhbaoring_sdk::{Failure, PlatformExt};
use serde_json::{Value, json};

use crate::cluster::Cluster;

const API: &str = "cert-manager.io/v1/Certificate";

/// cert-manager is there.
pub(crate) fn is_served(platform: &Platform) -> bool {
    platform.serves(API)
}

/// What it is to be like, as the spec says it. Whether cert-manager is there is another question.
pub(crate) fn asked<'a>(cluster: &'a Cluster) -> Result<Option<(&'a IssuerRef, String)>, Failure> {
    let tls = &cluster.spec.tls;
    if tls.mode != TlsMode::CertManager {
        return Ok(None);
    }
    let (Some(issuer), Some(secret)) = (&tls.issuer_ref, cluster.edge_secret()) else {
        return Err(Failure::invalid(
            "spec.tls.issuerRef",
            "tls.mode CertManager needs tls.issuerRef and tls.secretName: name an Issuer or a ClusterIssuer, and a Secret",
        ));
    };
    if tls.dns_names.is_empty() {
        return Err(Failure::invalid("spec.tls.dnsNames", "tls.mode CertManager needs the names that the certificate shall carry"));
    }
    Ok(Some((issuer, secret)))
}

pub(super) fn edge(cluster: &Cluster) -> Result<Option<Value>, Failure> {
    let Some((issuer, secret)) = asked(cluster)? else { return Ok(None) };
    let tls = &cluster.spec.tls;
    if !is_served(cluster.platform) {
        return Err(Failure::unsupported(
            "CertManagerMissing",
            format!("tls.mode CertManager needs the API {API}, which this cluster does not serve: install cert-manager, or choose another tls.mode"),
        )
        .at("spec.tls.mode"));
    }
    let mut spec = json!({
        "secretName": secret,
        "dnsNames": tls.dns_names,
        "duration": format!("{}h", tls.certificate.valid_days * 24),
        "renewBefore": format!("{}h", tls.certificate.renew_before_days * 24),
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        "usages": ["server auth"],
        "issuerRef": {"name": issuer.name, "kind": issuer.kind, "group": issuer.group},
    });
    if let Some(members) = spec.as_object_mut().filter(|_| !tls.ip_addresses.is_empty()) {
        members.insert("ipAddresses".to_owned(), json!(tls.ip_addresses));
    }
    Ok(Some(json!({
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": cluster.edge_certificate(), "namespace": cluster.namespace, "labels": cluster.labels()},
        "spec": spec,
    })))
}
