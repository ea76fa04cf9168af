//! Keeps a drain from taking more than one node at a time.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::metadata;
use crate::cluster::Cluster;

/// Only from three nodes on: with one, a budget would stop every drain and protect nothing.
pub(super) fn budget(cluster: &Cluster) -> Option<PodDisruptionBudget> {
    (cluster.spec.replicas >= 3).then(|| PodDisruptionBudget {
        metadata: metadata(cluster, format!("{}-pdb", cluster.name)),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector { match_labels: Some(cluster.selector()), ..LabelSelector::default() }),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    })
}
