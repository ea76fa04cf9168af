//! What is kept of an object that was seen: enough to decide whether something differs and how it fares, and no more. Pure; the same from a get and
//! from a watch.

use std::collections::BTreeSet;

use banhbaoring_api::inventory::ChildEntry;
use banhbaoring_pipeline::contract::{Json, ObjectReference, ReadinessState};
use banhbaoring_pipeline::json::project;
use banhbaoring_pipeline::observation::{ObservedChild, Readiness};
use banhbaoring_pipeline::plan::field_manager;
use banhbaoring_pipeline::readiness::{needs_whole_object, readiness};
use serde_json::Value;

use crate::apply::INTENT_ANNOTATION;
use crate::managed_fields::fields_hash;
use crate::observe::Views;
use crate::request::{Answer, Seen};

/// Managers of ours; `field_manager` names the component after it.
const OUR_MANAGERS: &str = "banhbaoring/";

/// How much of the objects of a kind is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Sight {
    /// Readiness or fields are needed: the object is read whole and trimmed at once.
    pub(crate) whole: bool,
    /// Fields that components asked for.
    fields: BTreeSet<String>,
}

impl Sight {
    /// A Secret's value is never read to learn how it fares.
    pub(crate) fn of(api_version: &str, kind: &str, views: &Views) -> Self {
        if api_version == "v1" && kind == "Secret" {
            return Self { whole: false, fields: BTreeSet::new() };
        }
        let fields = views.get(&(api_version.to_owned(), kind.to_owned())).cloned().unwrap_or_default();
        Self { whole: !fields.is_empty() || needs_whole_object(api_version, kind), fields }
    }

    pub(crate) fn answer(&self) -> Answer {
        if self.whole { Answer::Whole } else { Answer::Metadata }
    }
}

/// An object as it was seen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sighting {
    pub(crate) resource_version: String,
    pub(crate) uid: String,
    controller: Option<String>,
    /// Token of its creation, until the first apply after it.
    intent: Option<String>,
    deleting: bool,
    /// Hash of the fields of each manager of ours.
    managers: Vec<(String, String)>,
    readiness: Readiness,
    fields: Json,
}

impl Sighting {
    /// `exclusive`: pointers below which only its component may own anything.
    pub(crate) fn of(object: &Value, sight: &Sight, exclusive: &[String]) -> Self {
        let seen = Seen::of(object);
        let readiness = if sight.whole {
            readiness(object)
        } else if seen.deleting {
            state(ReadinessState::Progressing, "Terminating", "it is being deleted")
        } else {
            state(ReadinessState::Ready, "Exists", "")
        };
        let mut names: Vec<&str> = seen.managed_fields.iter().filter_map(|entry| entry.get("manager")?.as_str()).collect();
        names.retain(|name| name.starts_with(OUR_MANAGERS));
        names.sort_unstable();
        names.dedup();
        let managers =
            names.into_iter().filter_map(|name| Some((name.to_owned(), fields_hash(&seen.managed_fields, name, exclusive)?))).collect();
        Self {
            managers,
            intent: seen.annotations.get(INTENT_ANNOTATION).and_then(Value::as_str).map(ToOwned::to_owned),
            resource_version: seen.resource_version,
            uid: seen.uid,
            controller: seen.controller,
            deleting: seen.deleting,
            readiness,
            fields: if sight.fields.is_empty() { Json::Object(serde_json::Map::new()) } else { project(object, &sight.fields) },
        }
    }

    /// Hash of the fields of one manager of ours.
    pub(crate) fn fields_hash(&self, manager: &str) -> Option<&str> {
        self.managers.iter().find(|(name, _)| name == manager).map(|(_, hash)| hash.as_str())
    }

    /// As a child of an inventory.
    pub(crate) fn child(self, entry: &ChildEntry, owner_uid: &str) -> ObservedChild {
        let fields_hash = self.fields_hash(&field_manager(&entry.component)).map(ToOwned::to_owned);
        // Of an object whose creation was only intended, the owner reference proves nothing, and a kept or foreign-namespace one has none: the
        // token tells whether it is the one that we made.
        let controller = match (&entry.uid, &entry.intent) {
            (None, Some(intent)) => (self.intent.as_ref() == Some(intent)).then(|| owner_uid.to_owned()),
            _ => self.controller,
        };
        ObservedChild {
            reference: ObjectReference::from(entry),
            fields_hash,
            uid: self.uid,
            resource_version: self.resource_version,
            controller,
            deleting: self.deleting,
            readiness: self.readiness,
            fields: self.fields,
        }
    }
}

fn state(state: ReadinessState, reason: &str, message: &str) -> Readiness {
    Readiness { state, reason: reason.to_owned(), message: message.to_owned() }
}
