//! What can go wrong when a real server is started or asked.

use std::{io, path::PathBuf, time::Duration};

use crate::{tools::ToolError, wait::TimedOut};

/// Result of the harness.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong when a real server is started or asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server's binary is not there.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A file or process operation of the machine failed.
    #[error("cannot {what}: {source}")]
    Machine {
        /// What was tried, as a verb phrase.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The server did not become ready.
    #[error(transparent)]
    NotReady(Box<NotReady>),
    /// A wait that has no single server behind it ran out.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// The API server refused or did not answer.
    #[cfg(feature = "servers")]
    #[error("cannot {what}: {source}")]
    Kubernetes {
        /// What was tried, as a verb phrase.
        what: String,
        /// The client's error.
        source: Box<kube::Error>,
    },
    /// A kubeconfig could not be read.
    #[error("cannot use the kubeconfig {}: {reason}", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A command ended with a failure.
    #[error("`{command}` ended with {status}\n{stderr}")]
    Command {
        /// The command line.
        command: String,
        /// Exit status.
        status: String,
        /// What it wrote to standard error.
        stderr: String,
    },
    /// A server's HTTP interface answered something else than expected.
    #[error("{method} {url}: expected {expected}, found {found}")]
    Http {
        /// Method.
        method: String,
        /// Address.
        url: String,
        /// What was expected.
        expected: String,
        /// Status and body, or the transport's error.
        found: String,
    },
    /// No free port was left.
    #[error("expected a free port in {from}..{to}, found none; which processes hold them?")]
    NoPort {
        /// First port of the range.
        from: u16,
        /// End of the range.
        to: u16,
    },
    /// A pod would not start: what it mounts or reads is not there.
    #[error("the pod cannot start: {reason}")]
    Pod {
        /// What is missing.
        reason: String,
    },
    /// A node needs rights that this process has not.
    #[error("expected to be root, found another user: a real node mounts, makes namespaces and control groups; run the tests as root")]
    NotRoot,
    /// A node, or a part of one, is not as expected.
    #[error("expected {what}, found {saw}")]
    Node {
        /// What was expected.
        what: String,
        /// What was found.
        saw: String,
    },
    /// A certificate could not be made.
    #[error("cannot make the certificate of {subject}: {reason}")]
    Certificate {
        /// Common name.
        subject: String,
        /// Why.
        reason: String,
    },
}

/// A server that did not do in time what was waited for, with the end of its log.
#[derive(Debug, thiserror::Error)]
#[error("expected `{server}` to be {what} within {deadline:?}, last seen: {saw}\n--- end of its log ({}):\n{log}", path.display())]
pub struct NotReady {
    /// Name of the server.
    pub server: String,
    /// What was waited for.
    pub what: String,
    /// The time that it had.
    pub deadline: Duration,
    /// What the last probe saw.
    pub saw: String,
    /// The log file (kept when BANHBAORING_KEEP is set).
    pub path: PathBuf,
    /// The end of the log.
    pub log: String,
}

impl Error {
    /// For `map_err` of an operation of the machine; `what` is a verb phrase.
    pub(crate) fn machine(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Machine { what, source }
    }

    /// For `map_err` of a request to the API server; `what` is a verb phrase.
    #[cfg(feature = "servers")]
    pub(crate) fn kubernetes(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let what = what.into();
        move |source| Self::Kubernetes { what, source: Box::new(source) }
    }
}
