//! Step 5: what has to be sent so that the world is as permitted. Pure: decided from the inventory and observed metadata alone, so that
//! nothing is read and nothing is written where nothing differs.

use banhbaoring_api::plugin::NamespacedName;
use serde::{Deserialize, Serialize};

use crate::contract::{ApplyMode, GeneratedSecret, Json, ObjectReference, Recreate};

/// What has to be sent, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// In graph order; those of one component stay together.
    pub steps: Vec<Step>,
    /// Objects of the inventory that nobody desires any more, dependents before dependencies.
    pub prune: Vec<Prune>,
    /// Children that need nothing.
    pub unchanged: Vec<ObjectReference>,
}

impl Plan {
    /// Whether nothing has to be sent.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.prune.is_empty()
    }
}

/// One write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Write {
    /// Server-side apply of an object.
    Object(ObjectWrite),
    /// Make a Secret.
    Secret(SecretWrite),
}

/// Server-side apply of one object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectWrite {
    /// Complete: labels, owner reference and annotations of the host are in it. Create-only fields are in it only where `create` is set.
    pub manifest: Json,
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
    /// Allowed to recreate on an immutable difference.
    pub recreate: Option<Recreate>,
}

/// Making or renewing one generated Secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecretWrite {
    /// What to make.
    pub secret: GeneratedSecret,
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
