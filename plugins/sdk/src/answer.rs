//! Answers to needs and results of actions, typed by what was asked.

use serde::de::DeserializeOwned;

use crate::wit::{ActionOutcome, ActionResult, AnswerOutcome, OutcomeError};
use crate::{Failure, wit};

/// The answer to a need.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer<T> {
    /// Never asked: put the need into the response.
    Unasked,
    /// Asked; the host runs the component again when it is there. Keep the need in the response.
    Pending,
    /// The answer.
    Known(T),
    /// The question failed.
    Error(OutcomeError),
}

impl<T> Answer<T> {
    /// The answer, if it is there.
    pub fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unasked | Self::Pending | Self::Error(_) => None,
        }
    }

    /// What was asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Error(error) if error.class == "not-found")
    }
}

/// The outcome of an action.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<T> {
    /// The action was not part of the last response.
    NotRun,
    /// It happened.
    Done(T),
    /// It did not happen, or failed.
    Error(OutcomeError),
    /// The host does not know whether it happened: ask, do not repeat.
    Unknown,
}

pub(crate) fn answer<T: DeserializeOwned>(answers: &[wit::Answer], id: &str) -> Result<Answer<T>, Failure> {
    let Some(found) = answers.iter().find(|answer| answer.id == id) else {
        return Ok(Answer::Unasked);
    };
    Ok(match &found.outcome {
        AnswerOutcome::Pending => Answer::Pending,
        AnswerOutcome::Ok(value) => Answer::Known(crate::parse::host(&format!("the answer to `{id}`"), value)?),
        AnswerOutcome::Error(error) => Answer::Error(error.clone()),
    })
}

pub(crate) fn outcome<T: DeserializeOwned>(results: &[ActionResult], id: &str) -> Result<Outcome<T>, Failure> {
    let Some(found) = results.iter().find(|result| result.id == id) else {
        return Ok(Outcome::NotRun);
    };
    Ok(match &found.outcome {
        ActionOutcome::Ok(value) => Outcome::Done(crate::parse::host(&format!("the result of `{id}`"), value)?),
        ActionOutcome::Error(error) => Outcome::Error(error.clone()),
        ActionOutcome::Unknown => Outcome::Unknown,
    })
}
