//! The steps of a reconcile that reach the cluster: observe, apply, and what a report is told with.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use banhbaoring_api::inventory::{InventorySpec, OwnerReference};
use banhbaoring_cluster::apply::{dependencies, token};
use banhbaoring_cluster::observe::views;
use banhbaoring_cluster::{Applied, StoredInventory};
use banhbaoring_pipeline::contract::{EventType, Json, Observation as Watching};
use banhbaoring_pipeline::observation::{Observation, Owner};
use banhbaoring_pipeline::{Graph, Report, journal, runs};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use kube::runtime::events::{Event, EventType as KubeEventType};
use tracing::{debug, warn};

use super::answers::Asking;
use super::memory::Memory;
use super::reconcile::{Decided, ReconcileError};
use super::{OwnerKind, Owners};

/// Field manager of status writes.
const STATUS_MANAGER: &str = "banhbaoring/status";
/// Longest message of an event that the API server takes.
const MAX_NOTE: usize = 1024;

impl Owners {
    /// Step 1.
    pub(super) async fn observe(
        &self,
        kind: &OwnerKind,
        owner: Owner,
        inventory: &StoredInventory,
        memory: &Memory,
        graph: &Graph,
    ) -> Result<Observation, ReconcileError> {
        let failed = |error: &dyn std::fmt::Display| ReconcileError::Observe(error.to_string());
        let platform = self.cluster.platform(&self.cluster_domain, &self.host).await.map_err(|error| failed(&error))?;
        let kinds = self.cluster.discovery.kinds();
        let views = views(graph);
        let asking = Asking { kind: &kind.name, owner: &owner.reference, inventory: &inventory.spec };
        let (observed, ()) = tokio::join!(self.cluster.observe_children(&inventory.spec, &views), self.answers.renew(&asking));
        let answers = self.answers.known(&owner.reference.uid, graph);
        let material = match (&owner.reference.namespace, memory.wanted_material.is_empty()) {
            (Some(namespace), false) => {
                self.cluster.observe_material(&kind.account, namespace, &memory.wanted_material).await.map_err(|error| failed(&error))?
            }
            _ => BTreeMap::new(),
        };
        let unobserved = observed.failures.into_iter().map(|failure| (failure.component.clone(), failure.to_string())).collect();
        Ok(Observation {
            owner,
            inventory: inventory.spec.clone(),
            children: observed.children,
            platform,
            kinds,
            answers,
            results: journal::results(&inventory.spec.journal),
            material,
            unobserved,
            now: now(),
        })
    }

    /// Has the children in an inventory looked at by watches, if those of its kind are.
    pub(super) async fn follow(&self, kind: &OwnerKind, owner: &OwnerReference, inventory: &InventorySpec, graph: &Graph) {
        let views = views(graph);
        let children = (kind.observation == Watching::Watch).then_some((inventory, &views));
        self.cluster.watches.follow(&kind.name, owner, children, &self.answers.questions(&owner.uid)).await;
    }

    /// Step 6.
    pub(super) async fn apply(&self, kind: &OwnerKind, decided: &Decided, inventory: StoredInventory) -> Result<Applied, ReconcileError> {
        if decided.plan.is_empty() && decided.plan.release.is_empty() {
            return Ok(Applied::unchanged(inventory));
        }
        for step in &decided.plan.steps {
            debug!(component = %step.component, object = %step.reference, cause = ?step.cause, "to be written");
        }
        let writes = decided.plan.steps.len() + decided.plan.prune.len();
        self.metrics.wrote(&kind.resource.kind, writes as u64);
        let Decided { observation, graph, plan, .. } = decided;
        let intended = self.cluster.intend(plan, inventory).await?;
        // Before the first write: what happens to a child afterwards must not go unseen.
        self.follow(kind, &observation.owner.reference, intended.inventory(), graph).await;
        Ok(self.cluster.apply(intended, &dependencies(graph), &views(graph)).await)
    }

    /// Step 7: sends the side effects whose turn it is, once the journal that says so is stored. Returns when something is due that could not be sent.
    pub(super) async fn act(&self, kind: &OwnerKind, decided: &Decided, applied: &mut Applied) -> Result<Option<Duration>, ReconcileError> {
        let Decided { observation, graph, permitted, .. } = decided;
        let now = i64::try_from(now()).unwrap_or(i64::MAX);
        journal::forget(&mut applied.inventory.spec.journal, permitted, graph);
        let mut next = journal::next(permitted, &applied.inventory.spec.journal, now);
        // After apply means: after what it asked for is there.
        next.send.retain(|(component, _)| !applied.has_failed(&component.component));
        if !next.send.is_empty() {
            let spec = &mut applied.inventory.spec;
            journal::intend(&mut spec.journal, &next, now);
            runs::intend(&mut spec.runs, &spec.owner, &next, now, token);
            self.cluster.inventories.write(&mut applied.inventory).await?;
            self.acts.send(&kind.name, &observation.owner, &applied.inventory.spec, &next);
        }
        Ok(next.wait.map(|seconds| Duration::from_secs(u64::from(seconds))))
    }

    /// Tells events that were not told yet. An event that cannot be told is told again next time.
    pub(super) async fn tell(&self, owner: &OwnerReference, report: &Report, inventory: &mut StoredInventory) {
        let regarding = ObjectReference {
            api_version: Some(owner.api_version.clone()),
            kind: Some(owner.kind.clone()),
            namespace: owner.namespace.clone(),
            name: Some(owner.name.clone()),
            uid: Some(owner.uid.clone()),
            ..ObjectReference::default()
        };
        for event in &report.events {
            let mut note = event.message.clone();
            while note.len() > MAX_NOTE {
                note.pop();
            }
            let event_type = match event.event_type {
                EventType::Normal => KubeEventType::Normal,
                EventType::Warning => KubeEventType::Warning,
            };
            let published = Event {
                type_: event_type,
                reason: event.reason.clone(),
                note: Some(note),
                action: "Reconcile".to_owned(),
                secondary: None,
            };
            match self.recorder.publish(&published, &regarding).await {
                Ok(()) => {
                    inventory.spec.events.extend(event.told.clone());
                }
                Err(error) => warn!(%error, reason = %event.reason, "an event was not told"),
            }
        }
    }

    /// The one status write of a reconcile. Returns the owner as it is then.
    pub(super) async fn write_status(
        &self,
        kind: &OwnerKind,
        owner: &Owner,
        status: &Json,
    ) -> Result<Option<DynamicObject>, ReconcileError> {
        let patch = serde_json::json!({
            "apiVersion": owner.reference.api_version,
            "kind": owner.reference.kind,
            // The uid makes it a conflict where another owner has taken the name.
            "metadata": {"name": owner.reference.name, "uid": owner.reference.uid},
            "status": status,
        });
        let api = self.api(kind, &owner.reference)?;
        match api.patch_status(&owner.reference.name, &PatchParams::apply(STATUS_MANAGER).force(), &Patch::Apply(&patch)).await {
            // It went away meanwhile.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            outcome => outcome.map(Some).map_err(|error| ReconcileError::Report(Box::new(error))),
        }
    }

    /// Owners of the kind in the owner's namespace, as the plugin's account.
    pub(super) fn api(&self, kind: &OwnerKind, owner: &OwnerReference) -> Result<Api<DynamicObject>, ReconcileError> {
        let client = self.cluster.clients.acting_as(&kind.account).map_err(|error| ReconcileError::Observe(error.to_string()))?;
        Ok(match &owner.namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &kind.resource),
            None => Api::all_with(client, &kind.resource),
        })
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
