//! Step 3: calls each component whose gates are open, slots first, and collects what it wants. Pure behind [`Render`].

use std::sync::Arc;

use crate::contract::{Criticality, Dependency, Failure, Request, Response, Seal, SealRequest};
use crate::plugins::ActivePlugin;

/// Calls into plugins. The sandbox implements it; tests implement it with closures.
pub trait Render {
    /// Asks a component.
    ///
    /// # Errors
    /// The plugin's own failure, or the host's class [`crate::contract::FailureClass::Plugin`] for traps, limits and unparsable answers.
    fn reconcile(&self, plugin: &ActivePlugin, request: &Request) -> Result<Arc<Response>, Failure>;

    /// Asks an unseal provider.
    ///
    /// # Errors
    /// As [`Render::reconcile`].
    fn render_seal(&self, plugin: &ActivePlugin, provider: &str, request: &SealRequest) -> Result<Arc<Seal>, Failure>;
}

/// What all components of an owner ask for, in graph order. Not admitted: nothing can apply it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Desired {
    /// One per node of the graph.
    pub components: Vec<Rendered>,
}

/// What one component asks for.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Rendered {
    /// Name.
    pub component: String,
    /// Who serves it.
    pub plugin: Arc<ActivePlugin>,
    /// What its failure means.
    pub criticality: Criticality,
    /// Answers of its slots, each already admitted under its own plugin's grants.
    pub slots: Vec<RenderedSlot>,
    /// What came of asking it.
    pub outcome: Outcome,
}

/// The admitted answer of one slot.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RenderedSlot {
    /// Name of the slot.
    pub slot: String,
    /// Provider.
    pub provider: String,
    /// Whose grants it was admitted under.
    pub plugin: Arc<ActivePlugin>,
    /// The answer.
    pub seal: Arc<Seal>,
}

/// What came of asking a component.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It answered.
    Answered(Arc<Response>),
    /// It, or a provider of a slot of its, failed.
    Failed(Failure),
    /// The answer of a slot's provider is not granted.
    Refused(crate::admit::Refusal),
    /// A gate is closed.
    Waiting(Dependency),
}
