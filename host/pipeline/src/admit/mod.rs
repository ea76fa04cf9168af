//! Step 4: checks everything asked for against the grants of the plugin that asks. A component's answer is permitted wholly or not at
//! all. Pure.

use std::sync::Arc;

use crate::contract::{Action, GeneratedSecret, Need, Object, ObjectReference};
use crate::plugins::ActivePlugin;

/// What may be done. Only [`admit`] makes it.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Permitted {
    /// In graph order; components that were refused, failed or wait are not in it.
    pub components: Vec<PermittedComponent>,
    /// Components of whose answer some part is not granted.
    pub refused: Vec<Refusal>,
}

/// What one component may do.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PermittedComponent {
    /// Name.
    pub component: String,
    /// Who serves it.
    pub plugin: Arc<ActivePlugin>,
    /// Its objects, references completed (namespace filled in).
    pub objects: Vec<PermittedObject>,
    /// Its Secrets and those of its slots.
    pub secrets: Vec<PermittedSecret>,
    /// Its questions.
    pub needs: Vec<PermittedNeed>,
    /// Its side effects.
    pub actions: Vec<PermittedAction>,
}

/// An object that may be applied.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PermittedObject {
    /// Which.
    pub reference: ObjectReference,
    /// As the plugin gave it, namespace filled in.
    pub object: Object,
}

/// A Secret that may be made, under the account of the plugin that asked (a slot's provider has its own).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PermittedSecret {
    /// Whose grants allow it.
    pub plugin: Arc<ActivePlugin>,
    /// What to make.
    pub secret: GeneratedSecret,
}

/// A need that may be asked.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PermittedNeed {
    /// The need.
    pub need: Need,
}

/// An action that may be run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PermittedAction {
    /// The action.
    pub action: Action,
}

/// Why a component's answer was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which component.
    pub component: String,
    /// Whose grants lack something: the component's plugin or a slot provider's.
    pub plugin: String,
    /// CamelCase, bounded: `ResourceNotGranted`, `NamespaceNotGranted`, `PodNotGranted`, …
    pub reason: String,
    /// The object or need that it is about.
    pub subject: Option<ObjectReference>,
    /// Asked, granted, what to add to the Plugin's grants.
    pub message: String,
}
