//! How each component fares: its own word, bounded by what the host knows of its children, its grants and its writes.

use serde::Serialize;

use super::Facts;
use crate::contract::{Criticality, Failure, ReadinessState, State};
use crate::graph::Node;
use crate::render::{Outcome, Rendered};

/// How a component fares, as the host reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum ComponentState {
    /// It serves.
    Ready,
    /// On its way.
    Progressing,
    /// It waits for a person: a grant, a name that is taken.
    Blocked,
    /// It will not get there by itself.
    Failed,
    /// Switched off by the spec.
    Disabled,
}

impl ComponentState {
    /// Whether somebody has to look after it.
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Blocked | Self::Failed)
    }

    /// As it is written in status, events and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Progressing => "Progressing",
            Self::Blocked => "Blocked",
            Self::Failed => "Failed",
            Self::Disabled => "Disabled",
        }
    }
}

/// One component of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComponentReport {
    /// Name; of a problem of the graph without a component: `-`.
    pub name: String,
    /// The plugin that serves it; empty where none does.
    pub plugin: String,
    /// How it fares.
    pub state: ComponentState,
    /// CamelCase.
    pub reason: String,
    /// For people.
    pub message: String,
    /// What its failure means.
    #[serde(skip)]
    pub criticality: Criticality,
    /// Phase of the owner while it fails.
    #[serde(skip)]
    pub phase_on_failure: Option<String>,
}

pub(super) fn components(facts: &Facts<'_>) -> Vec<ComponentReport> {
    let mut reports: Vec<ComponentReport> = facts
        .graph
        .problems
        .iter()
        .map(|problem| ComponentReport {
            name: problem.component.clone().unwrap_or_else(|| "-".to_owned()),
            plugin: String::new(),
            state: ComponentState::Blocked,
            reason: problem.reason.to_string(),
            message: with_field(&problem.message, problem.field.as_deref()),
            criticality: Criticality::Required,
            phase_on_failure: None,
        })
        .collect();
    for node in &facts.graph.nodes {
        let rendered = facts.desired.components.iter().find(|rendered| rendered.component == node.component.name);
        let (state, reason, message) = judge(facts, node, rendered);
        reports.push(ComponentReport {
            name: node.component.name.clone(),
            plugin: node.plugin.name.clone(),
            state,
            reason,
            message,
            criticality: node.component.criticality,
            phase_on_failure: node.component.phase_on_failure.clone(),
        });
    }
    reports
}

type Judgement = (ComponentState, String, String);

fn judge(facts: &Facts<'_>, node: &Node, rendered: Option<&Rendered>) -> Judgement {
    let name = node.component.name.as_str();
    let Some(rendered) = rendered else {
        return (ComponentState::Progressing, "NotRendered".to_owned(), "it has not been asked yet".to_owned());
    };
    if let Some(refusal) = facts.permitted.refused.iter().find(|refusal| refusal.component == name) {
        return (ComponentState::Blocked, refusal.reason.clone(), refusal.message.clone());
    }
    if let Some(problem) = facts.plan.problems.iter().find(|problem| problem.component == name) {
        return (ComponentState::Failed, problem.reason.to_owned(), problem.message.clone());
    }
    let response = match &rendered.outcome {
        Outcome::Answered(response) => response,
        Outcome::Failed(failure) if failure.is_of_the_machine() => {
            return (ComponentState::Progressing, failure.reason.clone(), failure.message.clone());
        }
        Outcome::Failed(failure) => return failed(failure),
        Outcome::Refused(refusal) => return (ComponentState::Blocked, refusal.reason.clone(), refusal.message.clone()),
        Outcome::Waiting(dependency) => {
            let message = format!("it waits for {} to be {:?}", dependency.component, dependency.gate).to_lowercase();
            return (ComponentState::Progressing, "WaitingForDependency".to_owned(), message);
        }
    };
    if let Some(mishap) = facts.mishaps.iter().find(|mishap| mishap.component == name) {
        let state = if mishap.transient { ComponentState::Progressing } else { ComponentState::Blocked };
        return (state, mishap.reason.clone(), mishap.message.clone());
    }
    let own = (response.reason.clone(), response.message.clone());
    match response.state {
        State::Ready => children(facts, name).unwrap_or((ComponentState::Ready, own.0, own.1)),
        State::Progressing => (ComponentState::Progressing, own.0, own.1),
        State::Blocked => (ComponentState::Blocked, own.0, own.1),
        State::Failed => (ComponentState::Failed, own.0, own.1),
        State::Disabled => (ComponentState::Disabled, own.0, own.1),
    }
}

/// A component is not ready while a child of its is not, whatever it says.
fn children(facts: &Facts<'_>, component: &str) -> Option<Judgement> {
    if let Some(waiting) = facts.plan.waiting.iter().find(|waiting| waiting.component == component) {
        let message = format!("{}: {}", waiting.reference, waiting.message);
        return Some((ComponentState::Progressing, "ChildWaiting".to_owned(), message));
    }
    let entries = facts.observation.inventory.children.iter().filter(|entry| entry.component == component && entry.uid.is_some());
    for entry in entries {
        let child = facts.observation.children.values().find(|child| Some(&child.uid) == entry.uid.as_ref());
        let Some(child) = child else { continue };
        let message = || format!("{}: {}", child.reference, child.readiness.message);
        match child.readiness.state {
            ReadinessState::Ready => {}
            ReadinessState::Progressing => return Some((ComponentState::Progressing, child.readiness.reason.clone(), message())),
            ReadinessState::Failed => return Some((ComponentState::Failed, child.readiness.reason.clone(), message())),
        }
    }
    None
}

fn failed(failure: &Failure) -> Judgement {
    (ComponentState::Failed, failure.reason.clone(), with_field(&failure.message, failure.field.as_deref()))
}

/// `field: message`, unless the message names the field already.
fn with_field(message: &str, field: Option<&str>) -> String {
    match field {
        Some(field) if !message.contains(field) => format!("{field}: {message}"),
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::contract::FailureClass;
    use crate::report::{PROGRESS_INTERVAL, Report, report};
    use crate::sample::{component, observation, owner, plugin, scripted};
    use crate::{PluginSet, admit, compose, plan, render};

    fn told_of(reason: &str, class: FailureClass) -> Report {
        let observation = observation(owner(json!({})));
        let graph = compose(&observation.owner, &PluginSet::default().with(plugin("stack", vec![component("store", &[])])));
        let renderer = scripted(|_| Err(Failure { class, reason: reason.to_owned(), message: String::new(), field: None }));
        let desired = render(&graph, &observation, &renderer);
        let permitted = admit(&desired, &observation);
        let plan = plan(&permitted, &observation);
        report(Facts { observation: &observation, graph: &graph, desired: &desired, permitted: &permitted, plan: &plan, mishaps: &[] })
    }

    #[test]
    fn a_component_for_which_the_machine_had_no_time_is_asked_again_soon() {
        for reason in [Failure::BUSY, Failure::TIMED_OUT] {
            let report = told_of(reason, FailureClass::Plugin);
            assert_eq!((report.components[0].state, report.components[0].reason.as_str()), (ComponentState::Progressing, reason));
            assert_eq!(report.requeue_after, Some(PROGRESS_INTERVAL));
        }
    }

    #[test]
    fn a_component_that_fails_by_itself_is_not_asked_again_whatever_it_calls_its_reason() {
        for (reason, class) in [("CpuLimitExceeded", FailureClass::Plugin), (Failure::BUSY, FailureClass::Internal)] {
            let report = told_of(reason, class);
            assert_eq!((report.components[0].state, report.requeue_after), (ComponentState::Failed, None), "{reason}");
        }
    }
}
