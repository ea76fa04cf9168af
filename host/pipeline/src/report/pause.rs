//! An owner whose spec says `paused: true`, whatever its kind: it is left alone, and its status says so beside what it said before. A deletion is not
//! held up: whoever deletes means it.

use banhbaoring_api::condition::{self, Condition, ConditionStatus};
use serde_json::{Value, json};

use super::status::timestamp;
use crate::contract::Json;
use crate::observation::Owner;

/// Whether an owner asks for being left alone.
pub fn is_paused(owner: &Owner) -> bool {
    !owner.deleting && owner.spec().get("paused").and_then(Value::as_bool) == Some(true)
}

/// The status of an owner that is left alone at `now`, in seconds since 1970; absent where it says so already.
pub fn paused_status(owner: &Owner, now: u64) -> Option<Json> {
    let mut status = owner.status().cloned().unwrap_or_else(|| json!({}));
    let before = status.get("conditions").cloned();
    let mut conditions: Vec<Condition> = before.and_then(|before| serde_json::from_value(before).ok()).unwrap_or_default();
    let is_news = condition::set(
        &mut conditions,
        Condition {
            type_: condition::owner::PAUSED.to_owned(),
            status: ConditionStatus::True,
            reason: "SpecPaused".to_owned(),
            message:
                "nothing is made, changed or deleted; drift stays, and so does what the other conditions said. Set spec.paused to false \
                      to go on"
                    .to_owned(),
            observed_generation: Some(owner.generation),
            last_transition_time: timestamp(now),
        },
    );
    status["conditions"] = json!(conditions);
    is_news.then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn what_was_said_before_stays_and_the_pause_is_told_once_a_generation() {
        let mut owner = sample::owner(json!({"paused": true}));
        assert!(is_paused(&owner));
        owner.object["status"] = json!({"phase": "Running", "leader": "a-0",
            "conditions": [{"type": "Ready", "status": "True", "reason": "Fine", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
        let told = paused_status(&owner, 1_700_000_000).unwrap();
        assert_eq!((&told["phase"], &told["leader"]), (&json!("Running"), &json!("a-0")));
        let types: Vec<_> = told["conditions"].as_array().unwrap().iter().map(|condition| condition["type"].clone()).collect();
        assert_eq!(types, ["Ready", "Paused"]);
        owner.object["status"] = told.clone();
        assert_eq!(paused_status(&owner, 1_700_000_900), None);
        owner.generation += 1;
        let again = paused_status(&owner, 1_700_000_900).unwrap();
        assert_eq!(again["conditions"][1]["lastTransitionTime"], told["conditions"][1]["lastTransitionTime"]);
    }

    #[test]
    fn a_deletion_is_not_held_up_and_anything_but_true_is_no_pause() {
        assert!(!is_paused(&Owner { deleting: true, ..sample::owner(json!({"paused": true})) }));
        for spec in [json!({}), json!({"paused": false}), json!({"paused": "true"})] {
            assert!(!is_paused(&sample::owner(spec)));
        }
    }
}
