//! From the responses of 0.1 to the pipeline's: counted, parsed, bounded.

use std::collections::HashSet;

use banhbaoring_pipeline::contract as pipeline;

use super::{pairs, wit};
use crate::answer::Reader;
use crate::error::CallError;

pub(super) fn read(response: wit::Response, reader: &mut Reader) -> Result<pipeline::Response, CallError> {
    let limits = *reader.limits();
    let objects = Reader::counted("objects", response.objects, limits.objects)?;
    let actions = Reader::counted("actions", response.actions, limits.items)?;
    let conditions = Reader::counted("conditions", response.conditions, limits.items)?;
    let events = Reader::counted("events", response.events, limits.items)?;
    let metrics = Reader::counted("metrics", response.metrics, limits.metrics)?;
    unique("actions", actions.iter().map(|action| action.id.as_str()))?;
    Ok(pipeline::Response {
        objects: each(objects, "objects", |at, o| object(at, o, reader))?,
        secrets: secrets(response.secrets, "", reader)?,
        needs: needs(response.needs, reader)?,
        actions: each(actions, "actions", |at, a| {
            Ok(pipeline::Action { spec: reader.object(&format!("{at}.spec"), &a.spec)?, id: a.id, kind: a.kind })
        })?,
        outputs: reader.object("outputs", &response.outputs)?,
        status: reader.object("status", &response.status)?,
        conditions: each(conditions, "conditions", condition)?,
        events: each(events, "events", event)?,
        metrics: each(metrics, "metrics", |at, m| metric(at, m, reader))?,
        state: match response.state {
            wit::State::Ready => pipeline::State::Ready,
            wit::State::Progressing => pipeline::State::Progressing,
            wit::State::Blocked => pipeline::State::Blocked,
            wit::State::Failed => pipeline::State::Failed,
            wit::State::Disabled => pipeline::State::Disabled,
        },
        reason: Reader::reason("reason", response.reason)?,
        message: Reader::message("message", response.message)?,
        requeue_after_seconds: response.requeue_after_seconds,
        finalized: response.finalized,
    })
}

/// Needs, of a component or of a review.
pub(super) fn needs(list: Vec<wit::Need>, reader: &mut Reader) -> Result<Vec<pipeline::Need>, CallError> {
    let list = Reader::counted("needs", list, reader.limits().items)?;
    unique("needs", list.iter().map(|need| need.id.as_str()))?;
    each(list, "needs", |at, one| need(at, one, reader))
}

/// Generated Secrets, of a response or of a seal below `prefix`.
pub(super) fn secrets(
    list: Vec<wit::GeneratedSecret>,
    prefix: &str,
    reader: &mut Reader,
) -> Result<Vec<pipeline::GeneratedSecret>, CallError> {
    let what = format!("{prefix}secrets");
    let list = Reader::counted(&what, list, reader.limits().items)?;
    each(list, &what, |at, s| secret(at, s, reader))
}

/// Reads every entry of a list; `at` is `<what>[<index>]`.
pub(super) fn each<T, U>(list: Vec<T>, what: &str, mut read: impl FnMut(&str, T) -> Result<U, CallError>) -> Result<Vec<U>, CallError> {
    list.into_iter().enumerate().map(|(index, entry)| read(&format!("{what}[{index}]"), entry)).collect()
}

fn unique<'a>(what: &str, ids: impl Iterator<Item = &'a str>) -> Result<(), CallError> {
    let mut seen = HashSet::new();
    for (index, id) in ids.enumerate() {
        if id.is_empty() || !seen.insert(id) {
            return Err(CallError::invalid(format!("{what}[{index}].id"), "expected an id of its own for each"));
        }
    }
    Ok(())
}

fn object(at: &str, object: wit::Object, reader: &mut Reader) -> Result<pipeline::Object, CallError> {
    Ok(pipeline::Object {
        manifest: reader.object(&format!("{at}.manifest"), &object.manifest)?,
        mode: match object.mode {
            wit::ApplyMode::Apply => pipeline::ApplyMode::Apply,
            wit::ApplyMode::CreateOnly => pipeline::ApplyMode::CreateOnly,
            wit::ApplyMode::IfExists => pipeline::ApplyMode::IfExists,
        },
        keep: object.keep,
        create_only_fields: reader.entries("create-only-fields", object.create_only_fields)?,
        exclusive: reader.entries("exclusive pointers", object.exclusive)?,
        recreate: object.recreate.map(|recreate| pipeline::Recreate { orphan: recreate.orphan }),
    })
}

fn secret(at: &str, secret: wit::GeneratedSecret, reader: &mut Reader) -> Result<pipeline::GeneratedSecret, CallError> {
    let entries = reader.entries("entries of a secret", secret.entries)?;
    Ok(pipeline::GeneratedSecret {
        name: secret.name,
        class: match secret.class {
            wit::SecretClass::Identity => pipeline::SecretClass::Identity,
            wit::SecretClass::Renewable(before) => pipeline::SecretClass::Renewable(before),
        },
        labels: pairs("labels of a secret", secret.labels, reader)?,
        entries: each(entries, &format!("{at}.entries"), |at, entry| {
            Ok(pipeline::SecretEntry {
                spec: reader.object(&format!("{at}.spec"), &entry.spec)?,
                key: entry.key,
                generator: entry.generator,
            })
        })?,
        publish: reader
            .entries("publications of a secret", secret.publish)?
            .into_iter()
            .map(|p| pipeline::Publication { key: p.key, config_map: p.config_map, config_map_key: p.config_map_key })
            .collect(),
        restore_from: secret.restore_from,
        keep: secret.keep,
    })
}

fn need(at: &str, need: wit::Need, reader: &mut Reader) -> Result<pipeline::Need, CallError> {
    Ok(pipeline::Need {
        spec: reader.object(&format!("{at}.spec"), &need.spec)?,
        id: need.id,
        kind: need.kind,
        mode: match need.mode {
            wit::NeedMode::Watch => pipeline::NeedMode::Watch,
            wit::NeedMode::Poll(seconds) => pipeline::NeedMode::Poll(seconds),
            wit::NeedMode::Fresh => pipeline::NeedMode::Fresh,
        },
        project: reader.entries("projections of a need", need.project)?,
    })
}

fn condition(at: &str, condition: wit::Condition) -> Result<pipeline::ComponentCondition, CallError> {
    Ok(pipeline::ComponentCondition {
        condition_type: Reader::reason(&format!("{at}.condition-type"), condition.condition_type)?,
        status: match condition.status {
            wit::ConditionStatus::Yes => pipeline::ConditionState::Yes,
            wit::ConditionStatus::No => pipeline::ConditionState::No,
            wit::ConditionStatus::Unknown => pipeline::ConditionState::Unknown,
        },
        reason: Reader::reason(&format!("{at}.reason"), condition.reason)?,
        message: Reader::message(&format!("{at}.message"), condition.message)?,
    })
}

fn event(at: &str, event: wit::Event) -> Result<pipeline::Event, CallError> {
    Ok(pipeline::Event {
        key: Reader::reason(&format!("{at}.key"), event.key)?,
        event_type: match event.event_type {
            wit::EventType::Normal => pipeline::EventType::Normal,
            wit::EventType::Warning => pipeline::EventType::Warning,
        },
        reason: Reader::reason(&format!("{at}.reason"), event.reason)?,
        message: Reader::message(&format!("{at}.message"), event.message)?,
    })
}

fn metric(at: &str, metric: wit::Metric, reader: &Reader) -> Result<pipeline::Metric, CallError> {
    // NaN is not equal to itself, which would make a pure plugin look impure, and has no form in JSON.
    if !metric.value.is_finite() {
        return Err(CallError::invalid(format!("{at}.value"), "expected a finite number"));
    }
    Ok(pipeline::Metric { name: metric.name, labels: pairs("labels of a metric", metric.labels, reader)?, value: metric.value })
}
