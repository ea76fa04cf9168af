//! What a schema cannot say of a cluster, said before anything is rendered: an API server that finds it out while parts are applied leaves the
//! cluster half changed. What depends on the seal or on a file is checked where that is rendered.

use std::collections::BTreeMap;
use std::net::IpAddr;

use banhbaoring_openbao_api::{MAX_NAME_LENGTH, OpenBaoClusterSpec, TlsMode};
use banhbaoring_sdk::Failure;
use k8s_openapi::api::networking::v1::NetworkPolicyPeer;

use crate::cluster::Cluster;

/// What an API server takes of annotations in one object, less what others add.
const MAX_ANNOTATIONS: usize = 192 * 1024;
/// The longest piece of somebody's text in a message, in characters.
const SHOWN: usize = 80;

/// Refuses what could not be applied.
pub fn check(cluster: &Cluster) -> Result<(), Failure> {
    let spec = cluster.spec;
    name(cluster.name)?;
    if !matches!(spec.replicas, 1 | 3 | 5 | 7) {
        return Err(Failure::invalid("spec.replicas", format!("expected 1, 3, 5 or 7 Raft nodes, found {}", spec.replicas)));
    }
    if matches!(spec.tls.mode, TlsMode::Secret | TlsMode::CertManager) && spec.tls.secret_name.is_none() {
        return Err(Failure::invalid(
            "spec.tls.secretName",
            "expected the name of the Secret with the certificate that clients see, found none",
        ));
    }
    for (field, map) in [("spec.pod.labels", &spec.pod.labels), ("spec.pod.nodeSelector", &spec.pod.node_selector)] {
        keys(field, map)?;
    }
    for (field, map) in [
        ("spec.pod.annotations", &spec.pod.annotations),
        ("spec.service.annotations", &spec.service.annotations),
        ("spec.serviceAccount.annotations", &spec.service_account.annotations),
    ] {
        keys(field, map)?;
        let size: usize = map.iter().map(|(key, value)| key.len() + value.len()).sum();
        if size > MAX_ANNOTATIONS {
            return Err(Failure::invalid(field, format!("expected at most {MAX_ANNOTATIONS} bytes in all, found {size}")));
        }
    }
    networks(spec)
}

fn name(name: &str) -> Result<(), Failure> {
    let label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.len() <= MAX_NAME_LENGTH
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.chars().all(label)
    {
        return Ok(());
    }
    Err(Failure::invalid(
        "metadata.name",
        format!(
            "expected a DNS label that starts with a letter, at most {MAX_NAME_LENGTH} characters, found `{}`: Services, pod labels and certificate names are made of it",
            shown(name)
        ),
    ))
}

fn networks(spec: &OpenBaoClusterSpec) -> Result<(), Failure> {
    for (index, text) in spec.tls.ip_addresses.iter().enumerate() {
        if text.parse::<IpAddr>().is_err() {
            return Err(Failure::invalid(
                format!("spec.tls.ipAddresses[{index}]"),
                format!("expected an address such as 10.0.0.7 or 2001:db8::7, found `{}`", shown(text)),
            ));
        }
    }
    for (index, text) in spec.service.load_balancer_source_ranges.iter().enumerate() {
        network(&format!("spec.service.loadBalancerSourceRanges[{index}]"), text)?;
    }
    for (index, peer) in spec.network_policy.ingress_from.iter().enumerate() {
        block(&format!("spec.networkPolicy.ingressFrom[{index}]"), peer)?;
    }
    for (rule, egress) in spec.network_policy.egress.iter().enumerate() {
        for (index, peer) in egress.to.iter().flatten().enumerate() {
            block(&format!("spec.networkPolicy.egress[{rule}].to[{index}]"), peer)?;
        }
    }
    Ok(())
}

fn block(field: &str, peer: &NetworkPolicyPeer) -> Result<(), Failure> {
    let Some(block) = &peer.ip_block else { return Ok(()) };
    network(&format!("{field}.ipBlock.cidr"), &block.cidr)?;
    block.except.iter().flatten().enumerate().try_for_each(|(index, text)| network(&format!("{field}.ipBlock.except[{index}]"), text))
}

fn network(field: &str, text: &str) -> Result<(), Failure> {
    let read = text.split_once('/').and_then(|(address, bits)| Some((address.parse::<IpAddr>().ok()?, bits.parse::<u8>().ok()?)));
    match read {
        Some((IpAddr::V4(_), 0..=32) | (IpAddr::V6(_), 0..=128)) => Ok(()),
        _ => Err(Failure::invalid(field, format!("expected a network such as 10.0.0.0/8 or 2001:db8::/32, found `{}`", shown(text)))),
    }
}

fn keys(field: &str, map: &BTreeMap<String, String>) -> Result<(), Failure> {
    match map.keys().find(|key| !is_qualified_name(key)) {
        None => Ok(()),
        Some(key) => Err(Failure::invalid(
            field,
            format!(
                "expected keys such as `team` or `example.com/team`, found `{}`: at most 63 letters, digits, `-`, `_` and `.` after an optional DNS name and `/`",
                shown(key)
            ),
        )),
    }
}

fn is_qualified_name(key: &str) -> bool {
    let (domain, name) = key.split_once('/').map_or((None, key), |(domain, name)| (Some(domain), name));
    let ends_well =
        |text: &str| text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.ends_with(|c: char| c.is_ascii_alphanumeric());
    let is_label = |label: &str| ends_well(label) && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    domain.is_none_or(|domain| domain.len() <= 253 && domain.split('.').all(is_label))
        && name.len() <= 63
        && ends_well(name)
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::is_qualified_name;

    #[test]
    fn keys_of_labels_are_what_an_api_server_takes() {
        for key in ["a", "A_b.c-9", "example.com/team", "9.example/x", &"a".repeat(63)] {
            assert!(is_qualified_name(key), "{key}");
        }
        for key in
            ["", "a b", "-", "a-", "/a", "a/", "a/b/c", "Example.com/a", "a..b/c", "ä", &"a".repeat(64), &format!("{}/a", "a".repeat(254))]
        {
            assert!(!is_qualified_name(key), "{key}");
        }
    }
}
