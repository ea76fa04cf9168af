//! The cache of compiled code: the one module that runs native code which it did not just compile.
//!
//! A compiled component is machine code. So: the directory belongs to this user alone; every file carries a MAC under a key that is not in
//! the directory, over the component's digest, the engine's configuration and the code; and what is run is the very copy in memory that
//! was checked. A mapping of the file would be smaller by a copy, but a mapping can change after the check, under whoever may write to the
//! file. Whatever is not ours, not whole or not for this engine is deleted, counted and compiled again: the cache is never the reason for
//! a failure.
#![allow(unsafe_code, reason = "loading compiled code is unsafe by nature; the MAC over the same bytes is what makes it sound")]

mod directory;

use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

pub use directory::CacheError;
use directory::{Directory, Found};

/// First bytes of a file. The digit is the version of this format.
const MAGIC: &[u8; 8] = b"bbrcode1";
const MAC_LENGTH: usize = 32;
const HEADER: usize = MAGIC.len() + MAC_LENGTH;

/// The key of the MAC. It is kept where the cache's directory is not: a Secret, another volume, memory.
#[derive(Clone)]
pub struct CacheKey([u8; 32]);

impl CacheKey {
    /// 32 bytes of randomness.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CacheKey(…)")
    }
}

/// What became of lookups and writes since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStatistics {
    /// Found, whole, and ours.
    pub hits: u64,
    /// Not there.
    pub misses: u64,
    /// There, but tampered with, truncated, foreign or not for this engine; deleted.
    pub rejected: u64,
    /// Written.
    pub written: u64,
    /// Could not be written (a full disk); the plugin serves all the same.
    pub write_failures: u64,
}

/// Compiled components on disk.
pub struct CodeCache {
    directory: Directory,
    key: CacheKey,
    hits: AtomicU64,
    misses: AtomicU64,
    rejected: AtomicU64,
    written: AtomicU64,
    write_failures: AtomicU64,
}

impl std::fmt::Debug for CodeCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeCache").field("statistics", &self.statistics()).finish_non_exhaustive()
    }
}

impl CodeCache {
    /// Opens the directory, making it if it is not there.
    ///
    /// # Errors
    /// If it is not a directory of this user's with mode 0700 (a symbolic link is none).
    pub fn open(path: &Path, key: CacheKey) -> Result<Self, CacheError> {
        Ok(Self {
            directory: Directory::open(path)?,
            key,
            hits: AtomicU64::default(),
            misses: AtomicU64::default(),
            rejected: AtomicU64::default(),
            written: AtomicU64::default(),
            write_failures: AtomicU64::default(),
        })
    }

    /// What became of lookups and writes since the start.
    pub fn statistics(&self) -> CacheStatistics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CacheStatistics {
            hits: read(&self.hits),
            misses: read(&self.misses),
            rejected: read(&self.rejected),
            written: read(&self.written),
            write_failures: read(&self.write_failures),
        }
    }

    pub(crate) fn get(&self, engine: &Engine, component: &[u8; 32]) -> Option<Component> {
        let identity = identity(engine, component);
        let name = file_name(&identity);
        let outcome = match self.directory.read(&name) {
            Ok(Found::Nothing) => {
                self.misses.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            Ok(Found::File(bytes)) => self.checked(engine, &identity, &bytes),
            Ok(Found::Foreign(why)) => Err(why.to_owned()),
            Err(error) => Err(error.to_string()),
        };
        match outcome {
            Ok(compiled) => {
                self.hits.fetch_add(1, Ordering::Relaxed);
                Some(compiled)
            }
            Err(why) => {
                self.rejected.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(file = %name, why, "cached code is not used; it is deleted and compiled again");
                self.directory.remove(&name);
                None
            }
        }
    }

    pub(crate) fn put(&self, engine: &Engine, component: &[u8; 32], compiled: &Component) {
        let identity = identity(engine, component);
        let name = file_name(&identity);
        let written = compiled.serialize().map_err(|e| e.to_string()).and_then(|code| {
            let tag = self.mac(&identity, &code)?.finalize().into_bytes();
            self.directory.write(&name, &[MAGIC, &tag, &code]).map_err(|e| e.to_string())
        });
        match written {
            Ok(()) => self.written.fetch_add(1, Ordering::Relaxed),
            Err(why) => {
                tracing::warn!(file = %name, why, "compiled code cannot be cached; the next start compiles it again");
                self.write_failures.fetch_add(1, Ordering::Relaxed)
            }
        };
    }

    /// The component in `bytes`, if they are whole and ours.
    fn checked(&self, engine: &Engine, identity: &[u8; 32], bytes: &[u8]) -> Result<Component, String> {
        let (header, code) = bytes.split_at_checked(HEADER).ok_or("it is truncated")?;
        let (magic, tag) = header.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err("it is of another format".to_owned());
        }
        self.mac(identity, code)?.verify_slice(tag).map_err(|_| "its MAC is wrong")?;
        // SAFETY: `deserialize` needs bytes that `serialize` made. Only a holder of the key can have made a MAC over them, the key is only
        // in this program's hands, and `put` is the only maker. `code` is this process's own copy and is copied from here, so nobody can
        // change it between the check and its use.
        unsafe { Component::deserialize(engine, code) }.map_err(|e| format!("{e:#}"))
    }

    fn mac(&self, identity: &[u8; 32], code: &[u8]) -> Result<Hmac<Sha256>, String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key.0).map_err(|e| e.to_string())?;
        mac.update(MAGIC);
        mac.update(identity);
        mac.update(code);
        Ok(mac)
    }
}

/// Which code this is: the component and everything about the engine that makes compiled code differ. Part of the file's name and of its
/// MAC, so that a file that was renamed is foreign.
fn identity(engine: &Engine, component: &[u8; 32]) -> [u8; 32] {
    let mut hasher = Sha256Hasher(Sha256::new_with_prefix(MAGIC));
    hasher.write(component);
    hasher.write(std::env::consts::ARCH.as_bytes());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.finalize().into()
}

fn file_name(identity: &[u8; 32]) -> String {
    format!("{}.code", hex::encode(identity))
}

/// Std's hashers are neither stable nor collision-resistant; the engine's configuration goes into a digest instead.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest: [u8; 32] = self.0.clone().finalize().into();
        digest.iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte))
    }
}
