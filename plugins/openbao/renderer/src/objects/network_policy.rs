//! Who may talk to the nodes, and to whom they may talk.

use std::net::IpAddr;

use banhbaoring_openbao_api::TlsMode;
use banhbaoring_sdk::wit::KmsPluginSource;
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::metadata;
use crate::cluster::{API_PORT, CLUSTER_PORT, Cluster, EDGE_PORT};

pub(super) fn policy(cluster: &Cluster) -> NetworkPolicy {
    NetworkPolicy {
        metadata: metadata(cluster, format!("{}-network-policy", cluster.name)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector { match_labels: Some(cluster.selector()), ..LabelSelector::default() }),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(ingress(cluster)),
            egress: Some(egress(cluster)),
        }),
    }
}

fn ingress(cluster: &Cluster) -> Vec<NetworkPolicyIngressRule> {
    let nodes = NetworkPolicyIngressRule { from: Some(vec![nodes(cluster)]), ports: Some(vec![tcp(API_PORT), tcp(CLUSTER_PORT)]) };
    let mut api = vec![tcp(API_PORT)];
    if cluster.has_edge() {
        api.push(tcp(EDGE_PORT));
    }
    let asked = &cluster.spec.network_policy.ingress_from;
    let from = (!asked.is_empty()).then(|| asked.iter().cloned().chain([operator(cluster)]).collect());
    vec![nodes, NetworkPolicyIngressRule { from, ports: Some(api) }]
}

fn egress(cluster: &Cluster) -> Vec<NetworkPolicyEgressRule> {
    let mut rules = vec![
        NetworkPolicyEgressRule { to: Some(vec![nodes(cluster)]), ports: Some(vec![tcp(API_PORT), tcp(CLUSTER_PORT)]) },
        // Where the cluster's DNS runs differs: a pod, a cache on the host, another network.
        NetworkPolicyEgressRule { to: None, ports: Some(vec![port("UDP", 53), tcp(53)]) },
    ];
    rules.extend(api_server(&cluster.platform.host.api_server_endpoints));
    for seal in &cluster.seal.egress {
        let to = seal.cidr.as_ref().map(|cidr| vec![block(cidr.clone())]);
        rules.push(NetworkPolicyEgressRule { to, ports: Some(vec![tcp(i32::from(seal.port))]) });
    }
    let downloads = matches!(cluster.seal.kms_plugin.as_ref().map(|plugin| &plugin.source), Some(KmsPluginSource::Image(_)));
    if downloads || cluster.spec.tls.mode == TlsMode::Acme {
        rules.push(NetworkPolicyEgressRule { to: None, ports: Some(vec![tcp(443)]) });
    }
    rules.extend(cluster.spec.network_policy.egress.iter().cloned());
    rules
}

/// The API server by address where the host knows it, by its usual ports otherwise.
fn api_server(endpoints: &[String]) -> Vec<NetworkPolicyEgressRule> {
    let known: Option<Vec<_>> = endpoints.iter().map(|endpoint| address_and_port(endpoint)).collect();
    match known {
        Some(known) if !known.is_empty() => known
            .into_iter()
            .map(|(address, port)| {
                let bits = if address.is_ipv4() { 32 } else { 128 };
                NetworkPolicyEgressRule { to: Some(vec![block(format!("{address}/{bits}"))]), ports: Some(vec![tcp(i32::from(port))]) }
            })
            .collect(),
        _ => vec![NetworkPolicyEgressRule { to: None, ports: Some(vec![tcp(443), tcp(6443)]) }],
    }
}

fn address_and_port(endpoint: &str) -> Option<(IpAddr, u16)> {
    let rest = endpoint.strip_prefix("https://").unwrap_or(endpoint).trim_end_matches('/');
    if let Ok(address) = rest.parse() {
        return Some((address, 443));
    }
    let (host, port) = rest.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some((host.parse().ok()?, port.parse().ok()?))
}

fn nodes(cluster: &Cluster) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        pod_selector: Some(LabelSelector { match_labels: Some(cluster.selector()), ..LabelSelector::default() }),
        ..NetworkPolicyPeer::default()
    }
}

fn operator(cluster: &Cluster) -> NetworkPolicyPeer {
    let host = &cluster.platform.host;
    let labels = host.pod_labels.iter().map(|pair| (pair.key.clone(), pair.value.clone())).collect();
    NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector {
            match_labels: Some([("kubernetes.io/metadata.name".to_owned(), host.namespace.clone())].into()),
            ..LabelSelector::default()
        }),
        pod_selector: Some(LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }),
        ..NetworkPolicyPeer::default()
    }
}

fn block(cidr: String) -> NetworkPolicyPeer {
    NetworkPolicyPeer { ip_block: Some(IPBlock { cidr, except: None }), ..NetworkPolicyPeer::default() }
}

fn tcp(number: i32) -> NetworkPolicyPort {
    port("TCP", number)
}

fn port(protocol: &str, number: i32) -> NetworkPolicyPort {
    NetworkPolicyPort { port: Some(IntOrString::Int(number)), protocol: Some(protocol.to_owned()), end_port: None }
}

#[cfg(test)]
mod tests {
    use super::address_and_port;

    #[test]
    fn endpoints_are_read_in_every_form_that_a_host_writes() {
        let read = |text| address_and_port(text).map(|(address, port)| format!("{address} {port}"));
        assert_eq!(read("10.0.0.1:6443").as_deref(), Some("10.0.0.1 6443"));
        assert_eq!(read("https://10.0.0.1:6443/").as_deref(), Some("10.0.0.1 6443"));
        assert_eq!(read("[fd00::1]:6443").as_deref(), Some("fd00::1 6443"));
        assert_eq!(read("fd00::1").as_deref(), Some("fd00::1 443"));
        assert_eq!(read("kubernetes.example.org:6443"), None);
        assert_eq!(read(""), None);
    }
}
