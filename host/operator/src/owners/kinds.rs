//! The kinds that active plugins bring, and one controller for each of them: started when a plugin brings a kind, stopped when none does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use banhbaoring_api::plugin::NamespacedName;
use banhbaoring_pipeline::PluginSet;
use banhbaoring_pipeline::contract::{Finalizer, Json, Kind, Observation};
use kube::core::{ApiResource, GroupVersionKind};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Owners;
use super::controller;

/// How often it is asked what the cluster serves.
const SURVEY: Duration = Duration::from_secs(60);

/// A kind of owners, as a controller needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnerKind {
    /// `group/Kind`.
    pub name: String,
    /// How it is addressed.
    pub resource: ApiResource,
    /// How children are observed.
    pub observation: Observation,
    /// Its finalizer, if any.
    pub finalizer: Option<Finalizer>,
    /// The account that reads owners and writes their status: that of the plugin that brings the kind.
    pub account: NamespacedName,
}

/// All kinds of a set of plugins, by name.
pub fn kinds(plugins: &PluginSet) -> BTreeMap<String, OwnerKind> {
    let mut kinds = BTreeMap::new();
    for plugin in plugins.iter() {
        for kind in &plugin.descriptor.kinds {
            if let Some(kind) = owner_kind(kind, &plugin.account) {
                kinds.insert(kind.name.clone(), kind);
            }
        }
    }
    kinds
}

fn owner_kind(kind: &Kind, account: &NamespacedName) -> Option<OwnerKind> {
    let text = |pointer: &str| kind.crd.pointer(pointer).and_then(Json::as_str);
    let group = text("/spec/group")?;
    let name = text("/spec/names/kind")?;
    let version = kind
        .crd
        .pointer("/spec/versions")?
        .as_array()?
        .iter()
        .find(|version| version.get("storage").and_then(Json::as_bool) == Some(true))?
        .get("name")?
        .as_str()?;
    Some(OwnerKind {
        name: format!("{group}/{name}"),
        resource: ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, name), text("/spec/names/plural")?),
        observation: kind.observation,
        finalizer: kind.finalizer.clone(),
        account: account.clone(),
    })
}

struct Running {
    kind: OwnerKind,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Keeps one controller per kind until `stop`, then waits for reconciles under way to end.
pub async fn run(owners: Arc<Owners>, stop: CancellationToken) {
    let mut changes = owners.active.changes();
    let mut running: BTreeMap<String, Running> = BTreeMap::new();
    let mut survey = tokio::time::interval(SURVEY);
    loop {
        changes.mark_unchanged();
        let wanted = kinds(&owners.active.current().plugins);
        let ended: Vec<String> =
            running.iter().filter(|(name, running)| wanted.get(*name) != Some(&running.kind)).map(|(name, _)| name.clone()).collect();
        for name in ended {
            if let Some(running) = running.remove(&name) {
                info!(kind = %name, "its controller stops");
                end(running).await;
            }
        }
        for (name, kind) in wanted {
            running.entry(name).or_insert_with(|| {
                info!(kind = %kind.name, account = %kind.account.name, "its controller starts");
                let stop = stop.child_token();
                let task = tokio::spawn(controller::run(owners.clone(), Arc::new(kind.clone()), stop.clone()));
                Running { kind, stop, task }
            });
        }
        tokio::select! {
            () = stop.cancelled() => break,
            changed = changes.changed() => if changed.is_err() { break },
            // What plugins are told of the cluster has to follow it: somebody installs cert-manager, or upgrades the API server.
            _ = survey.tick() => if let Err(error) = owners.cluster.discovery.refresh().await {
                warn!(%error, "what the cluster serves is as it was known before");
            },
        }
    }
    for (_, running) in running {
        end(running).await;
    }
}

async fn end(running: Running) {
    running.stop.cancel();
    if running.task.await.is_err() {
        warn!(kind = %running.kind.name, "its controller did not end by itself");
    }
}
