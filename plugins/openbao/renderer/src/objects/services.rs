//! The three Services: each node by name, the node that leads, and all nodes for clients.

use std::collections::BTreeMap;

use banhbaoring_openbao_api::ServiceType;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{metadata, some, some_list};
use crate::cluster::{API_PORT, CLUSTER_PORT, Cluster};

/// The label that OpenBao itself puts on the pod of the node that leads.
pub(crate) const ACTIVE_LABEL: &str = "openbao-active";

/// Gives each pod a name. Pods are named before they are ready: they must find each other to become ready.
pub(super) fn headless(cluster: &Cluster) -> Service {
    Service {
        metadata: metadata(cluster, cluster.name),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            publish_not_ready_addresses: Some(true),
            selector: Some(cluster.selector()),
            ports: Some(vec![port("https", API_PORT, API_PORT), port("https-internal", CLUSTER_PORT, CLUSTER_PORT)]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// The node that leads, and no other.
pub(super) fn active(cluster: &Cluster) -> Service {
    let mut selector = cluster.selector();
    selector.insert(ACTIVE_LABEL.to_owned(), "true".to_owned());
    Service {
        metadata: metadata(cluster, cluster.active_service()),
        spec: Some(ServiceSpec {
            selector: Some(selector),
            ports: Some(vec![port("https", API_PORT, API_PORT)]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// For clients. Any node that is ready serves: standbys hand on what only the leader may do.
pub(super) fn public(cluster: &Cluster) -> Service {
    let spec = &cluster.spec.service;
    let mut meta = metadata(cluster, cluster.public_service());
    meta.annotations = some(BTreeMap::clone(&spec.annotations));
    let service_type = match spec.service_type {
        ServiceType::ClusterIP => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
    };
    Service {
        metadata: meta,
        spec: Some(ServiceSpec {
            type_: Some(service_type.to_owned()),
            selector: Some(cluster.selector()),
            // 443 as well: it is where an ACME directory looks, and what people type.
            ports: Some(vec![port("https", 443, cluster.public_port()), port("https-api", API_PORT, cluster.public_port())]),
            load_balancer_source_ranges: match spec.service_type {
                ServiceType::LoadBalancer => some_list(&spec.load_balancer_source_ranges),
                ServiceType::ClusterIP | ServiceType::NodePort => None,
            },
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn port(name: &str, port: i32, target: i32) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port,
        protocol: Some("TCP".to_owned()),
        target_port: Some(IntOrString::Int(target)),
        ..ServicePort::default()
    }
}
