//! The kind itself: what somebody writes under `spec`, from the top. Each part has its own module.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::LocalObjectReference;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::image_verification::ImageVerificationSpec;
use crate::initialization::InitializationSpec;
use crate::network::{NetworkPolicySpec, PublicServiceSpec};
use crate::plugin_catalog::CatalogPlugin;
use crate::pod::{PodSpec, ServiceAccountSpec};
use crate::server::{AuditDevice, ListenerSpec, LogFormat, LogLevel, RaftSpec, TelemetrySpec};
use crate::status::OpenBaoClusterStatus;
use crate::storage::{DeletionPolicy, StorageSpec};
use crate::tls::TlsSpec;
use crate::unseal::UnsealSpec;
use crate::{DEFAULT_OPENBAO_VERSION, schema};

/// An OpenBao cluster with integrated Raft storage that unseals itself.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "openbao.org",
    version = "v1alpha1",
    kind = "OpenBaoCluster",
    plural = "openbaoclusters",
    singular = "openbaocluster",
    shortname = "obc",
    category = "banhbaoring",
    namespaced,
    status = "OpenBaoClusterStatus",
    derive = "PartialEq",
    doc = "An OpenBao cluster with integrated Raft storage that unseals itself.",
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version", description = "Version of OpenBao"),
    printcolumn(name = "Replicas", type_ = "string", json_path = ".status.nodes", description = "Nodes ready/desired"),
    printcolumn(name = "Leader", type_ = "string", json_path = ".status.leader", description = "The pod that leads", priority = 1),
    printcolumn(name = "Operation", type_ = "string", json_path = ".status.operation.kind", description = "What is being done to the nodes"),
    printcolumn(name = "Unseal", type_ = "string", json_path = ".spec.unseal.type", description = "Who unseals"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$') && self.metadata.name.size() <= 46")
        .message("metadata.name must be a DNS label that starts with a letter, at most 46 characters: Services, pod labels and certificate names are made of it"),
    validation = Rule::new("self.spec.unseal.type == oldSelf.spec.unseal.type || !has(oldSelf.status) || !has(oldSelf.status.nodes) || (has(self.spec.paused) && self.spec.paused && has(oldSelf.spec.paused) && oldSelf.spec.paused)")
        .message("unseal.type is immutable once there are nodes: what is sealed by one provider is not unsealed by another. OpenBao can move a store to another provider by hand, while spec.paused is true: docs/runbooks/change-unseal-provider.md")
)]
#[x_kube(
    validation = Rule::new("has(self.auditStorage) == has(oldSelf.auditStorage)").message("auditStorage cannot be added to or taken from a cluster that is there: the volumes of a StatefulSet are fixed when it is made; log to stdout, or restore a snapshot into a new cluster"),
    validation = Rule::new("has(self.auditStorage) || !has(self.audit) || !self.audit.exists(device, has(device.options) && 'file_path' in device.options && device.options['file_path'].startsWith('/bao/audit'))").message("an audit device that writes below /bao/audit needs auditStorage, which is the volume there"),
    validation = Rule::new("duration(has(self.defaultLeaseTtl) ? self.defaultLeaseTtl : '768h') <= duration(has(self.maxLeaseTtl) ? self.maxLeaseTtl : '768h') && (!has(self.defaultLeaseTtl) || duration(self.defaultLeaseTtl) > duration('0s'))").message("defaultLeaseTtl must be above zero and at most maxLeaseTtl, or OpenBao does not start; each of them is 768h where it is absent")
)]
#[serde(rename_all = "camelCase")]
pub struct OpenBaoClusterSpec {
    /// Version of OpenBao (semantic version, no leading `v`). What is rendered depends on it, so it must be told even where `image`
    /// names a digest.
    #[serde(default = "default_version")]
    #[schemars(
        regex(pattern = r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$"),
        length(max = 64)
    )]
    #[x_kube(validation = Rule::new("self.startsWith('2.') && !(self.startsWith('2.0.') || self.startsWith('2.1.') || self.startsWith('2.2.'))").message("version must be 2.3.0 or later and below 3.0.0: this plugin knows how those are configured"))]
    pub version: String,

    /// Container image, whole reference. Absent: the plugin's default repository with `version` as tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[a-zA-Z0-9][-a-zA-Z0-9._:/@]*$"), length(min = 1, max = 512))]
    pub image: Option<String>,

    /// Secrets with credentials of the image's registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), transform = schema::pull_secrets)]
    pub image_pull_secrets: Vec<LocalObjectReference>,

    /// Run only an image that the right key signed. Absent: the image is run as it is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_verification: Option<ImageVerificationSpec>,

    /// Raft nodes. Fewer than before: one node after the other, from the highest, leaves Raft before its pod goes, and then its volumes are deleted.
    #[serde(default = "default_replicas")]
    #[x_kube(
        validation = Rule::new("self in [1, 3, 5, 7]").message("replicas must be 1, 3, 5 or 7: an even number of Raft nodes tolerates no more failures than one node less")
    )]
    pub replicas: i32,

    /// Volume of each node.
    #[serde(default)]
    pub storage: StorageSpec,

    /// A second volume of each node, mounted at `/bao/audit` for audit devices of type `file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_storage: Option<StorageSpec>,

    /// Hands off: nothing is made, changed or deleted while this is true.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,

    /// What becomes of the volumes when the cluster is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// Nobody can delete the cluster while this is true; set it to false first. Where the API server serves ValidatingAdmissionPolicies, that holds also
    /// while the operator is down. A namespace with such a cluster in it stays `Terminating`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deletion_protection: bool,

    /// Who unseals the nodes. Absent: a key that is made and kept in a Secret.
    #[serde(default)]
    pub unseal: UnsealSpec,

    /// How the store is initialised the first time.
    #[serde(default, skip_serializing_if = "InitializationSpec::is_empty")]
    pub initialization: InitializationSpec,

    /// Certificates.
    #[serde(default)]
    pub tls: TlsSpec,

    /// Serve the web interface.
    #[serde(default = "yes")]
    pub ui: bool,

    /// Log level.
    #[serde(default)]
    pub log_level: LogLevel,

    /// Log format.
    #[serde(default)]
    pub log_format: LogFormat,

    /// Limits of the API's listener.
    #[serde(default, skip_serializing_if = "ListenerSpec::is_empty")]
    pub listener: ListenerSpec,

    /// Longest lease that may be given. Absent: 768h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::DURATION), length(min = 2, max = 32))]
    pub max_lease_ttl: Option<String>,

    /// Lease where none is asked for, at most `maxLeaseTtl`. Absent: 768h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::DURATION), length(min = 2, max = 32))]
    pub default_lease_ttl: Option<String>,

    /// Tuning of Raft.
    #[serde(default, skip_serializing_if = "RaftSpec::is_empty")]
    pub raft: RaftSpec,

    /// Metrics at `/v1/sys/metrics`. Absent: OpenBao's defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<TelemetrySpec>,

    /// Audit devices, made by OpenBao from its configuration (2.4 and later).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["path".into()]))]
    pub audit: Vec<AuditDevice>,

    /// Plugins of OpenBao in its catalogue: the operator brings their binaries to every node and registers them; enabling a mount is yours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(
        merge_strategy = ListMerge::Map(vec!["type".into(), "name".into(), "version".into()]),
        validation = Rule::new("self.all(plugin, has(plugin.image)) || self.all(plugin, !has(plugin.image))").message("either every plugin has an image that it is copied from, or none has, and all of them lie in OpenBao's own image in /bao/plugins: a volume there hides what the image has"),
        validation = Rule::new("self.all(plugin, self.all(other, other.command != plugin.command || other.sha256.lowerAscii() == plugin.sha256.lowerAscii()))").message("two plugins of one command have one sha256, since they are one file: give another version a command of its own")
    )]
    pub plugin_catalog: Vec<CatalogPlugin>,

    /// The nodes' pods.
    #[serde(default, skip_serializing_if = "PodSpec::is_empty")]
    pub pod: PodSpec,

    /// The nodes' service account.
    #[serde(default, skip_serializing_if = "ServiceAccountSpec::is_empty")]
    pub service_account: ServiceAccountSpec,

    /// The Service for clients.
    #[serde(default)]
    pub service: PublicServiceSpec,

    /// Who may talk to the nodes, and to whom they may talk.
    #[serde(default)]
    pub network_policy: NetworkPolicySpec,

    /// Which plugin serves a component, where several could.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["component".into()]))]
    pub plugins: Vec<PluginPin>,

    /// Config of components that this schema does not know, by component; checked against the schema of the plugin that serves it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::any_object")]
    pub extensions: BTreeMap<String, Value>,
}

/// Ties a component of this owner to a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginPin {
    /// Name of the component, or of the unseal provider.
    #[schemars(regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"), length(min = 1, max = 63))]
    pub component: String,
    /// Name of the Plugin.
    #[schemars(regex(pattern = schema::OBJECT_NAME), length(min = 1, max = 253))]
    pub plugin: String,
}

fn default_version() -> String {
    DEFAULT_OPENBAO_VERSION.to_owned()
}

fn default_replicas() -> i32 {
    3
}

fn yes() -> bool {
    true
}
