//! Everything that can go wrong on the command line, as people read it.

use std::path::PathBuf;

/// Why a command failed. The message says what was expected, what was found and what to do next.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The process has a TLS provider already.
    #[error("the TLS provider could not be installed; this is a defect, please report it")]
    Crypto,
    /// A file could not be read or written.
    #[error("{what} {path}: {source}", path = path.display())]
    File {
        /// `cannot read`, `cannot write`.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{place}: {detail}")]
    Content {
        /// Which.
        place: String,
        /// Expected, found.
        detail: String,
    },
    /// A registry, layout or signature.
    #[error(transparent)]
    Artifact(#[from] banhbaoring_artifact::Error),
    /// A component that is no plugin.
    #[error("{place}: {source}")]
    Load {
        /// Which.
        place: String,
        /// Why.
        #[source]
        source: banhbaoring_sandbox::LoadError,
    },
    /// A plugin that does not describe itself.
    #[error("{place}: {source}")]
    Call {
        /// Which.
        place: String,
        /// Why.
        #[source]
        source: banhbaoring_sandbox::CallError,
    },
    /// The sandbox could not be made.
    #[error(transparent)]
    Engine(#[from] banhbaoring_sandbox::EngineError),
    /// The cluster could not be reached or refused.
    #[error("{what}: {detail}")]
    Cluster {
        /// What was being done.
        what: String,
        /// Why it failed.
        detail: String,
    },
    /// The operator ended.
    #[error(transparent)]
    Operator(#[from] banhbaoring_operator::RunError),
    /// A program that is needed failed.
    #[error("{program} failed: {detail}")]
    Program {
        /// Which.
        program: String,
        /// What it said.
        detail: String,
    },
    /// What was asked for has no answer.
    #[error("{0}")]
    Refused(String),
}

macro_rules! from_artifact {
    ($($error:ident),*) => {$(
        impl From<banhbaoring_artifact::$error> for CliError {
            fn from(error: banhbaoring_artifact::$error) -> Self {
                Self::Artifact(error.into())
            }
        }
    )*};
}
from_artifact!(ReferenceError, CredentialsError, SourceError, ArtifactError, VerifyError, PushError, SignError, KeyFileError);
