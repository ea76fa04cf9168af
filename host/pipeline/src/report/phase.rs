//! One word for the whole owner.

use serde::Serialize;

use super::{ComponentReport, ComponentState, Facts};
use crate::contract::Criticality;

/// The owner's phase, as spec/banhbaoring-operator.md §2.1 names it, and `Deleting`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Phase {
    /// Nothing serves it yet.
    Pending,
    /// On its way for the first time.
    Initializing,
    /// All that matters is ready.
    Running,
    /// It serves, but not all of it.
    Degraded,
    /// A required component will not get there by itself.
    Failed,
    /// It is being deleted.
    Deleting,
}

impl Phase {
    /// As it is written in status and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Initializing => "Initializing",
            Self::Running => "Running",
            Self::Degraded => "Degraded",
            Self::Failed => "Failed",
            Self::Deleting => "Deleting",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Initializing, Self::Running, Self::Degraded, Self::Failed].into_iter().find(|phase| phase.as_str() == text)
    }
}

pub(super) fn phase(facts: &Facts<'_>, components: &[ComponentReport]) -> Phase {
    if facts.observation.owner.deleting {
        return Phase::Deleting;
    }
    if components.is_empty() {
        return Phase::Pending;
    }
    let served_before = facts
        .observation
        .owner
        .status()
        .and_then(|status| status.get("phase"))
        .and_then(|phase| phase.as_str())
        .is_some_and(|phase| phase == Phase::Running.as_str() || phase == Phase::Degraded.as_str());
    components.iter().map(|component| one(component, served_before)).max_by_key(|phase| severity(*phase)).unwrap_or(Phase::Pending)
}

fn one(component: &ComponentReport, served_before: bool) -> Phase {
    let hopeless = match component.state {
        ComponentState::Ready | ComponentState::Disabled => return Phase::Running,
        ComponentState::Progressing => false,
        ComponentState::Blocked | ComponentState::Failed => true,
    };
    if hopeless && let Some(phase) = component.phase_on_failure.as_deref().and_then(Phase::parse) {
        return phase;
    }
    match component.criticality {
        Criticality::BestEffort => Phase::Running,
        Criticality::Degrading => Phase::Degraded,
        Criticality::Required if hopeless => Phase::Failed,
        Criticality::Required if served_before => Phase::Degraded,
        Criticality::Required => Phase::Initializing,
    }
}

fn severity(phase: Phase) -> u8 {
    match phase {
        Phase::Running => 0,
        Phase::Degraded => 1,
        Phase::Initializing => 2,
        Phase::Pending => 3,
        Phase::Failed => 4,
        Phase::Deleting => 5,
    }
}
