//! The lifecycle of a `Plugin`: resolve → verify → pull → compile → describe → check → kinds → activate, every step a condition.
//!
//! A revision that fails any step leaves the active one serving. Nothing about owners lives here.

mod admission;
mod controller;
mod install;
mod interval;
mod policy;
mod progress;
mod supply;
mod terms;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use banhbaoring_api::plugin::{OciSource, Plugin, PluginSpec, PluginStatus, Revision};
use banhbaoring_api::policy::{PluginPolicy, PluginPolicySpec};
use banhbaoring_artifact::{ContentStore, Digest};
use banhbaoring_cluster::Cluster;
use banhbaoring_pipeline::ActivePlugin;
use banhbaoring_pipeline::config::{Schema, completed};
use banhbaoring_pipeline::contract::{Descriptor, Failure};
use banhbaoring_pipeline::describe::{self, Conflict};
use banhbaoring_sandbox::{CallLimits, Module, Sandbox, TrustedComponent};
use chrono::{SecondsFormat, Utc};
use kube::runtime::reflector::Store;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::active::ActivePlugins;
use crate::admission::Admission;
use crate::metrics::Metrics;
use interval::{INTERVAL, LOOK, interval, too_slow};
pub use progress::{Progress, Setback, Stage};
use supply::{Supplied, Supply};

/// What the lifecycle needs from the process.
pub struct LifecycleOptions {
    /// The cluster, with the host's own client.
    pub cluster: Cluster,
    /// Where verified artifacts are kept.
    pub store: ContentStore,
    /// Compiles and runs.
    pub sandbox: Sandbox,
    /// Plain http to any registry whose Plugin asks for it.
    pub insecure_anywhere: bool,
    /// Who tells the API server what to ask; absent where writes are not judged.
    pub(crate) admission: Option<Arc<Admission>>,
}

/// Brings plugins from their source to activation.
pub struct Lifecycle {
    cluster: Cluster,
    supply: Supply,
    sandbox: Sandbox,
    active: Arc<ActivePlugins>,
    metrics: Arc<Metrics>,
    policies: Store<PluginPolicy>,
    policies_known: watch::Receiver<bool>,
    leading: watch::Receiver<bool>,
    memory: Mutex<HashMap<String, Memory>>,
    /// What was last told of every plugin, written or not.
    told: Mutex<HashMap<String, PluginStatus>>,
    /// Name and digest of revisions whose kinds are installed.
    installed: Mutex<HashSet<(String, String)>>,
    compiling: Arc<Semaphore>,
    admission: Option<Arc<Admission>>,
}

/// What is remembered of a plugin between two looks at it.
struct Memory {
    /// Digest and when it was resolved.
    resolved: (Digest, Instant),
    /// From what it was resolved.
    source: OciSource,
    /// Spec and policies that led to what is active.
    inputs: String,
}

/// Components compiled at the same time. Each compiles on all processors; what this bounds is memory.
const COMPILING: usize = 4;

/// First wait after a setback that may go away by itself.
const RETRY: Duration = Duration::from_secs(5);

impl Lifecycle {
    /// Looks at one plugin; returns when to look again.
    async fn reconcile(&self, plugin: &Plugin) -> Result<Duration, kube::Error> {
        let name = plugin.metadata.name.clone().unwrap_or_default();
        let mut progress = Progress::of(plugin);
        // What a standby found out was not written; as the leader it tells all of it.
        if let Some(told) = lock(&self.told).get(&name) {
            progress.resume(told);
        }
        let outcome = tokio::time::timeout(LOOK, self.advance(&name, plugin, &mut progress)).await.unwrap_or_else(|_| Err(too_slow()));
        let serving = self.active.current().plugins.get(&name).cloned();
        let next = match (&outcome, &serving) {
            (Ok(()), Some(serving)) => {
                let message = format!("version {} serves", serving.descriptor.version);
                progress.ready(true, "Active", message);
                interval(&plugin.spec)
            }
            (Ok(()), None) => {
                progress.ready(false, "Suspended", "the plugin is suspended and nothing was active before; set spec.suspend to false");
                INTERVAL
            }
            (Err(setback), serving) => {
                self.metrics.plugin_failed(&name, setback.reason);
                warn!(plugin = %name, step = setback.stage.condition(), reason = setback.reason, message = %setback.message, "not activated");
                progress.failed(setback);
                match serving {
                    Some(serving) => {
                        let message = format!(
                            "version {} ({}) keeps serving, within what is granted now; the newest was not activated: {}",
                            serving.descriptor.version, serving.digest, setback.message
                        );
                        progress.ready(true, "ServingPrevious", message);
                    }
                    None => progress.ready(false, setback.reason, setback.message.clone()),
                }
                if setback.transient { RETRY } else { interval(&plugin.spec) }
            }
        };
        let next = match &serving {
            Some(serving) if *self.leading.borrow() => next.min(self.configure_admission(plugin, serving, &mut progress).await),
            _ => next,
        };
        lock(&self.told).insert(name, progress.status().clone());
        if *self.leading.borrow() {
            controller::write_status(self.cluster.clients.host(), plugin, &progress).await?;
        }
        Ok(next)
    }

    async fn advance(&self, name: &str, plugin: &Plugin, progress: &mut Progress) -> Result<(), Setback> {
        // That there is no policy is known only once they were read.
        if self.policies_known.clone().wait_for(|known| *known).await.is_err() {
            let message = "PluginPolicies were not read before the host stopped; start it again".to_owned();
            return Err(Setback { stage: Stage::Verified, reason: "PoliciesUnknown", message, transient: true });
        }
        let policies = self.policies();
        self.amend(plugin);
        let serving = self.active.current().plugins.get(name).cloned();
        if let Some(serving) = serving {
            // What was activated while this replica stood by brings its kinds once it leads.
            self.install(&serving).await?;
        }
        if plugin.spec.suspend {
            self.restore(name, plugin, &policies).await;
            return Ok(());
        }
        let newest = self.newest(name, plugin, &policies, progress).await;
        if newest.is_err() {
            self.restore(name, plugin, &policies).await;
        }
        newest
    }

    async fn newest(
        &self,
        name: &str,
        plugin: &Plugin,
        policies: &[(String, PluginPolicySpec)],
        progress: &mut Progress,
    ) -> Result<(), Setback> {
        let inputs = fingerprint(&plugin.spec, policies);
        let Resolution::Digest(digest, source) = self.resolve(name, plugin, &inputs, progress).await? else {
            return Ok(());
        };
        let supplied = self.verified(plugin, policies, Some(&source), &digest).await?;
        match &supplied.warning {
            None => progress.passed(Stage::Verified, "SignatureVerified", format!("signed by {}", supplied.verified_by)),
            Some(why) => progress.passed(Stage::Verified, "VerificationWarned", format!("loaded although: {why}")),
        }
        self.activate(name, plugin, policies, supplied, progress).await?;
        self.remember(name, plugin, digest, inputs);
        Ok(())
    }

    async fn resolve(&self, name: &str, plugin: &Plugin, inputs: &str, progress: &mut Progress) -> Result<Resolution, Setback> {
        let oci = &plugin.spec.source.oci;
        let active = self.active.current().plugins.get(name).map(|active| active.digest.clone());
        let remembered = {
            let memory = lock(&self.memory);
            memory.get(name).filter(|memory| memory.inputs == inputs).map(|memory| memory.resolved)
        };
        // After a setback the conditions tell of it until what serves has passed every step again.
        let complete = progress.is_complete();
        if let (Some((digest, at)), Some(active)) = (remembered, &active)
            && complete
            && digest.to_string() == *active
            && (oci.reference.digest.is_some() || at.elapsed() < interval(&plugin.spec))
        {
            return Ok(Resolution::Unchanged);
        }
        let source = self.supply.source(oci).await?;
        let digest = self.supply.resolve(oci, &source).await?;
        progress.passed(Stage::Resolved, "Resolved", format!("{} is {digest}", oci.url));
        if complete && remembered.is_some() && active.as_deref() == Some(digest.to_string().as_str()) {
            self.remember(name, plugin, digest, inputs.to_owned());
            return Ok(Resolution::Unchanged);
        }
        Ok(Resolution::Digest(digest, source))
    }

    /// Where nothing serves yet, what was active before the restart is still good if it passes every step again: from disk, or by its digest
    /// from the registry.
    async fn restore(&self, name: &str, plugin: &Plugin, policies: &[(String, PluginPolicySpec)]) {
        let recorded =
            plugin.status.as_ref().and_then(|status| status.active.as_ref()).and_then(|active| active.digest.parse::<Digest>().ok());
        let Some(digest) = recorded.filter(|_| self.active.current().plugins.get(name).is_none()) else {
            return;
        };
        let source = self.supply.source(&plugin.spec.source.oci).await.ok();
        let mut unwritten = Progress::of(plugin);
        let restored = async {
            let supplied = self.verified(plugin, policies, source.as_ref(), &digest).await?;
            self.activate(name, plugin, policies, supplied, &mut unwritten).await
        };
        match restored.await {
            Ok(()) => info!(plugin = name, %digest, "the last known good revision serves"),
            Err(setback) => warn!(plugin = name, %digest, reason = setback.reason, message = %setback.message, "not restored"),
        }
    }

    async fn verified(
        &self,
        plugin: &Plugin,
        policies: &[(String, PluginPolicySpec)],
        source: Option<&banhbaoring_artifact::Source>,
        digest: &Digest,
    ) -> Result<Supplied, Setback> {
        let demands = policy::demands(&plugin.spec.source.oci.url, &plugin.spec.verify, policies);
        let requirements = self.supply.requirements(demands).await?;
        self.supply.supply(&plugin.spec.source.oci.url, source, digest, &requirements).await
    }

    async fn activate(
        &self,
        name: &str,
        plugin: &Plugin,
        policies: &[(String, PluginPolicySpec)],
        supplied: Supplied,
        progress: &mut Progress,
    ) -> Result<(), Setback> {
        let (module, descriptor) = self.load(&plugin.spec, &supplied).await?;
        progress.passed(Stage::Loaded, "Loaded", format!("{} {} imports nothing", descriptor.name, descriptor.version));
        let grants = policy::granted(&plugin.spec, policies);
        describe::check(&descriptor, &grants).map_err(|error| refused(error.reason(), error.to_string()))?;
        let config = configured(&descriptor, plugin.spec.config.as_ref())?;
        let revision = ActivePlugin {
            name: name.to_owned(),
            digest: supplied.digest.to_string(),
            grants,
            account: plugin.spec.service_account_ref.clone(),
            config,
            allowed_namespaces: policy::allowed_namespaces(&plugin.spec),
            descriptor,
        };
        if let Some(conflict) = describe::conflicts(&self.active.current().plugins, &revision).filter(Conflict::prevents_activation) {
            let reason = match conflict {
                Conflict::Kind { .. } => "KindConflict",
                Conflict::UnsealProvider { .. } => "UnsealProviderConflict",
                Conflict::Component { .. } => "ComponentConflict",
            };
            return Err(Setback { transient: true, ..refused(reason, conflict.to_string()) });
        }
        self.install(&revision).await?;
        progress.passed(Stage::PermissionsGranted, "Granted", "what the plugin asks for is granted");
        self.announce(progress, &revision, &supplied);
        let version = revision.descriptor.version.clone();
        if let Some(before) = self.active.activate(revision, module) {
            self.metrics.deactivated(name, &before.descriptor.version);
        }
        self.metrics.activated(name, &version);
        info!(plugin = name, digest = %supplied.digest, %version, "active");
        Ok(())
    }

    /// Installs the kinds of a revision, once, if this replica leads: a standby writes nothing.
    async fn install(&self, revision: &ActivePlugin) -> Result<(), Setback> {
        let key = (revision.name.clone(), revision.digest.clone());
        let installed = || lock(&self.installed);
        if *self.leading.borrow() && !installed().contains(&key) {
            install::kinds(&self.cluster, &revision.name, &revision.descriptor.kinds).await?;
            installed().insert(key);
        }
        Ok(())
    }

    /// Compiles on a thread of its own: plugins that are loaded at the same time compile in parallel, and nobody else waits.
    async fn load(&self, spec: &PluginSpec, supplied: &Supplied) -> Result<(Module, Descriptor), Setback> {
        let limits = CallLimits::from_spec(&spec.limits).map_err(|error| loaded("InvalidLimits", error.to_string()))?;
        let sandbox = self.sandbox.clone();
        let digest = supplied.component.digest().to_string();
        let component = TrustedComponent::verified(supplied.component.bytes().to_vec(), &digest, supplied.verified_by.clone())
            .map_err(|error| loaded(error.reason(), error.to_string()))?;
        let permit = self.compiling.clone().acquire_owned().await;
        let outcome = tokio::task::spawn_blocking(move || {
            // Compiling goes on where nobody waits for it any more.
            let _permit = permit;
            let module = sandbox.load(&component, limits).map_err(|error| loaded(error.reason(), error.to_string()))?;
            let descriptor = module.describe().map_err(|error| Setback {
                transient: Failure::from(error.clone()).is_of_the_machine(),
                ..loaded(error.reason(), error.to_string())
            })?;
            Ok((module, descriptor))
        });
        outcome.await.map_err(|error| loaded("LoadInterrupted", error.to_string()))?
    }

    fn announce(&self, progress: &mut Progress, revision: &ActivePlugin, supplied: &Supplied) {
        let descriptor = &revision.descriptor;
        let status = progress.status();
        status.active = Some(Revision {
            digest: revision.digest.clone(),
            version: descriptor.version.clone(),
            verified_by: supplied.verified_by.clone(),
            loaded_at: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
            // A component that imports anything does not load.
            imports: Vec::new(),
            size_bytes: supplied.component.bytes().len() as u64,
        });
        status.components = descriptor.components.iter().map(|component| component.name.clone()).collect();
        status.unseal_providers = descriptor
            .unseal_providers
            .iter()
            .flat_map(|provider| [&provider.name].into_iter().chain(&provider.aliases))
            .cloned()
            .collect();
        status.kinds = descriptor.kinds.iter().map(|kind| install::name(&kind.crd)).collect();
    }

    fn withdraw(&self, name: &str) {
        if let Some(before) = self.active.withdraw(name) {
            self.metrics.deactivated(name, &before.descriptor.version);
            info!(plugin = name, "withdrawn; owners keep what it made");
        }
        lock(&self.memory).remove(name);
        lock(&self.told).remove(name);
    }

    fn remember(&self, name: &str, plugin: &Plugin, digest: Digest, inputs: String) {
        let source = plugin.spec.source.oci.clone();
        let mut memory = lock(&self.memory);
        memory.insert(name.to_owned(), Memory { resolved: (digest, Instant::now()), source, inputs });
    }

    fn policies(&self) -> Vec<(String, PluginPolicySpec)> {
        let mut policies: Vec<_> = self
            .policies
            .state()
            .into_iter()
            .map(|policy| (policy.metadata.name.clone().unwrap_or_default(), policy.spec.clone()))
            .collect();
        policies.sort_by(|a, b| a.0.cmp(&b.0));
        policies
    }
}

/// `Plugin.spec.config` with the defaults of the plugin's own schema, if it passes that.
fn configured(descriptor: &Descriptor, config: Option<&serde_json::Value>) -> Result<serde_json::Value, Setback> {
    let unfit = |message: String| refused("ConfigInvalid", format!("spec.config does not fit the plugin's schema: {message}"));
    let config = config.cloned().unwrap_or_else(|| serde_json::json!({}));
    let schema = descriptor.config_schema.as_ref();
    let config = completed(schema, Cow::Owned(config)).map_err(|error| unfit(error.to_string()))?;
    if let Some(schema) = schema {
        let schema = Schema::compile(schema).map_err(|error| unfit(error.to_string()))?;
        if let Some(misfit) = schema.misfits(&config).first() {
            return Err(unfit(format!("{misfit:?}")));
        }
    }
    Ok(config)
}

enum Resolution {
    /// What is active is what is meant.
    Unchanged,
    /// This is meant.
    Digest(Digest, banhbaoring_artifact::Source),
}

fn fingerprint(spec: &PluginSpec, policies: &[(String, PluginPolicySpec)]) -> String {
    let matching: Vec<_> = policy::matching(&spec.source.oci.url, policies);
    banhbaoring_pipeline::json::hash(&serde_json::json!({"spec": spec, "policies": matching}))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn loaded(reason: &'static str, message: String) -> Setback {
    Setback { stage: Stage::Loaded, reason, message, transient: false }
}

fn refused(reason: &'static str, message: String) -> Setback {
    Setback { stage: Stage::PermissionsGranted, reason, message, transient: false }
}
