//! Remembers answers of pure functions: the same request to the same code is not asked twice. Rendering itself must not live here.
//!
//! Never remembered: answers with actions (they are done once, not once a request), and failures of the host's own class (a trap today may
//! be a busy machine).

mod store;

use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use sha2::{Digest, Sha256};
use store::{Answer, Key, Store};

use crate::contract::{Failure, FailureClass, Json, Request, Response, Seal, SealRequest};
use crate::plugins::ActivePlugin;
use crate::render::Render;

/// How much is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoLimits {
    /// Memory of all answers, in bytes.
    pub max_bytes: usize,
    /// Answers of one owner: no owner can push the others out by changing all the time.
    pub max_entries_per_owner: usize,
}

impl Default for MemoLimits {
    fn default() -> Self {
        Self { max_bytes: 32 * 1024 * 1024, max_entries_per_owner: 64 }
    }
}

/// Remembered answers of all owners. The oldest go first.
#[derive(Debug, Default)]
pub struct Memo {
    limits: MemoLimits,
    store: Mutex<Store>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Memo {
    /// An empty one.
    pub fn new(limits: MemoLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// `inner` with this memory before it.
    pub fn render<'m, R: Render + ?Sized>(&'m self, inner: &'m R) -> MemoRender<'m, R> {
        MemoRender { memo: self, inner }
    }

    /// Requests answered from memory so far.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Requests that had to be asked so far.
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    /// Answers that are remembered, and their memory in bytes.
    pub fn size(&self) -> (usize, usize) {
        let store = self.store();
        (store.len(), store.bytes())
    }

    /// Forgets an owner that is gone, by its uid.
    pub fn forget(&self, uid: &str) {
        self.store().forget(uid);
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, key: Option<Key>, owner: &Json, ask: impl FnOnce() -> Answer) -> Answer {
        let known = key.and_then(|key| self.store().get(&key));
        // Never while the lock is held: others go on meanwhile.
        if let Some(known) = known.and_then(|text| store::parse(&text)) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return known;
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let answer = ask();
        if let Some((key, text)) = key.filter(|_| is_memorable(&answer)).zip(store::text(&answer)) {
            let uid = owner.pointer("/metadata/uid").and_then(Json::as_str).unwrap_or_default();
            self.store().insert(key, uid, text, &self.limits);
        }
        answer
    }
}

/// A renderer that asks only what it does not remember.
#[derive(Debug)]
pub struct MemoRender<'m, R: ?Sized> {
    memo: &'m Memo,
    inner: &'m R,
}

impl<R: Render + ?Sized> Render for MemoRender<'_, R> {
    fn reconcile(&self, plugin: &ActivePlugin, request: &Request) -> Result<Arc<Response>, Failure> {
        let key = key("component", plugin, &request.component, request);
        let ask = || Answer::Component(self.inner.reconcile(plugin, request));
        match self.memo.answer(key, &request.owner, ask) {
            Answer::Component(answer) => answer,
            // The key begins with which of the two it is.
            Answer::Seal(_) => self.inner.reconcile(plugin, request),
        }
    }

    fn render_seal(&self, plugin: &ActivePlugin, provider: &str, request: &SealRequest) -> Result<Arc<Seal>, Failure> {
        let key = key("seal", plugin, provider, request);
        let ask = || Answer::Seal(self.inner.render_seal(plugin, provider, request));
        match self.memo.answer(key, &request.owner, ask) {
            Answer::Seal(answer) => answer,
            Answer::Component(_) => self.inner.render_seal(plugin, provider, request),
        }
    }
}

fn is_memorable(answer: &Answer) -> bool {
    let failure = match answer {
        Answer::Component(Ok(response)) => return response.actions.is_empty(),
        Answer::Seal(Ok(_)) => return true,
        Answer::Component(Err(failure)) | Answer::Seal(Err(failure)) => failure,
    };
    failure.class != FailureClass::Plugin
}

/// Hash of who is asked and of the request's bytes. Fields are written in the order of the types and keys of JSON objects sorted, so that
/// equal requests have equal bytes.
fn key(asked: &str, plugin: &ActivePlugin, name: &str, request: &impl Serialize) -> Option<Key> {
    let mut out = BufWriter::with_capacity(4096, Sha256::new());
    let write = |out: &mut BufWriter<Sha256>| -> io::Result<()> {
        for part in [asked, &plugin.name, &plugin.digest, name] {
            out.write_all(&part.len().to_le_bytes())?;
            out.write_all(part.as_bytes())?;
        }
        serde_json::to_writer(out, request)?;
        Ok(())
    };
    write(&mut out).ok()?;
    Some(out.into_inner().ok()?.finalize().into())
}

#[cfg(test)]
mod tests;
