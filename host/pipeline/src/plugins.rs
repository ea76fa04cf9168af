//! The active plugins, as the pipeline sees them: what they say of themselves and what they may do. No code of theirs.

use std::collections::BTreeMap;
use std::sync::Arc;

use banhbaoring_api::Grants;
use banhbaoring_api::plugin::NamespacedName;

use crate::contract::{Descriptor, Json};

/// One revision of a plugin that serves.
#[derive(Debug, Clone, PartialEq)]
pub struct ActivePlugin {
    /// Name of the `Plugin` resource.
    pub name: String,
    /// Digest of its manifest: with the name it identifies the code that answers.
    pub digest: String,
    /// What it says of itself.
    pub descriptor: Descriptor,
    /// Effective grants: those of the `Plugin`, cut to the ceiling of every matching policy.
    pub grants: Grants,
    /// The account that every request for it impersonates.
    pub account: NamespacedName,
    /// `Plugin.spec.config`; an empty object where absent.
    pub config: Json,
    /// Namespaces whose owners it may serve; empty: all.
    pub allowed_namespaces: Vec<String>,
}

impl ActivePlugin {
    /// Whether it may serve what lives in that namespace; absent for what is cluster-scoped.
    pub fn may_serve(&self, namespace: Option<&str>) -> bool {
        self.allowed_namespaces.is_empty() || namespace.is_some_and(|namespace| self.allowed_namespaces.iter().any(|one| one == namespace))
    }
}

/// All active plugins, by name of their `Plugin` resource. Cheap to clone, never changed in place: a swap makes a new set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PluginSet {
    plugins: BTreeMap<String, Arc<ActivePlugin>>,
}

impl PluginSet {
    /// The same set with `plugin` added or replaced.
    #[must_use]
    pub fn with(&self, plugin: ActivePlugin) -> Self {
        let mut plugins = self.plugins.clone();
        plugins.insert(plugin.name.clone(), Arc::new(plugin));
        Self { plugins }
    }

    /// The same set without the plugin of that name.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let mut plugins = self.plugins.clone();
        plugins.remove(name);
        Self { plugins }
    }

    /// The plugin of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<ActivePlugin>> {
        self.plugins.get(name)
    }

    /// All, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<ActivePlugin>> {
        self.plugins.values()
    }
}

impl FromIterator<ActivePlugin> for PluginSet {
    fn from_iter<T: IntoIterator<Item = ActivePlugin>>(iter: T) -> Self {
        Self { plugins: iter.into_iter().map(|p| (p.name.clone(), Arc::new(p))).collect() }
    }
}
