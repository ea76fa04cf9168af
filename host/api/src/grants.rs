//! What a plugin may do: data, denied by default. The same form is used for what a descriptor asks (`permissions`), what a `Plugin`
//! grants and the ceiling that a `PluginPolicy` sets. Checking them is `banhbaoring-pipeline`'s.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything that can be granted. An empty list grants nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grants {
    /// Kubernetes resources that it may read or render.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub resources: Vec<ResourceGrant>,
    /// What its pods may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<PodGrant>,
    /// Rules of the roles that it may create; never more than its own account has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub rbac: Vec<PolicyRule>,
    /// Kinds whose definition it may install, `group/Kind`, exact.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub kinds: Vec<String>,
    /// HTTP destinations of needs and actions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub http: Vec<HttpGrant>,
    /// Audiences of tokens for its service account, also those projected into its pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub audiences: Vec<String>,
    /// Registries that `image` needs may ask, as prefixes of references.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub images: Vec<String>,
    /// Git hosts, https and ssh only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub git: Vec<String>,
    /// Admission of objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub admission: Vec<AdmissionGrant>,
}

/// Verbs on resources, and on whose objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceGrant {
    /// API groups; the core group is the empty string.
    pub api_groups: Vec<String>,
    /// Plural resource names, `statefulsets`.
    pub resources: Vec<String>,
    /// `get`, `list`, `watch`, `create`, `patch`, `delete`.
    pub verbs: Vec<String>,
    /// Whose objects; `owned` unless said.
    #[serde(default)]
    pub relation: Relation,
    /// `owner` for the owner's namespace, or names; empty means the owner's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
}

/// Whose objects a grant speaks of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Relation {
    /// Objects that this owner's components made.
    #[default]
    Owned,
    /// Objects that the owner's spec or an input names.
    Referenced,
    /// Any object in the granted namespaces.
    Any,
}

/// What a pod template may contain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodGrant {
    /// Host paths, host namespaces, host ports, privileged containers, added capabilities.
    #[serde(default)]
    pub host_access: bool,
    /// Accounts: `own` (made by the same owner's components) or names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub service_accounts: Vec<String>,
    /// Secrets: `own`, `input` (from slots and components before it), `owner-spec` (named in the owner's spec), or names; in a name
    /// `{owner}` stands for the owner's (`{owner}-tls`, which another controller makes).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secret_refs: Vec<String>,
    /// Globs of image references; `owner-spec` for images that the owner's spec names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// Globs of annotation keys that its service accounts may carry beyond those of the owner's spec: clouds give rights by them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub account_annotations: Vec<String>,
    /// Globs of label keys that an unseal provider may put on the store's pods: clouds give rights by them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pod_labels: Vec<String>,
}

/// As `rbac.authorization.k8s.io/v1` PolicyRule, resources only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyRule {
    /// API groups; the core group is the empty string.
    pub api_groups: Vec<String>,
    /// Plural resource names.
    pub resources: Vec<String>,
    /// Verbs.
    pub verbs: Vec<String>,
    /// Empty: all names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
}

/// HTTP requests to the owner's own Services or to a named host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpGrant {
    /// `owned`: Services that this owner's components made; `input`: Services named by inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// A host name, instead of a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// HTTP methods.
    pub methods: Vec<String>,
    /// Path prefixes.
    pub paths: Vec<String>,
}

/// Which objects a plugin may judge or change on admission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AdmissionGrant {
    /// `group/Kind`.
    pub kind: String,
    /// `CREATE`, `UPDATE`, `DELETE`.
    pub operations: Vec<String>,
    /// Pointers that it may change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub may_touch: Vec<String>,
}
