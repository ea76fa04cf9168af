//! Step 2: which plugin serves which component of an owner, and in which order. Pure.

use std::sync::Arc;

use crate::contract::ComponentDescriptor;
use crate::plugins::ActivePlugin;

/// The components of one owner in an order in which every component comes after those that it waits for; ties by name.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Graph {
    /// In that order.
    pub nodes: Vec<Node>,
    /// What kept components out: they are reported, the rest goes on.
    pub problems: Vec<GraphProblem>,
}

/// One component and the plugin that serves it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Node {
    /// What the plugin says of it.
    pub component: ComponentDescriptor,
    /// Who serves it.
    pub plugin: Arc<ActivePlugin>,
    /// Its slots, filled or not.
    pub slots: Vec<FilledSlot>,
}

/// A slot and who fills it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FilledSlot {
    /// Name of the slot.
    pub slot: String,
    /// Registered name of the provider (aliases are resolved).
    pub provider: String,
    /// Who provides it.
    pub plugin: Arc<ActivePlugin>,
}
