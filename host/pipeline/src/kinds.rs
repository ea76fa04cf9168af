//! Kinds and the resources that serve them: grants speak of `statefulsets`, manifests of `StatefulSet`. Built-in kinds cannot be
//! redefined; the rest comes from discovery (`banhbaoring-cluster`) or, offline, from the definitions that plugins bring.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::contract::Json;

/// How a kind is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindInfo {
    /// Plural resource name, `statefulsets`.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

/// The kinds that a cluster serves beyond the built-in ones, by `group/version/Kind` (`v1/Kind` for the core group), the form of
/// [`crate::contract::Platform::apis`]. Cheap to clone: every observation has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KindTable(Arc<BTreeMap<String, KindInfo>>);

impl Serialize for KindTable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for KindTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(|kinds| Self(Arc::new(kinds)))
    }
}

impl KindTable {
    /// Adds a kind. A built-in one of that name stays what it is.
    pub fn insert(&mut self, api_version: &str, kind: &str, info: KindInfo) {
        Arc::make_mut(&mut self.0).insert(format!("{api_version}/{kind}"), info);
    }

    /// Adds every served version of a CustomResourceDefinition; what is malformed is left out.
    pub fn insert_definition(&mut self, crd: &Json) {
        let text = |pointer: &str| crd.pointer(pointer).and_then(Json::as_str);
        let (Some(group), Some(kind), Some(plural)) = (text("/spec/group"), text("/spec/names/kind"), text("/spec/names/plural")) else {
            return;
        };
        let namespaced = text("/spec/scope") == Some("Namespaced");
        for version in crd.pointer("/spec/versions").and_then(Json::as_array).into_iter().flatten() {
            if let (Some(name), Some(true)) = (version.get("name").and_then(Json::as_str), version.get("served").and_then(Json::as_bool)) {
                self.insert(&format!("{group}/{name}"), kind, KindInfo { plural: plural.to_owned(), namespaced });
            }
        }
    }

    /// How a kind is served: the built-in table first, so that nothing can pass off another resource as a built-in kind.
    pub fn get(&self, api_version: &str, kind: &str) -> Option<KindInfo> {
        if is_builtin_group(group_of(api_version)) {
            return builtin(api_version, kind);
        }
        self.0.get(&format!("{api_version}/{kind}")).cloned()
    }
}

/// The group of an `apiVersion`; empty for the core group.
pub fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

fn is_builtin_group(group: &str) -> bool {
    BUILTIN.iter().any(|entry| group_of(entry.0) == group)
}

fn builtin(api_version: &str, kind: &str) -> Option<KindInfo> {
    BUILTIN
        .iter()
        .filter(|entry| entry.0 == api_version)
        .flat_map(|(_, namespaced, kinds)| kinds.iter().map(move |entry| (namespaced, entry)))
        .find(|(_, (name, _))| *name == kind)
        .map(|(namespaced, (_, plural))| KindInfo { plural: (*plural).to_owned(), namespaced: *namespaced })
}

type Group = (&'static str, bool, &'static [(&'static str, &'static str)]);

/// What can be rendered or read of Kubernetes itself. Reviews, bindings and subresources are left out on purpose.
const BUILTIN: &[Group] = &[
    (
        "v1",
        true,
        &[
            ("ConfigMap", "configmaps"),
            ("Endpoints", "endpoints"),
            ("Event", "events"),
            ("LimitRange", "limitranges"),
            ("PersistentVolumeClaim", "persistentvolumeclaims"),
            ("Pod", "pods"),
            ("PodTemplate", "podtemplates"),
            ("ReplicationController", "replicationcontrollers"),
            ("ResourceQuota", "resourcequotas"),
            ("Secret", "secrets"),
            ("Service", "services"),
            ("ServiceAccount", "serviceaccounts"),
        ],
    ),
    ("v1", false, &[("Namespace", "namespaces"), ("Node", "nodes"), ("PersistentVolume", "persistentvolumes")]),
    (
        "apps/v1",
        true,
        &[
            ("ControllerRevision", "controllerrevisions"),
            ("DaemonSet", "daemonsets"),
            ("Deployment", "deployments"),
            ("ReplicaSet", "replicasets"),
            ("StatefulSet", "statefulsets"),
        ],
    ),
    ("batch/v1", true, &[("CronJob", "cronjobs"), ("Job", "jobs")]),
    ("autoscaling/v1", true, &[("HorizontalPodAutoscaler", "horizontalpodautoscalers")]),
    ("autoscaling/v2", true, &[("HorizontalPodAutoscaler", "horizontalpodautoscalers")]),
    ("policy/v1", true, &[("PodDisruptionBudget", "poddisruptionbudgets")]),
    ("networking.k8s.io/v1", true, &[("Ingress", "ingresses"), ("NetworkPolicy", "networkpolicies")]),
    ("networking.k8s.io/v1", false, &[("IngressClass", "ingressclasses"), ("IPAddress", "ipaddresses"), ("ServiceCIDR", "servicecidrs")]),
    ("rbac.authorization.k8s.io/v1", true, &[("Role", "roles"), ("RoleBinding", "rolebindings")]),
    ("rbac.authorization.k8s.io/v1", false, &[("ClusterRole", "clusterroles"), ("ClusterRoleBinding", "clusterrolebindings")]),
    ("coordination.k8s.io/v1", true, &[("Lease", "leases")]),
    ("discovery.k8s.io/v1", true, &[("EndpointSlice", "endpointslices")]),
    ("events.k8s.io/v1", true, &[("Event", "events")]),
    ("scheduling.k8s.io/v1", false, &[("PriorityClass", "priorityclasses")]),
    ("node.k8s.io/v1", false, &[("RuntimeClass", "runtimeclasses")]),
    ("storage.k8s.io/v1", true, &[("CSIStorageCapacity", "csistoragecapacities")]),
    (
        "storage.k8s.io/v1",
        false,
        &[
            ("CSIDriver", "csidrivers"),
            ("CSINode", "csinodes"),
            ("StorageClass", "storageclasses"),
            ("VolumeAttachment", "volumeattachments"),
            ("VolumeAttributesClass", "volumeattributesclasses"),
        ],
    ),
    (
        "admissionregistration.k8s.io/v1",
        false,
        &[
            ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations"),
            ("ValidatingAdmissionPolicy", "validatingadmissionpolicies"),
            ("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings"),
            ("ValidatingWebhookConfiguration", "validatingwebhookconfigurations"),
        ],
    ),
    ("apiextensions.k8s.io/v1", false, &[("CustomResourceDefinition", "customresourcedefinitions")]),
    ("apiregistration.k8s.io/v1", false, &[("APIService", "apiservices")]),
    ("certificates.k8s.io/v1", false, &[("CertificateSigningRequest", "certificatesigningrequests")]),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_builtin_kind_cannot_be_redefined() {
        let mut table = KindTable::default();
        table.insert("v1", "Secret", KindInfo { plural: "configmaps".to_owned(), namespaced: true });
        table.insert("apps/v1", "Daemon", KindInfo { plural: "configmaps".to_owned(), namespaced: true });
        assert_eq!(table.get("v1", "Secret").map(|info| info.plural).as_deref(), Some("secrets"));
        assert_eq!(table.get("apps/v1", "Daemon"), None, "nobody adds kinds to a group of Kubernetes");
    }

    #[test]
    fn a_definition_adds_its_served_versions() {
        let mut table = KindTable::default();
        table.insert_definition(&json!({"spec": {"group": "shop.example.com", "scope": "Cluster",
            "names": {"kind": "Till", "plural": "tills"},
            "versions": [{"name": "v1", "served": true}, {"name": "v1beta1", "served": false}]}}));
        assert_eq!(table.get("shop.example.com/v1", "Till"), Some(KindInfo { plural: "tills".to_owned(), namespaced: false }));
        assert_eq!(table.get("shop.example.com/v1beta1", "Till"), None);
    }
}
