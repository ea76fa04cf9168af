//! What a component tells: status, outputs, conditions, events, metrics. Declared names only, bounded, and never the host's part.

use std::collections::BTreeSet;

use super::refusal::{Findings, Reason, shown};
use super::syntax::is_camel_case;
use crate::contract::{ComponentDescriptor, Json, PhaseSource, Response};
use crate::plugins::ActivePlugin;

/// Limit of outputs and of status, in bytes of JSON.
const DOCUMENT: usize = 64 * 1024;
const MESSAGE: usize = 4096;
const EVENTS: usize = 32;
const EVENT_MESSAGE: usize = 1024;
const METRICS: usize = 1000;
const LABEL_VALUE: usize = 256;
/// Top-level fields of an owner's status that the host writes.
const HOST_STATUS: &[&str] = &["conditions", "observedGeneration", "components"];

/// What the descriptors say that the answer must keep to.
pub(super) struct Declared<'a> {
    pub(super) component: Option<&'a ComponentDescriptor>,
    pub(super) phase_is_told: bool,
}

impl<'a> Declared<'a> {
    /// `kind` is the owner's `group/Kind`; its definition may come from another plugin than the component's.
    pub(super) fn of(plugin: &'a ActivePlugin, component: &str, kind: &str, all: &[&ActivePlugin]) -> Self {
        let component = super::described(plugin, component, kind);
        let kinds = all.iter().flat_map(|plugin| &plugin.descriptor.kinds);
        let phase_is_told = kinds.filter(|known| kind_name(&known.crd) == kind).any(|known| known.phase == PhaseSource::Told);
        Self { component, phase_is_told }
    }
}

fn kind_name(crd: &Json) -> String {
    let text = |pointer: &str| crd.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
    format!("{}/{}", text("/spec/group"), text("/spec/names/kind"))
}

pub(super) fn check(findings: &mut Findings, response: &Response, declared: &Declared<'_>) {
    documents(findings, response, declared);
    conditions(findings, response, declared);
    events(findings, response);
    metrics(findings, response, declared);
    if !(response.reason.is_empty() || is_camel_case(&response.reason)) || response.message.len() > MESSAGE {
        let message = format!("the reason {} is not CamelCase, or the message is longer than {MESSAGE} bytes", shown(&response.reason));
        findings.add(Reason::ReportInvalid, None, message);
    }
}

fn documents(findings: &mut Findings, response: &Response, declared: &Declared<'_>) {
    for (what, value) in [("outputs", &response.outputs), ("status", &response.status)] {
        let size = serde_json::to_vec(value).map_or(usize::MAX, |bytes| bytes.len());
        if !(value.is_object() || value.is_null()) || size > DOCUMENT {
            findings.add(Reason::StatusNotAllowed, None, format!("{what} is not a JSON object of at most {DOCUMENT} bytes"));
        }
    }
    let at_top = declared.component.is_none_or(|component| component.status_path.is_empty());
    if at_top {
        for field in response.status.as_object().into_iter().flat_map(|status| status.keys()) {
            if HOST_STATUS.contains(&field.as_str()) || (field == "phase" && !declared.phase_is_told) {
                findings.add(
                    Reason::StatusNotAllowed,
                    None,
                    format!("status.{field} is the host's to write; use conditions, state and reason"),
                );
            }
        }
    }
}

fn conditions(findings: &mut Findings, response: &Response, declared: &Declared<'_>) {
    let types: &[String] = declared.component.map(|component| component.condition_types.as_slice()).unwrap_or_default();
    let mut seen = BTreeSet::new();
    for condition in &response.conditions {
        let name = condition.condition_type.as_str();
        if !types.iter().any(|known| known == name) || !seen.insert(name) {
            let message = format!("the condition {} is not declared in the descriptor, or set twice", shown(name));
            findings.add(Reason::ConditionNotDeclared, None, message);
        }
        if !is_camel_case(&condition.reason) || condition.message.len() > MESSAGE {
            let message = format!("the condition {} has no CamelCase reason, or a message longer than {MESSAGE} bytes", shown(name));
            findings.add(Reason::ReportInvalid, None, message);
        }
    }
}

fn events(findings: &mut Findings, response: &Response) {
    if response.events.len() > EVENTS {
        findings.add(Reason::TooMuch, None, format!("{} events; at most {EVENTS}", response.events.len()));
        return;
    }
    for event in &response.events {
        if event.key.is_empty() || event.key.len() > 253 || !is_camel_case(&event.reason) || event.message.len() > EVENT_MESSAGE {
            let message = format!(
                "the event {}: expected a key of at most 253 bytes, a CamelCase reason and a message of at most {EVENT_MESSAGE} bytes",
                shown(&event.key)
            );
            findings.add(Reason::ReportInvalid, None, message);
        }
    }
}

fn metrics(findings: &mut Findings, response: &Response, declared: &Declared<'_>) {
    if response.metrics.len() > METRICS {
        findings.add(Reason::TooMuch, None, format!("{} metrics; at most {METRICS}", response.metrics.len()));
        return;
    }
    let known = declared.component.map(|component| component.metrics.as_slice()).unwrap_or_default();
    for metric in &response.metrics {
        let given: BTreeSet<&str> = metric.labels.iter().map(|(name, _)| name.as_str()).collect();
        let fits = known.iter().any(|known| {
            known.name == metric.name
                && given.len() == metric.labels.len()
                && given == known.labels.iter().map(String::as_str).collect::<BTreeSet<_>>()
        });
        if !fits || !metric.value.is_finite() || metric.labels.iter().any(|(_, value)| value.len() > LABEL_VALUE) {
            let message = format!("the metric {} is not declared with these labels, or its value is not finite", shown(&metric.name));
            findings.add(Reason::MetricNotDeclared, None, message);
        }
    }
}
