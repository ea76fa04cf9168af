//! What a plugin says of itself.

use serde::{Deserialize, Serialize};

use super::{Json, Pairs};

/// What a plugin is and brings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Descriptor {
    /// Name of the plugin.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// One line.
    pub summary: String,
    /// URL.
    pub homepage: Option<String>,
    /// SPDX expression.
    pub license: Option<String>,
    /// Kinds that it brings.
    pub kinds: Vec<Kind>,
    /// Components that it renders.
    pub components: Vec<ComponentDescriptor>,
    /// Unseal providers that it brings.
    pub unseal_providers: Vec<UnsealProviderDescriptor>,
    /// Admission rules.
    pub admissions: Vec<AdmissionDescriptor>,
    /// Inbound webhooks.
    pub webhooks: Vec<WebhookDescriptor>,
    /// Default images by role.
    pub images: Vec<DefaultImage>,
    /// What it asks to be granted; parsed as `banhbaoring_api::Grants`.
    pub permissions: Json,
    /// JSON Schema of the Plugin's `spec.config`.
    pub config_schema: Option<Json>,
}

/// A kind that a plugin brings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kind {
    /// A whole CustomResourceDefinition.
    pub crd: Json,
    /// How its owners' children are observed.
    pub observation: Observation,
    /// Finalizer, if its components finalise.
    pub finalizer: Option<Finalizer>,
    /// Who computes `status.phase`.
    pub phase: PhaseSource,
}

/// How children are observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Observation {
    /// Watched; drift is corrected at once.
    Watch,
    /// Read by name at this interval, in seconds.
    Poll(u32),
}

/// A finalizer and its time limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finalizer {
    /// `domain/name`.
    pub name: String,
    /// The host's time limit.
    pub timeout_seconds: u32,
    /// What follows from it.
    pub on_timeout: FinalizerTimeout,
}

/// What follows when a finalizer's time limit has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FinalizerTimeout {
    /// The owner goes all the same.
    Force,
    /// It stays, with a condition.
    Block,
}

/// Who computes `status.phase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PhaseSource {
    /// The host, from the components.
    Aggregated,
    /// A component, in its own status.
    Told,
}

/// A component of a kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComponentDescriptor {
    /// Unique among the active plugins for its kind.
    pub name: String,
    /// `group/Kind` of its owner.
    pub kind: String,
    /// Pointer below `spec`; empty for the whole spec.
    pub config_path: String,
    /// What it waits for.
    pub after: Vec<Dependency>,
    /// What its failure means for the owner.
    pub criticality: Criticality,
    /// Phase of the owner while it fails.
    pub phase_on_failure: Option<String>,
    /// Pointer below `status`; empty for the top.
    pub status_path: String,
    /// Condition types that it may set.
    pub condition_types: Vec<String>,
    /// Extension points.
    pub slots: Vec<Slot>,
    /// JSON Schema of its config.
    pub config_schema: Option<Json>,
    /// Kinds of children whose fields it wants to see.
    pub children: Vec<ChildView>,
    /// Metrics that it may report.
    pub metrics: Vec<MetricDescriptor>,
    /// Granularity of its clock in seconds; absent: no clock.
    pub clock_seconds: Option<u32>,
    /// Whether other owners may consume its outputs.
    pub consumable: bool,
}

/// What a component waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// Name of the other component.
    pub component: String,
    /// How far it must have come.
    pub gate: Gate,
}

/// How far a component must have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Gate {
    /// Its objects are applied.
    Applied,
    /// It says ready and its children are.
    Ready,
    /// It has published outputs.
    Outputs,
}

/// What a component's failure means for its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Criticality {
    /// Reported, never blocks.
    BestEffort,
    /// The owner is Degraded.
    Degrading,
    /// The owner is Failed or Initializing.
    Required,
}

/// A typed extension point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Name.
    pub name: String,
    /// `unseal-provider`.
    pub interface_name: String,
    /// Pointer below the component's config to the provider's name.
    pub selector: String,
    /// Pointer below the component's config to the provider's config.
    pub config_path: String,
    /// Provider where the selector is absent.
    pub default_provider: Option<String>,
}

/// A kind of child whose fields a component wants to see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildView {
    /// `group/version`.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Pointers.
    pub fields: Vec<String>,
}

/// Kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MetricType {
    /// Goes up and down.
    Gauge,
    /// Only goes up.
    Counter,
}

/// A metric that a component may report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricDescriptor {
    /// Prometheus name.
    pub name: String,
    /// Gauge or counter.
    pub metric_type: MetricType,
    /// Help text.
    pub help: String,
    /// Label names.
    pub labels: Vec<String>,
}

/// An unseal provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnsealProviderDescriptor {
    /// Name by which it is selected.
    pub name: String,
    /// Further names.
    pub aliases: Vec<String>,
    /// JSON Schema of its config.
    pub config_schema: Option<Json>,
}

/// Operations of admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// CREATE
    Create,
    /// UPDATE
    Update,
    /// DELETE
    Delete,
}

impl Operation {
    /// As the API server and grants write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// An admission rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmissionDescriptor {
    /// `group/Kind`.
    pub kind: String,
    /// Operations.
    pub operations: Vec<Operation>,
    /// Whether it changes objects.
    pub mutating: bool,
    /// CEL expressions by name.
    pub match_conditions: Pairs,
    /// Pointers that it may change.
    pub may_touch: Vec<String>,
    /// Rules that the API server judges by itself where it can.
    pub validations: Vec<Validation>,
}

/// A CEL expression that must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validation {
    /// Over `object`, `oldObject` and `request`.
    pub expression: String,
    /// Why not, and what to do next.
    pub message: String,
}

/// How an inbound request is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignatureScheme {
    /// Hex HMAC-SHA256 of the body.
    HmacSha256Hex,
}

/// An inbound webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookDescriptor {
    /// Name.
    pub name: String,
    /// Limit of the body.
    pub max_payload_bytes: u32,
    /// Header that carries the signature.
    pub signature_header: String,
    /// How it is made.
    pub signature_scheme: SignatureScheme,
}

/// A default image of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultImage {
    /// Role, `server`.
    pub role: String,
    /// Reference.
    pub image: String,
}
