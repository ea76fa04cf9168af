//! Conditions as every kind of this project reports them: the shape of `metav1.Condition`, with our own schema so that server-side apply
//! merges them by type.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `True`, `False` or `Unknown`, as `metav1.ConditionStatus` spells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// The condition holds.
    True,
    /// It does not hold.
    False,
    /// Nobody knows yet.
    Unknown,
}

/// One condition of a resource's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// CamelCase name, unique in the list.
    #[serde(rename = "type")]
    pub type_: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// CamelCase, bounded vocabulary.
    pub reason: String,
    /// For people: what was expected, what was found, what to do next.
    #[serde(default)]
    pub message: String,
    /// The `metadata.generation` that this was computed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// RFC 3339, when `status` last changed.
    pub last_transition_time: String,
}

/// Condition types of a `Plugin`, in the order of its lifecycle.
pub mod plugin {
    /// The reference was resolved to a digest.
    pub const RESOLVED: &str = "Resolved";
    /// Every required signature over that digest was found and is good.
    pub const VERIFIED: &str = "Verified";
    /// The bytes compiled, import nothing forbidden, and describe themselves consistently.
    pub const LOADED: &str = "Loaded";
    /// What the descriptor asks for is covered by grants and policies.
    pub const PERMISSIONS_GRANTED: &str = "PermissionsGranted";
    /// The API server asks it about the writes that it judges. Absent where it judges none.
    pub const ADMISSION_SERVED: &str = "AdmissionServed";
    /// The plugin serves.
    pub const READY: &str = "Ready";
}

/// Condition types that the host sets on every owner.
pub mod owner {
    /// All required components are ready.
    pub const READY: &str = "Ready";
    /// The last reconcile went through all its steps.
    pub const RECONCILED: &str = "Reconciled";
    /// The owner's spec asks for being left alone. Absent otherwise.
    pub const PAUSED: &str = "Paused";
}

/// Sets `new` in `conditions`, keeping the transition time where the status did not change. Returns whether anything changed.
pub fn set(conditions: &mut Vec<Condition>, new: Condition) -> bool {
    match conditions.iter_mut().find(|c| c.type_ == new.type_) {
        Some(old) => {
            let mut new = new;
            if old.status == new.status {
                new.last_transition_time.clone_from(&old.last_transition_time);
            }
            let changed = *old != new;
            *old = new;
            changed
        }
        None => {
            conditions.push(new);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(status: ConditionStatus, reason: &str, time: &str) -> Condition {
        Condition {
            type_: "Ready".into(),
            status,
            reason: reason.into(),
            message: String::new(),
            observed_generation: None,
            last_transition_time: time.into(),
        }
    }

    #[test]
    fn the_transition_time_stays_while_only_the_reason_changes() {
        let mut list = vec![condition(ConditionStatus::False, "A", "1")];
        assert!(set(&mut list, condition(ConditionStatus::False, "B", "2")));
        assert_eq!(list, vec![condition(ConditionStatus::False, "B", "1")]);
        assert!(!set(&mut list, condition(ConditionStatus::False, "B", "3")));
        assert!(set(&mut list, condition(ConditionStatus::True, "C", "4")));
        assert_eq!(list, vec![condition(ConditionStatus::True, "C", "4")]);
    }
}
