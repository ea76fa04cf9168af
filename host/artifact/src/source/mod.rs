//! Where artifacts come from and go to: a repository in a registry, a directory in OCI image layout, or the content store.
//!
//! Everything read by digest is hashed and compared here; what the bytes mean is decided in `artifact` and `verify`.

mod auth;
mod http;
mod layout;
mod registry;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::content::Stored;
use crate::credentials::Credentials;
use crate::reference::{Digest, Repository, Selector, Tag};
use layout::Layout;
pub(crate) use layout::{read_bounded, write_whole};
use registry::Registry;

/// Larger manifests, indexes and signatures are refused.
pub(crate) const MAX_MANIFEST: u64 = 4 << 20;
/// More referrers of one artifact are not looked at.
pub(crate) const MAX_REFERRERS: usize = 64;

/// Whether a registry may be asked without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// https only.
    #[default]
    Https,
    /// Plain http, and only if the registry is a loopback address; another address is an error.
    PlainHttpOnLoopback,
    /// Plain http to anywhere. For closed test networks; digests and signatures still protect what is read, not what is sent.
    PlainHttpAnywhere,
}

/// How often and how patiently transient failures (refused, timed out, 429, 5xx) are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, at least 1.
    pub attempts: u32,
    /// Wait before the second attempt; doubles from there.
    pub first_wait: Duration,
    /// The longest wait, also for a registry's `Retry-After`.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 4, first_wait: Duration::from_millis(250), longest_wait: Duration::from_secs(10) }
    }
}

/// How a registry is talked to.
#[derive(Debug, Clone)]
pub struct RegistryOptions {
    /// TLS or, by opt-in, not.
    pub transport: Transport,
    /// PEM bundles of authorities trusted in addition to the system's.
    pub extra_roots: Vec<Vec<u8>>,
    /// What is tried again.
    pub retry: RetryPolicy,
    /// For the TCP and TLS handshakes.
    pub connect_timeout: Duration,
    /// Between two pieces of an answer.
    pub read_timeout: Duration,
    /// For one exchange in all.
    pub total_timeout: Duration,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            transport: Transport::default(),
            extra_roots: Vec::new(),
            retry: RetryPolicy::default(),
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_secs(300),
        }
    }
}

/// Why a source did not give what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Connection refused, name not found, TLS refused, timed out, broken off.
    #[error("registry {registry} cannot be reached: {detail}; check the address, the network and the registry's certificate")]
    Unreachable {
        /// `host[:port]`.
        registry: String,
        /// The innermost cause.
        detail: String,
    },
    /// 401 after everything that we have was tried.
    #[error("registry {registry} answers 401 {}", if *anonymous { "and no pull secret covers this repository; add one" } else { "to the pull secret's credentials; renew them" })]
    Unauthorized {
        /// `host[:port]`.
        registry: String,
        /// Whether no credential was there to be tried.
        anonymous: bool,
    },
    /// 403.
    #[error("registry {registry} answers 403 to {what}: expected the right to do this; ask the registry's owner for it")]
    Forbidden {
        /// `host[:port]`.
        registry: String,
        /// What was asked for.
        what: String,
    },
    /// 429.
    #[error("registry {registry} answers 429: too many requests; it is asked again later")]
    Throttled {
        /// `host[:port]`.
        registry: String,
        /// What the registry asked us to wait.
        retry_after: Option<Duration>,
    },
    /// 5xx.
    #[error("registry {registry} answers {status}: it is not well; it is asked again later")]
    Server {
        /// `host[:port]`.
        registry: String,
        /// The HTTP status.
        status: u16,
    },
    /// Any other status.
    #[error("registry {registry} answers {status} to {what}; check that it is an OCI registry and that the repository accepts this")]
    Refused {
        /// `host[:port]`.
        registry: String,
        /// The HTTP status.
        status: u16,
        /// What was asked for.
        what: String,
    },
    /// An answer that breaks the distribution specification.
    #[error("registry {registry} gave an answer that cannot be used for {what}: {detail}")]
    Malformed {
        /// `host[:port]`, or the directory of a layout.
        registry: String,
        /// What was asked for.
        what: String,
        /// What is wrong.
        detail: String,
    },
    /// 404: no such tag, manifest or blob.
    #[error("{what} does not exist in {place}; check the reference, or publish it")]
    NotFound {
        /// The repository or directory.
        place: String,
        /// What was asked for.
        what: String,
    },
    /// No tag of the repository is a version within the range.
    #[error("no tag of {place} is a version in {range}; publish one or widen the range")]
    NoVersion {
        /// The repository or directory.
        place: String,
        /// The range.
        range: String,
    },
    /// Bytes that are not what their digest says.
    #[error("{what} is not what its digest says: expected {expected}, found {found}; the registry or something on the way changed it")]
    DigestMismatch {
        /// What was read.
        what: String,
        /// The digest asked for.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// More bytes than allowed.
    #[error("{what} is too large: expected at most {limit} bytes; raise the limit if this is right")]
    TooLarge {
        /// What was read.
        what: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// Plain http was asked for to an address that is not loopback.
    #[error("plain http to {registry} is refused: expected a loopback address; use https")]
    PlainHttpRefused {
        /// `host[:port]`.
        registry: String,
    },
    /// The HTTP client itself could not be made, for example because a root certificate is not PEM.
    #[error("no client can be made for registry {registry}: {detail}; check the extra root certificates")]
    Client {
        /// `host[:port]`.
        registry: String,
        /// The cause.
        detail: String,
    },
    /// A file of a layout or of the content store.
    #[error("{path:?} cannot be {action}: {detail}")]
    File {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        action: &'static str,
        /// The operating system's message.
        detail: String,
    },
    /// Something was to be written to a source that is for reading.
    #[error("{place} is for reading only; push to a registry or a layout")]
    ReadOnly {
        /// The source.
        place: String,
    },
}

impl SourceError {
    /// Condition reason; one of a fixed set.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "RegistryUnreachable",
            Self::Unauthorized { .. } => "RegistryUnauthorized",
            Self::Forbidden { .. } => "RegistryForbidden",
            Self::Throttled { .. } => "RegistryThrottled",
            Self::Server { .. } => "RegistryUnavailable",
            Self::Refused { .. } | Self::Malformed { .. } => "RegistryMalformedAnswer",
            Self::NotFound { .. } => "ArtifactNotFound",
            Self::NoVersion { .. } => "NoMatchingVersion",
            Self::DigestMismatch { .. } => "DigestMismatch",
            Self::TooLarge { .. } => "ArtifactTooLarge",
            Self::PlainHttpRefused { .. } => "PlainHttpRefused",
            Self::Client { .. } => "InvalidRegistryOptions",
            Self::File { .. } | Self::ReadOnly { .. } => "FileError",
        }
    }

    /// Whether the same question may be answered later without anybody changing anything here.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Throttled { .. } | Self::Server { .. })
    }

    pub(crate) fn file(path: &Path, action: &'static str, error: &std::io::Error) -> Self {
        Self::File { path: path.to_owned(), action, detail: error.to_string() }
    }
}

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
        let is_bundle = |entry: &Descriptor| {
            entry.artifact_type.as_deref().is_some_and(|kind| kind.starts_with(crate::verify::BUNDLE_PREFIX))
        };
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
    /// A repository of a registry. Nothing is asked yet.
    ///
    /// # Errors
    /// Plain http to an address that is not loopback without [`Transport::PlainHttpAnywhere`]; unreadable root certificates.
    pub fn registry(
        repository: &Repository,
        credentials: &Credentials,
        options: &RegistryOptions,
    ) -> Result<Self, SourceError> {
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
