//! The nodes' account and what it may: find the other nodes, and label its own pod.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};

use super::{metadata, some};
use crate::cluster::Cluster;

/// Verbs on pods, which the plugin's grants must cover: `list` finds the others, the rest is how OpenBao labels its own pod.
pub(crate) const POD_VERBS: [&str; 4] = ["get", "list", "update", "patch"];

pub(super) fn service_account(cluster: &Cluster) -> ServiceAccount {
    let mut meta = metadata(cluster, cluster.name);
    let mut annotations = cluster.spec.service_account.annotations.clone();
    annotations.extend(cluster.seal.service_account_annotations.iter().map(|pair| (pair.key.clone(), pair.value.clone())));
    meta.annotations = some(annotations);
    ServiceAccount {
        metadata: meta,
        // Each pod says itself what token it gets.
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

pub(super) fn role(cluster: &Cluster) -> Role {
    Role {
        metadata: metadata(cluster, cluster.name),
        rules: Some(vec![PolicyRule {
            api_groups: Some(vec![String::new()]),
            resources: Some(vec!["pods".to_owned()]),
            verbs: POD_VERBS.map(ToOwned::to_owned).into(),
            ..PolicyRule::default()
        }]),
    }
}

pub(super) fn role_binding(cluster: &Cluster) -> RoleBinding {
    RoleBinding {
        metadata: metadata(cluster, cluster.name),
        role_ref: RoleRef { api_group: "rbac.authorization.k8s.io".to_owned(), kind: "Role".to_owned(), name: cluster.name.to_owned() },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: cluster.name.to_owned(),
            namespace: Some(cluster.namespace.to_owned()),
            ..Subject::default()
        }]),
    }
}
