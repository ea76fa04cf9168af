//! One reconcile of one owner: the eight steps of `design/architecture.md`, by name.

use std::sync::Arc;

use banhbaoring_api::inventory::OwnerReference;
use banhbaoring_cluster::{Applied, InventoryError, StoredInventory};
use banhbaoring_pipeline::contract::{Json, Observation as Watching};
use banhbaoring_pipeline::observation::{Observation, Owner};
use banhbaoring_pipeline::render::Desired;
use banhbaoring_pipeline::report::{Facts, Mishap};
use banhbaoring_pipeline::{Graph, Permitted, Plan, Report, admit, compose, plan, render, report};
use kube::ResourceExt as _;
use kube::core::DynamicObject;
use tracing::{Span, debug, info};

use super::memory::Memory;
use super::{OwnerKind, Owners};
use crate::active::Active;

/// What came of a reconcile.
pub(super) struct Outcome {
    /// Come back after so long.
    pub(super) requeue_after: Option<std::time::Duration>,
}

/// Why a reconcile could not be finished. What concerns a single component is no error: it is reported in the owner's status.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// Step 1.
    #[error("observe: {0}")]
    Observe(String),
    /// The inventory was written by somebody else, or could not be.
    #[error("inventory: {0}")]
    Inventory(#[from] InventoryError),
    /// Steps 2–5 ended early.
    #[error("the pure steps ended early: {0}")]
    Interrupted(String),
    /// Step 8.
    #[error("report: {0}")]
    Report(#[source] Box<kube::Error>),
}

impl ReconcileError {
    /// Bounded, for metrics and logs.
    pub(super) fn category(&self) -> &'static str {
        match self {
            Self::Observe(_) => "observe",
            Self::Inventory(_) => "inventory",
            Self::Interrupted(_) => "interrupted",
            Self::Report(_) => "report",
        }
    }
}

/// Steps 2–5 of one reconcile.
pub(super) struct Decided {
    pub(super) observation: Observation,
    pub(super) graph: Graph,
    pub(super) desired: Desired,
    pub(super) permitted: Permitted,
    pub(super) plan: Plan,
}

impl Owners {
    /// Brings one owner as far as it goes now.
    pub(super) async fn reconcile(&self, kind: &OwnerKind, object: &DynamicObject) -> Result<Outcome, ReconcileError> {
        let uid = object.uid().unwrap_or_default();
        let mut memory = self.memories.take(&uid);
        let outcome = self.steps(kind, object, &mut memory).await;
        match &outcome {
            Ok(_) => memory.failures = 0,
            // Whatever is remembered may be what was wrong.
            Err(_) => memory.inventory = None,
        }
        self.memories.keep(&uid, memory);
        outcome
    }

    async fn steps(&self, kind: &OwnerKind, object: &DynamicObject, memory: &mut Memory) -> Result<Outcome, ReconcileError> {
        let active = self.active.current();
        let owner = owner(kind, object);
        match &kind.finalizer {
            // Garbage collection takes it from here; writing now would only fight it.
            None if owner.deleting => return Ok(Outcome { requeue_after: None }),
            Some(finalizer) if !owner.deleting => self.hold(kind, &owner, finalizer).await?,
            _ => {}
        }
        let inventory = self.inventory(&owner, memory).await?;
        let observation = self.observe(kind, owner, &inventory, memory, &active).await?; // 1 observe
        let decided = self.decide(observation, active).await?; // 2 compose, 3 render, 4 admit, 5 plan
        let applied = self.apply(kind, &decided, inventory).await?; // 6 apply
        let mishaps = self.act(&decided, &applied); // 7 act
        if kind.observation == Watching::Watch {
            self.cluster.watches.follow(&kind.name, &applied.inventory.spec).await;
        }
        let outcome = self.report(kind, &decided, &mishaps, applied.inventory, memory).await?; // 8 report
        if let Some(finalizer) = kind.finalizer.as_ref().filter(|_| decided.observation.owner.deleting) {
            self.let_go(kind, &decided, finalizer).await?;
        }
        Ok(outcome)
    }

    /// Step 7. No kind of action is executed by this version of the host; the contract says so to plugins as `unsupported`.
    fn act(&self, decided: &Decided, applied: &Applied) -> Vec<Mishap> {
        let unobserved = decided.observation.unobserved.iter().map(|(component, why)| Mishap {
            component: component.clone(),
            reason: "NotObserved".to_owned(),
            message: why.clone(),
            transient: true,
        });
        applied.mishaps().into_iter().chain(unobserved).collect()
    }

    async fn inventory(&self, owner: &Owner, memory: &mut Memory) -> Result<StoredInventory, ReconcileError> {
        match memory.inventory.take() {
            Some(inventory) => Ok(inventory),
            None => Ok(self.cluster.inventories.read(&owner.reference).await?),
        }
    }

    /// Steps 2–5 are pure and may compute for a while: they run beside the asynchronous workers.
    async fn decide(&self, observation: Observation, active: Arc<Active>) -> Result<Decided, ReconcileError> {
        let memo = self.memo.clone();
        let span = Span::current();
        tokio::task::spawn_blocking(move || {
            let _entered = span.enter();
            let renderer = memo.render(&active.modules);
            let graph = compose(&observation.owner, &active.plugins);
            let desired = render(&graph, &observation, &renderer);
            let permitted = admit(&desired, &observation);
            let plan = plan(&permitted, &observation);
            Decided { observation, graph, desired, permitted, plan }
        })
        .await
        .map_err(|error| ReconcileError::Interrupted(error.to_string()))
    }

    async fn report(
        &self,
        kind: &OwnerKind,
        decided: &Decided,
        mishaps: &[Mishap],
        mut inventory: StoredInventory,
        memory: &mut Memory,
    ) -> Result<Outcome, ReconcileError> {
        let Decided { observation, graph, desired, permitted, plan } = decided;
        let report = report(Facts { observation, graph, desired, permitted, plan, mishaps });
        Span::current().record("phase", report.phase.as_str());
        self.measure(kind, &observation.owner.reference, &report, graph, memory);
        self.tell(&observation.owner.reference, &report, &mut inventory).await;
        self.cluster.inventories.write(&mut inventory).await?;
        memory.inventory = Some(inventory);
        memory.wanted_material.clone_from(&plan.wanted_material);
        if report.status_changed {
            self.write_status(kind, &observation.owner, &report).await?;
            log(&report);
        } else {
            debug!("nothing to tell");
        }
        Ok(Outcome { requeue_after: report.requeue_after.map(|seconds| std::time::Duration::from_secs(u64::from(seconds))) })
    }

    fn measure(&self, kind: &OwnerKind, owner: &OwnerReference, report: &Report, graph: &Graph, memory: &mut Memory) {
        let namespace = owner.namespace.as_deref().unwrap_or_default();
        for component in &report.components {
            self.metrics.component(namespace, &owner.name, &kind.resource.kind, &component.name, component.state);
        }
        memory.components = report.components.iter().map(|component| component.name.clone()).collect();
        let declared = report.metrics.iter().filter_map(|(component, metric)| {
            let node = graph.nodes.iter().find(|node| node.component.name == *component)?;
            let descriptor = node.component.metrics.iter().find(|declared| declared.name == metric.name)?;
            Some((descriptor.clone(), metric.clone()))
        });
        self.metrics.report(&format!("{}/{namespace}/{}", kind.resource.kind, owner.name), declared.collect());
    }
}

/// The owner as the pipeline takes it: without managedFields.
pub(super) fn owner(kind: &OwnerKind, object: &DynamicObject) -> Owner {
    let mut json = serde_json::to_value(object).unwrap_or_default();
    if let Some(root) = json.as_object_mut() {
        root.insert("apiVersion".to_owned(), Json::String(kind.resource.api_version.clone()));
        root.insert("kind".to_owned(), Json::String(kind.resource.kind.clone()));
        if let Some(metadata) = root.get_mut("metadata").and_then(Json::as_object_mut) {
            metadata.remove("managedFields");
        }
    }
    Owner {
        reference: OwnerReference {
            api_version: kind.resource.api_version.clone(),
            kind: kind.resource.kind.clone(),
            namespace: object.namespace(),
            name: object.name_any(),
            uid: object.uid().unwrap_or_default(),
        },
        generation: object.metadata.generation.unwrap_or(0),
        deleting: object.metadata.deletion_timestamp.is_some(),
        object: json,
    }
}

fn log(report: &Report) {
    for component in &report.components {
        info!(component = %component.name, state = component.state.as_str(), reason = %component.reason, message = %component.message, "component");
    }
}
