//! What a component is given.

use serde::{Deserialize, Serialize};

use super::{Json, ObjectReference, Pairs, Seal};

/// Everything that a component may base its answer on. Its canonical bytes are the memo key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Without managedFields, resourceVersion and the other components' status.
    pub owner: Json,
    /// Name of the component.
    pub component: String,
    /// Its config, defaults applied.
    pub config: Json,
    /// The Plugin's `spec.config`.
    pub plugin_config: Json,
    /// Its own status fragment, as last written.
    pub previous: Option<Json>,
    /// The cluster.
    pub platform: Platform,
    /// Sorted by kind, namespace, name.
    pub children: Vec<Child>,
    /// Sorted by component.
    pub inputs: Vec<Input>,
    /// Sorted by slot.
    pub slots: Vec<SlotAnswer>,
    /// Sorted by id.
    pub answers: Vec<Answer>,
    /// Sorted by id.
    pub results: Vec<ActionResult>,
    /// Whether the owner is being deleted.
    pub deleting: bool,
    /// Seconds since 1970, truncated; absent where no clock was asked for.
    pub time: Option<u64>,
}

/// The cluster, as far as plugins may know it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `v1.36.3`.
    pub kubernetes_version: String,
    /// `apps/v1/StatefulSet`, sorted.
    pub apis: Vec<String>,
    /// `cluster.local`.
    pub cluster_domain: String,
    /// The host itself.
    pub host: HostIdentity,
}

/// The host, as plugins may name it in policies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostIdentity {
    /// Namespace.
    pub namespace: String,
    /// Service account.
    pub service_account: String,
    /// Labels of its pods.
    pub pod_labels: Pairs,
    /// Service of its webhooks.
    pub webhook_service: Option<String>,
    /// `address:port` of the API server.
    pub api_server_endpoints: Vec<String>,
}

/// Readiness of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ReadinessState {
    /// It serves.
    Ready,
    /// On its way.
    Progressing,
    /// It will not get there by itself.
    Failed,
}

/// A child, as a component sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Child {
    /// Which.
    pub reference: ObjectReference,
    /// How it fares.
    pub readiness: ReadinessState,
    /// CamelCase.
    pub reason: String,
    /// For people.
    pub message: String,
    /// The fields asked for, by pointer.
    pub fields: Json,
}

/// Outputs of a component before this one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Which component.
    pub component: String,
    /// A JSON object.
    pub outputs: Json,
}

/// What fills a slot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlotAnswer {
    /// Name of the slot.
    pub slot: String,
    /// Name of the provider, as registered.
    pub provider: String,
    /// Its answer.
    pub filling: SlotFilling,
}

/// The answer of a slot's provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SlotFilling {
    /// Of an `unseal-provider` slot.
    Seal(Seal),
}

/// The answer to a need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Id of the need.
    pub id: String,
    /// What came of it.
    pub outcome: AnswerOutcome,
}

/// What came of a need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum AnswerOutcome {
    /// Not there yet; the owner is run again when it is.
    Pending,
    /// The projected value.
    Ok(Json),
    /// Why not.
    Error(OutcomeError),
}

/// Why a need or an action failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeError {
    /// `unsupported`, `not-permitted`, `not-found`, `unavailable`, `invalid`.
    pub class: String,
    /// For people.
    pub message: String,
}

/// The result of an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionResult {
    /// Id of the action.
    pub id: String,
    /// What came of it.
    pub outcome: ActionOutcome,
}

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ActionOutcome {
    /// It was done.
    Ok(Json),
    /// It failed.
    Error(OutcomeError),
    /// Nobody knows: ask, do not repeat.
    Unknown,
}

/// What an unseal provider is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SealRequest {
    /// Its config.
    pub config: Json,
    /// The version of the store that will read the stanza.
    pub openbao_version: String,
    /// The owner, stripped as in [`Request`].
    pub owner: Json,
    /// The cluster.
    pub platform: Platform,
    /// The Plugin's `spec.config`.
    pub plugin_config: Json,
}
