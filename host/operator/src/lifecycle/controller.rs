//! Watches Plugins and PluginPolicies and drives the lifecycle. Runs on every replica, so that a standby is loaded; only the leader writes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use banhbaoring_api::plugin::Plugin;
use banhbaoring_api::policy::PluginPolicy;
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::{Action, Config};
use kube::runtime::{Controller, WatchStreamExt as _, predicates, reflector, watcher};
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::{Semaphore, watch};
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{COMPILING, Lifecycle, LifecycleOptions, Progress, Supply};
use crate::active::ActivePlugins;
use crate::metrics::Metrics;

/// Plugins looked at at the same time: registries that take their time must not hold up the others.
const CONCURRENCY: u16 = 64;

impl Lifecycle {
    /// Runs until `stop`. `loaded` becomes true once every plugin that was there at the start has been looked at.
    pub async fn run(
        options: LifecycleOptions,
        active: Arc<ActivePlugins>,
        metrics: Arc<Metrics>,
        leading: watch::Receiver<bool>,
        loaded: watch::Sender<bool>,
        stop: CancellationToken,
    ) {
        let LifecycleOptions { cluster, store, sandbox, insecure_anywhere, admission } = options;
        let client = cluster.clients.host().clone();
        let (policies, policy_writer) = reflector::store();
        // Not `Store::wait_until_ready`: of several that wait for it only the last is woken.
        let (known, policies_known) = watch::channel(false);
        let policy_events = watcher(Api::<PluginPolicy>::all(client.clone()), watcher::Config::default())
            .default_backoff()
            .reflect(policy_writer)
            .inspect_ok(move |event| {
                if matches!(event, watcher::Event::InitDone) {
                    known.send_replace(true);
                }
            })
            .touched_objects();
        let lifecycle = Arc::new(Self {
            supply: Supply::new(client.clone(), store, insecure_anywhere),
            cluster,
            sandbox,
            active,
            metrics,
            policies,
            policies_known,
            leading: leading.clone(),
            memory: Mutex::default(),
            told: Mutex::default(),
            installed: Mutex::default(),
            compiling: Arc::new(Semaphore::new(COMPILING)),
            admission,
        });
        let first_look = Arc::new(FirstLook { waiting: Mutex::default(), loaded });
        let (plugins, writer) = reflector::store();
        let observer = (lifecycle.clone(), first_look.clone(), plugins.clone());
        let ceilings = (lifecycle.clone(), plugins.clone());
        let policy_events = policy_events.filter_map(move |event| {
            // Not left to the next look at each of them, which may wait for a registry.
            let changed = event.ok().map(|_| ceilings.1.state().iter().for_each(|plugin| ceilings.0.amend(plugin)));
            futures::future::ready(changed)
        });
        let stream = watcher(Api::<Plugin>::all(client), watcher::Config::default())
            .default_backoff()
            .reflect(writer)
            .inspect_ok(move |event| observe(&observer.0, &observer.1, &observer.2, event))
            .applied_objects()
            .predicate_filter(predicates::generation, kube::runtime::PredicateConfig::default());
        // A new leader writes the status of everything that it loaded while it stood by.
        let now_leading = WatchStream::from_changes(leading).map(|_| ());
        let authorities = lifecycle.admission.as_ref().map(|admission| WatchStream::from_changes(admission.authorities()).map(|_| ()));
        let new_authority = authorities.map_or_else(|| futures::stream::pending().left_stream(), futures::StreamExt::right_stream);
        Controller::for_stream(stream, plugins)
            .with_config(Config::default().concurrency(CONCURRENCY))
            .reconcile_all_on(policy_events)
            .reconcile_all_on(now_leading)
            .reconcile_all_on(new_authority)
            .graceful_shutdown_on(stop.cancelled_owned())
            .run(
                move |plugin, lifecycle: Arc<Self>| {
                    let first_look = first_look.clone();
                    async move {
                        let outcome = lifecycle.reconcile(&plugin).await;
                        first_look.looked_at(&plugin.name_any());
                        outcome.map(Action::requeue)
                    }
                },
                |_, error, _| {
                    warn!(%error, "the status of a Plugin was not written; trying again");
                    Action::requeue(Duration::from_secs(5))
                },
                lifecycle,
            )
            .for_each(|_| futures::future::ready(()))
            .await;
    }
}

fn observe(lifecycle: &Lifecycle, first_look: &FirstLook, plugins: &reflector::Store<Plugin>, event: &watcher::Event<Plugin>) {
    match event {
        // At once, whatever a look that is under way waits for.
        watcher::Event::Apply(plugin) | watcher::Event::InitApply(plugin) => lifecycle.amend(plugin),
        watcher::Event::Delete(plugin) => lifecycle.withdraw(&plugin.name_any()),
        watcher::Event::InitDone => {
            let there: BTreeSet<String> = plugins.state().iter().map(|plugin| plugin.name_any()).collect();
            let gone: Vec<String> =
                lifecycle.active.current().plugins.iter().map(|active| active.name.clone()).filter(|name| !there.contains(name)).collect();
            gone.iter().for_each(|name| lifecycle.withdraw(name));
            first_look.expect(there);
        }
        watcher::Event::Init => {}
    }
}

/// Tells when every plugin that was there at the start has been looked at.
struct FirstLook {
    waiting: Mutex<Option<BTreeSet<String>>>,
    loaded: watch::Sender<bool>,
}

impl FirstLook {
    fn expect(&self, names: BTreeSet<String>) {
        if *self.loaded.borrow() {
            return;
        }
        let nothing = names.is_empty();
        *self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(names);
        if nothing {
            self.loaded.send_replace(true);
        }
    }

    fn looked_at(&self, name: &str) {
        let mut waiting = self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(names) = waiting.as_mut() {
            names.remove(name);
            if names.is_empty() {
                *waiting = None;
                self.loaded.send_replace(true);
            }
        }
    }
}

/// Writes the status if it differs.
pub(super) async fn write_status(client: &Client, plugin: &Plugin, progress: &Progress) -> Result<(), kube::Error> {
    let Some(status) = progress.changed(plugin) else {
        return Ok(());
    };
    let api: Api<Plugin> = Api::all(client.clone());
    let patch = serde_json::json!({"apiVersion": "plugins.banhbaoring.io/v1alpha1", "kind": "Plugin", "status": status});
    match api.patch_status(&plugin.name_any(), &PatchParams::apply("banhbaoring/status").force(), &Patch::Apply(&patch)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        outcome => outcome.map(|_| ()),
    }
}
