//! Answers by key, with an end: so many of one owner, so much memory of all; what was not used for longest goes first.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::sync::Arc;

use super::MemoLimits;
use crate::contract::{Failure, Response, Seal};

/// SHA-256 of who is asked what.
pub(super) type Key = [u8; 32];

/// What somebody answered.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Component(Result<Arc<Response>, Failure>),
    Seal(Result<Arc<Seal>, Failure>),
}

/// Memory of a value tree over that of its text: an estimate on the safe side for objects of short strings.
const TREE_OVER_TEXT: usize = 5;

/// Keys and entries themselves.
const OVERHEAD: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Store {
    entries: HashMap<Key, Entry>,
    /// By last use.
    order: BTreeMap<u64, Key>,
    /// By owner, by last use.
    owners: HashMap<Arc<str>, BTreeMap<u64, Key>>,
    bytes: usize,
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    answer: Answer,
    owner: Arc<str>,
    bytes: usize,
    used: u64,
}

impl Store {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn get(&mut self, key: &Key) -> Option<Answer> {
        self.clock += 1;
        let entry = self.entries.get_mut(key)?;
        self.order.remove(&entry.used);
        self.order.insert(self.clock, *key);
        if let Some(of_owner) = self.owners.get_mut(&entry.owner) {
            of_owner.remove(&entry.used);
            of_owner.insert(self.clock, *key);
        }
        entry.used = self.clock;
        Some(entry.answer.clone())
    }

    pub(super) fn insert(&mut self, key: Key, owner: &str, answer: Answer, limits: &MemoLimits) {
        let bytes = OVERHEAD + size(&answer);
        if bytes > limits.max_bytes || limits.max_entries_per_owner == 0 {
            return;
        }
        self.remove(&key);
        let owner = self.owners.get_key_value(owner).map_or_else(|| Arc::from(owner), |(known, _)| known.clone());
        while let Some(of_owner) = self.owners.get(&owner).filter(|of_owner| of_owner.len() >= limits.max_entries_per_owner) {
            let Some((_, oldest)) = of_owner.first_key_value() else { break };
            let oldest = *oldest;
            self.remove(&oldest);
        }
        while self.bytes + bytes > limits.max_bytes {
            let Some((_, oldest)) = self.order.first_key_value() else { break };
            let oldest = *oldest;
            self.remove(&oldest);
        }
        self.clock += 1;
        self.bytes += bytes;
        self.order.insert(self.clock, key);
        self.owners.entry(owner.clone()).or_default().insert(self.clock, key);
        self.entries.insert(key, Entry { answer, owner, bytes, used: self.clock });
    }

    pub(super) fn forget(&mut self, owner: &str) {
        for key in self.owners.remove(owner).unwrap_or_default().into_values() {
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &Key) {
        let Some(entry) = self.entries.remove(key) else { return };
        self.bytes -= entry.bytes;
        self.order.remove(&entry.used);
        if let Some(of_owner) = self.owners.get_mut(&entry.owner) {
            of_owner.remove(&entry.used);
            if of_owner.is_empty() {
                self.owners.remove(&entry.owner);
            }
        }
    }
}

fn size(answer: &Answer) -> usize {
    let mut counter = Counter(0);
    let written = match answer {
        Answer::Component(Ok(response)) => serde_json::to_writer(&mut counter, response.as_ref()),
        Answer::Seal(Ok(seal)) => serde_json::to_writer(&mut counter, seal.as_ref()),
        Answer::Component(Err(failure)) | Answer::Seal(Err(failure)) => serde_json::to_writer(&mut counter, failure),
    };
    written.map_or(usize::MAX / 2, |()| counter.0.saturating_mul(TREE_OVER_TEXT))
}

struct Counter(usize);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
