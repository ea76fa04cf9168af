//! Why a source did not give what was asked for, and which of these failures may pass by themselves.
//!
//! Texts that a registry sent are cut short before they get here; secrets never do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::reference::Digest;

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
