//! What a component answers.

use serde::{Deserialize, Serialize};

use super::{Json, Pairs};

/// What a component wants the world to look like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// Desired objects.
    pub objects: Vec<Object>,
    /// Secrets whose material the host makes.
    pub secrets: Vec<GeneratedSecret>,
    /// Questions.
    pub needs: Vec<Need>,
    /// Side effects, in order, after apply.
    pub actions: Vec<Action>,
    /// A JSON object for the components after it.
    pub outputs: Json,
    /// A JSON object: its fragment of the owner's status.
    pub status: Json,
    /// Declared types only.
    pub conditions: Vec<ComponentCondition>,
    /// Deduplicated by key.
    pub events: Vec<Event>,
    /// Declared names only.
    pub metrics: Vec<Metric>,
    /// How it fares.
    pub state: State,
    /// CamelCase.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Ask again after so many seconds.
    pub requeue_after_seconds: Option<u32>,
    /// It is done with finalising.
    pub finalized: bool,
}

impl Response {
    /// It waits for somebody and tells no status: the one that is there stays.
    pub fn keeps_status(&self) -> bool {
        self.state == State::Blocked && self.status.as_object().is_none_or(serde_json::Map::is_empty)
    }
}

/// How an object is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ApplyMode {
    /// Server-side apply.
    Apply,
    /// Created once and then left.
    CreateOnly,
    /// Applied only where it exists already.
    IfExists,
}

/// A desired object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Object {
    /// The object.
    pub manifest: Json,
    /// How it is applied.
    pub mode: ApplyMode,
    /// It stays when the owner goes.
    pub keep: bool,
    /// Set at creation and then left.
    pub create_only_fields: Vec<String>,
    /// Foreign additions under these are removed.
    pub exclusive: Vec<String>,
    /// An immutable difference leads to a recreate.
    pub recreate: Option<Recreate>,
}

/// How an object is recreated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recreate {
    /// Leave the dependents running meanwhile.
    pub orphan: bool,
}

/// Lifetime of generated material.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecretClass {
    /// Made once, never overwritten.
    Identity,
    /// Made anew so many seconds before it expires.
    Renewable(u32),
}

/// A Secret whose material the host makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GeneratedSecret {
    /// Name, in the owner's namespace.
    pub name: String,
    /// Lifetime.
    pub class: SecretClass,
    /// Labels.
    pub labels: Pairs,
    /// Keys and how they are made.
    pub entries: Vec<SecretEntry>,
    /// Public parts that are copied into ConfigMaps.
    pub publish: Vec<Publication>,
    /// A Secret to copy from at creation.
    pub restore_from: Option<String>,
    /// It stays when the owner goes.
    pub keep: bool,
}

/// One key of a generated Secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecretEntry {
    /// Key in its data.
    pub key: String,
    /// Name of the generator.
    pub generator: String,
    /// Its spec.
    pub spec: Json,
}

/// A public part of a Secret that is copied into a ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// Key of the Secret.
    pub key: String,
    /// ConfigMap.
    pub config_map: String,
    /// Key of the ConfigMap.
    pub config_map_key: String,
}

/// How fresh an answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NeedMode {
    /// Kept current.
    Watch,
    /// Asked again after so many seconds.
    Poll(u32),
    /// Asked for this reconcile.
    Fresh,
}

/// A question without side effects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Need {
    /// Unique in the response.
    pub id: String,
    /// `object`, `objects`, `outputs`, `http`, `image`, `git`, `job`.
    pub kind: String,
    /// How fresh.
    pub mode: NeedMode,
    /// Pointers that come back.
    pub project: Vec<String>,
    /// By kind.
    pub spec: Json,
}

/// A side effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// Unique in the response.
    pub id: String,
    /// `http`, `run`, `patch`, `adopt`, `delete`, `remove-finalizer`.
    pub kind: String,
    /// By kind.
    pub spec: Json,
}

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConditionState {
    /// True
    Yes,
    /// False
    No,
    /// Unknown
    Unknown,
}

/// A condition that a component sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentCondition {
    /// CamelCase.
    pub condition_type: String,
    /// Whether it holds.
    pub status: ConditionState,
    /// CamelCase.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// Type of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventType {
    /// Normal
    Normal,
    /// Warning
    Warning,
}

/// Something that people should read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Told once until it changes.
    pub key: String,
    /// Normal or warning.
    pub event_type: EventType,
    /// CamelCase.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// A measured value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Declared name.
    pub name: String,
    /// Declared labels.
    pub labels: Pairs,
    /// Value.
    pub value: f64,
}

/// How a component fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum State {
    /// It serves.
    Ready,
    /// On its way.
    Progressing,
    /// It waits for somebody.
    Blocked,
    /// It will not get there by itself.
    Failed,
    /// Switched off by the spec.
    Disabled,
}
