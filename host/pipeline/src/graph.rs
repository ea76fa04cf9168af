//! Step 2: which plugin serves which component of an owner, and in which order. Pure.
//!
//! `pins` (the owner's own choice of plugins), `slots` (who fills them), `order` (what comes after what). Calling anything must not live
//! here.

mod order;
mod pins;
mod slots;

use std::collections::BTreeMap;
use std::sync::Arc;

use pins::Pins;

use crate::contract::ComponentDescriptor;
use crate::observation::Owner;
use crate::plugins::{ActivePlugin, PluginSet};

/// The components of one owner in an order in which every component comes after those that it waits for; ties by name.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Graph {
    /// In that order.
    pub nodes: Vec<Node>,
    /// What kept components out: they are reported, the rest goes on.
    pub problems: Vec<GraphProblem>,
    /// Who those are: they are not asked, and what is theirs stays.
    pub kept_out: Vec<KeptOut>,
}

/// A component that plugins offer and that is not asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeptOut {
    /// Name.
    pub component: String,
    /// Where its fragment of the status lies.
    pub status_path: String,
}

/// One component and the plugin that serves it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Node {
    /// What the plugin says of it.
    pub component: ComponentDescriptor,
    /// Who serves it.
    pub plugin: Arc<ActivePlugin>,
    /// Its slots that are filled.
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

/// What keeps a component out of the graph. What it made before stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct GraphProblem {
    /// The component; absent where it concerns the owner as a whole.
    pub component: Option<String>,
    /// CamelCase, bounded: `ComponentAmbiguous`, `DependencyMissing`, `DependencyCycle`, `ProviderUnknown`, `ProviderAmbiguous`,
    /// `ProviderInvalid`, `SlotUnsupported`, `PinInvalid`.
    pub reason: &'static str,
    /// Expected, found, what to do next.
    pub message: String,
    /// Path into the owner, `spec.unseal.type`.
    pub field: Option<String>,
}

/// Which active plugins serve `owner`'s components, and in which order. The same for the same plugins, however they came to be.
pub fn compose(owner: &Owner, plugins: &PluginSet) -> Graph {
    let mut problems = Vec::new();
    let kind = owner.kind();
    let mut offers: BTreeMap<&str, Vec<Offer<'_>>> = BTreeMap::new();
    for plugin in plugins.iter().filter(|plugin| serves(plugin, owner)) {
        for component in plugin.descriptor.components.iter().filter(|component| component.kind == kind) {
            offers.entry(&component.name).or_default().push(Offer { component, plugin });
        }
    }
    let pins = Pins::read(owner, &mut problems);
    pins.check(&offers, plugins, &mut problems);
    let mut candidates = BTreeMap::new();
    for (name, offers) in &offers {
        let Some(offer) = choose(name, offers, &pins, &mut problems) else { continue };
        match slots::fill(owner, offer, plugins) {
            Ok(slots) => {
                let node = Node { component: offer.component.clone(), plugin: offer.plugin.clone(), slots };
                candidates.insert((*name).to_owned(), node);
            }
            Err(problem) => problems.push(problem),
        }
    }
    let nodes = order::sort(candidates, &mut problems);
    problems.sort();
    problems.dedup();
    let is_asked = |name: &str| nodes.iter().any(|node| node.component.name == name);
    let offered = offers.iter().filter(|(name, _)| !is_asked(name)).flat_map(|(_, offers)| offers);
    let mut kept_out: Vec<KeptOut> = offered
        .map(|offer| KeptOut { component: offer.component.name.clone(), status_path: offer.component.status_path.clone() })
        .collect();
    kept_out.sort();
    kept_out.dedup();
    Graph { nodes, problems, kept_out }
}

/// A component as one plugin offers it.
#[derive(Clone, Copy)]
struct Offer<'a> {
    component: &'a ComponentDescriptor,
    plugin: &'a Arc<ActivePlugin>,
}

/// Whether a plugin may serve that owner.
fn serves(plugin: &ActivePlugin, owner: &Owner) -> bool {
    plugin.may_serve(owner.reference.namespace.as_deref())
}

fn choose<'a>(name: &str, offers: &'a [Offer<'a>], pins: &Pins, problems: &mut Vec<GraphProblem>) -> Option<Offer<'a>> {
    let matching: Vec<_> = match pins.plugin_of(name) {
        // A pin that nobody answers is told by the pins themselves.
        Some(pinned) => offers.iter().filter(|offer| offer.plugin.name == pinned).collect(),
        None => offers.iter().collect(),
    };
    match matching.as_slice() {
        [] => None,
        [offer] => Some(**offer),
        several => {
            let names: Vec<_> = several.iter().map(|offer| offer.plugin.name.as_str()).collect();
            problems.push(GraphProblem {
                component: Some(name.to_owned()),
                reason: "ComponentAmbiguous",
                message: format!(
                    "expected one plugin for component {name}, found {}; choose with spec.plugins: [{{component: {name}, plugin: {}}}]",
                    list(&names),
                    names[0]
                ),
                field: Some("spec.plugins".to_owned()),
            });
            None
        }
    }
}

/// Names for people: the first ten.
fn list(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        _ if names.len() > 10 => format!("{} and {} more", names[..10].join(", "), names.len() - 10),
        _ => names.join(", "),
    }
}

/// Text of an owner or plugin as it may stand in a message.
fn shown(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests;
