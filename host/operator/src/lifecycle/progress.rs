//! How far a revision has come: the conditions of a `Plugin`, step by step.

use banhbaoring_api::condition::{self, Condition, ConditionStatus, plugin as types};
use banhbaoring_api::plugin::{Plugin, PluginStatus};
use chrono::{SecondsFormat, Utc};

use crate::admission::Told;

/// A step of the lifecycle; each is a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Reference to digest.
    Resolved,
    /// Signatures.
    Verified,
    /// Pulled, compiled, described.
    Loaded,
    /// Permissions, kinds, conflicts.
    PermissionsGranted,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Resolved, Self::Verified, Self::Loaded, Self::PermissionsGranted];

    /// The condition's type.
    pub fn condition(self) -> &'static str {
        match self {
            Self::Resolved => types::RESOLVED,
            Self::Verified => types::VERIFIED,
            Self::Loaded => types::LOADED,
            Self::PermissionsGranted => types::PERMISSIONS_GRANTED,
        }
    }
}

/// Why a revision did not get past a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Setback {
    /// At which step.
    pub stage: Stage,
    /// CamelCase, bounded.
    pub reason: &'static str,
    /// Expected, found, what to do next.
    pub message: String,
    /// Trying again may help without anybody changing anything.
    pub transient: bool,
}

/// Collects conditions; written once at the end.
pub struct Progress {
    status: PluginStatus,
    generation: Option<i64>,
    now: String,
}

impl Progress {
    /// Starts from what the resource says now.
    pub fn of(plugin: &Plugin) -> Self {
        let mut status = plugin.status.clone().unwrap_or_default();
        status.observed_generation = plugin.metadata.generation;
        Self { status, generation: plugin.metadata.generation, now: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true) }
    }

    /// Goes on from what was found out before, written or not.
    pub fn resume(&mut self, told: &PluginStatus) {
        self.status = PluginStatus { observed_generation: self.generation, ..told.clone() };
    }

    /// A step was passed.
    pub fn passed(&mut self, stage: Stage, reason: &str, message: impl Into<String>) {
        self.set(stage.condition(), ConditionStatus::True, reason, message.into());
    }

    /// A step was not passed; nothing is known of those after it.
    pub fn failed(&mut self, setback: &Setback) {
        self.set(setback.stage.condition(), ConditionStatus::False, setback.reason, setback.message.clone());
        for later in Stage::ALL.into_iter().filter(|stage| *stage > setback.stage) {
            self.set(later.condition(), ConditionStatus::Unknown, "NotReached", format!("{} comes first", setback.stage.condition()));
        }
    }

    /// Whether every step is told to be passed.
    pub fn is_complete(&self) -> bool {
        let holds = |stage: Stage| {
            let mut conditions = self.status.conditions.iter();
            conditions.any(|condition| condition.type_ == stage.condition() && condition.status == ConditionStatus::True)
        };
        Stage::ALL.into_iter().all(holds)
    }

    /// Whether the plugin serves, and what.
    pub fn ready(&mut self, ready: bool, reason: &str, message: impl Into<String>) {
        let status = if ready { ConditionStatus::True } else { ConditionStatus::False };
        self.set(types::READY, status, reason, message.into());
    }

    /// Whether the plugin is asked about writes; `None` where it does not want to be.
    pub fn admission(&mut self, told: Option<&Told>) {
        match told {
            Some(told) => {
                let status = if told.served { ConditionStatus::True } else { ConditionStatus::False };
                self.set(types::ADMISSION_SERVED, status, told.reason, told.message.clone());
            }
            None => self.status.conditions.retain(|condition| condition.type_ != types::ADMISSION_SERVED),
        }
    }

    /// Whether it was ever told that the plugin is asked about writes.
    pub fn knows_of_admission(&self) -> bool {
        self.status.conditions.iter().any(|condition| condition.type_ == types::ADMISSION_SERVED)
    }

    /// The status as far as it is known.
    pub fn status(&mut self) -> &mut PluginStatus {
        &mut self.status
    }

    /// The status to write, if it differs from what the resource says.
    pub fn changed(&self, plugin: &Plugin) -> Option<&PluginStatus> {
        (plugin.status.as_ref() != Some(&self.status)).then_some(&self.status)
    }

    fn set(&mut self, type_: &str, status: ConditionStatus, reason: &str, message: String) {
        condition::set(
            &mut self.status.conditions,
            Condition {
                type_: type_.to_owned(),
                status,
                reason: reason.to_owned(),
                message,
                observed_generation: self.generation,
                last_transition_time: self.now.clone(),
            },
        );
    }
}
