//! Step 5: what has to be sent so that the world is as permitted. Pure: decided from the inventory and observed metadata alone, so that
//! nothing is read and nothing is written where nothing differs.

//!
//! A child is pruned only when its component answered and no longer wants it: a plugin that is missing, refused, failing or blocked never costs
//! anybody their data.

mod manifest;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use banhbaoring_api::plugin::NamespacedName;
use serde::Serialize;

use crate::contract::{ApplyMode, GeneratedSecret, Json, ObjectReference, Recreate};

pub(crate) use manifest::complete;
pub use manifest::{ANNOTATION_PREFIX, COMPONENT_LABEL, MANAGED_BY, MANAGED_BY_LABEL, OWNER_LABEL, field_manager};
pub use steps::{plan, plan_removal};

/// What has to be sent, in order. Only [`plan`] and [`plan_removal`] make it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// In graph order; those of one component stay together.
    pub steps: Vec<Step>,
    /// Objects of the inventory that nobody desires any more, dependents before dependencies.
    pub prune: Vec<Prune>,
    /// Entries of the inventory that are no longer ours to look after: kept objects, and intents that never became anything.
    pub release: Vec<ObjectReference>,
    /// Children that need nothing.
    pub unchanged: Vec<ObjectReference>,
    /// Objects that wait for a Secret whose hash they carry, or for their predecessor to be gone.
    pub waiting: Vec<Waiting>,
    /// What must not be done without a person: nothing of that component is sent.
    pub problems: Vec<PlanProblem>,
    /// `secret/key` of Secrets that the host did not make and whose hashes are asked for: observe them from now on.
    pub wanted_material: BTreeSet<String>,
}

/// An object that cannot be sent yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// The component that asked for it.
    pub component: String,
    /// Which object.
    pub reference: ObjectReference,
    /// For what.
    pub message: String,
}

/// Why nothing of a component is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlanProblem {
    /// The component.
    pub component: String,
    /// The object that it is about.
    pub reference: ObjectReference,
    /// CamelCase, bounded: `IdentityLost`.
    pub reason: &'static str,
    /// Expected, found, what to do next.
    pub message: String,
}

impl Plan {
    /// Whether nothing has to be sent.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.prune.is_empty()
    }
}

/// One write.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The component that asked for it.
    pub component: String,
    /// The plugin whose grants allowed it.
    pub plugin: String,
    /// The account that is impersonated.
    pub account: NamespacedName,
    /// Which object.
    pub reference: ObjectReference,
    /// Why it is sent.
    pub cause: Cause,
    /// What is sent.
    pub write: Write,
    /// It stays when the owner goes or no longer desires it.
    pub keep: bool,
}

/// Why a write is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Cause {
    /// It is not there.
    Missing,
    /// What is desired has changed since it was last applied.
    Changed,
    /// Somebody else changed fields that we own, or replaced it.
    Drifted,
    /// Its material expires soon.
    Expiring,
    /// Its creation was intended and its outcome is not known: the host died in between.
    Interrupted,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Write {
    /// Server-side apply of an object.
    Object(ObjectWrite),
    /// Make a Secret.
    Secret(SecretWrite),
}

/// Server-side apply of one object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObjectWrite {
    /// Complete: labels, owner reference and annotations of the host are in it. Create-only fields are in it only where `create` is set.
    pub manifest: Json,
    /// Field manager, `banhbaoring/<component>`.
    pub manager: String,
    /// How.
    pub mode: ApplyMode,
    /// The object is not there yet: an object of that name which turns up is somebody else's.
    pub create: bool,
    /// The uid that it must have where it exists.
    pub uid: Option<String>,
    /// Recorded after the write.
    pub desired_hash: String,
    /// Foreign additions under these are removed.
    pub exclusive: Vec<String>,
    /// Pointers that are in the manifest only at creation. They are owned by a second field manager, so that a later apply without them
    /// does not take them away.
    pub create_only_fields: Vec<String>,
    /// Allowed to recreate on an immutable difference.
    pub recreate: Option<Recreate>,
}

/// Making or renewing one generated Secret.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SecretWrite {
    /// What to make.
    pub secret: GeneratedSecret,
    /// Field manager, `banhbaoring/<component>`.
    pub manager: String,
    /// Labels, annotations and owner reference, without data.
    pub manifest: Json,
    /// It is not there yet.
    pub create: bool,
    /// The uid that it must have where it exists.
    pub uid: Option<String>,
    /// Recorded after the write.
    pub desired_hash: String,
}

/// One deletion, with preconditions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prune {
    /// The component that had made it.
    pub component: String,
    /// The account that is impersonated, `namespace/name`.
    pub account: NamespacedName,
    /// Which object.
    pub reference: ObjectReference,
    /// Only this one.
    pub uid: String,
    /// Only as observed.
    pub resource_version: String,
}
