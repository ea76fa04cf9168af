//! What was learnt of runs between reconciles, until it is written down: that a Job was made, how it ended. Losing it costs another look, never
//! correctness. What is written down is `banhbaoring_pipeline::runs`'.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use banhbaoring_api::inventory::RunEntry;
use banhbaoring_pipeline::runs::{self, News};

#[derive(Debug, Default)]
struct Pending {
    /// Nobody has it yet.
    fresh: Vec<News>,
    /// A reconcile has it, and has not stored it yet.
    taken: Vec<News>,
}

/// News for every owner, by uid.
#[derive(Debug, Default)]
pub(super) struct Runs(Mutex<HashMap<String, Pending>>);

impl Runs {
    /// Something was learnt.
    pub(super) fn tell(&self, uid: &str, news: News) {
        self.lock().entry(uid.to_owned()).or_default().fresh.push(news);
    }

    /// Brings what is written down up to date. Returns whether there was something that was not stored yet.
    pub(super) fn take(&self, uid: &str, runs: &mut [RunEntry]) -> bool {
        let mut by_owner = self.lock();
        let Some(pending) = by_owner.get_mut(uid) else { return false };
        pending.taken.append(&mut pending.fresh);
        pending.taken.iter().for_each(|news| runs::learn(runs, news));
        !pending.taken.is_empty()
    }

    /// What was taken is stored.
    pub(super) fn stored(&self, uid: &str) {
        let mut by_owner = self.lock();
        if let Some(pending) = by_owner.get_mut(uid) {
            pending.taken.clear();
            if pending.fresh.is_empty() {
                by_owner.remove(uid);
            }
        }
    }

    /// The owner is gone.
    pub(super) fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Pending>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use banhbaoring_pipeline::runs::Learnt;

    use super::*;

    #[test]
    fn what_was_learnt_is_told_until_it_is_stored_and_what_comes_meanwhile_is_not_lost() {
        let entry = |key: &str| RunEntry { key: key.to_owned(), ..RunEntry::default() };
        let made = |key: &str| News { key: key.to_owned(), what: Learnt::Made(format!("uid of {key}")) };
        let known = |runs: &[RunEntry]| runs.iter().map(|entry| entry.uid.is_some()).collect::<Vec<_>>();
        let (pending, fresh) = (Runs::default(), || vec![entry("a"), entry("b")]);
        pending.tell("owner", made("a"));
        for _ in 0..2 {
            let mut runs = fresh();
            assert!(pending.take("owner", &mut runs));
            assert_eq!(known(&runs), [true, false], "it was not stored");
        }
        pending.tell("owner", made("b"));
        pending.stored("owner");
        let mut runs = fresh();
        assert!(pending.take("owner", &mut runs));
        assert_eq!(known(&runs), [false, true]);
        pending.stored("owner");
        assert!(!pending.take("owner", &mut runs));
        assert!(pending.lock().is_empty());
    }
}
