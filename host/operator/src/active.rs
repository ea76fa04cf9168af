//! The plugins that serve right now: their descriptors and grants for the pipeline, their modules for calls. Swapped as a whole, so that a
//! reconcile in flight finishes on what it began with.

use std::sync::Arc;

use arc_swap::ArcSwap;
use banhbaoring_pipeline::{ActivePlugin, PluginSet};
use banhbaoring_sandbox::{Module, Modules};
use tokio::sync::watch;

/// What serves at one moment.
#[derive(Clone, Default)]
pub struct Active {
    /// Descriptors and grants.
    pub plugins: PluginSet,
    /// Code.
    pub modules: Modules,
}

/// The current [`Active`], and news of changes.
pub struct ActivePlugins {
    current: ArcSwap<Active>,
    changes: watch::Sender<u64>,
    /// Serialises swaps; readers never wait.
    swap: std::sync::Mutex<()>,
}

impl Default for ActivePlugins {
    fn default() -> Self {
        Self { current: ArcSwap::default(), changes: watch::Sender::new(0), swap: std::sync::Mutex::default() }
    }
}

impl ActivePlugins {
    /// What serves now.
    pub fn current(&self) -> Arc<Active> {
        self.current.load_full()
    }

    /// Changes whenever a plugin is activated, amended or withdrawn.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// How often something was activated, amended or withdrawn. Read before [`Self::current`], it is never newer than that.
    pub fn revision(&self) -> u64 {
        *self.changes.borrow()
    }

    /// From now on `plugin` serves, run by `module`. Returns what served under that name before.
    pub fn activate(&self, plugin: ActivePlugin, module: Module) -> Option<Arc<ActivePlugin>> {
        self.swap(|active| {
            let before = active.plugins.get(&plugin.name).cloned();
            active.modules = active.modules.with(&plugin.name, &plugin.digest, module).only(&plugin.name, &plugin.digest);
            active.plugins = active.plugins.with(plugin);
            before
        })
    }

    /// From now on the same revision serves on other terms; what is in flight finishes on those that it began with. Nothing happens where another
    /// revision serves by now, or none.
    pub fn amend(&self, plugin: ActivePlugin) {
        self.swap(|active| {
            if active.plugins.get(&plugin.name).is_some_and(|serving| serving.digest == plugin.digest) {
                active.plugins = active.plugins.with(plugin);
            }
        });
    }

    /// From now on nothing serves under that name. Owners keep their children.
    pub fn withdraw(&self, name: &str) -> Option<Arc<ActivePlugin>> {
        self.swap(|active| {
            let before = active.plugins.get(name).cloned();
            active.plugins = active.plugins.without(name);
            active.modules = active.modules.without(name);
            before
        })
    }

    fn swap<T>(&self, change: impl FnOnce(&mut Active) -> T) -> T {
        let guard = self.swap.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut next = Active::clone(&self.current.load());
        let outcome = change(&mut next);
        self.current.store(Arc::new(next));
        drop(guard);
        self.changes.send_modify(|count| *count += 1);
        outcome
    }
}
