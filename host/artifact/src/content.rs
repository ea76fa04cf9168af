//! Verified artifacts kept on disk, so that the last known good one survives a restart with the registry down.
//!
//! A directory (0700) with `blobs/sha256/<hex>` and `artifacts/<hex>.json`, the latter with the signatures. Nothing read
//! from it is trusted: every file is hashed, and [`ContentStore::load`] gives an artifact that must pass verification again.

use std::collections::BTreeSet;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::artifact::{Artifact, ArtifactError, Component, Fetched, Limits, Verified};
use crate::reference::Digest;
use crate::source::{Source, SourceError, read_bounded, write_whole};
use crate::verify::SignatureMaterial;

/// The signatures of an artifact, twice over: base64 makes them longer.
const MAX_RECORD: u64 = 48 << 20;
const RECORD_VERSION: u32 = 1;

/// A directory of verified artifacts. Safe to share between tasks and processes: files appear whole or not at all.
#[derive(Debug, Clone)]
pub struct ContentStore {
    root: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    origin: String,
    material: SignatureMaterial,
    /// Blobs that belong to the artifact, so that removing others can spare them.
    blobs: Vec<Digest>,
}

/// One artifact of a store as a source.
pub(crate) struct Stored {
    root: PathBuf,
    record: Record,
}

impl Stored {
    pub(crate) fn origin(&self) -> &str {
        &self.record.origin
    }

    pub(crate) fn material(&self) -> &SignatureMaterial {
        &self.record.material
    }

    pub(crate) async fn blob(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, SourceError> {
        let what = format!("the blob {digest}");
        let found = read_bounded(&blob_path(&self.root, digest), limit, &what).await?;
        found.ok_or_else(|| SourceError::NotFound { place: self.root.display().to_string(), what })
    }
}

fn blob_path(root: &Path, digest: &Digest) -> PathBuf {
    root.join("blobs").join("sha256").join(digest.hex())
}

impl ContentStore {
    /// Opens the directory, making it if need be; nobody else may look into it.
    ///
    /// # Errors
    /// It cannot be made, or its permissions cannot be set to 0700.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, SourceError> {
        let root = root.into();
        let failed = |error: std::io::Error| SourceError::file(&root, "written", &error);
        for directory in [root.clone(), root.join("artifacts"), root.join("blobs"), root.join("blobs/sha256")] {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(failed)?;
        }
        std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
        Ok(Self { root })
    }

    /// Keeps an artifact with its component and signatures. Saving it again renews its signatures.
    ///
    /// # Errors
    /// The component is not the one of the artifact, or a file cannot be written.
    pub async fn save(&self, artifact: &Artifact<Verified>, component: &Component) -> Result<(), SourceError> {
        if component.digest() != artifact.layer_digest() {
            let what = format!("the component of {}", artifact.digest());
            let (expected, found) = (artifact.layer_digest(), component.digest());
            return Err(SourceError::DigestMismatch { what, expected, found });
        }
        let (manifest, config) = artifact.manifest_and_config();
        let mut blobs = Vec::new();
        for bytes in [component.bytes(), config, manifest] {
            let digest = Digest::of(bytes);
            write_whole(&blob_path(&self.root, &digest), bytes.to_vec()).await?;
            blobs.push(digest);
        }
        let record = Record { version: RECORD_VERSION, origin: artifact.origin(), material: artifact.material().clone(), blobs };
        let path = self.record_path(&artifact.digest());
        let encoded = serde_json::to_vec(&record).map_err(|e| SourceError::file(&path, "written", &e.into()))?;
        // Last, so that a record never names blobs that are not there yet.
        write_whole(&path, encoded).await
    }

    /// An artifact as it was saved, with the signatures recorded then; it must pass [`Artifact::verify`] again.
    ///
    /// # Errors
    /// It is not in the store, or a file was damaged.
    pub async fn load(&self, digest: &Digest, limits: Limits) -> Result<Artifact<Fetched>, ArtifactError> {
        let record = self.record(digest).await?;
        let missing = || SourceError::NotFound { place: self.root.display().to_string(), what: format!("the artifact {digest}") };
        let record = record.ok_or_else(missing)?;
        let source = Source::stored(Stored { root: self.root.clone(), record });
        Artifact::fetch(&source, digest, limits).await
    }

    /// Removes everything that does not belong to one of these artifacts.
    ///
    /// # Errors
    /// The directory cannot be read. A record of `keep` that is damaged loses its blobs with it.
    pub async fn retain(&self, keep: &[Digest]) -> Result<(), SourceError> {
        let mut files = BTreeSet::new();
        for digest in keep {
            if let Ok(Some(record)) = self.record(digest).await {
                files.insert(self.record_path(digest));
                files.extend(record.blobs.iter().map(|blob| blob_path(&self.root, blob)));
            }
        }
        for directory in ["artifacts", "blobs/sha256"] {
            let directory = self.root.join(directory);
            let failed = |error: std::io::Error| SourceError::file(&directory, "read", &error);
            let mut entries = tokio::fs::read_dir(&directory).await.map_err(failed)?;
            while let Some(entry) = entries.next_entry().await.map_err(failed)? {
                if !files.contains(&entry.path()) {
                    // Somebody else may have removed it already.
                    let _gone = tokio::fs::remove_file(entry.path()).await;
                }
            }
        }
        Ok(())
    }

    async fn record(&self, digest: &Digest) -> Result<Option<Record>, SourceError> {
        let path = self.record_path(digest);
        let Some(bytes) = read_bounded(&path, MAX_RECORD, "a record of the content store").await? else {
            return Ok(None);
        };
        let damaged = |detail: String| SourceError::File { path: path.clone(), action: "read", detail };
        let record: Record = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if record.version != RECORD_VERSION {
            return Err(damaged(format!("expected version {RECORD_VERSION}, found {}", record.version)));
        }
        Ok(Some(record))
    }

    fn record_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("artifacts").join(format!("{}.json", digest.hex()))
    }
}
