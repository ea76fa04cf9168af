//! A directory in OCI image layout (`oci-layout`, `index.json`, `blobs/sha256/…`) as a source and a target.
//!
//! Bytes are returned as they are on disk: hashing against the digest asked for is done by `Source`.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::sync::Mutex;

use super::{Descriptor, MAX_MANIFEST, SourceError};
use crate::reference::{Digest, Tag};

const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// How `cosign save` marks what it writes; it names nothing, and saves one image at a time.
const COSIGN_KIND: &str = "kind";
const COSIGN_IMAGE: &str = "dev.cosignproject.cosign/image";
const COSIGN_SIGNATURES: &str = "dev.cosignproject.cosign/sigs";
const MANIFEST_TYPE: &str = oci_client::manifest::OCI_IMAGE_MEDIA_TYPE;
/// Entries of `index.json` that are looked at.
const MAX_ENTRIES: usize = 1024;

pub(super) struct Layout {
    root: PathBuf,
    writing: Mutex<()>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(default)]
    manifests: Vec<Value>,
}

impl Layout {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, writing: Mutex::new(()) }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) async fn resolve(&self, tag: &Tag) -> Result<Option<Digest>, SourceError> {
        let entries = self.entries().await?;
        if let Some(entry) = entries.iter().find(|entry| name(entry) == Some(tag.as_str())) {
            return Ok(Some(entry.digest));
        }
        let by_cosign = |entry: &&Descriptor| kind(entry).is_some_and(|kind| kind != COSIGN_IMAGE);
        if tag.as_str().ends_with(".sig") {
            return Ok(entries.iter().find(|entry| kind(entry) == Some(COSIGN_SIGNATURES)).map(|entry| entry.digest));
        }
        // A layout with a single unnamed artifact is what many tools write: it is the latest.
        let mut artifacts = entries.iter().filter(|entry| !by_cosign(entry));
        match (artifacts.next(), artifacts.next()) {
            (Some(only), None) if tag.as_str() == "latest" && name(only).is_none() => Ok(Some(only.digest)),
            _ => Ok(None),
        }
    }

    pub(super) async fn tags(&self) -> Result<Vec<String>, SourceError> {
        Ok(self.entries().await?.iter().filter_map(|entry| name(entry).map(str::to_owned)).collect())
    }

    /// Manifests of the index whose `subject` is the artifact, and those of an index under the fallback tag.
    pub(super) async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, SourceError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Referring {
            subject: Option<Descriptor>,
            artifact_type: Option<String>,
            #[serde(default)]
            manifests: Vec<Value>,
        }
        let mut found = Vec::new();
        for mut entry in self.entries().await? {
            let Ok(Some(bytes)) = self.read_blob(&entry.digest, MAX_MANIFEST).await else { continue };
            let Ok(manifest) = serde_json::from_slice::<Referring>(&bytes) else { continue };
            if manifest.subject.is_some_and(|named| named.digest == *subject) {
                entry.artifact_type = entry.artifact_type.or(manifest.artifact_type);
                found.push(entry);
            } else if name(&entry) == Some(subject.fallback_tag().as_str()) {
                let entries = manifest.manifests.into_iter().take(MAX_ENTRIES);
                found.extend(entries.filter_map(|entry| serde_json::from_value::<Descriptor>(entry).ok()));
            }
        }
        found.sort_by_key(|entry| entry.digest);
        found.dedup_by_key(|entry| entry.digest);
        Ok(found)
    }

    /// The bytes of a blob, or nothing if there is none.
    pub(super) async fn read_blob(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        read_bounded(&self.blob_path(digest), limit, &format!("the blob {digest}")).await
    }

    pub(super) async fn write_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), SourceError> {
        write_whole(&self.blob_path(digest), bytes.to_vec()).await
    }

    pub(super) async fn put_manifest(
        &self,
        digest: &Digest,
        bytes: &[u8],
        tag: Option<&Tag>,
        entry: Option<Descriptor>,
    ) -> Result<(), SourceError> {
        let _alone = self.writing.lock().await;
        self.write_blob(digest, bytes).await?;
        let mut index = self.index().await?.unwrap_or(Index {
            schema_version: 2,
            media_type: Some(oci_client::manifest::OCI_IMAGE_INDEX_MEDIA_TYPE.to_owned()),
            manifests: Vec::new(),
        });
        let mut entry = entry.unwrap_or(Descriptor {
            media_type: MANIFEST_TYPE.to_owned(),
            digest: *digest,
            size: bytes.len() as u64,
            artifact_type: None,
            annotations: None,
        });
        if let Some(tag) = tag {
            entry.annotations = Some(BTreeMap::from([(REF_NAME.to_owned(), tag.to_string())]));
        }
        index.manifests.retain(|other| {
            serde_json::from_value::<Descriptor>(other.clone()).map_or(true, |other| match tag {
                Some(tag) => name(&other) != Some(tag.as_str()),
                None => other.digest != *digest || name(&other).is_some(),
            })
        });
        let encode = |error: serde_json::Error| self.malformed(error.to_string());
        index.manifests.push(serde_json::to_value(&entry).map_err(encode)?);
        write_whole(&self.root.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()).await?;
        let encoded = serde_json::to_vec_pretty(&index).map_err(encode)?;
        write_whole(&self.root.join("index.json"), encoded).await
    }

    async fn entries(&self) -> Result<Vec<Descriptor>, SourceError> {
        let place = self.root.display().to_string();
        let missing = || SourceError::NotFound { place, what: "index.json of an OCI image layout".to_owned() };
        let entries = self.index().await?.ok_or_else(missing)?.manifests;
        Ok(entries.into_iter().take(MAX_ENTRIES).filter_map(|entry| serde_json::from_value(entry).ok()).collect())
    }

    async fn index(&self) -> Result<Option<Index>, SourceError> {
        let bytes = read_bounded(&self.root.join("index.json"), MAX_MANIFEST, "index.json").await?;
        let parse = |bytes: Vec<u8>| serde_json::from_slice(&bytes).map_err(|error| self.malformed(error.to_string()));
        bytes.map(parse).transpose()
    }

    fn malformed(&self, detail: String) -> SourceError {
        let registry = self.root.display().to_string();
        let detail = detail.chars().take(200).collect();
        SourceError::Malformed { registry, what: "index.json".to_owned(), detail }
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join("sha256").join(digest.hex())
    }
}

fn name(entry: &Descriptor) -> Option<&str> {
    entry.annotations.as_ref()?.get(REF_NAME).map(String::as_str)
}

fn kind(entry: &Descriptor) -> Option<&str> {
    entry.annotations.as_ref()?.get(COSIGN_KIND).map(String::as_str)
}

/// The bytes of a regular file, or nothing if there is none; never more than `limit`.
pub(crate) async fn read_bounded(path: &Path, limit: u64, what: &str) -> Result<Option<Vec<u8>>, SourceError> {
    let failed = |error: std::io::Error| SourceError::file(path, "read", &error);
    let file = match tokio::fs::File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).await.map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(SourceError::TooLarge { what: what.to_owned(), limit });
    }
    Ok(Some(bytes))
}

/// Writes a file so that readers see the old or the new content and a crash leaves one of them.
pub(crate) async fn write_whole(path: &Path, bytes: Vec<u8>) -> Result<(), SourceError> {
    let target = path.to_owned();
    let write = move || -> std::io::Result<()> {
        let directory = target.parent().unwrap_or_else(|| Path::new("."));
        std::fs::create_dir_all(directory)?;
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        std::io::Write::write_all(&mut file, &bytes)?;
        file.as_file().sync_all()?;
        file.persist(&target).map_err(|error| error.error)?;
        std::fs::File::open(directory)?.sync_all()
    };
    let failed = |error: std::io::Error| SourceError::file(path, "written", &error);
    tokio::task::spawn_blocking(write).await.map_err(|error| failed(std::io::Error::other(error)))?.map_err(failed)
}
