//! Limits of needs, and which of them have no answer yet. Answering them is `banhbaoring-cluster`'s.

use std::sync::Arc;

use super::{Desired, Outcome};
use crate::contract::{Failure, FailureClass, Need, Response};
use crate::observation::Observation;
use crate::plugins::ActivePlugin;

/// Needs that one response may raise.
pub const MAX_NEEDS: usize = 64;

/// Times that one reconcile may render because an answer brought up further needs. The caller counts.
pub const MAX_ROUNDS: usize = 8;

/// A need to which no answer is known, not even that it is pending.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unanswered<'d> {
    /// Who asks.
    pub component: &'d str,
    /// Whose grants it has to be admitted under.
    pub plugin: &'d Arc<ActivePlugin>,
    /// The need.
    pub need: &'d Need,
}

/// Needs that are new: another round is worth while only when there are some and they can be answered at once. In graph order, then as the
/// plugin gave them.
pub fn unanswered<'d>(desired: &'d Desired, observation: &Observation) -> Vec<Unanswered<'d>> {
    let mut unanswered = Vec::new();
    for rendered in &desired.components {
        let Outcome::Answered(response) = &rendered.outcome else { continue };
        for need in &response.needs {
            if !observation.answers.contains_key(&(rendered.component.clone(), need.id.clone())) {
                unanswered.push(Unanswered { component: &rendered.component, plugin: &rendered.plugin, need });
            }
        }
    }
    unanswered
}

pub(super) fn check(response: &Response) -> Result<(), Failure> {
    if response.needs.len() <= MAX_NEEDS {
        return Ok(());
    }
    Err(Failure {
        class: FailureClass::Plugin,
        reason: "TooManyNeeds".to_owned(),
        message: format!(
            "expected at most {MAX_NEEDS} needs in an answer, found {}; ask for less, or with selectors",
            response.needs.len()
        ),
        field: None,
    })
}
