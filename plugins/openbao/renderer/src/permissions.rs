//! What this plugin asks to be granted, in the form of `Plugin.spec.grants`. Every kind that [`crate::objects`] renders is here, and
//! nothing else.

use serde_json::{Value, json};

use crate::access;
use crate::captured::requests::{INIT, LOOKUP_SELF, WRITTEN};
use crate::objects::POD_VERBS;

/// The permissions of the descriptor.
pub fn permissions() -> Value {
    let owned = |group: &str, resources: &[&str]| {
        json!({
            "apiGroups": [group],
            "resources": resources,
            "verbs": ["get", "create", "patch", "delete"],
            "relation": "owned",
            "namespaces": ["owner"],
        })
    };
    json!({
        "resources": [
            owned("", &["configmaps", "secrets", "serviceaccounts", "services"]),
            owned("apps", &["statefulsets"]),
            owned("cert-manager.io", &["certificates"]),
            owned("monitoring.coreos.com", &["servicemonitors"]),
            owned("networking.k8s.io", &["networkpolicies"]),
            owned("policy", &["poddisruptionbudgets"]),
            owned("rbac.authorization.k8s.io", &["rolebindings", "roles"]),
            // Whose keyless signatures count.
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"], "relation": "referenced", "namespaces": ["owner"]},
            // The hash of a certificate that the owner names rolls the pods; only the host sees the value.
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "relation": "referenced", "namespaces": ["owner"]},
            // How a node is, by its labels and its readiness. What a StatefulSet of the owner's made counts as the owner's.
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "relation": "owned", "namespaces": ["owner"]},
            // Volumes that grow, and those of a node that Raft has let go.
            {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["get", "patch", "delete"], "relation": "owned", "namespaces": ["owner"]},
        ],
        // What crate::access and crate::captured send, and nothing else of the store's API.
        "http": [
            {"service": "owned", "methods": ["GET"], "paths": [access::LEADER, access::CONFIGURATION, access::AUTOPILOT, access::PLUGIN_CATALOG, INIT, LOOKUP_SELF]},
            {"service": "owned", "methods": ["PUT"], "paths": [access::STEP_DOWN, access::REMOVE_PEER, access::PLUGIN_CATALOG]},
            // Without a token, or with one that only the store's first initialisation gives.
            {"service": "owned", "methods": ["PUT"], "paths": WRITTEN},
            {"service": "owned", "methods": ["POST"], "paths": [access::LOGIN]},
        ],
        // Where an image may be asked about that a spec names together with who has to sign it. The owner's word is not enough: it would be a way to
        // reach any host from within the cluster.
        "images": [crate::DEFAULT_REPOSITORY, "docker.io/openbao/", "ghcr.io/openbao/", "quay.io/openbao/"],
        "pods": {
            "hostAccess": false,
            "serviceAccounts": ["own"],
            // The first password goes when somebody deletes it, and the template goes on naming it: a template that changed for that would restart the nodes.
            "secretRefs": ["own", "input", "owner-spec", "{owner}-admin", "{owner}-operator"],
            "images": [format!("{}:*", crate::DEFAULT_REPOSITORY), "owner-spec"],
        },
        "rbac": [{"apiGroups": [""], "resources": ["pods"], "verbs": POD_VERBS}],
        "kinds": [banhbaoring_openbao_api::GROUP_KIND],
        "admission": [{"kind": banhbaoring_openbao_api::GROUP_KIND, "operations": ["CREATE", "UPDATE", "DELETE"]}],
    })
}
