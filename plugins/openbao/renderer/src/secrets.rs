//! Secrets that the host makes: the authority and the nodes' certificate. The unseal key is the unseal provider's.

use banhbaoring_openbao_api::DeletionPolicy;
use banhbaoring_sdk::GeneratedSecret;
use banhbaoring_sdk::contract::generator::{Ca, CaSource, Certificate, CertificateUsage, KeyAlgorithm};

use crate::cluster::Cluster;

const DAY: u32 = 24 * 60 * 60;

/// The certificate authority: made once, kept as long as the data may be.
pub fn authority(cluster: &Cluster) -> GeneratedSecret {
    let ca = Ca {
        common_name: format!("OpenBao cluster {}", cluster.name),
        valid_days: cluster.spec.tls.certificate.ca_valid_days,
        algorithm: KeyAlgorithm::default(),
        certificate: "ca.crt".to_owned(),
    };
    labelled(cluster, GeneratedSecret::identity(cluster.ca_secret()))
        .entry("ca.key", &ca)
        .publish("ca.crt", cluster.ca_config_map(), "ca.crt")
        .keep(cluster.spec.deletion_policy != DeletionPolicy::DeleteAll)
}

/// The certificate that all nodes share, renewed before it expires.
pub fn server(cluster: &Cluster) -> GeneratedSecret {
    let lifetimes = &cluster.spec.tls.certificate;
    let certificate = Certificate {
        common_name: cluster.server_name(),
        dns_names: cluster.dns_names(),
        ip_addresses: cluster.ip_addresses(),
        uris: Vec::new(),
        // A node shows it as a client when it joins.
        usages: vec![CertificateUsage::Server, CertificateUsage::Client],
        valid_days: lifetimes.valid_days,
        algorithm: KeyAlgorithm::default(),
        ca: CaSource { secret: cluster.ca_secret(), private_key: "ca.key".to_owned(), certificate: "ca.crt".to_owned() },
        certificate: "tls.crt".to_owned(),
        ca_certificate: Some("ca.crt".to_owned()),
    };
    labelled(cluster, GeneratedSecret::renewable(cluster.server_secret(), lifetimes.renew_before_days.saturating_mul(DAY)))
        .entry("tls.key", &certificate)
}

fn labelled(cluster: &Cluster, secret: GeneratedSecret) -> GeneratedSecret {
    cluster.labels().into_iter().fold(secret, |secret, (key, value)| secret.label(key, value))
}
