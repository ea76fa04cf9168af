//! Step 8: what the owner's status, conditions and events say of this reconcile. Pure; the one status write is `banhbaoring-cluster`'s.

mod pause;
mod phase;
mod state;
mod status;

use serde::Serialize;

use crate::admit::Permitted;
use crate::contract::{EventType, Json, Metric};
use crate::graph::Graph;
use crate::observation::Observation;
use crate::plan::Plan;
use crate::render::{Desired, Outcome};

pub use pause::{is_paused, paused_status};
pub use phase::Phase;
pub use state::{ComponentReport, ComponentState};

/// What went wrong while a component's steps were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mishap {
    /// The component.
    pub component: String,
    /// CamelCase, bounded.
    pub reason: String,
    /// Expected, found, what to do next.
    pub message: String,
    /// It may go away by itself: it is tried again soon.
    pub transient: bool,
}

/// All that a report is made from.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Step 1, with children and inventory as step 6 left them.
    pub observation: &'a Observation,
    /// Step 2.
    pub graph: &'a Graph,
    /// Step 3.
    pub desired: &'a Desired,
    /// Step 4.
    pub permitted: &'a Permitted,
    /// Step 5.
    pub plan: &'a Plan,
    /// Steps 6 and 7.
    pub mishaps: &'a [Mishap],
}

/// What people and machines are told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The owner's whole status as it should be.
    pub status: Json,
    /// Whether it differs from what the owner says now.
    pub status_changed: bool,
    /// The phase in it.
    pub phase: Phase,
    /// Per component, in graph order.
    pub components: Vec<ComponentReport>,
    /// Events that have not been told yet.
    pub events: Vec<ReportedEvent>,
    /// Metrics that components reported, with their component.
    pub metrics: Vec<(String, Metric)>,
    /// Come back after so many seconds; absent: nothing is due.
    pub requeue_after: Option<u32>,
}

/// An event to be told, and how to remember that it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportedEvent {
    /// Key and value in the inventory's `events`; absent where the owner's status itself remembers.
    pub told: Option<(String, String)>,
    /// Normal or warning.
    #[serde(skip)]
    pub event_type: EventType,
    /// CamelCase.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// How soon an owner that is on its way is looked at again where nothing else would wake it, in seconds.
pub const PROGRESS_INTERVAL: u32 = 10;

/// What to tell of this reconcile.
pub fn report(facts: Facts<'_>) -> Report {
    let components = state::components(&facts);
    let phase = phase::phase(&facts, &components);
    let (status, status_changed) = status::status(&facts, &components, phase);
    Report {
        events: events(&facts, &components),
        metrics: metrics(facts.desired),
        requeue_after: requeue_after(&facts, &components),
        status,
        status_changed,
        phase,
        components,
    }
}

fn responses(desired: &Desired) -> impl Iterator<Item = (&str, &crate::contract::Response)> {
    desired.components.iter().filter_map(|rendered| match &rendered.outcome {
        Outcome::Answered(response) => Some((rendered.component.as_str(), response.as_ref())),
        _ => None,
    })
}

fn metrics(desired: &Desired) -> Vec<(String, Metric)> {
    responses(desired)
        .flat_map(|(component, response)| response.metrics.iter().map(move |metric| (component.to_owned(), metric.clone())))
        .collect()
}

fn events(facts: &Facts<'_>, components: &[ComponentReport]) -> Vec<ReportedEvent> {
    let mut events: Vec<ReportedEvent> =
        components.iter().filter(|component| is_news(component, facts.observation.owner.status())).map(transition).collect();
    for (component, response) in responses(facts.desired) {
        let told = response.events.iter().map(|event| {
            // Stored in the inventory: bounded, and the same text always gives the same one.
            let text = Json::String(format!("{} {}", event.reason, event.message));
            let told = (format!("{component}/{}", event.key), crate::json::hash(&text)[..16].to_owned());
            ReportedEvent { told: Some(told), event_type: event.event_type, reason: event.reason.clone(), message: event.message.clone() }
        });
        events.extend(told.filter(|event| {
            event.told.as_ref().is_none_or(|(key, fingerprint)| facts.observation.inventory.events.get(key) != Some(fingerprint))
        }));
    }
    events
}

/// Whether a component fares otherwise than the owner's status says. That a new one is on its way is no news.
fn is_news(component: &ComponentReport, status: Option<&Json>) -> bool {
    let before = status.and_then(|status| status.get("components")?.as_array()?.iter().find(|before| before["name"] == *component.name));
    let Some(before) = before else {
        return !matches!(component.state, ComponentState::Progressing | ComponentState::Disabled);
    };
    before["state"] != component.state.as_str()
        || component.state.is_bad() && (before["reason"] != *component.reason || before["message"] != *component.message)
}

fn transition(component: &ComponentReport) -> ReportedEvent {
    let bad = component.state.is_bad();
    ReportedEvent {
        told: None,
        event_type: if bad { EventType::Warning } else { EventType::Normal },
        reason: if bad { component.reason.clone() } else { format!("Component{}", component.state.as_str()) },
        message: format!(
            "{}: {}",
            component.name,
            if component.message.is_empty() { component.state.as_str() } else { &component.message }
        ),
    }
}

fn requeue_after(facts: &Facts<'_>, components: &[ComponentReport]) -> Option<u32> {
    let asked = responses(facts.desired).filter_map(|(_, response)| response.requeue_after_seconds).min();
    let moving = components.iter().any(|component| component.state == ComponentState::Progressing).then_some(PROGRESS_INTERVAL);
    // An object that waits for a hash or for its predecessor has nobody to wake it.
    let waiting = (!facts.plan.waiting.is_empty()).then_some(1);
    [asked, moving, waiting].into_iter().flatten().min()
}

#[cfg(test)]
mod tests;
