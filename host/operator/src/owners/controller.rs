//! The controller of one kind: watches its owners with the account of the plugin that brings the kind, and reconciles them.

use std::sync::Arc;
use std::time::Duration;

use banhbaoring_pipeline::contract::Observation;
use futures::{StreamExt as _, TryStreamExt as _};
use kube::core::DynamicObject;
use kube::runtime::controller::{Action, Config};
use kube::runtime::{Controller, Predicate as _, PredicateConfig, WatchStreamExt as _, predicates, reflector, watcher};
use kube::{Api, Resource as _, ResourceExt as _};
use tokio_stream::wrappers::{ReceiverStream, WatchStream};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, error, info_span, warn};

use super::reconcile::{Outcome, ReconcileError, owner};
use super::{OwnerKind, Owners};

/// How often an owner is looked at where nothing happens and its kind is watched: catches what a watch may have missed.
const RESYNC: Duration = Duration::from_secs(600);
/// News of children that wait to be looked at.
const WAKE_QUEUE: usize = 1024;

/// Runs until `stop`; reconciles under way end first.
pub(super) async fn run(owners: Arc<Owners>, kind: Arc<OwnerKind>, stop: CancellationToken) {
    let client = match owners.cluster.clients.acting_as(&kind.account) {
        Ok(client) => client,
        Err(error) => return error!(%error, kind = %kind.name, "its owners cannot be watched"),
    };
    owners.remember(&kind).await;
    let api: Api<DynamicObject> = Api::all_with(client, &kind.resource);
    let writer = reflector::store::Writer::new(kind.resource.clone());
    let store = writer.as_reader();
    let gone = (owners.clone(), kind.clone(), store.clone());
    let stream = watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(|object| object.managed_fields_mut().clear())
        .reflect(writer)
        .inspect_ok(move |event| observe(&gone.0, &gone.1, &gone.2, event))
        .inspect_err(|error| warn!(%error, "owners cannot be watched; trying again"))
        .applied_objects()
        .predicate_filter(
            predicates::generation
                .combine(predicates::annotations)
                .combine(predicates::labels)
                .combine(predicates::finalizers)
                .combine(deletion),
            PredicateConfig::default(),
        );
    let plugins_changed = WatchStream::from_changes(owners.active.changes()).map(|_| ());
    let (wake, woken) = tokio::sync::mpsc::channel(WAKE_QUEUE);
    let watching = owners.cluster.watches.subscribe(&kind.name, wake);
    let woken = ReceiverStream::new(woken).map({
        let resource = kind.resource.clone();
        move |owner: banhbaoring_api::inventory::OwnerReference| {
            let reference = reflector::ObjectRef::new_with(&owner.name, resource.clone());
            match owner.namespace {
                Some(namespace) => reference.within(&namespace),
                None => reference,
            }
        }
    });
    let concurrency = owners.concurrency;
    Controller::for_stream_with(stream, store, kind.resource.clone())
        .with_config(Config::default().concurrency(concurrency))
        .reconcile_all_on(plugins_changed)
        .reconcile_on(woken)
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(
            |object: Arc<DynamicObject>, context: Arc<Context>| async move {
                let (owners, kind) = &*context;
                let span = info_span!(
                    "reconcile",
                    reconcile_id = %reconcile_id(),
                    owner_kind = %kind.resource.kind,
                    cluster_namespace = object.namespace().unwrap_or_default(),
                    cluster_name = object.name_any(),
                    component = tracing::field::Empty,
                    phase = tracing::field::Empty,
                );
                timed(owners, kind, object).instrument(span).await
            },
            |object: Arc<DynamicObject>, failure: &ReconcileError, context: Arc<Context>| {
                let owners = &context.0;
                let uid = object.uid().unwrap_or_default();
                let mut memory = owners.memories.take(&uid);
                let wait = memory.next_wait(&uid);
                owners.memories.keep(&uid, memory);
                warn!(owner = %object.name_any(), error = %failure, category = failure.category(), wait_ms = wait.as_millis() as u64, "reconcile failed; trying again");
                Action::requeue(wait)
            },
            Arc::new((owners.clone(), kind.clone())),
        )
        .for_each(|_| futures::future::ready(()))
        .await;
    owners.answers.end(&kind.name).await;
    drop(watching);
}

type Context = (Arc<Owners>, Arc<OwnerKind>);

async fn timed(owners: &Owners, kind: &OwnerKind, object: Arc<DynamicObject>) -> Result<Action, ReconcileError> {
    let started = std::time::Instant::now();
    let outcome = owners.reconcile(kind, &object).await;
    owners.metrics.reconciled(&kind.resource.kind, started.elapsed().as_secs_f64(), outcome.is_err());
    outcome.map(|outcome| Action::requeue(next(kind, &outcome)))
}

fn next(kind: &OwnerKind, outcome: &Outcome) -> Duration {
    let regular = match kind.observation {
        Observation::Watch => RESYNC,
        Observation::Poll(seconds) => Duration::from_secs(u64::from(seconds.max(1))),
    };
    outcome.requeue_after.map_or(regular, |asked| asked.min(regular))
}

/// An owner that begins to be deleted keeps its generation in some versions of the API server: the mark itself counts.
fn deletion(object: &DynamicObject) -> Option<u64> {
    Some(u64::from(object.meta().deletion_timestamp.is_some()))
}

/// Owners that are gone: whatever garbage collection does not take is removed, and their inventory with it.
fn observe(owners: &Arc<Owners>, kind: &Arc<OwnerKind>, store: &reflector::Store<DynamicObject>, event: &watcher::Event<DynamicObject>) {
    match event {
        watcher::Event::Delete(object) => {
            tokio::spawn(owners.clone().remove(kind.clone(), owner(kind, object).reference));
        }
        watcher::Event::InitDone => {
            let there = store.state().iter().filter_map(|object| object.uid()).collect();
            tokio::spawn(owners.clone().sweep(kind.clone(), there));
        }
        _ => {}
    }
}

/// Short and unique within a process's logs.
fn reconcile_id() -> String {
    static COUNTER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("{:x}-{count:x}", std::process::id())
}
