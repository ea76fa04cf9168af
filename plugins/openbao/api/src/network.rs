//! How clients reach the nodes, and what else may.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{NetworkPolicyEgressRule, NetworkPolicyPeer};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// The Service for clients, `<cluster>-public`.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("self.type == 'LoadBalancer' || !has(self.loadBalancerSourceRanges) || size(self.loadBalancerSourceRanges) == 0").message("service.loadBalancerSourceRanges is read only with service.type LoadBalancer; elsewhere networkPolicy.ingressFrom says who may come in")
)]
#[serde(rename_all = "camelCase")]
pub struct PublicServiceSpec {
    /// Its type.
    #[serde(rename = "type", default)]
    pub service_type: ServiceType,
    /// Its annotations, for load balancers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::annotations")]
    pub annotations: BTreeMap<String, String>,
    /// Networks that a load balancer lets in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(regex(pattern = schema::NETWORK), length(max = 49)))]
    pub load_balancer_source_ranges: Vec<String>,
}

/// Types of the public Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// Inside the cluster.
    #[default]
    ClusterIP,
    /// On a port of every host.
    NodePort,
    /// Through a load balancer.
    LoadBalancer,
}

/// The NetworkPolicy of the nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicySpec {
    /// Make one.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Who may reach the API. Absent: everybody who has a route. The nodes themselves and the operator always may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), transform = schema::peers)]
    pub ingress_from: Vec<NetworkPolicyPeer>,
    /// Where the nodes may go besides each other, DNS, the API server and their unseal provider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), transform = schema::egress)]
    pub egress: Vec<NetworkPolicyEgressRule>,
}

impl Default for NetworkPolicySpec {
    fn default() -> Self {
        Self { enabled: true, ingress_from: Vec::new(), egress: Vec::new() }
    }
}

fn yes() -> bool {
    true
}
