//! Answers by key, with an end: so many of one owner, so much memory of all; what was not used for longest goes first. They are kept as text: a
//! tree of JSON values takes some five times as much, and an owner of which nothing changes is never asked for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::MemoLimits;
use crate::contract::{Failure, Response, Seal};

/// SHA-256 of who is asked what.
pub(super) type Key = [u8; 32];

/// What somebody answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Answer {
    Component(Result<Arc<Response>, Failure>),
    Seal(Result<Arc<Seal>, Failure>),
}

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
    /// The answer as JSON.
    text: Box<[u8]>,
    owner: Arc<str>,
    used: u64,
}

impl Entry {
    fn bytes(&self) -> usize {
        OVERHEAD + self.text.len()
    }
}

impl Store {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The text of an answer; [`parse`] makes an answer of it.
    pub(super) fn get(&mut self, key: &Key) -> Option<Box<[u8]>> {
        self.clock += 1;
        let entry = self.entries.get_mut(key)?;
        self.order.remove(&entry.used);
        self.order.insert(self.clock, *key);
        if let Some(of_owner) = self.owners.get_mut(&entry.owner) {
            of_owner.remove(&entry.used);
            of_owner.insert(self.clock, *key);
        }
        entry.used = self.clock;
        Some(entry.text.clone())
    }

    pub(super) fn insert(&mut self, key: Key, owner: &str, text: Box<[u8]>, limits: &MemoLimits) {
        let bytes = OVERHEAD + text.len();
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
        self.entries.insert(key, Entry { text, owner, used: self.clock });
    }

    pub(super) fn forget(&mut self, owner: &str) {
        for key in self.owners.remove(owner).unwrap_or_default().into_values() {
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &Key) {
        let Some(entry) = self.entries.remove(key) else { return };
        self.bytes -= entry.bytes();
        self.order.remove(&entry.used);
        if let Some(of_owner) = self.owners.get_mut(&entry.owner) {
            of_owner.remove(&entry.used);
            if of_owner.is_empty() {
                self.owners.remove(&entry.owner);
            }
        }
    }
}

/// What is remembered of an answer; nothing of one that cannot be read back.
pub(super) fn text(answer: &Answer) -> Option<Box<[u8]>> {
    serde_json::to_vec(answer).ok().map(Vec::into_boxed_slice)
}

/// An answer that was remembered.
pub(super) fn parse(text: &[u8]) -> Option<Answer> {
    serde_json::from_slice(text).ok()
}
