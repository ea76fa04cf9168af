//! The owner's status: what the host says at the top, each component's fragment at its place.

use banhbaoring_api::condition::{self, Condition, ConditionStatus};
use serde_json::{Map, Value, json};

use super::{ComponentReport, ComponentState, Facts, Phase, responses};
use crate::contract::{ConditionState, Criticality, Json, Response, State};
use crate::fragment::{RESERVED, tells_phase, told_before};
use crate::json::canonical;

pub(super) fn status(facts: &Facts<'_>, components: &[ComponentReport], phase: Phase) -> (Json, bool) {
    let owner = &facts.observation.owner;
    let mut status = Map::new();
    let mut told = false;
    // A status is a component's memory: one that says nothing now has not forgotten.
    for component in &facts.graph.kept_out {
        place_before(&mut status, facts, &component.status_path, false);
    }
    for node in &facts.graph.nodes {
        let tells_phase = tells_phase(node, owner);
        match response(facts, &node.component.name).filter(|response| !response.keeps_status()) {
            Some(response) => {
                told |= tells_phase;
                place(&mut status, &node.component.status_path, &response.status);
            }
            None => place_before(&mut status, facts, &node.component.status_path, tells_phase),
        }
    }
    for name in RESERVED {
        status.remove(name);
    }
    if !(told && status.contains_key("phase")) {
        status.insert("phase".to_owned(), json!(phase.as_str()));
    }
    status.insert("observedGeneration".to_owned(), json!(owner.generation));
    status.insert("components".to_owned(), json!(components));
    status.insert("conditions".to_owned(), json!(conditions(facts, components)));
    let status = Value::Object(status);
    let changed = owner.status().is_none_or(|old| canonical(&without_empty(old)) != canonical(&without_empty(&status)));
    (status, changed)
}

/// Server-side apply leaves an empty list or map behind where its last applier no longer has the field: that is no difference, or every
/// reconcile from then on would write.
fn without_empty(value: &Value) -> Value {
    let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty);
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, field)| (key.clone(), without_empty(field)));
            Value::Object(fields.filter(|(_, field)| !is_empty(field)).collect())
        }
        // Items keep their places.
        Value::Array(items) => Value::Array(items.iter().map(without_empty).collect()),
        other => other.clone(),
    }
}

/// What a component answered, where that was not refused.
fn response<'a>(facts: &Facts<'a>, component: &str) -> Option<&'a Response> {
    let is_permitted = facts.permitted.components.iter().any(|permitted| permitted.component == component);
    responses(facts.desired).find(|(name, _)| is_permitted && *name == component).map(|(_, response)| response)
}

fn place_before(status: &mut Map<String, Value>, facts: &Facts<'_>, path: &str, tells_phase: bool) {
    if let Some(before) = told_before(&facts.observation.owner, facts.graph, path, tells_phase) {
        place(status, path, &before);
    }
}

/// Puts a fragment at a pointer, merging objects on the way.
fn place(status: &mut Map<String, Value>, pointer: &str, fragment: &Json) {
    let mut at = status;
    for token in pointer.split('/').skip(1).filter(|token| !token.is_empty()) {
        let token = token.replace("~1", "/").replace("~0", "~");
        let next = at.entry(token).or_insert_with(|| Value::Object(Map::new()));
        let Some(next) = next.as_object_mut() else { return };
        at = next;
    }
    if let Some(fields) = fragment.as_object() {
        for (key, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            at.insert(key.clone(), value.clone());
        }
    }
}

fn conditions(facts: &Facts<'_>, components: &[ComponentReport]) -> Vec<Condition> {
    let owner = &facts.observation.owner;
    let mut conditions: Vec<Condition> = owner
        .status()
        .and_then(|status| status.get("conditions"))
        .and_then(|old| serde_json::from_value(old.clone()).ok())
        .unwrap_or_default();
    let mut wanted = vec![ready(components), reconciled(facts, components)];
    for (_, response) in responses(facts.desired) {
        wanted.extend(response.conditions.iter().map(|condition| {
            let status = match condition.status {
                ConditionState::Yes => ConditionStatus::True,
                ConditionState::No => ConditionStatus::False,
                ConditionState::Unknown => ConditionStatus::Unknown,
            };
            (condition.condition_type.clone(), status, condition.reason.clone(), condition.message.clone())
        }));
    }
    let settled = responses(facts.desired).filter(|(_, response)| response.state != State::Blocked).count();
    let all_answered = settled == facts.graph.nodes.len() && facts.graph.kept_out.is_empty();
    // While a component does not answer, or only waits, nobody knows whether its conditions still hold: they stay as they were.
    conditions.retain(|old| !all_answered || wanted.iter().any(|new| new.0 == old.type_));
    // It is looked at, so it is not left alone.
    conditions.retain(|old| old.type_ != condition::owner::PAUSED);
    let now = timestamp(facts.observation.now);
    for (type_, status, reason, message) in wanted {
        condition::set(
            &mut conditions,
            Condition { type_, status, reason, message, observed_generation: Some(owner.generation), last_transition_time: now.clone() },
        );
    }
    conditions
}

type Wanted = (String, ConditionStatus, String, String);

fn ready(components: &[ComponentReport]) -> Wanted {
    let worst = components
        .iter()
        .filter(|component| component.criticality != Criticality::BestEffort)
        .filter(|component| !matches!(component.state, ComponentState::Ready | ComponentState::Disabled))
        .max_by_key(|component| (component.criticality, component.state != ComponentState::Progressing));
    let type_ = condition::owner::READY.to_owned();
    match worst {
        None if components.is_empty() => {
            (type_, ConditionStatus::False, "NoComponents".to_owned(), "no active plugin serves this kind".to_owned())
        }
        None => (type_, ConditionStatus::True, "AllComponentsHealthy".to_owned(), String::new()),
        Some(component) => {
            let reason = if component.reason.is_empty() { component.state.as_str() } else { &component.reason };
            (type_, ConditionStatus::False, reason.to_owned(), format!("{}: {}", component.name, component.message))
        }
    }
}

/// Whether everything that was asked for could be done, however far the world has come with it.
fn reconciled(facts: &Facts<'_>, components: &[ComponentReport]) -> Wanted {
    let type_ = condition::owner::RECONCILED.to_owned();
    let stuck = components
        .iter()
        .find(|component| facts.mishaps.iter().any(|mishap| mishap.component == component.name) || component.state.is_bad());
    match stuck {
        None => (type_, ConditionStatus::True, "Reconciled".to_owned(), String::new()),
        Some(component) => (type_, ConditionStatus::False, component.reason.clone(), format!("{}: {}", component.name, component.message)),
    }
}

/// RFC 3339 in UTC, whole seconds, as `metav1.Time` writes it.
pub(crate) fn timestamp(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0))
        .map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apply_leaves_empty_is_no_difference_and_what_has_content_is() {
        let left = json!({"phase": "Failed", "members": [], "a": {"b": {"c": []}}, "list": [{"x": {}}, {"y": 1}]});
        assert_eq!(without_empty(&left), json!({"phase": "Failed", "list": [{}, {"y": 1}]}));
        assert_ne!(without_empty(&json!({"members": [{"name": "a"}]})), without_empty(&json!({"members": []})));
    }
}
