//! Where artifacts come from and go to: a repository in a registry, a directory in OCI image layout, or the content store.
//!
//! Everything read by digest is hashed and compared here; what the bytes mean is decided in `artifact` and `verify`.

mod auth;
mod error;
mod http;
mod layout;
mod options;
mod registry;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::content::Stored;
use crate::credentials::Credentials;
use crate::reference::{Digest, Repository, Selector, Tag};
pub use error::SourceError;
use layout::Layout;
pub(crate) use layout::{read_bounded, write_whole};
pub use options::{RegistryOptions, RetryPolicy, Transport};
use registry::Registry;

/// Larger manifests, indexes and signatures are refused.
pub(crate) const MAX_MANIFEST: u64 = 4 << 20;
/// More referrers of one artifact are not looked at.
pub(crate) const MAX_REFERRERS: usize = 64;

/// A descriptor as other people's indexes carry it: only the fields that we use, so that odd ones do no harm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<std::collections::BTreeMap<String, String>>,
}

/// The referrers of an artifact, and whether there were more than we look at.
#[derive(Debug, Default)]
pub(crate) struct Referrers {
    pub(crate) entries: Vec<Descriptor>,
    pub(crate) cut: bool,
}

impl Referrers {
    /// Keeps what may be a signature first, so that unrelated referrers do not use up the bound.
    fn bounded(mut entries: Vec<Descriptor>) -> Self {
        let is_bundle =
            |entry: &Descriptor| entry.artifact_type.as_deref().is_some_and(|kind| kind.starts_with(crate::verify::BUNDLE_PREFIX));
        entries.sort_by_key(|entry| !is_bundle(entry));
        let cut = entries.len() > MAX_REFERRERS;
        entries.truncate(MAX_REFERRERS);
        Self { entries, cut }
    }
}

#[derive(Clone)]
enum Kind {
    Registry(Arc<Registry>),
    Layout(Arc<Layout>),
    Stored(Arc<Stored>),
}

/// A place that holds artifacts. Cheap to clone; clones share the registry's tokens.
#[derive(Clone)]
pub struct Source {
    kind: Kind,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.to_string()).finish()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Registry(registry) => registry.repository().fmt(f),
            Kind::Layout(layout) => layout.root().display().fmt(f),
            Kind::Stored(stored) => f.write_str(stored.origin()),
        }
    }
}

impl Source {
    /// A repository of a registry. Nothing is asked yet. Reads the system's root certificates, so keep it and clone it
    /// rather than making it anew for every question.
    ///
    /// # Errors
    /// Plain http to an address that is not loopback without [`Transport::PlainHttpAnywhere`]; unreadable root certificates.
    pub fn registry(repository: &Repository, credentials: &Credentials, options: &RegistryOptions) -> Result<Self, SourceError> {
        let registry = Registry::new(repository.clone(), credentials.of(repository), options)?;
        Ok(Self { kind: Kind::Registry(Arc::new(registry)) })
    }

    /// A directory in OCI image layout; made when something is pushed to it.
    #[must_use]
    pub fn layout(directory: impl Into<PathBuf>) -> Self {
        Self { kind: Kind::Layout(Arc::new(Layout::new(directory.into()))) }
    }

    pub(crate) fn stored(stored: Stored) -> Self {
        Self { kind: Kind::Stored(Arc::new(stored)) }
    }

    /// Which digest is meant now. Ask once and use the digest from there on: a tag may move between two questions.
    /// A digest is returned as it is, without asking.
    ///
    /// # Errors
    /// `ArtifactNotFound`, `NoMatchingVersion`, or the registry's failure.
    pub async fn resolve(&self, selector: &Selector) -> Result<Digest, SourceError> {
        let tag = match selector {
            Selector::Digest(digest) => return Ok(*digest),
            Selector::Tag(tag) => tag.clone(),
            Selector::Range(range) => {
                let tags = self.tags().await?;
                let highest = range.highest(tags.iter().map(String::as_str));
                let none = || SourceError::NoVersion { place: self.to_string(), range: range.to_string() };
                highest.ok_or_else(none)?.0
            }
        };
        let digest = match &self.kind {
            Kind::Registry(registry) => registry.resolve(&tag).await?,
            Kind::Layout(layout) => layout.resolve(&tag).await?,
            Kind::Stored(_) => None,
        };
        digest.ok_or_else(|| SourceError::NotFound { place: self.to_string(), what: format!("the tag {tag}") })
    }

    /// All tags, at most 10,000.
    ///
    /// # Errors
    /// The registry's failure.
    pub async fn tags(&self) -> Result<Vec<String>, SourceError> {
        match &self.kind {
            Kind::Registry(registry) => registry.tags().await,
            Kind::Layout(layout) => layout.tags().await,
            Kind::Stored(_) => Ok(Vec::new()),
        }
    }

    pub(crate) async fn manifest(&self, digest: &Digest) -> Result<Vec<u8>, SourceError> {
        let bytes = match &self.kind {
            Kind::Registry(registry) => registry.manifest(&digest.to_string()).await?,
            Kind::Layout(layout) => layout.read_blob(digest, MAX_MANIFEST).await?,
            Kind::Stored(stored) => Some(stored.blob(digest, MAX_MANIFEST).await?),
        };
        let what = format!("the manifest {digest}");
        let bytes = bytes.ok_or_else(|| SourceError::NotFound { place: self.to_string(), what: what.clone() })?;
        hashed(bytes, digest, what)
    }

    /// A blob of at most `limit` bytes.
    pub(crate) async fn blob(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, SourceError> {
        let bytes = match &self.kind {
            Kind::Registry(registry) => registry.blob(digest, limit).await?,
            Kind::Layout(layout) => layout.read_blob(digest, limit).await?,
            Kind::Stored(stored) => Some(stored.blob(digest, limit).await?),
        };
        let what = format!("the blob {digest}");
        let bytes = bytes.ok_or_else(|| SourceError::NotFound { place: self.to_string(), what: what.clone() })?;
        hashed(bytes, digest, what)
    }

    pub(crate) async fn referrers(&self, digest: &Digest) -> Result<Referrers, SourceError> {
        match &self.kind {
            Kind::Registry(registry) => Ok(Referrers::bounded(registry.referrers(digest).await?)),
            Kind::Layout(layout) => Ok(Referrers::bounded(layout.referrers(digest).await?)),
            Kind::Stored(_) => Ok(Referrers::default()),
        }
    }

    /// The manifest under a tag, or nothing if there is none.
    pub(crate) async fn tagged(&self, tag: &Tag) -> Result<Option<Vec<u8>>, SourceError> {
        match &self.kind {
            Kind::Registry(registry) => registry.manifest(tag.as_str()).await,
            Kind::Layout(layout) => match layout.resolve(tag).await? {
                Some(digest) => Ok(Some(self.manifest(&digest).await?)),
                None => Ok(None),
            },
            Kind::Stored(_) => Ok(None),
        }
    }

    /// Signatures that were recorded with a stored artifact; nothing for other sources.
    pub(crate) fn recorded(&self) -> Option<&crate::verify::SignatureMaterial> {
        match &self.kind {
            Kind::Stored(stored) => Some(stored.material()),
            Kind::Registry(_) | Kind::Layout(_) => None,
        }
    }

    pub(crate) async fn put_blob(&self, bytes: &[u8]) -> Result<Descriptor, SourceError> {
        let digest = Digest::of(bytes);
        match &self.kind {
            Kind::Registry(registry) => registry.put_blob(&digest, bytes).await?,
            Kind::Layout(layout) => layout.write_blob(&digest, bytes).await?,
            Kind::Stored(_) => return Err(SourceError::ReadOnly { place: self.to_string() }),
        }
        let media_type = "application/octet-stream".to_owned();
        Ok(Descriptor { media_type, digest, size: bytes.len() as u64, artifact_type: None, annotations: None })
    }

    /// Writes a manifest under its digest and, if given, a tag.
    pub(crate) async fn put_manifest(&self, manifest: &[u8], tag: Option<&Tag>) -> Result<Digest, SourceError> {
        let digest = Digest::of(manifest);
        match &self.kind {
            Kind::Registry(registry) => {
                let name = tag.map_or_else(|| digest.to_string(), Tag::to_string);
                registry.put_manifest(&name, manifest, oci_client::manifest::OCI_IMAGE_MEDIA_TYPE).await?;
            }
            Kind::Layout(layout) => layout.put_manifest(&digest, manifest, tag, None).await?,
            Kind::Stored(_) => return Err(SourceError::ReadOnly { place: self.to_string() }),
        }
        Ok(digest)
    }

    /// Writes a manifest that refers to `subject`, so that asking for the referrers of `subject` finds it.
    pub(crate) async fn attach(&self, subject: &Digest, manifest: &[u8], entry: Descriptor) -> Result<(), SourceError> {
        match &self.kind {
            Kind::Registry(registry) => registry.attach(subject, manifest, entry).await,
            Kind::Layout(layout) => layout.put_manifest(&entry.digest.clone(), manifest, None, Some(entry)).await,
            Kind::Stored(_) => Err(SourceError::ReadOnly { place: self.to_string() }),
        }
    }
}

fn hashed(bytes: Vec<u8>, expected: &Digest, what: String) -> Result<Vec<u8>, SourceError> {
    let found = Digest::of(&bytes);
    if found == *expected { Ok(bytes) } else { Err(SourceError::DigestMismatch { what, expected: *expected, found }) }
}
