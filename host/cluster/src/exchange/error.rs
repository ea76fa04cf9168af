//! Why an exchange brought no answer, and what that means: whether it was certainly not sent is what an action needs to know.

use std::error::Error as _;

use banhbaoring_pipeline::contract::OutcomeError;

use crate::request::ApiError;

/// Why an exchange brought no answer. Never holds a value that was put in or came back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExchangeError {
    /// It leads where no exchange may.
    #[error("{0}")]
    Refused(String),
    /// What it needs is not there.
    #[error("{0}")]
    Missing(String),
    /// It, or what came of it, is not as it must be.
    #[error("{0}")]
    Invalid(String),
    /// Nobody took the request.
    #[error("{0}")]
    Unreachable(String),
    /// The connection broke after something may have been sent.
    #[error("{0}")]
    Broken(String),
    /// It was answered, but the answer cannot be told.
    #[error("{0}")]
    Unusable(String),
    /// This replica may no longer send.
    #[error("{0}")]
    Fenced(String),
    /// The API server did not tell what is needed.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl ExchangeError {
    pub(super) fn of(error: &reqwest::Error, name: &str) -> Self {
        let message = format!("{name}: {}", innermost(error));
        if error.is_builder() {
            Self::Invalid(message)
        } else if error.is_connect() {
            Self::Unreachable(message)
        } else {
            Self::Broken(message)
        }
    }

    /// Whether somebody may have received the request.
    pub(crate) fn may_have_been_sent(&self) -> bool {
        matches!(self, Self::Broken(_))
    }

    /// Whether the request was answered.
    pub(crate) fn was_answered(&self) -> bool {
        matches!(self, Self::Unusable(_))
    }

    /// As a plugin is told.
    pub(crate) fn told(&self) -> OutcomeError {
        let class = match self {
            Self::Refused(_) => "not-permitted",
            Self::Missing(_) => "not-found",
            Self::Invalid(_) | Self::Unusable(_) => "invalid",
            Self::Unreachable(_) | Self::Broken(_) | Self::Fenced(_) => "unavailable",
            Self::Api(error) => error.class(),
        };
        OutcomeError { class: class.to_owned(), message: self.to_string() }
    }
}

/// The innermost cause, where "connection refused" hides. Addresses are left out: a query may hold anything.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause = error.source();
    let mut text = "the exchange broke off".to_owned();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    text.chars().take(200).collect()
}
