//! The loaded plugins, as the pipeline calls them.

use std::collections::BTreeMap;
use std::sync::Arc;

use banhbaoring_pipeline::contract::{Failure, FailureClass, Request, Response, ReviewRequest, ReviewResponse, Seal, SealRequest};
use banhbaoring_pipeline::plugins::ActivePlugin;
use banhbaoring_pipeline::render::Render;
use banhbaoring_pipeline::review::Review;

use crate::module::Module;

/// Loaded plugins by name of their `Plugin` resource and digest of their manifest, as [`ActivePlugin`] names them. Never changed in place:
/// a swap makes a new set, and reconciles under way go on with the old one.
#[derive(Debug, Clone, Default)]
pub struct Modules(BTreeMap<String, BTreeMap<String, Module>>);

impl Modules {
    /// The same set with `module` serving as `digest` of the plugin `name`; its other revisions stay until [`Modules::only`].
    #[must_use]
    pub fn with(&self, name: &str, digest: &str, module: Module) -> Self {
        let mut modules = self.0.clone();
        modules.entry(name.to_owned()).or_default().insert(digest.to_owned(), module);
        Self(modules)
    }

    /// The same set with no other revision of the plugin `name` than `digest`.
    #[must_use]
    pub fn only(&self, name: &str, digest: &str) -> Self {
        let mut modules = self.0.clone();
        if let Some(revisions) = modules.get_mut(name) {
            revisions.retain(|d, _| d == digest);
        }
        Self(modules)
    }

    /// The same set without the plugin `name`.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let mut modules = self.0.clone();
        modules.remove(name);
        Self(modules)
    }

    /// The module that serves as `digest` of the plugin `name`.
    pub fn get(&self, name: &str, digest: &str) -> Option<&Module> {
        self.0.get(name)?.get(digest)
    }

    fn serving(&self, plugin: &ActivePlugin) -> Result<&Module, Failure> {
        self.get(&plugin.name, &plugin.digest).ok_or_else(|| Failure {
            class: FailureClass::Plugin,
            reason: "PluginNotLoaded".to_owned(),
            message: format!("revision {} of plugin {} is not loaded; see the conditions of the Plugin", plugin.digest, plugin.name),
            field: None,
        })
    }
}

impl Render for Modules {
    fn reconcile(&self, plugin: &ActivePlugin, request: &Request) -> Result<Arc<Response>, Failure> {
        self.serving(plugin)?.reconcile(request)?.map(Arc::new)
    }

    fn render_seal(&self, plugin: &ActivePlugin, _: &str, request: &SealRequest) -> Result<Arc<Seal>, Failure> {
        self.serving(plugin)?.render_seal(request)?.map(Arc::new)
    }
}

impl Review for Modules {
    fn review(&self, plugin: &ActivePlugin, request: &ReviewRequest) -> Result<ReviewResponse, Failure> {
        self.serving(plugin)?.review(request)?
    }
}
