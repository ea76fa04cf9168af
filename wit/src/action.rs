//! Actions: side effects that the host performs in order after apply. Each kind has a spec (what a plugin writes into `action.spec`)
//! and a result (what the next request's `results` hold as `ok`).

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::http::{Capture, Endpoint, HttpAnswer, Method};
use crate::reference::ObjectRef;

/// Joins the spec of an action to its kind and to its result.
pub trait ActionSpec: Serialize + DeserializeOwned {
    /// The `kind` of the WIT record.
    const KIND: &'static str;
    /// What `ok` holds.
    type Result: Serialize + DeserializeOwned;
}

/// `http`: one request, never repeated by the host on its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Http {
    /// Where and how.
    pub endpoint: Endpoint,
    /// Method.
    pub method: Method,
    /// JSON body before injection; null: none.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub body: Value,
    /// Parts of an answer of a status of 2xx that go to Secrets unseen. The Secrets must be there, the owner's, and without these keys, or nothing is sent;
    /// what goes into one Secret goes in one write. Any other status is told as the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capture: Vec<Capture>,
}

impl ActionSpec for Http {
    const KIND: &'static str = "http";
    type Result = HttpAnswer;
}

/// `run`: a Job that runs once per key. Its outcome is asked for by the need `job`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Run {
    /// Names the run within the owner: `migrate-1.4.0`. The same key never runs twice.
    pub key: String,
    /// A PodTemplateSpec with exactly one container.
    pub pod_template: Map<String, Value>,
    /// The run has failed after so many seconds.
    pub deadline_seconds: u32,
}

impl ActionSpec for Run {
    const KIND: &'static str = "run";
    type Result = Done;
}

/// `patch`: server-side apply of some fields of an object under the plugin's own field manager. Never pruned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Patch {
    /// The object; must exist.
    pub target: ObjectRef,
    /// Fields to own, without apiVersion, kind and metadata.name. Empty with `release`.
    #[serde(default)]
    pub fields: Map<String, Value>,
    /// Give back all fields that earlier patches took.
    #[serde(default)]
    pub release: bool,
}

impl ActionSpec for Patch {
    const KIND: &'static str = "patch";
    type Result = Done;
}

/// `adopt`: makes the owner the controller of an existing object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Adopt {
    /// The object.
    pub target: ObjectRef,
    /// It must still be this one.
    pub uid: String,
}

impl ActionSpec for Adopt {
    const KIND: &'static str = "adopt";
    type Result = Done;
}

/// `delete`: deletes an object that must still be the one that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Delete {
    /// The object.
    pub target: ObjectRef,
    /// It must still be this one.
    pub uid: String,
    /// It must not have changed since; absent: any version of that uid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// What happens to its dependents.
    #[serde(default)]
    pub propagation: Propagation,
}

impl ActionSpec for Delete {
    const KIND: &'static str = "delete";
    type Result = Done;
}

/// What happens to the dependents of a deleted object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Propagation {
    /// Deleted afterwards.
    #[default]
    Background,
    /// Deleted first.
    Foreground,
    /// Left alone.
    Orphan,
}

/// `remove-finalizer`: takes one finalizer off an object of a granted kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RemoveFinalizer {
    /// The object.
    pub target: ObjectRef,
    /// It must still be this one.
    pub uid: String,
    /// The finalizer.
    pub finalizer: String,
}

impl ActionSpec for RemoveFinalizer {
    const KIND: &'static str = "remove-finalizer";
    type Result = Done;
}

/// The result of an action that has nothing to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Done {}
