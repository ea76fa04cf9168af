//! All errors of this crate under one roof, for callers that only want a message and a reason.

use crate::{ArtifactError, CredentialsError, KeyFileError, PushError, ReferenceError, SignError, SourceError, VerifyError};

/// Any failure of this crate. Messages say what was expected, what was found and what to do; [`Error::reason`] is bounded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A name that is none.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A pull secret that cannot be read.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// A registry, layout or store that did not give what was asked for.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// An artifact that is no component.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// An artifact that did not pass verification.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// A component that could not be published.
    #[error(transparent)]
    Push(#[from] PushError),
    /// An artifact that could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A private key file that cannot be used.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
}

impl Error {
    /// Condition reason in CamelCase; one of a fixed set.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Reference(error) => error.reason(),
            Self::Credentials(error) => error.reason(),
            Self::Source(error) => error.reason(),
            Self::Artifact(error) => error.reason(),
            Self::Verify(error) => error.reason(),
            Self::Push(error) => error.reason(),
            Self::Sign(error) => error.reason(),
            Self::KeyFile(error) => error.reason(),
        }
    }

    /// Whether trying again later may help without anybody changing anything here.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Source(error)
            | Self::Artifact(ArtifactError::Source(error))
            | Self::Verify(VerifyError::Source(error))
            | Self::Push(PushError::Source(error))
            | Self::Sign(SignError::Source(error)) => error.is_transient(),
            _ => false,
        }
    }
}
