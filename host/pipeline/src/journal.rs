//! Which side effects are to be sent now, and what components are told of those that were: from the journal in the inventory alone. Sending them is
//! `banhbaoring-cluster`'s, writing the journal down before is the operator's.
//!
//! An action is known by its component and id. It is sent once for as long as it is asked for, and what came of it is told for as long; then it is
//! forgotten, and whoever asks for it again means it again. Of one component the next is sent when the one before was done. What certainly was not
//! done is tried again after a while; what perhaps was is never sent again: that is for the component to find out.

use std::collections::{BTreeMap, BTreeSet};

use banhbaoring_api::inventory::{JournalEntry, JournalOutcome, JournalResult};

use crate::admit::{ActionScope, Permitted, PermittedAction, PermittedComponent};
use crate::contract::{ActionOutcome, OutcomeError};
use crate::graph::Graph;

/// Component and id of an action.
pub type ActionKey = (String, String);

/// Class of an error after something was done: what came back could not be told or kept.
pub const LOST: &str = "lost";
/// Class of what will not be done however often it is asked for.
pub const UNSUPPORTED: &str = "unsupported";
/// Longest wait between two attempts, in seconds.
const LONGEST_WAIT: i64 = 300;
/// Bytes of what a component may be told of one action: it is stored in the inventory.
const MAX_VALUE: usize = 8 << 10;

/// What components are told. An action that is under way has no result yet.
pub fn results(journal: &[JournalEntry]) -> BTreeMap<ActionKey, ActionOutcome> {
    journal.iter().filter_map(|entry| Some((key(entry), told(entry.outcome.as_ref()?)))).collect()
}

fn key(entry: &JournalEntry) -> ActionKey {
    (entry.component.clone(), entry.id.clone())
}

fn told(outcome: &JournalOutcome) -> ActionOutcome {
    match outcome.result {
        // Somebody changed it by hand if it is not JSON.
        JournalResult::Ok => {
            outcome.value.as_deref().and_then(|text| serde_json::from_str(text).ok()).map_or(ActionOutcome::Unknown, ActionOutcome::Ok)
        }
        JournalResult::Error => ActionOutcome::Error(OutcomeError {
            class: outcome.class.clone().unwrap_or_default(),
            message: outcome.message.clone().unwrap_or_default(),
        }),
        JournalResult::Unknown => ActionOutcome::Unknown,
    }
}

/// Of what was about to be sent by somebody who is gone, nobody knows; what happens only once is sent again to find out.
pub fn interrupt(journal: &mut [JournalEntry], under_way: &BTreeSet<ActionKey>) {
    for entry in journal.iter_mut().filter(|entry| entry.outcome.is_none()) {
        if !under_way.contains(&key(entry)) {
            let again = || error("unavailable", "the host ended before it was known; it is looked into".to_owned());
            entry.outcome = Some(if entry.repeatable { again() } else { JournalOutcome::default() });
        }
    }
}

fn error(class: &str, message: String) -> JournalOutcome {
    JournalOutcome { result: JournalResult::Error, class: Some(class.to_owned()), message: Some(message), value: None }
}

/// Writes down what came of an action.
pub fn record(journal: &mut [JournalEntry], (component, id): &ActionKey, outcome: &ActionOutcome) {
    let written = match outcome {
        ActionOutcome::Ok(value) => {
            let text = value.to_string();
            if text.len() > MAX_VALUE {
                let message = format!("it was done, but more than {MAX_VALUE} bytes would be told of it; expose less");
                error(LOST, message)
            } else {
                JournalOutcome { result: JournalResult::Ok, value: Some(text), ..JournalOutcome::default() }
            }
        }
        ActionOutcome::Error(failure) => error(&failure.class, failure.message.chars().take(1024).collect()),
        ActionOutcome::Unknown => JournalOutcome::default(),
    };
    if let Some(entry) = journal.iter_mut().find(|entry| entry.component == *component && entry.id == *id) {
        entry.outcome = Some(written);
    }
}

/// What step 7 has to do.
#[derive(Debug, Default)]
pub struct Next<'p> {
    /// To be sent now.
    pub send: Vec<(&'p PermittedComponent, &'p PermittedAction)>,
    /// Seconds until something is due that could not be sent.
    pub wait: Option<u32>,
}

/// What is to be sent at `now`, in seconds since 1970.
pub fn next<'p>(permitted: &'p Permitted, journal: &[JournalEntry], now: i64) -> Next<'p> {
    let mut next = Next::default();
    for component in &permitted.components {
        for action in &component.actions {
            let entry = journal.iter().find(|entry| entry.component == component.component && entry.id == action.action.id);
            match entry.map(|entry| (entry, entry.outcome.as_ref())) {
                Some((_, Some(JournalOutcome { result: JournalResult::Ok, .. }))) => continue,
                None => next.send.push((component, action)),
                Some((entry, Some(JournalOutcome { result: JournalResult::Error, class, .. })))
                    if !matches!(class.as_deref(), Some(LOST | UNSUPPORTED)) =>
                {
                    match u32::try_from(due(entry) - now) {
                        Ok(seconds) if seconds > 0 => next.wait = Some(next.wait.map_or(seconds, |wait| wait.min(seconds))),
                        _ => next.send.push((component, action)),
                    }
                }
                Some(_) => {}
            }
            // In order: what comes after waits until this one was done.
            break;
        }
    }
    next
}

fn due(entry: &JournalEntry) -> i64 {
    entry.at.saturating_add((1_i64 << entry.attempts.min(12)).min(LONGEST_WAIT))
}

/// Writes down what is about to be sent.
pub fn intend(journal: &mut Vec<JournalEntry>, next: &Next<'_>, now: i64) {
    for (component, action) in &next.send {
        let repeatable = matches!(action.scope, ActionScope::Run(..));
        let known = journal.iter_mut().find(|entry| entry.component == component.component && entry.id == action.action.id);
        if let Some(entry) = known {
            (entry.at, entry.repeatable, entry.outcome) = (now, repeatable, None);
            entry.attempts = entry.attempts.saturating_add(1);
        } else {
            journal.push(JournalEntry {
                component: component.component.clone(),
                id: action.action.id.clone(),
                at: now,
                attempts: 1,
                repeatable,
                outcome: None,
            });
        }
    }
}

/// Forgets what is no longer asked for. A component that did not answer this time, was refused, kept out or is blocked has not stopped asking.
pub fn forget(journal: &mut Vec<JournalEntry>, permitted: &Permitted, graph: &Graph) {
    journal.retain(|entry| {
        if entry.outcome.is_none() {
            return true;
        }
        match permitted.components.iter().find(|component| component.component == entry.component) {
            Some(component) => component.is_blocked || component.actions.iter().any(|action| action.action.id == entry.id),
            None => {
                graph.nodes.iter().any(|node| node.component.name == entry.component)
                    || graph.kept_out.iter().any(|kept_out| kept_out.component == entry.component)
            }
        }
    });
}

#[cfg(test)]
mod tests;
