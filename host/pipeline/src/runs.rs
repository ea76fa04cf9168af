//! Runs: Jobs that run once per key, from what the inventory says of them alone. Making and reading Jobs is `banhbaoring-cluster`'s, which action is
//! sent when, `journal`'s.
//!
//! A run is written down with a random token before its Job is sent, and the Job carries the token. So whoever comes after a crash knows the Job again
//! and sends it a second time without making a second one. A Job that ended goes by itself after [`KEPT_SECONDS`]: one that may have been made longer
//! ago than half of that, and that nobody has seen, is never made again.

use banhbaoring_api::inventory::{InventorySpec, OwnerReference, RunEntry, RunOutcome, RunResult};
use banhbaoring_contract::action;
use banhbaoring_contract::need::{JobState, JobView};
use serde_json::json;

use crate::admit::ActionScope;
use crate::contract::{Json, ObjectReference};
use crate::journal::Next;
use crate::kinds::KindInfo;
use crate::observation::Owner;
use crate::plan::complete;

/// Runs of an owner.
pub const MOST: usize = 256;
/// How long a Job stays after it ended.
pub const KEPT_SECONDS: i64 = 3600;
/// Bytes of a termination message.
const MESSAGE: usize = 4 << 10;
/// Bytes of the messages of all runs of an owner: they lie in one object, with everything else that is known of it.
const MESSAGES: usize = 128 << 10;
/// Bytes that are kept of a message in any case.
const LEAST: usize = 128;

/// The Job of a key: `one-0123456789abcdef`. The hash tells owners of one name, and keys, apart.
pub fn job(owner: &OwnerReference, key: &str) -> ObjectReference {
    let hash = crate::json::hash(&json!([owner.uid, key]));
    let harmless = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
    // A Job's name is the value of a label of its pods.
    let begin: String = owner.name.chars().map(harmless).take(46).collect();
    ObjectReference {
        api_version: "batch/v1".to_owned(),
        kind: "Job".to_owned(),
        namespace: owner.namespace.clone(),
        name: format!("{}-{}", begin.trim_matches('-'), &hash[..16]).trim_start_matches('-').to_owned(),
    }
}

/// How Jobs are served.
pub(crate) fn kind() -> KindInfo {
    KindInfo { plural: "jobs".to_owned(), namespaced: true }
}

/// The run of a key.
pub fn find<'a>(inventory: &'a InventorySpec, key: &str) -> Option<&'a RunEntry> {
    inventory.runs.iter().find(|entry| entry.key == key)
}

/// Whether a run is that component's, or of a plugin with that account: what another one ran under the key says nothing to it.
pub fn is_of(entry: &RunEntry, component: &str, account: &str) -> bool {
    entry.component == component || entry.account == account
}

/// Writes down the runs that are about to be sent. Those for which there is no room are left out.
pub fn intend(runs: &mut Vec<RunEntry>, owner: &OwnerReference, next: &Next<'_>, now: i64, mut token: impl FnMut() -> String) {
    for (component, action) in &next.send {
        let ActionScope::Run(job, run) = &action.scope else { continue };
        if let Some(entry) = runs.iter_mut().find(|entry| entry.key == run.key) {
            if entry.uid.is_none() && entry.outcome.is_none() {
                entry.since.get_or_insert(now);
            }
        } else if runs.len() < MOST && owner.namespace == job.namespace {
            let account = &component.plugin.account;
            runs.push(RunEntry {
                key: run.key.clone(),
                job: job.name.clone(),
                component: component.component.clone(),
                account: format!("{}/{}", account.namespace, account.name),
                token: token(),
                since: Some(now),
                uid: None,
                outcome: None,
            });
        }
    }
}

/// What is to be done for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing: its Job was made.
    Done,
    /// Make its Job, unless it is there.
    Make,
    /// See whether its Job is there. It may have come and gone, so it must not be made.
    Look,
}

/// What is to be done for a run at `now`, in seconds since 1970.
pub fn step(entry: &RunEntry, now: i64) -> Step {
    if entry.uid.is_some() || entry.outcome.is_some() {
        return Step::Done;
    }
    match entry.since {
        Some(since) if now.saturating_sub(since) >= KEPT_SECONDS / 2 => Step::Look,
        _ => Step::Make,
    }
}

/// What was learnt of a run, to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Of which.
    pub key: String,
    /// What.
    pub what: Learnt,
}

/// What was learnt of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Learnt {
    /// Its Job is there, with this uid.
    Made(String),
    /// What was sent at that time, in seconds since 1970, certainly made none.
    NotMade(i64),
    /// It ended.
    Ended(RunOutcome),
}

/// Writes down what was learnt. What is known already stays as it is.
pub fn learn(runs: &mut [RunEntry], news: &News) {
    let room = room(runs);
    let Some(entry) = runs.iter_mut().find(|entry| entry.key == news.key) else { return };
    match &news.what {
        Learnt::Made(uid) if entry.uid.is_none() => (entry.uid, entry.since) = (Some(uid.clone()), None),
        Learnt::NotMade(at) if entry.since == Some(*at) => entry.since = None,
        Learnt::Ended(outcome) if entry.outcome.is_none() => (entry.outcome, entry.since) = (Some(within(outcome.clone(), room)), None),
        Learnt::Made(_) | Learnt::NotMade(_) | Learnt::Ended(_) => {}
    }
}

/// Bytes of a message that there is room for.
fn room(runs: &[RunEntry]) -> usize {
    let taken: usize = runs.iter().filter_map(|entry| entry.outcome.as_ref()?.message.as_ref()).map(String::len).sum();
    MESSAGES.saturating_sub(taken).clamp(LEAST, MESSAGE)
}

fn within(mut outcome: RunOutcome, bytes: usize) -> RunOutcome {
    outcome.message = outcome.message.map(|message| shortened(&message, bytes)).filter(|message| !message.is_empty());
    outcome
}

/// How a run ended, as it is written down. Its message is an outsider's: bounded, and nothing in it that a terminal would obey.
pub fn outcome(inventory: &InventorySpec, result: RunResult, exit_code: Option<i32>, message: &str) -> RunOutcome {
    let message = message.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
    within(RunOutcome { result, exit_code, message: Some(message) }, room(&inventory.runs))
}

fn shortened(text: &str, bytes: usize) -> String {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// What a component is told of a run that ended.
pub fn view(outcome: &RunOutcome) -> JobView {
    let state = match outcome.result {
        RunResult::Succeeded => JobState::Succeeded,
        RunResult::Failed => JobState::Failed,
    };
    JobView { state, exit_code: outcome.exit_code, message: outcome.message.clone() }
}

/// The Job of a run, but for its token.
pub fn manifest(owner: &OwnerReference, component: &str, job: &ObjectReference, run: &action::Run) -> Json {
    let mut template = Json::Object(run.pod_template.clone());
    if let Some(pod) = template.get_mut("spec").and_then(Json::as_object_mut) {
        pod.insert("restartPolicy".to_owned(), json!("Never"));
    }
    let manifest = json!({
        "apiVersion": job.api_version,
        "kind": job.kind,
        "spec": {
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 0,
            "activeDeadlineSeconds": run.deadline_seconds,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": template,
        },
    });
    let owner = Owner { reference: owner.clone(), ..Owner::default() };
    complete(&manifest, job, &owner, component, false)
}

#[cfg(test)]
mod tests;
