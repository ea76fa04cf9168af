//! Side effects between reconciles: which are under way, and what came of those that ended. A side effect is sent beside the reconcile that asked for
//! it, after the journal that says so was stored; when it ends, the owner is looked at again. How it is sent is `banhbaoring_cluster::act`'s, which is
//! sent when, `banhbaoring_pipeline::journal`'s.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use banhbaoring_api::inventory::{InventorySpec, JournalEntry};
use banhbaoring_cluster::Cluster;
use banhbaoring_cluster::act::{Acted, Acting};
use banhbaoring_pipeline::contract::{ActionOutcome, Json};
use banhbaoring_pipeline::journal::{self, ActionKey, Next};
use banhbaoring_pipeline::observation::Owner;
use tokio::sync::Semaphore;
use tracing::{Instrument as _, Span, info};

use super::runs::Runs;
use crate::fence::Fence;

/// Side effects of all owners that are under way at a time.
const PARALLEL: usize = 32;

#[derive(Debug, Clone, PartialEq)]
enum Progress {
    Sending,
    /// It ended.
    Ended(ActionOutcome),
    /// A reconcile has it, and has not stored it yet.
    Taken(ActionOutcome),
}

type ByOwner = HashMap<String, BTreeMap<ActionKey, Progress>>;

/// What this process has under way for every owner, by uid.
pub(super) struct Acts {
    cluster: Cluster,
    fence: Fence,
    by_owner: Arc<Mutex<ByOwner>>,
    permits: Arc<Semaphore>,
    runs: Arc<Runs>,
}

impl Acts {
    pub(super) fn new(cluster: Cluster, fence: Fence, runs: Arc<Runs>) -> Self {
        Self { cluster, fence, by_owner: Arc::default(), permits: Arc::new(Semaphore::new(PARALLEL)), runs }
    }

    /// Brings a journal up to date with what ended. Returns whether something did.
    pub(super) fn take(&self, uid: &str, journal: &mut [JournalEntry]) -> bool {
        let mut by_owner = lock(&self.by_owner);
        let (mut under_way, mut ended) = (BTreeSet::new(), false);
        for (key, progress) in by_owner.get_mut(uid).into_iter().flatten() {
            under_way.insert(key.clone());
            if let Progress::Ended(outcome) | Progress::Taken(outcome) = progress {
                journal::record(journal, key, outcome);
                *progress = Progress::Taken(outcome.clone());
                ended = true;
            }
        }
        journal::interrupt(journal, &under_way);
        ended
    }

    /// What was taken is stored.
    pub(super) fn stored(&self, uid: &str) {
        let mut by_owner = lock(&self.by_owner);
        if let Some(progress) = by_owner.get_mut(uid) {
            progress.retain(|_, progress| !matches!(progress, Progress::Taken(_)));
            if progress.is_empty() {
                by_owner.remove(uid);
            }
        }
    }

    /// Sends what the stored journal says is about to be sent.
    pub(super) fn send(&self, kind: &str, owner: &Owner, inventory: &InventorySpec, next: &Next<'_>) {
        let uid = &owner.reference.uid;
        for (component, action) in &next.send {
            let key = (component.component.clone(), action.action.id.clone());
            lock(&self.by_owner).entry(uid.clone()).or_default().insert(key.clone(), Progress::Sending);
            let (cluster, fence, by_owner, permits, runs) =
                (self.cluster.clone(), self.fence.clone(), self.by_owner.clone(), self.permits.clone(), self.runs.clone());
            let (plugin, action, inventory) = (component.plugin.clone(), (*action).clone(), inventory.clone());
            let (kind, reference) = (kind.to_owned(), owner.reference.clone());
            let since = owner.object.pointer("/metadata/creationTimestamp").and_then(Json::as_str).unwrap_or_default().to_owned();
            let sending = async move {
                let _permit = permits.acquire().await;
                let gate = || fence.is_open().then_some(()).ok_or_else(|| "this replica no longer leads; it was not sent".to_owned());
                let acting = Acting { plugin: &plugin, component: &key.0, inventory: &inventory, owner_since: &since, gate: &gate };
                let Acted { outcome, news } = cluster.act(acting, &action).await;
                info!(component = %key.0, action = %key.1, kind = %action.action.kind, outcome = word(&outcome), "an action ended");
                // Before it has ended: both are written down at once.
                if let Some(news) = news {
                    runs.tell(&reference.uid, news);
                }
                if let Some(progress) = lock(&by_owner).get_mut(&reference.uid).and_then(|owner| owner.get_mut(&key)) {
                    *progress = Progress::Ended(outcome);
                }
                cluster.watches.wake(&kind, &reference).await;
            };
            tokio::spawn(sending.instrument(Span::current()));
        }
    }

    /// The owner is gone.
    pub(super) fn forget(&self, uid: &str) {
        lock(&self.by_owner).remove(uid);
    }
}

fn word(outcome: &ActionOutcome) -> &str {
    match outcome {
        ActionOutcome::Ok(_) => "ok",
        ActionOutcome::Error(error) => &error.class,
        ActionOutcome::Unknown => "unknown",
    }
}

fn lock(by_owner: &Mutex<ByOwner>) -> MutexGuard<'_, ByOwner> {
    by_owner.lock().unwrap_or_else(PoisonError::into_inner)
}
