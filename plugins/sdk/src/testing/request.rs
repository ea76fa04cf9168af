//! Requests as a fresh cluster would send them; a test changes what it is about.

use serde_json::{Value, json};

use crate::json::canonical;
use crate::wit::{HostIdentity, Operation, Platform, Request, ReviewRequest, SealRequest};

/// A request for a component of a new owner: no children, no answers. The owner is any object as JSON; the config is what lies at the
/// component's config path.
pub fn request(component: &str, owner: &Value, config: &Value) -> Request {
    Request {
        owner: canonical(owner),
        component: component.to_owned(),
        config: canonical(config),
        plugin_config: canonical(&json!({})),
        previous: None,
        platform: platform(),
        children: Vec::new(),
        inputs: Vec::new(),
        slots: Vec::new(),
        answers: Vec::new(),
        results: Vec::new(),
        deleting: false,
        time: None,
    }
}

/// A request for a seal of an owner `prod` in the namespace `bao`.
pub fn seal_request(openbao_version: &str, config: &Value) -> SealRequest {
    let owner = json!({
        "apiVersion": "openbao.org/v1alpha1",
        "kind": "OpenBaoCluster",
        "metadata": {"name": "prod", "namespace": "bao", "uid": "6b1f5e0a-0000-4000-8000-000000000001"},
        "spec": {"version": openbao_version, "unseal": config},
    });
    SealRequest {
        config: canonical(config),
        openbao_version: openbao_version.to_owned(),
        owner: canonical(&owner),
        platform: platform(),
        plugin_config: canonical(&json!({})),
    }
}

/// A review of a write by somebody without rights of note. The object as it is and as it shall be: without the first it is created, without the second deleted.
pub fn review_request(kind: &str, old: Option<&Value>, new: Option<&Value>) -> ReviewRequest {
    ReviewRequest {
        operation: match (old, new) {
            (None, _) => Operation::Create,
            (Some(_), Some(_)) => Operation::Update,
            (Some(_), None) => Operation::Delete,
        },
        kind: kind.to_owned(),
        object: new.map(canonical),
        old_object: old.map(canonical),
        user: "jane".to_owned(),
        groups: vec!["system:authenticated".to_owned()],
        dry_run: false,
        answers: Vec::new(),
        platform: platform(),
        plugin_config: canonical(&json!({})),
    }
}

/// A cluster that serves the built-in kinds.
pub fn platform() -> Platform {
    let apis = [
        "apps/v1/Deployment",
        "apps/v1/StatefulSet",
        "batch/v1/Job",
        "networking.k8s.io/v1/NetworkPolicy",
        "policy/v1/PodDisruptionBudget",
        "rbac.authorization.k8s.io/v1/Role",
        "rbac.authorization.k8s.io/v1/RoleBinding",
        "v1/ConfigMap",
        "v1/Secret",
        "v1/Service",
        "v1/ServiceAccount",
    ];
    Platform {
        kubernetes_version: "1.34.0".to_owned(),
        apis: apis.map(ToOwned::to_owned).to_vec(),
        cluster_domain: "cluster.local".to_owned(),
        host: HostIdentity {
            namespace: "banhbaoring".to_owned(),
            service_account: "banhbaoring".to_owned(),
            pod_labels: Vec::new(),
            webhook_service: None,
            api_server_endpoints: vec!["10.96.0.1:443".to_owned()],
        },
    }
}
