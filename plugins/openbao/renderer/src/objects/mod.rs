//! The Kubernetes objects of a cluster, one module each. Every function is pure and takes the cluster; names come from
//! [`crate::cluster::Cluster`], the configuration's text from [`crate::config`].

mod account;
mod certificate;
mod container;
mod credentials;
mod disruption;
mod network_policy;
mod plugins;
mod probe;
mod service_monitor;
mod services;
mod stateful_set;
mod volumes;

use std::collections::BTreeMap;

use banhbaoring_sdk::{Failure, Object};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::cluster::Cluster;
use crate::initialization;
use crate::live::Live;
use crate::operation::Operation;

pub(crate) use account::POD_VERBS;
pub(crate) use certificate::{asked as edge_certificate, is_served as edge_api_is_served};
pub use container::ENV_OF_OURS;
pub use plugins::VERIFIER;
pub use service_monitor::API as SERVICE_MONITOR_API;
pub use stateful_set::{CONFIG_HASH, EDGE_HASH, TLS_HASH, Template, template};

/// All objects, in an order that people read: who, what, where, how many.
pub fn render(cluster: &Cluster, config: &str, template: Template, live: &Live, operation: &Operation) -> Result<Vec<Object>, Failure> {
    let mut objects = vec![
        Object::of(&account::service_account(cluster)),
        Object::of(&account::role(cluster)),
        Object::of(&account::role_binding(cluster)),
        Object::of(&config_map(cluster, cluster.config_map(), "config.hcl", config)),
        service(&services::headless(cluster)),
        service(&services::active(cluster)),
        service(&services::public(cluster)),
        Object::of(&stateful_set::stateful_set(cluster, template, live, operation)),
    ];
    if initialization::is_by_itself(cluster)? {
        // A node reads the file once, at its start: it has to be there before. And no first node begins a store beside a volume that was kept from a cluster before.
        let file = initialization::file(cluster, live.was_initialized() || live.is_taken_over == Some(true))?;
        objects.insert(4, Object::of(&config_map(cluster, cluster.init_config_map(), initialization::INIT_FILE, &file)));
    }
    if let Some(budget) = disruption::budget(cluster) {
        objects.push(Object::of(&budget));
    }
    if cluster.spec.network_policy.enabled {
        objects.push(Object::of(&network_policy::policy(cluster)));
    }
    if let Some(certificate) = certificate::edge(cluster)? {
        objects.push(Object::of(&certificate));
    }
    if let Some(monitor) = service_monitor::monitor(cluster) {
        objects.push(Object::of(&monitor));
    }
    Ok(objects)
}

/// A port is known by its number: one that somebody renumbers is another one beside ours, and has to go before ours comes back.
fn service(service: &Service) -> Object {
    Object::of(service).exclusive("/spec/ports")
}

fn config_map(cluster: &Cluster, name: String, file: &str, text: &str) -> ConfigMap {
    ConfigMap { metadata: metadata(cluster, name), data: Some([(file.to_owned(), text.to_owned())].into()), ..ConfigMap::default() }
}

/// Name, namespace and labels.
fn metadata(cluster: &Cluster, name: impl Into<String>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.into()),
        namespace: Some(cluster.namespace.to_owned()),
        labels: Some(cluster.labels()),
        ..ObjectMeta::default()
    }
}

/// An empty map is absent, so that nothing is owned that nobody wants.
fn some(map: BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    Some(map).filter(|map| !map.is_empty())
}

/// An empty list is absent.
fn some_list<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    Some(list.to_vec()).filter(|list| !list.is_empty())
}
