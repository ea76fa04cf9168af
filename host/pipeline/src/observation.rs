//! What step 1 saw: the owner, its children as far as they are known, answers to needs. Only data; `banhbaoring-cluster` fills it.

use std::collections::BTreeMap;
use std::io::BufWriter;

use banhbaoring_api::inventory::{InventorySpec, OwnerReference};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::contract::{ActionOutcome, AnswerOutcome, Json, ObjectReference, Platform, ReadinessState};
use crate::kinds::KindTable;

/// Everything that the pure steps of one reconcile are based on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The owner.
    pub owner: Owner,
    /// What the host recorded about it.
    pub inventory: InventorySpec,
    /// Children of the inventory that exist, by reference.
    pub children: BTreeMap<ObjectReference, ObservedChild>,
    /// The cluster.
    pub platform: Platform,
    /// Kinds that it serves, and how.
    #[serde(default)]
    pub kinds: KindTable,
    /// Answers so far, by component and id of the need.
    pub answers: BTreeMap<(String, String), AnswerOutcome>,
    /// Results of actions, by component and id of the action.
    pub results: BTreeMap<(String, String), ActionOutcome>,
    /// Salted hashes of values of Secrets that the host did not make, by `secret/key`, as far as they were asked for.
    pub material: BTreeMap<String, String>,
    /// Components with a child of which nothing is known, and why: what is not known is not absent, so nothing of them is planned.
    #[serde(default)]
    pub unobserved: BTreeMap<String, String>,
    /// Seconds since 1970.
    pub now: u64,
}

impl Observation {
    /// Hash of all that the pure steps are based on, the time and what the cluster serves left out: equal hashes, equal answers, but for what a
    /// component makes of the clock.
    pub fn fingerprint(&self) -> Option<[u8; 32]> {
        let Self { owner, inventory, children, platform: _, kinds: _, answers, results, material, unobserved, now: _ } = self;
        let children: Vec<&ObservedChild> = children.values().collect();
        let (answers, results): (Vec<_>, Vec<_>) = (answers.iter().collect(), results.iter().collect());
        let mut out = BufWriter::with_capacity(4096, Sha256::new());
        serde_json::to_writer(&mut out, &(owner, inventory, children, answers, results, material, unobserved)).ok()?;
        Some(out.into_inner().ok()?.finalize().into())
    }
}

/// The custom resource that is reconciled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Owner {
    /// Which, with its uid.
    pub reference: OwnerReference,
    /// `metadata.generation`.
    pub generation: i64,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// The whole object as read, without managedFields.
    pub object: Json,
}

impl Owner {
    /// `group/Kind`, as descriptors name it.
    pub fn kind(&self) -> String {
        let group = self.reference.api_version.split_once('/').map_or("", |(group, _)| group);
        format!("{group}/{}", self.reference.kind)
    }

    /// Its `spec`; an empty object where absent.
    pub fn spec(&self) -> &Json {
        static EMPTY: std::sync::LazyLock<Json> = std::sync::LazyLock::new(|| Json::Object(serde_json::Map::new()));
        self.object.get("spec").unwrap_or(&EMPTY)
    }

    /// Its `status`, if any.
    pub fn status(&self) -> Option<&Json> {
        self.object.get("status")
    }
}

/// A child that exists, as metadata plus readiness: never the whole object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObservedChild {
    /// Which.
    pub reference: ObjectReference,
    /// Its uid: an object of the same name with another uid is not ours.
    pub uid: String,
    /// Its resourceVersion, for preconditions.
    pub resource_version: String,
    /// Hash of the entries of our field manager in its managedFields; absent where there is none.
    pub fields_hash: Option<String>,
    /// Uid of its controller owner reference.
    pub controller: Option<String>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// How it fares.
    pub readiness: Readiness,
    /// The fields that a component asked to see, by pointer.
    pub fields: Json,
}

/// How an object fares, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// Ready, progressing, failed.
    pub state: ReadinessState,
    /// CamelCase.
    pub reason: String,
    /// For people.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sample;

    #[test]
    fn whatever_an_answer_is_based_on_is_in_the_fingerprint() {
        let before = || {
            let mut observation = sample::observation(sample::owner(json!({"size": 1})));
            sample::child(&mut observation, "db", "ConfigMap", "a", Some(ReadinessState::Ready), json!({}));
            observation.answers.insert(("db".to_owned(), "n".to_owned()), AnswerOutcome::Pending);
            observation
        };
        let same = before().fingerprint();
        assert!(same.is_some());
        assert_eq!(Observation { now: 7, ..before() }.fingerprint(), same);
        let mut changed = vec![before(); 6];
        changed[0].owner.object["spec"]["size"] = json!(2);
        changed[1].children.values_mut().for_each(|child| child.resource_version = "6".to_owned());
        changed[2].answers.values_mut().for_each(|answer| *answer = AnswerOutcome::Ok(json!(1)));
        changed[3].inventory.children[0].renew_at = Some(1);
        changed[4].material.insert("a/b".to_owned(), "h".to_owned());
        changed[5].unobserved.insert("db".to_owned(), "forbidden".to_owned());
        for (index, observation) in changed.iter().enumerate() {
            assert_ne!(observation.fingerprint(), same, "{index}");
        }
    }
}
