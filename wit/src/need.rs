//! Needs: questions without side effects. Each kind has a spec (what a plugin writes into `need.spec`) and an answer (what the host
//! gives back as `ok`). The mode (`watch`, `poll`, `fresh`) and the projection belong to the WIT record.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use crate::http::HttpAnswer;
use crate::http::{Endpoint, TrustRoot};
use crate::reference::{ObjectRef, SecretKeyRef};

/// Joins the spec of a need to its kind and to its answer.
pub trait NeedSpec: Serialize + DeserializeOwned {
    /// The `kind` of the WIT record.
    const KIND: &'static str;
    /// What `ok` holds.
    type Answer: Serialize + DeserializeOwned;
}

/// `object`: one object. An object that does not exist is answered by the error class `not-found`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Object {
    /// Which one.
    pub reference: ObjectRef,
}

impl NeedSpec for Object {
    const KIND: &'static str = "object";
    type Answer = ObjectView;
}

/// An object as a plugin sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectView {
    /// Which one.
    pub reference: ObjectRef,
    /// Its uid, for actions that carry a precondition.
    pub uid: String,
    /// With a projection: the fields asked for by pointer, absent ones left out (`{"/status/phase": "Ready"}`). Without: the whole
    /// object, less managedFields and resourceVersion.
    pub value: Value,
}

/// `objects`: all objects of a kind that match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Objects {
    /// `gateway.networking.k8s.io/v1`.
    pub api_version: String,
    /// `Gateway`.
    pub kind: String,
    /// Absent: the owner's namespace; `*`: all that are granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Labels that must be equal.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Conditions on fields, all of which must hold. Evaluated by the host in memory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filter: Vec<FieldFilter>,
    /// At most so many come back; the host caps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl NeedSpec for Objects {
    const KIND: &'static str = "objects";
    type Answer = ObjectsView;
}

/// A condition on one field. Without `equals` the field only has to exist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FieldFilter {
    /// JSON pointer into the object: `/metadata/annotations/example.org~1edge`.
    pub pointer: String,
    /// The value it must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<Value>,
}

/// The objects that match, sorted by namespace and name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectsView {
    /// The objects.
    pub items: Vec<ObjectView>,
    /// More matched than the limit let through.
    #[serde(default)]
    pub truncated: bool,
}

/// `outputs`: what a component of another owner publishes, where it declares its outputs consumable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Outputs {
    /// The other owner.
    pub owner: ObjectRef,
    /// Its component.
    pub component: String,
}

impl NeedSpec for Outputs {
    const KIND: &'static str = "outputs";
    type Answer = OutputsView;
}

/// Another owner's outputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutputsView {
    /// The outputs as the component wrote them.
    pub outputs: Map<String, Value>,
    /// That component is ready.
    pub ready: bool,
}

/// `http`: a GET.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Http {
    /// Where and how.
    pub endpoint: Endpoint,
}

impl NeedSpec for Http {
    const KIND: &'static str = "http";
    type Answer = HttpAnswer;
}

/// `image`: what a container image's tag means now, and who signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Image {
    /// `quay.io/openbao/openbao:2.4.4`.
    pub reference: String,
    /// Whom to trust; absent: resolve only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<ImageVerification>,
    /// Secrets of type `kubernetes.io/dockerconfigjson` or `kubernetes.io/dockercfg` in the owner's namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pull_secrets: Vec<String>,
    /// Ask the registry over plain http: loopback alone, unless the host allows it anywhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
}

impl NeedSpec for Image {
    const KIND: &'static str = "image";
    type Answer = ImageView;
}

/// Whom to trust for an image. Exactly one of `public_key` and `keyless`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageVerification {
    /// A public key in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// An identity that a certificate authority vouched for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyless: Option<KeylessIdentity>,
    /// Accept signatures that no transparency log knows. A signature by a key never needs one, a keyless one where the trust root names logs.
    #[serde(default)]
    pub ignore_transparency_log: bool,
}

/// Who a keyless signature must come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeylessIdentity {
    /// `https://token.actions.githubusercontent.com`.
    pub issuer: String,
    /// The certificate's subject, whole.
    pub subject: String,
    /// A sigstore `trusted_root.json` in the owner's namespace: whose certificates count, and whose word on when something was signed. Without one,
    /// nothing is verified and the answer is the error class `invalid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_root: Option<TrustRoot>,
}

/// A resolved image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageView {
    /// `sha256:…` of the manifest (or index) that the tag meant.
    pub digest: String,
    /// Who signed that digest; absent: nobody was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
}

/// `git`: the commit behind a branch, tag or commit. Tags are peeled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Git {
    /// `https://…` or `ssh://…`.
    pub url: String,
    /// Branch, tag or full commit.
    #[serde(rename = "ref")]
    pub reference: String,
    /// How to authenticate; absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<GitCredentials>,
}

impl NeedSpec for Git {
    const KIND: &'static str = "git";
    type Answer = GitView;
}

/// How a git server is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum GitCredentials {
    /// User name and password or token, over https.
    Basic {
        /// User name.
        username: SecretKeyRef,
        /// Password or token.
        password: SecretKeyRef,
    },
    /// A private key, over ssh. Known hosts are required.
    Ssh {
        /// Private key in PEM.
        #[serde(rename = "privateKey")]
        private_key: SecretKeyRef,
        /// known_hosts lines.
        #[serde(rename = "knownHosts")]
        known_hosts: SecretKeyRef,
    },
}

/// What a git reference means now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitView {
    /// Full commit in hex.
    pub commit: String,
}

/// `job`: the outcome of a run that the action `run` started. A key that never ran is answered by the error class `not-found`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Job {
    /// The run's key.
    pub key: String,
}

impl NeedSpec for Job {
    const KIND: &'static str = "job";
    type Answer = JobView;
}

/// How far a run came. Kept in the inventory: a Job that is gone keeps its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobView {
    /// How far.
    pub state: JobState,
    /// Exit code of the run's container, once it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Its termination message, at most 4 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// States of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// Not ended yet.
    Running,
    /// Exit code 0.
    Succeeded,
    /// Any other exit code, the deadline, or lost.
    Failed,
}
