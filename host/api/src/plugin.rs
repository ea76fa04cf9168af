//! `Plugin`: where a plugin comes from, who must have signed it, what it may do, and how it fares.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::grants::Grants;

/// A plugin that the host loads from an OCI registry.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "plugins.banhbaoring.io",
    version = "v1alpha1",
    kind = "Plugin",
    plural = "plugins",
    shortname = "plg",
    category = "banhbaoring",
    status = "PluginStatus",
    derive = "PartialEq",
    doc = "A signed WebAssembly plugin that the host loads from an OCI registry.",
    printcolumn = r#"{"name":"Version","type":"string","jsonPath":".status.active.version"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Verified by","type":"string","jsonPath":".status.active.verifiedBy"}"#,
    printcolumn = r#"{"name":"Digest","type":"string","jsonPath":".status.active.digest","priority":1}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct PluginSpec {
    /// Where the artifact lies.
    pub source: Source,
    /// Who must have signed it, in addition to every matching PluginPolicy.
    #[serde(default)]
    pub verify: Verify,
    /// What it may do. Denied by default; must cover what its descriptor asks for.
    #[serde(default)]
    pub grants: Grants,
    /// Every read, write and delete for this plugin impersonates this account.
    pub service_account_ref: NamespacedName,
    /// Whose owners it may serve; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_owners: Option<AllowedOwners>,
    /// Limits of one call.
    #[serde(default)]
    pub limits: Limits,
    /// Checked against the descriptor's config-schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub config: Option<serde_json::Value>,
    /// How a new version becomes active.
    #[serde(default)]
    pub activation: Activation,
    /// Revisions kept in the content store for a rollback.
    #[serde(default = "default_history")]
    #[schemars(range(min = 0, max = 20))]
    pub revision_history_limit: u32,
    /// Stops resolving and activating; what is active keeps serving.
    #[serde(default)]
    pub suspend: bool,
}

fn default_history() -> u32 {
    3
}

fn any_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// Where the artifact lies. One kind of source so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// An OCI registry.
    pub oci: OciSource,
}

/// An artifact in an OCI registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OciSource {
    /// `oci://registry/repository`, without tag or digest.
    #[x_kube(validation = Rule::new("self.startsWith('oci://')").message("url must start with oci://"))]
    #[schemars(length(max = 512))]
    pub url: String,
    /// Which one: a digest wins over a semantic version range, which wins over a tag.
    #[serde(rename = "ref")]
    pub reference: OciReference,
    /// How often a tag or range is resolved again, `10m`.
    #[serde(default = "default_interval")]
    #[schemars(regex(pattern = r"^([0-9]+(s|m|h))+$"), length(max = 16))]
    pub interval: String,
    /// Registry credentials: `.dockerconfigjson` or `.dockercfg`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_secret_ref: Option<NamespacedName>,
    /// Plain http. Loopback registries only, unless the host was started with `--allow-insecure-registries`.
    #[serde(default)]
    pub insecure: bool,
}

fn default_interval() -> String {
    "10m".to_owned()
}

/// At least one of the three.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.digest) || has(self.semver) || has(self.tag)").message("ref needs a digest, a semver range or a tag"))]
pub struct OciReference {
    /// `sha256:<64 hex digits>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub digest: Option<String>,
    /// A semantic version range, `>=1.2 <2`; the highest tag that matches is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub semver: Option<String>,
    /// A tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"))]
    pub tag: Option<String>,
}

/// Name and namespace of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespacedName {
    /// Namespace.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// Name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Signature requirements.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verify {
    /// What follows from a missing signature.
    #[serde(default)]
    pub mode: VerifyMode,
    /// One of these must have signed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub authorities: Vec<Authority>,
}

/// What follows from a missing or wrong signature.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum VerifyMode {
    /// Loaded all the same, with a condition that says so.
    Warn,
    /// Not loaded.
    #[default]
    Enforce,
}

/// Who may sign. Exactly one of `key` and `keyless`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.key) != has(self.keyless)").message("an authority has either a key or keyless identities"))]
pub struct Authority {
    /// Name that conditions and `verifiedBy` show.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// A cosign public key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyAuthority>,
    /// Identities certified by a Fulcio instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyless: Option<KeylessAuthority>,
}

/// A public key in PEM. Exactly one of `data` and `secretRef`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.data) != has(self.secretRef)").message("a key is given either as data or as secretRef"))]
pub struct KeyAuthority {
    /// The key itself (it is public).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8192))]
    pub data: Option<String>,
    /// A key of a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyReference>,
}

/// One key of a Secret in a named namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyReference {
    /// Namespace of the Secret.
    pub namespace: String,
    /// Name of the Secret.
    pub name: String,
    /// Key in its data.
    pub key: String,
}

/// Keyless identities and the trust root that certifies them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeylessAuthority {
    /// Any of these.
    #[schemars(length(min = 1, max = 16))]
    pub identities: Vec<Identity>,
    /// A key of a Secret that holds a sigstore `trusted_root.json`, as `cosign trusted-root create` writes it: the Fulcio to trust, and what says
    /// when something was signed. A transparency log that it names must know the signature; without one, a timestamp authority decides alone.
    pub trust_root_ref: SecretKeyReference,
}

/// An identity of a keyless signer. Exactly one of `subject` and `subjectRegExp`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.subject) != has(self.subjectRegExp)").message("an identity has either a subject or a subjectRegExp"))]
pub struct Identity {
    /// Exact issuer.
    #[schemars(length(min = 1, max = 1024))]
    pub issuer: String,
    /// Exact subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub subject: Option<String>,
    /// Regular expression of the subject, in the syntax of RE2 and anchored at both ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub subject_reg_exp: Option<String>,
}

/// Whose owners a plugin may serve.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllowedOwners {
    /// Names of namespaces; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
}

/// Limits of one call into the plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Linear memory, `64Mi`.
    #[serde(default = "default_memory")]
    #[schemars(regex(pattern = r"^[0-9]+(Ki|Mi)$"), length(max = 12))]
    pub memory: String,
    /// CPU, `200ms`.
    #[serde(default = "default_cpu")]
    #[schemars(regex(pattern = r"^[0-9]+(ms|s)$"), length(max = 12))]
    pub cpu: String,
    /// Wall clock, the backstop: `5s`.
    #[serde(default = "default_timeout")]
    #[schemars(regex(pattern = r"^[0-9]+(ms|s)$"), length(max = 12))]
    pub timeout: String,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: default_memory(), cpu: default_cpu(), timeout: default_timeout() }
    }
}

fn default_memory() -> String {
    "64Mi".to_owned()
}
fn default_cpu() -> String {
    "200ms".to_owned()
}
fn default_timeout() -> String {
    "5s".to_owned()
}

/// How a new version becomes active.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Activation {
    /// By itself or by an approval.
    #[serde(default)]
    pub mode: ActivationMode,
}

/// By itself or by an approval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ActivationMode {
    /// As soon as every step of the lifecycle has passed.
    #[default]
    Automatic,
}

/// How the plugin fares.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginStatus {
    /// The revision that serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<Revision>,
    /// Components that it brings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// Unseal providers that it brings, with aliases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseal_providers: Vec<String>,
    /// Kinds that it brings, `group/Kind`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// Resolved, Verified, Loaded, PermissionsGranted, Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The generation that all of this was computed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// One version of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// Digest of the manifest.
    pub digest: String,
    /// From its descriptor.
    pub version: String,
    /// Names of the authorities whose signatures were found, joined by `, `; or `unverified (warn)`.
    pub verified_by: String,
    /// RFC 3339.
    pub loaded_at: String,
    /// What the component imports, derived from its bytes.
    pub imports: Vec<String>,
    /// Size of the component.
    pub size_bytes: u64,
}
