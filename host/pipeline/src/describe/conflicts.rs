//! Where a plugin wants a name that another active plugin has.

use super::definition::name_of;
use crate::contract::{Descriptor, Json};
use crate::plugins::{ActivePlugin, PluginSet};

/// A name that two plugins want.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// A kind; it has one definition.
    #[error("the kind {kind} is brought by the plugin {holder} already; remove one of the two plugins")]
    Kind {
        /// `group/Kind`.
        kind: String,
        /// The plugin that has it.
        holder: String,
    },
    /// An unseal provider or an alias of one.
    #[error("the unseal provider {provider} is registered by the plugin {holder} already; remove one of the two plugins")]
    UnsealProvider {
        /// Name or alias.
        provider: String,
        /// The plugin that has it.
        holder: String,
    },
    /// A component of a kind. Owners may pin the one that they want.
    #[error("the component {component} of {kind} is served by the plugin {holder} already; owners must pin one of the two, or remove one")]
    Component {
        /// Name.
        component: String,
        /// `group/Kind`.
        kind: String,
        /// The plugin that has it.
        holder: String,
    },
}

impl Conflict {
    /// Whether the plugin cannot serve at all: who pins a component can live with two.
    pub fn prevents_activation(&self) -> bool {
        !matches!(self, Self::Component { .. })
    }
}

/// The first conflict of `new` with the other plugins of `set`, the gravest kind first. A plugin of the same name is its predecessor.
pub fn conflicts(set: &PluginSet, new: &ActivePlugin) -> Option<Conflict> {
    let others = || set.iter().filter(|plugin| plugin.name != new.name);
    let kinds = |descriptor: &Descriptor| descriptor.kinds.iter().map(|kind| identity(&kind.crd)).collect::<Vec<_>>();
    for (kind, resource) in kinds(&new.descriptor) {
        let has = |plugin: &ActivePlugin| kinds(&plugin.descriptor).iter().any(|(other, theirs)| *other == kind || *theirs == resource);
        if let Some(holder) = others().find(|plugin| has(plugin)) {
            return Some(Conflict::Kind { kind, holder: holder.name.clone() });
        }
    }
    for provider in providers(&new.descriptor) {
        if let Some(holder) = others().find(|plugin| providers(&plugin.descriptor).any(|other| other == provider)) {
            return Some(Conflict::UnsealProvider { provider: provider.to_owned(), holder: holder.name.clone() });
        }
    }
    for component in &new.descriptor.components {
        let has = |plugin: &ActivePlugin| {
            plugin.descriptor.components.iter().any(|other| other.name == component.name && other.kind == component.kind)
        };
        if let Some(holder) = others().find(|plugin| has(plugin)) {
            let (component, kind) = (component.name.clone(), component.kind.clone());
            return Some(Conflict::Component { component, kind, holder: holder.name.clone() });
        }
    }
    None
}

/// `group/Kind` and `plural.group`: two kinds can collide on either.
fn identity(crd: &Json) -> (String, String) {
    (name_of(crd), crd.pointer("/metadata/name").and_then(Json::as_str).unwrap_or_default().to_owned())
}

fn providers(descriptor: &Descriptor) -> impl Iterator<Item = &str> {
    descriptor.unseal_providers.iter().flat_map(|provider| std::iter::once(&provider.name).chain(&provider.aliases)).map(String::as_str)
}
