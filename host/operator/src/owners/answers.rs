//! Answers to needs between reconciles: what was asked for which owner, what came of it and for how long that holds.
//!
//! Nothing waits for an answer for long: it is asked beside the reconcile, and one that comes late has the owner looked at again. How the API
//! server is asked is `banhbaoring_cluster::answer`'s; which needs may be asked was decided by admission.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use banhbaoring_api::inventory::{InventorySpec, OwnerReference};
use banhbaoring_cluster::Cluster;
use banhbaoring_cluster::run::Inquiry;
use banhbaoring_cluster::watch::Question;
use banhbaoring_pipeline::admit::{NeedScope, PermittedNeed};
use banhbaoring_pipeline::contract::{AnswerOutcome, NeedMode, ObjectReference};
use banhbaoring_pipeline::{ActivePlugin, Graph, Permitted};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::outputs::{Consumer, Outputs, Published};
use super::runs::Runs;
use crate::images::Images;

/// How long a reconcile waits for answers before it goes on without them.
const GRACE: Duration = Duration::from_millis(250);
/// Questions of all owners that are under way at a time.
const PARALLEL: usize = 64;
/// An answer that a watch keeps current is asked for again all the same, for what the watch may have missed.
const RECHECK: Duration = Duration::from_secs(600);
/// When something is asked again that could not be answered.
const RETRY: Duration = Duration::from_secs(15);

/// Component and id of the need.
type Key = (String, String);
type ByOwner = HashMap<String, BTreeMap<Key, Known>>;

/// For whom something is asked.
pub(super) struct Asking<'a> {
    /// `group/Kind` of the owner.
    pub(super) kind: &'a str,
    pub(super) owner: &'a OwnerReference,
    pub(super) inventory: &'a InventorySpec,
}

#[derive(Debug)]
struct Known {
    plugin: Arc<ActivePlugin>,
    need: PermittedNeed,
    /// Absent until the first answer.
    outcome: Option<AnswerOutcome>,
    /// Since when the outcome is known.
    at: Instant,
    /// Whether a reconcile was given this outcome.
    used: bool,
    asking: bool,
    /// A reconcile went on without the answer that is under way.
    missed: bool,
    /// Something was done since that may have changed it.
    is_outdated: bool,
    /// Around 1: what is asked again and again for many owners is not asked for all at once.
    spread: f64,
}

impl Known {
    fn is_due(&self, now: Instant, changed: bool) -> bool {
        !self.asking
            && match self.need.need.mode {
                // An answer that came too late for the reconcile that asked is there for the next one.
                NeedMode::Fresh => self.used,
                NeedMode::Watch if changed => true,
                _ if self.is_outdated => true,
                _ => now >= self.due(),
            }
    }

    fn due(&self) -> Instant {
        let unanswered = match (&self.outcome, &self.need.scope) {
            // Nobody tells when that owner comes.
            (Some(AnswerOutcome::Error(_)), NeedScope::Outputs(..)) => true,
            (Some(AnswerOutcome::Error(error)), _) => error.class == "unavailable",
            // Its end is recorded before it goes, also where nobody may watch Jobs.
            (Some(AnswerOutcome::Ok(view)), NeedScope::Job(..)) => view["state"] == "running",
            _ => false,
        };
        match self.need.need.mode {
            NeedMode::Poll(seconds) => self.at + Duration::from_secs(u64::from(seconds.max(1))).mul_f64(self.spread),
            _ if unanswered => self.at + RETRY,
            _ => self.at + RECHECK,
        }
    }
}

/// What is known for every owner, by uid.
pub(super) struct Answers {
    cluster: Cluster,
    images: Arc<Images>,
    outputs: Arc<Outputs>,
    runs: Arc<Runs>,
    by_owner: Arc<Mutex<ByOwner>>,
    permits: Arc<Semaphore>,
}

impl Answers {
    pub(super) fn new(cluster: Cluster, images: Images, runs: Arc<Runs>) -> Self {
        let (images, permits) = (Arc::new(images), Arc::new(Semaphore::new(PARALLEL)));
        Self { cluster, images, outputs: Arc::default(), runs, by_owner: Arc::default(), permits }
    }

    /// Asks again, in advance, what the last reconcile asked and what no longer holds.
    pub(super) async fn renew(&self, asking: &Asking<'_>) {
        let changed = self.cluster.watches.take_changed(&asking.owner.uid);
        let now = Instant::now();
        let mut asked = Vec::new();
        for (key, known) in lock(&self.by_owner).get_mut(&asking.owner.uid).into_iter().flatten() {
            if known.is_due(now, changed) {
                if known.need.need.mode == NeedMode::Fresh {
                    known.outcome = None;
                }
                asked.push(self.ask(asking, key, known));
            }
        }
        within_grace(asked).await;
    }

    /// What can be told to the components of a graph. An answer belongs to the plugin, with its grants, for which it was asked.
    pub(super) fn known(&self, uid: &str, graph: &Graph) -> BTreeMap<Key, AnswerOutcome> {
        let mut told = BTreeMap::new();
        for (key, known) in lock(&self.by_owner).get_mut(uid).into_iter().flatten() {
            let asks = |node: &banhbaoring_pipeline::graph::Node| node.component.name == key.0 && Arc::ptr_eq(&node.plugin, &known.plugin);
            if graph.nodes.iter().any(asks) {
                known.used |= known.outcome.is_some();
                told.insert(key.clone(), known.outcome.clone().unwrap_or(AnswerOutcome::Pending));
            }
        }
        told
    }

    /// Asks what is new of what was permitted and forgets what is no longer asked. Returns answers that came at once.
    pub(super) async fn want(&self, asking: &Asking<'_>, permitted: &Permitted) -> BTreeMap<Key, AnswerOutcome> {
        let uid = &asking.owner.uid;
        let mut asked = Vec::new();
        {
            let mut by_owner = lock(&self.by_owner);
            let mut before = by_owner.remove(uid).unwrap_or_default();
            let mut wanted = BTreeMap::new();
            for component in &permitted.components {
                for need in &component.needs {
                    let key = (component.component.clone(), need.need.id.clone());
                    let same = |known: &Known| known.need == *need && Arc::ptr_eq(&known.plugin, &component.plugin);
                    let known = before.remove(&key).filter(same).unwrap_or_else(|| {
                        let mut known = Known {
                            plugin: component.plugin.clone(),
                            need: need.clone(),
                            outcome: None,
                            at: Instant::now(),
                            used: false,
                            asking: false,
                            missed: false,
                            is_outdated: false,
                            spread: rand::random_range(0.9..1.1),
                        };
                        asked.push(self.ask(asking, &key, &mut known));
                        known
                    });
                    wanted.insert(key, known);
                }
            }
            if !wanted.is_empty() {
                by_owner.insert(uid.clone(), wanted);
            }
        }
        within_grace(asked).await;
        let mut new = BTreeMap::new();
        for (key, known) in lock(&self.by_owner).get_mut(uid).into_iter().flatten() {
            if let Some(outcome) = known.outcome.as_ref().filter(|_| !known.used) {
                known.used = true;
                new.insert(key.clone(), outcome.clone());
            }
        }
        new
    }

    /// The reconcile ends with what it has. Returns when the owner has to be looked at again for the sake of answers; one that is under way has it
    /// looked at when it comes.
    pub(super) fn settle(&self, uid: &str) -> Option<Duration> {
        let now = Instant::now();
        let mut next: Option<Duration> = None;
        for known in lock(&self.by_owner).get_mut(uid).into_iter().flatten().map(|(_, known)| known) {
            let wait = if known.asking {
                known.missed = true;
                continue;
            } else if !known.used {
                Duration::ZERO
            } else if known.need.need.mode == NeedMode::Fresh {
                continue;
            } else {
                known.due().saturating_duration_since(now)
            };
            next = Some(next.map_or(wait, |next| next.min(wait)));
        }
        next
    }

    /// What watches have to tell of.
    pub(super) fn questions(&self, uid: &str) -> Vec<Question> {
        let by_owner = lock(&self.by_owner);
        let watched = by_owner.get(uid).into_iter().flat_map(BTreeMap::values).filter(|known| known.need.need.mode == NeedMode::Watch);
        watched
            .flat_map(|known| subjects(known).into_iter().map(|reference| Question { reference, account: known.plugin.account.clone() }))
            .collect()
    }

    /// Something was done for the owner: what was answered before is asked again with the next reconcile.
    pub(super) fn outdate(&self, uid: &str) {
        for known in lock(&self.by_owner).get_mut(uid).into_iter().flat_map(BTreeMap::values_mut) {
            known.is_outdated = true;
        }
    }

    /// What an owner's components publish now. Those that ask about it are looked at if it is something else than before.
    pub(super) fn publish(&self, kind: &str, uid: &str, components: BTreeMap<String, Published>) {
        let (consumers, wait) = self.outputs.publish(kind, uid, components);
        if !consumers.is_empty() {
            let (cluster, by_owner) = (self.cluster.clone(), self.by_owner.clone());
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                ask_anew(&cluster, &by_owner, consumers).await;
            });
        }
    }

    /// The owner is gone.
    pub(super) async fn forget(&self, uid: &str) {
        lock(&self.by_owner).remove(uid);
        ask_anew(&self.cluster, &self.by_owner, self.outputs.forget(uid)).await;
    }

    /// Nobody looks at owners of the kind any more.
    pub(super) async fn end(&self, kind: &str) {
        ask_anew(&self.cluster, &self.by_owner, self.outputs.end(kind)).await;
    }

    fn ask(&self, asking: &Asking<'_>, key: &Key, known: &mut Known) -> JoinHandle<()> {
        (known.asking, known.is_outdated) = (true, false);
        let (cluster, permits, by_owner) = (self.cluster.clone(), self.permits.clone(), self.by_owner.clone());
        let (images, outputs, runs) = (self.images.clone(), self.outputs.clone(), self.runs.clone());
        let (plugin, need, key) = (known.plugin.clone(), known.need.clone(), key.clone());
        let (kind, owner, inventory) = (asking.kind.to_owned(), asking.owner.clone(), asking.inventory.clone());
        tokio::spawn(async move {
            let _permit = permits.acquire().await;
            let outcome = match &need.scope {
                NeedScope::Image(image) => images.answer(&cluster, &plugin, image, owner.namespace.as_deref()).await,
                NeedScope::Outputs(reference, whose, component) => match cluster.uid_of(&plugin, reference, whose, &inventory).await {
                    Ok(uid) => {
                        let consumer = (need.need.mode == NeedMode::Watch).then(|| (kind.clone(), owner.clone()));
                        outputs.answer(&uid, component, consumer)
                    }
                    Err(error) => AnswerOutcome::Error(error),
                },
                NeedScope::Job(job, run) => {
                    let inquiry = Inquiry { plugin: &plugin, component: &key.0, inventory: &inventory };
                    let (outcome, news) = cluster.answer_job(inquiry, job, run).await;
                    // Before the answer is there: whoever is told of it has it written down.
                    if let Some(news) = news {
                        runs.tell(&owner.uid, news);
                    }
                    outcome
                }
                _ => cluster.answer(&plugin, &need, &inventory).await,
            };
            let is_late = {
                let mut by_owner = lock(&by_owner);
                let known = by_owner.get_mut(&owner.uid).and_then(|known| known.get_mut(&key));
                // Something else is asked under that id meanwhile, or nothing.
                let Some(known) = known.filter(|known| known.need == need && Arc::ptr_eq(&known.plugin, &plugin)) else { return };
                let is_news = known.outcome.as_ref() != Some(&outcome);
                known.used &= !is_news;
                known.outcome = Some(outcome);
                known.at = Instant::now();
                known.asking = false;
                // What changed while it was asked is asked again.
                (std::mem::take(&mut known.missed) && is_news) || known.is_outdated
            };
            if is_late {
                cluster.watches.wake(&kind, &owner).await;
            }
        })
    }
}

/// Has owners looked at whose components ask about outputs that changed.
async fn ask_anew(cluster: &Cluster, by_owner: &Mutex<ByOwner>, consumers: Vec<Consumer>) {
    for (kind, owner) in consumers {
        for known in lock(by_owner).get_mut(&owner.uid).into_iter().flat_map(BTreeMap::values_mut) {
            known.is_outdated |= matches!(known.need.scope, NeedScope::Outputs(..));
        }
        cluster.watches.wake(&kind, &owner).await;
    }
}

async fn within_grace(asked: Vec<JoinHandle<()>>) {
    if !asked.is_empty() {
        // What is late goes on by itself.
        let _ = tokio::time::timeout(GRACE, futures::future::join_all(asked)).await;
    }
}

fn subjects(known: &Known) -> Vec<ObjectReference> {
    match &known.need.scope {
        NeedScope::Object(reference, _) | NeedScope::Job(reference, _) => vec![reference.clone()],
        NeedScope::Objects { namespaces, .. } => {
            let text = |field: &str| known.need.need.spec.get(field).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
            let in_namespace = |namespace: Option<String>| ObjectReference {
                api_version: text("apiVersion"),
                kind: text("kind"),
                namespace,
                name: String::new(),
            };
            if namespaces.is_empty() { vec![in_namespace(None)] } else { namespaces.iter().cloned().map(Some).map(in_namespace).collect() }
        }
        // A change of outputs is told in this process.
        NeedScope::Outputs(..) | NeedScope::Http(_) | NeedScope::Image(_) | NeedScope::Other | NeedScope::Unsupported(_) => Vec::new(),
    }
}

fn lock(by_owner: &Mutex<ByOwner>) -> MutexGuard<'_, ByOwner> {
    by_owner.lock().unwrap_or_else(PoisonError::into_inner)
}
