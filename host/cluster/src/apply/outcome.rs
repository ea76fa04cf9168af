//! What came of a plan: per component and step, and as the mishaps that a report tells. No I/O.

use std::collections::BTreeMap;

use banhbaoring_pipeline::contract::ObjectReference;
use banhbaoring_pipeline::observation::ObservedChild;
use banhbaoring_pipeline::plan::{Cause, Step};
use banhbaoring_pipeline::report::Mishap;

use crate::inventory::StoredInventory;
use crate::prune::Pruned;
use crate::request::ApiError;
use crate::secret::SecretError;
use crate::sighting::Sighting;

/// What a sent step left behind.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Written {
    pub(crate) uid: String,
    pub(crate) resource_version: String,
    pub(crate) fields_hash: Option<String>,
    pub(crate) created: bool,
    /// Of Secrets: hash of each value, where it was made or read in this pass.
    pub(crate) material: Option<BTreeMap<String, String>>,
    /// Of renewable Secrets.
    pub(crate) renew_at: Option<i64>,
    /// ConfigMaps that a Secret was published to.
    pub(crate) published: Vec<(ObjectReference, Box<Written>)>,
    /// The object as it is then; of Secrets absent.
    pub(crate) sighting: Option<Sighting>,
    /// The Secret was written and its publication was not.
    pub(crate) publish_failed: Option<StepError>,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Done {
    Written(Box<Written>),
    /// Applied only where it exists, and it does not.
    Absent,
    /// The one that was there has to be gone first.
    Leaving,
}

/// Why one write was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// Somebody else's object has the name.
    #[error(
        "{0} exists and is not ours: this owner did not make it, whatever its labels say; it was not touched. Delete or rename it, or let the owner use another name"
    )]
    NameTaken(ObjectReference),
    /// The same, of a Secret that is made once: it may be what an owner of that name left behind.
    #[error(
        "{0} exists and is not ours: this owner did not make it, whatever its labels say; it was not touched. It may hold the only key to data that was kept: \
         copy it under another name first, have the owner restore from the copy if its kind can, and do not delete what you have no copy of"
    )]
    IdentityInTheWay(ObjectReference),
    /// The API server refused or did not answer.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// Material could not be made.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The plan asks for something that cannot be expressed.
    #[error("{reference}: {message}")]
    Unsupported {
        /// Which object.
        reference: ObjectReference,
        /// Expected, found, what to do next.
        message: String,
    },
}

impl StepError {
    /// CamelCase, bounded.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NameTaken(_) | Self::IdentityInTheWay(_) => "NameTaken",
            Self::Api(error) => error.reason(),
            Self::Secret(error) => error.reason(),
            Self::Unsupported { .. } => "Unsupported",
        }
    }

    /// Whether it may go away by itself, soon.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NameTaken(_) | Self::IdentityInTheWay(_) | Self::Unsupported { .. } => false,
            Self::Api(error) => error.is_transient(),
            Self::Secret(error) => error.is_transient(),
        }
    }
}

/// How one step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepOutcome {
    /// It was written.
    Written {
        /// Its uid.
        uid: String,
        /// Its resourceVersion after it.
        resource_version: String,
        /// Whether there was none before.
        created: bool,
    },
    /// It is applied only where it exists, and it does not.
    Absent,
    /// Its predecessor is on its way out; it is made in the next pass.
    Leaving,
    /// It was not sent, and why.
    Skipped(String),
    /// It was refused.
    Failed(StepError),
}

/// One step and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepResult {
    /// Which object.
    pub reference: ObjectReference,
    /// Why it was to be sent.
    pub cause: Cause,
    /// How it ended.
    pub outcome: StepOutcome,
}

/// What came of the steps of one component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ComponentApplied {
    /// In the order in which they ended.
    pub steps: Vec<StepResult>,
}

impl ComponentApplied {
    /// Errors, with their objects.
    pub fn failures(&self) -> impl Iterator<Item = (&ObjectReference, &StepError)> {
        self.steps.iter().filter_map(|step| match &step.outcome {
            StepOutcome::Failed(error) => Some((&step.reference, error)),
            _ => None,
        })
    }

    /// Whether everything was written or needed nothing.
    pub fn is_complete(&self) -> bool {
        self.steps.iter().all(|step| matches!(step.outcome, StepOutcome::Written { .. } | StepOutcome::Absent))
    }
}

/// What came of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// Components that had steps.
    pub components: BTreeMap<String, ComponentApplied>,
    /// Deletions.
    pub pruned: Vec<Pruned>,
    /// Children as the API server answered their writes.
    pub children: BTreeMap<ObjectReference, ObservedChild>,
    /// With what was learnt; not stored yet.
    pub inventory: StoredInventory,
}

impl Applied {
    /// Nothing had to be sent.
    pub fn unchanged(inventory: StoredInventory) -> Self {
        Self::new(inventory)
    }

    pub(super) fn new(inventory: StoredInventory) -> Self {
        Self { components: BTreeMap::new(), pruned: Vec::new(), children: BTreeMap::new(), inventory }
    }

    /// What a report has to tell.
    pub fn mishaps(&self) -> Vec<Mishap> {
        let mut mishaps = Vec::new();
        for (name, component) in &self.components {
            let tell = |reason: &str, message: String, transient| Mishap {
                component: name.clone(),
                reason: reason.to_owned(),
                message,
                transient,
            };
            let mut told_skipped = component.failures().next().is_some();
            for step in &component.steps {
                match &step.outcome {
                    StepOutcome::Written { .. } | StepOutcome::Absent => {}
                    StepOutcome::Leaving => {
                        mishaps.push(tell("Recreating", format!("{} waits for its predecessor to be gone", step.reference), true))
                    }
                    // The failure tells why; what it held up is told once, and only where the failure is another component's.
                    StepOutcome::Skipped(_) if told_skipped => {}
                    StepOutcome::Skipped(why) => {
                        told_skipped = true;
                        mishaps.push(tell("NotApplied", format!("{} was not applied: {why}", step.reference), true));
                    }
                    StepOutcome::Failed(error) => mishaps.push(tell(error.reason(), error.to_string(), error.is_transient())),
                }
            }
        }
        mishaps.extend(self.pruned.iter().filter_map(Pruned::mishap));
        mishaps
    }

    /// Whether anything was written or deleted, besides the inventory.
    pub fn has_written(&self) -> bool {
        self.components.values().flat_map(|component| &component.steps).any(|step| matches!(step.outcome, StepOutcome::Written { .. }))
            || !self.pruned.is_empty()
    }

    /// Whether something of the component could not be applied.
    pub fn has_failed(&self, component: &str) -> bool {
        self.components.get(component).is_some_and(|component| {
            component.steps.iter().any(|step| matches!(step.outcome, StepOutcome::Failed(_) | StepOutcome::Skipped(_)))
        })
    }

    pub(super) fn skip(&mut self, steps: &[Step], why: &str) {
        for step in steps {
            self.push(step, StepOutcome::Skipped(why.to_owned()));
        }
    }

    pub(super) fn record(&mut self, step: &Step, result: Result<Done, StepError>) {
        let outcome = match result {
            Ok(Done::Written(written)) if written.publish_failed.is_some() => {
                written.publish_failed.map_or(StepOutcome::Absent, StepOutcome::Failed)
            }
            Ok(Done::Written(written)) => {
                StepOutcome::Written { uid: written.uid, resource_version: written.resource_version, created: written.created }
            }
            Ok(Done::Absent) => StepOutcome::Absent,
            Ok(Done::Leaving) => StepOutcome::Leaving,
            Err(error) => StepOutcome::Failed(error),
        };
        self.push(step, outcome);
    }

    fn push(&mut self, step: &Step, outcome: StepOutcome) {
        let result = StepResult { reference: step.reference.clone(), cause: step.cause, outcome };
        self.components.entry(step.component.clone()).or_default().steps.push(result);
    }
}
