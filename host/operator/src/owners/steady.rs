//! Owners of which nothing changed since a reconcile that found nothing to do. Steps 2 to 8 are functions of what step 1 saw, so they would find nothing
//! again: they are left out. What is kept is a hash and two numbers.

use std::time::Duration;

use banhbaoring_pipeline::Report;
use banhbaoring_pipeline::contract::FailureClass;
use banhbaoring_pipeline::observation::Observation;
use banhbaoring_pipeline::render::Outcome;
use banhbaoring_pipeline::report::Mishap;

use super::reconcile::Decided;

/// What an owner was seen as when nothing was to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Steady {
    fingerprint: [u8; 32],
    /// Until something expires, in seconds since 1970.
    until: i64,
    /// When the components want to look again.
    pub(super) requeue_after: Option<Duration>,
}

impl Steady {
    /// Absent where there was something to do, where time alone may change the answer, or where asking again may.
    pub(super) fn of(fingerprint: Option<[u8; 32]>, decided: &Decided, mishaps: &[Mishap], report: &Report) -> Option<Self> {
        let Decided { observation, graph, desired, permitted, plan, rounds } = decided;
        let nothing_done = *rounds == 1
            && plan.is_empty()
            && plan.release.is_empty()
            && mishaps.is_empty()
            && !report.status_changed
            && report.events.is_empty()
            && permitted.components.iter().all(|component| component.actions.is_empty())
            && !observation.owner.deleting;
        let may_change_by_itself = graph.nodes.iter().any(|node| node.component.clock_seconds.is_some())
            || desired.components.iter().any(|rendered| match &rendered.outcome {
                Outcome::Failed(failure) => failure.class == FailureClass::Plugin,
                _ => false,
            });
        if !nothing_done || may_change_by_itself {
            return None;
        }
        let until = observation.inventory.children.iter().filter_map(|entry| entry.renew_at).min().unwrap_or(i64::MAX);
        let requeue_after = report.requeue_after.map(|seconds| Duration::from_secs(u64::from(seconds)));
        Some(Self { fingerprint: fingerprint?, until, requeue_after })
    }

    /// Whether it is still so.
    pub(super) fn holds(&self, fingerprint: Option<[u8; 32]>, observation: &Observation) -> bool {
        fingerprint == Some(self.fingerprint) && i64::try_from(observation.now).is_ok_and(|now| now < self.until)
    }
}
