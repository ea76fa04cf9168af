//! One reconcile of one owner: the eight steps of `design/architecture.md`, by name.

use std::sync::Arc;
use std::time::{Duration, Instant};

use banhbaoring_api::inventory::OwnerReference;
use banhbaoring_cluster::{Applied, InventoryError, StoredInventory};
use banhbaoring_pipeline::admit::PermittedNeed;
use banhbaoring_pipeline::contract::{AnswerOutcome, Failure, Json};
use banhbaoring_pipeline::observation::{Observation, Owner};
use banhbaoring_pipeline::render::{Desired, MAX_ROUNDS, Outcome as RenderOutcome};
use banhbaoring_pipeline::report::{Facts, Mishap, is_paused, paused_status};
use banhbaoring_pipeline::{Graph, Permitted, Plan, Report, admit, compose, plan, render, report};
use kube::ResourceExt as _;
use kube::core::DynamicObject;
use tracing::{Span, debug, info};

use super::answers::Asking;
use super::effects::now;
use super::memory::Memory;
use super::outputs::published;
use super::steady::Steady;
use super::{OwnerKind, Owners};
use crate::active::Active;

/// Failures in a row after which an owner's status says that the machine has no time.
const BUSY_PATIENCE: u32 = 5;

/// What came of a reconcile.
pub(super) struct Outcome {
    /// Come back after so long.
    pub(super) requeue_after: Option<Duration>,
}

impl Outcome {
    fn sooner(&mut self, other: Option<Duration>) {
        self.requeue_after = self.requeue_after.into_iter().chain(other).min();
    }
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
    /// Steps 3–5 ended early.
    #[error("the pure steps ended early: {0}")]
    Interrupted(String),
    /// A plugin could not be asked, and that is not its fault. The owner's status stays as it is, unless this goes on.
    #[error("the machine has no time for plugins: {0}")]
    Busy(String),
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
            Self::Busy(_) => "busy",
            Self::Report(_) => "report",
        }
    }
}

/// Steps 2–5 of one reconcile, and what they were made from.
pub(super) struct Decided {
    pub(super) observation: Observation,
    pub(super) graph: Graph,
    pub(super) desired: Desired,
    pub(super) permitted: Permitted,
    pub(super) plan: Plan,
    /// How often these steps were gone through.
    pub(super) rounds: usize,
}

impl Decided {
    /// Whether a component waits for another, which may be ready now.
    fn waits(&self) -> bool {
        self.desired.components.iter().any(|rendered| matches!(rendered.outcome, RenderOutcome::Waiting(_)))
    }

    /// What a question of a component was answered, or that it was asked; `None`: it is new.
    fn answer(&self, component: &str, need: &PermittedNeed) -> Option<&AnswerOutcome> {
        self.observation.answers.get(&(component.to_owned(), need.need.id.clone()))
    }

    /// Whether this tells less than it would with the answers that are on their way, and nothing that has to be told before them: what the user has just
    /// changed, what is being done, what went wrong.
    fn is_told_better_later(&self, mishaps: &[Mishap]) -> bool {
        let owner = &self.observation.owner;
        let is_told = owner.object.pointer("/status/observedGeneration").and_then(Json::as_i64) == Some(owner.generation);
        let is_acting = self.permitted.components.iter().any(|component| !component.actions.is_empty());
        let is_late =
            |component: &str, need: &PermittedNeed| self.answer(component, need).is_none_or(|answer| *answer == AnswerOutcome::Pending);
        let are_late = self.permitted.components.iter().any(|one| one.needs.iter().any(|need| is_late(&one.component, need)));
        is_told && are_late && !is_acting && !owner.deleting && mishaps.is_empty()
    }

    fn failure_of_the_machine(&self) -> Option<&Failure> {
        self.desired.components.iter().find_map(|rendered| match &rendered.outcome {
            RenderOutcome::Failed(failure) if failure.is_of_the_machine() => Some(failure),
            _ => None,
        })
    }
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
            Err(_) => (memory.inventory, memory.steady) = (None, None),
        }
        self.memories.keep(&uid, memory);
        outcome
    }

    async fn steps(&self, kind: &OwnerKind, object: &DynamicObject, memory: &mut Memory) -> Result<Outcome, ReconcileError> {
        let revisions = (self.active.revision(), self.cluster.discovery.revision());
        let active = self.active.current();
        let mut owner = owner(kind, object);
        memory.catch_up(&mut owner);
        match &kind.finalizer {
            // Garbage collection takes it from here; writing now would only fight it.
            None if owner.deleting => return Ok(Outcome { requeue_after: None }),
            _ if is_paused(&owner) => return self.leave_alone(kind, &owner, memory).await,
            Some(finalizer) if !owner.deleting => self.hold(kind, &owner, finalizer).await?,
            _ => {}
        }
        let mut inventory = self.inventory(kind, &owner, memory).await?;
        self.runs.take(&owner.reference.uid, &mut inventory.spec.runs);
        if self.acts.take(&owner.reference.uid, &mut inventory.spec.journal) {
            // What was done may have changed what was answered before.
            self.answers.outdate(&owner.reference.uid);
        }
        // From the owner and the descriptors alone: it says which fields of children are wanted, and who may be told an answer.
        let graph = compose(&owner, &active.plugins); // 2 compose
        if !self.cluster.watches.is_following(&owner.reference.uid) {
            self.follow(kind, &owner.reference, &inventory.spec, &graph).await;
        }
        self.cluster.watches.settled(&owner.reference.uid).await;
        let observation = self.observe(kind, owner, &inventory, memory, &graph).await?; // 1 observe
        let fingerprint = observation.fingerprint();
        if let Some(outcome) = self.unchanged(memory, fingerprint, &observation, revisions) {
            memory.inventory = Some(inventory);
            self.metrics.unchanged(&kind.resource.kind);
            return Ok(outcome);
        }
        let mut decided = self.settle(kind, graph, observation, active).await?; // 3 render, 4 admit, 5 plan
        if memory.failures < BUSY_PATIENCE
            && let Some(failure) = decided.failure_of_the_machine()
        {
            return Err(ReconcileError::Busy(failure.message.clone()));
        }
        // How a run ended is written down before anything follows from it: its Job may be gone by then.
        if self.runs.take(&decided.observation.owner.reference.uid, &mut inventory.spec.runs) {
            self.cluster.inventories.write(&mut inventory).await?;
        }
        let mut applied = self.apply(kind, &decided, inventory).await?; // 6 apply
        let has_written = applied.has_written();
        let next_attempt = self.act(kind, &decided, &mut applied).await?; // 7 act
        let mishaps = mishaps(&decided, &applied);
        self.follow(kind, &decided.observation.owner.reference, &applied.inventory.spec, &decided.graph).await;
        // The report is of what is there now.
        decided.observation.children.extend(applied.children);
        decided.observation.inventory.clone_from(&applied.inventory.spec);
        let waits = decided.is_told_better_later(&mishaps).then(|| memory.keep_back(revisions.0, Instant::now())).flatten();
        let (mut outcome, report) = self.report(kind, &decided, &mishaps, applied.inventory, memory, waits.is_some()).await?; // 8 report
        if waits.is_none() {
            memory.remember_told(revisions.0);
            self.answers.publish(&kind.name, &decided.observation.owner.reference.uid, published(&decided, &report));
        }
        outcome.sooner(waits);
        memory.steady = Steady::of(fingerprint, &decided, &mishaps, &report).map(|steady| (steady, revisions.0, revisions.1));
        outcome.sooner(self.answers.settle(&decided.observation.owner.reference.uid));
        outcome.sooner(next_attempt);
        outcome.sooner((has_written && decided.waits()).then_some(Duration::ZERO));
        if let Some(finalizer) = kind.finalizer.as_ref().filter(|_| decided.observation.owner.deleting) {
            self.let_go(kind, &decided, finalizer).await?;
        }
        Ok(outcome)
    }

    /// The whole reconcile of an owner that is paused.
    async fn leave_alone(&self, kind: &OwnerKind, owner: &Owner, memory: &mut Memory) -> Result<Outcome, ReconcileError> {
        if let Some(status) = paused_status(owner, now()) {
            let written = self.write_status(kind, owner, &status).await?;
            memory.remember_status(written);
            info!("paused");
        }
        Ok(Outcome { requeue_after: None })
    }

    /// The end of a reconcile that would find nothing to do, as the last one did.
    fn unchanged(
        &self,
        memory: &Memory,
        fingerprint: Option<[u8; 32]>,
        observation: &Observation,
        revisions: (u64, u64),
    ) -> Option<Outcome> {
        let (steady, plugins, kinds) = memory.steady.as_ref()?;
        if (*plugins, *kinds) != revisions || !steady.holds(fingerprint, observation) {
            return None;
        }
        debug!("nothing changed");
        let mut outcome = Outcome { requeue_after: steady.requeue_after };
        outcome.sooner(self.answers.settle(&observation.owner.reference.uid));
        Some(outcome)
    }

    async fn inventory(&self, kind: &OwnerKind, owner: &Owner, memory: &mut Memory) -> Result<StoredInventory, ReconcileError> {
        let is_new = !std::mem::replace(&mut memory.is_known, true);
        match memory.inventory.take() {
            Some(inventory) => Ok(inventory),
            // Were there one all the same, the first write would be refused, and the next attempt reads it. Nothing is let go on an assumption.
            None if is_new && !owner.deleting && self.memories.is_complete(&kind.name) => Ok(StoredInventory::new(&owner.reference)?),
            None => Ok(self.cluster.inventories.read(&owner.reference).await?),
        }
    }

    /// Steps 3–5, and again while they bring up questions that can be answered at once.
    async fn settle(
        &self,
        kind: &OwnerKind,
        graph: Graph,
        observation: Observation,
        active: Arc<Active>,
    ) -> Result<Decided, ReconcileError> {
        let mut decided = self.decide(graph, observation, active.clone()).await?;
        while decided.rounds < MAX_ROUNDS {
            let Observation { owner, inventory, .. } = &decided.observation;
            let asking = Asking { kind: &kind.name, owner: &owner.reference, inventory };
            let answers = self.answers.want(&asking, &decided.permitted).await;
            if answers.is_empty() {
                return Ok(decided);
            }
            let rounds = decided.rounds + 1;
            decided.observation.answers.extend(answers);
            decided = Decided { rounds, ..self.decide(decided.graph, decided.observation, active.clone()).await? };
        }
        Ok(decided)
    }

    /// Steps 3–5 are pure and may compute for a while: they run beside the asynchronous workers.
    async fn decide(&self, graph: Graph, observation: Observation, active: Arc<Active>) -> Result<Decided, ReconcileError> {
        let memo = self.memo.clone();
        let span = Span::current();
        tokio::task::spawn_blocking(move || {
            let _entered = span.enter();
            let renderer = memo.render(&active.modules);
            let desired = render(&graph, &observation, &renderer);
            let permitted = admit(&desired, &observation);
            let plan = plan(&permitted, &observation);
            Decided { observation, graph, desired, permitted, plan, rounds: 1 }
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
        is_kept_back: bool,
    ) -> Result<(Outcome, Report), ReconcileError> {
        let Decided { observation, graph, desired, permitted, plan, .. } = decided;
        let report = report(Facts { observation, graph, desired, permitted, plan, mishaps });
        Span::current().record("phase", report.phase.as_str());
        // What was made is written down before anything else may fail; what was told only where something was.
        self.cluster.inventories.write(&mut inventory).await?;
        if !is_kept_back {
            self.measure(kind, &observation.owner.reference, &report, graph, memory);
            self.tell(&observation.owner.reference, &report, &mut inventory).await;
            self.cluster.inventories.write(&mut inventory).await?;
        }
        self.acts.stored(&observation.owner.reference.uid);
        self.runs.stored(&observation.owner.reference.uid);
        memory.inventory = Some(inventory);
        memory.wanted_material.clone_from(&plan.wanted_material);
        if is_kept_back {
            debug!("answers are on their way; what was told before stands");
        } else if report.status_changed {
            let written = self.write_status(kind, &observation.owner, &report.status).await?;
            memory.remember_status(written);
            log(&report);
        } else {
            debug!("nothing to tell");
        }
        let requeue_after = report.requeue_after.map(|seconds| Duration::from_secs(u64::from(seconds)));
        Ok((Outcome { requeue_after }, report))
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

/// What went wrong beside the answers themselves.
fn mishaps(decided: &Decided, applied: &Applied) -> Vec<Mishap> {
    let unobserved = decided.observation.unobserved.iter().map(|(component, why)| Mishap {
        component: component.clone(),
        reason: "NotObserved".to_owned(),
        message: why.clone(),
        transient: true,
    });
    let unsettled = decided.permitted.components.iter().filter(|component| {
        let is_new = |need: &PermittedNeed| decided.answer(&component.component, need).is_none();
        decided.rounds == MAX_ROUNDS && component.needs.iter().any(is_new)
    });
    let unsettled = unsettled.map(|component| Mishap {
        component: component.component.clone(),
        reason: "NeedsDoNotSettle".to_owned(),
        message: format!("expected the same questions once they are answered, found new ones {MAX_ROUNDS} times in a row; mend the plugin"),
        transient: false,
    });
    applied.mishaps().into_iter().chain(unobserved).chain(unsettled).collect()
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
