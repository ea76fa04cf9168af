//! What is remembered of an owner between two reconciles: its inventory as last written (so that a steady owner reads nothing of its own),
//! what it waits for, how often it failed. Losing it costs a read, never correctness.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use banhbaoring_cluster::StoredInventory;
use banhbaoring_cluster::version::is_newer;
use banhbaoring_pipeline::contract::Json;
use banhbaoring_pipeline::observation::Owner;
use kube::ResourceExt as _;
use kube::core::DynamicObject;

use super::steady::Steady;

/// First wait after a failure; doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait after failures.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// How long what was told before stands while what it rested on is asked anew.
const KEPT_BACK: Duration = Duration::from_secs(10);

/// What is remembered of one owner.
#[derive(Debug, Default, Clone)]
pub(super) struct Memory {
    /// As last read or written.
    pub(super) inventory: Option<StoredInventory>,
    /// Status as it was last written, and the version of the owner since which it holds: what is watched may come later.
    pub(super) status: Option<(String, Json)>,
    /// `secret/key` whose hashes are asked for.
    pub(super) wanted_material: BTreeSet<String>,
    /// What it was seen as when nothing was to be done, under that revision of plugins and served kinds.
    pub(super) steady: Option<(Steady, u64, u64)>,
    /// It was looked at before, by this process.
    pub(super) is_known: bool,
    /// The revision of plugins with which its status was told last. Answers do not outlive it, nor this process.
    told_with: Option<u64>,
    /// Since when it is not told, because its answers are on their way.
    kept_back_since: Option<Instant>,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Components that had metrics, so that their series go with the owner.
    pub(super) components: Vec<String>,
}

impl Memory {
    /// Puts the status that was written last in the place of an older one.
    pub(super) fn catch_up(&mut self, owner: &mut Owner) {
        let Some((version, status)) = &self.status else { return };
        let seen = owner.object.pointer("/metadata/resourceVersion").and_then(Json::as_str).unwrap_or_default();
        if is_newer(version, seen) {
            owner.object["status"] = status.clone();
        } else {
            self.status = None;
        }
    }

    /// The owner as it came back from the last write of its status.
    pub(super) fn remember_status(&mut self, written: Option<DynamicObject>) {
        self.status = written.and_then(|owner| Some((owner.resource_version()?, owner.data.get("status")?.clone())));
    }

    /// A status is about to be told that tells less than the one before, because its answers have yet to come: how long it can wait for them. Absent where it
    /// rests on plugins that told it before; a question that is new to them is news.
    pub(super) fn keep_back(&mut self, plugins: u64, now: Instant) -> Option<Duration> {
        if self.told_with == Some(plugins) {
            return None;
        }
        let since = *self.kept_back_since.get_or_insert(now);
        Some(KEPT_BACK.saturating_sub(now.duration_since(since))).filter(|left| !left.is_zero())
    }

    /// It was told what these plugins make of it.
    pub(super) fn remember_told(&mut self, plugins: u64) {
        (self.told_with, self.kept_back_since) = (Some(plugins), None);
    }

    /// How long to wait after one more failure, spread so that owners that failed together do not come back together.
    pub(super) fn next_wait(&mut self, seed: &str) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let doubled = FIRST_WAIT.saturating_mul(1 << self.failures.min(12).saturating_sub(1)).min(LONGEST_WAIT);
        let spread = seed.bytes().fold(u32::from(self.failures as u8), |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
        doubled.mul_f64(0.75 + f64::from(spread % 100) / 200.0)
    }
}

/// Memories by uid.
#[derive(Debug, Default)]
pub(super) struct Memories {
    by_uid: Mutex<HashMap<String, Memory>>,
    /// Kinds of owners all of whose inventories were read when their controller began.
    complete: Mutex<HashSet<String>>,
}

impl Memories {
    /// Takes out what is known; put it back with [`Memories::keep`]. One owner is reconciled by one task at a time.
    pub(super) fn take(&self, uid: &str) -> Memory {
        self.lock().remove(uid).unwrap_or_default()
    }

    /// Remembers.
    pub(super) fn keep(&self, uid: &str, memory: Memory) {
        self.lock().insert(uid.to_owned(), memory);
    }

    /// Inventories of a kind of owners. If they are all that there are, whoever comes later and is in none of them has none.
    pub(super) fn begin(&self, kind: &str, inventories: Vec<StoredInventory>, are_all: bool) {
        let mut by_uid = self.lock();
        for inventory in inventories {
            by_uid.entry(inventory.spec.owner.uid.clone()).or_insert_with(|| Memory { inventory: Some(inventory), ..Memory::default() });
        }
        let mut complete = self.complete.lock().unwrap_or_else(PoisonError::into_inner);
        if are_all {
            complete.insert(kind.to_owned());
        } else {
            complete.remove(kind);
        }
    }

    /// Whether an owner of the kind of which nothing is remembered has no inventory.
    pub(super) fn is_complete(&self, kind: &str) -> bool {
        self.complete.lock().unwrap_or_else(PoisonError::into_inner).contains(kind)
    }

    /// Forgets; returns what was known.
    pub(super) fn forget(&self, uid: &str) -> Option<Memory> {
        self.lock().remove(uid)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Memory>> {
        self.by_uid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use banhbaoring_api::inventory::OwnerReference;

    use super::*;

    #[test]
    fn what_is_listed_when_a_controller_begins_is_remembered_beside_what_is_known_better() {
        let reference = |uid: &str| OwnerReference { kind: "Stack".to_owned(), uid: uid.to_owned(), ..OwnerReference::default() };
        let stored = |uid: &str, version: &str| {
            let mut stored = StoredInventory::new(&reference(uid)).unwrap();
            stored.resource_version = Some(version.to_owned());
            stored
        };
        let memories = Memories::default();
        memories.keep("a", Memory { inventory: Some(stored("a", "9")), ..Memory::default() });
        assert!(!memories.is_complete("example.com/Stack"));
        memories.begin("example.com/Stack", vec![stored("a", "5"), stored("b", "6")], true);
        assert!(memories.is_complete("example.com/Stack") && !memories.is_complete("example.com/Other"));
        memories.begin("example.com/Other", Vec::new(), false);
        assert!(!memories.is_complete("example.com/Other"), "one could not be read, and may be anybody's");
        let version = |uid: &str| memories.take(uid).inventory.and_then(|inventory| inventory.resource_version);
        assert_eq!((version("a").as_deref(), version("b").as_deref(), version("c")), (Some("9"), Some("6"), None));
    }

    #[test]
    fn a_status_waits_for_its_answers_once_for_each_change_of_plugins_and_not_for_ever() {
        let (mut memory, began) = (Memory::default(), Instant::now());
        let after = |seconds| began + Duration::from_secs(seconds);
        // This process began, and nothing was told yet.
        assert_eq!(memory.keep_back(1, began), Some(KEPT_BACK));
        assert_eq!(memory.keep_back(1, after(4)), Some(KEPT_BACK - Duration::from_secs(4)));
        assert_eq!(memory.keep_back(1, began + KEPT_BACK), None, "whatever does not come, it is told by then");
        memory.remember_told(1);
        assert_eq!(memory.keep_back(1, after(20)), None, "the same plugins ask something new");
        assert_eq!(memory.keep_back(2, after(30)), Some(KEPT_BACK), "they changed, and their answers are asked anew");
        memory.remember_told(2);
        assert_eq!(memory.keep_back(2, after(31)), None);
    }

    #[test]
    fn waits_double_up_to_a_limit() {
        let mut memory = Memory::default();
        let waits: Vec<Duration> = (0..40).map(|_| memory.next_wait("uid")).collect();
        assert!(waits[0] < Duration::from_secs(1));
        assert!(waits[3] > waits[0]);
        assert!(waits.iter().all(|wait| *wait <= LONGEST_WAIT.mul_f64(1.3)));
        assert!(waits[39] >= LONGEST_WAIT.mul_f64(0.7));
    }
}
