//! What owners' components publish, for those of other owners that ask: as of each owner's last reconcile in this process, and who is to be told when it
//! changes. Whether an owner may be asked about is decided by admission and on the object itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use banhbaoring_api::inventory::OwnerReference;
use banhbaoring_contract::need::OutputsView;
use banhbaoring_pipeline::Report;
use banhbaoring_pipeline::contract::{AnswerOutcome, Json, OutcomeError};
use banhbaoring_pipeline::render::Outcome;
use banhbaoring_pipeline::report::ComponentState;
use serde_json::{Map, json};

use super::reconcile::Decided;

/// Bytes of what one component publishes.
const MAX_BYTES: usize = 64 << 10;
/// Bytes of what all of them publish.
const MAX_BYTES_OF_ALL: usize = 64 << 20;
/// Two owners that consume each other's outputs take turns no faster than this.
const PACE: Duration = Duration::from_secs(1);

/// Who asked: `group/Kind` and the owner.
pub(super) type Consumer = (String, OwnerReference);

/// What one component publishes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Published {
    consumable: bool,
    /// It serves.
    ready: bool,
    /// Absent until it answered.
    outputs: Option<Json>,
    /// More than is remembered.
    is_too_large: bool,
}

#[derive(Debug, Default)]
struct Known {
    /// `group/Kind`.
    kind: String,
    components: BTreeMap<String, Published>,
    bytes: usize,
    told: Option<Instant>,
}

#[derive(Debug, Default)]
struct State {
    owners: HashMap<String, Known>,
    bytes: usize,
    /// By the uid of whom they ask about, then by their own. Whoever was told asks again.
    consumers: HashMap<String, BTreeMap<String, Consumer>>,
}

/// What is published, by the uid of the owner.
#[derive(Debug, Default)]
pub(super) struct Outputs(Mutex<State>);

/// What the components of an owner publish after a reconcile. Components that did not answer this time, or were refused, have no outputs here.
pub(super) fn published(decided: &Decided, report: &Report) -> BTreeMap<String, Published> {
    let of = |name: &str| {
        let rendered = decided.desired.components.iter().find(|rendered| rendered.component == name)?;
        let is_permitted = decided.permitted.components.iter().any(|component| component.component == name);
        match &rendered.outcome {
            Outcome::Answered(response) if is_permitted => Some(response.outputs.clone()),
            _ => None,
        }
    };
    let is_ready = |name: &str| report.components.iter().any(|one| one.name == name && one.state == ComponentState::Ready);
    let nodes = decided.graph.nodes.iter().map(|node| {
        let (name, consumable) = (&node.component.name, node.component.consumable);
        let outputs = if consumable { of(name) } else { None };
        (name.clone(), Published { consumable, ready: is_ready(name), outputs, is_too_large: false })
    });
    nodes.collect()
}

impl Outputs {
    /// Takes in what an owner's components publish. Returns whom to tell of a change, and after how long.
    pub(super) fn publish(&self, kind: &str, uid: &str, mut components: BTreeMap<String, Published>) -> (Vec<Consumer>, Duration) {
        let mut state = self.lock();
        let state = &mut *state;
        let known = state.owners.entry(uid.to_owned()).or_default();
        kind.clone_into(&mut known.kind);
        let others = state.bytes - known.bytes;
        let mut bytes = 0;
        for (name, component) in &mut components {
            if component.outputs.is_none()
                && let Some(before) = known.components.get(name).filter(|before| component.consumable && before.consumable)
            {
                (component.outputs, component.is_too_large) = (before.outputs.clone(), before.is_too_large);
            }
            let size = component.outputs.as_ref().map_or(0, |outputs| outputs.to_string().len());
            if size > MAX_BYTES || others + bytes + size > MAX_BYTES_OF_ALL {
                (component.outputs, component.is_too_large) = (None, true);
            } else {
                bytes += size;
            }
        }
        (state.bytes, known.bytes) = (others + bytes, bytes);
        if known.components == components {
            return (Vec::new(), Duration::ZERO);
        }
        known.components = components;
        let is_soon = known.told.replace(Instant::now()).is_some_and(|told| told.elapsed() < PACE);
        let consumers = state.consumers.remove(uid).unwrap_or_default().into_values().collect();
        (consumers, if is_soon { PACE } else { Duration::ZERO })
    }

    /// What is told of a component. A `consumer` is told once when it changes.
    pub(super) fn answer(&self, uid: &str, component: &str, consumer: Option<Consumer>) -> AnswerOutcome {
        let error = |class: &str, message: String| AnswerOutcome::Error(OutcomeError { class: class.to_owned(), message });
        let mut state = self.lock();
        if let Some(consumer) = consumer {
            state.consumers.entry(uid.to_owned()).or_default().insert(consumer.1.uid.clone(), consumer);
        }
        let Some(known) = state.owners.get(uid) else {
            return error("unavailable", "that owner was not looked at yet".to_owned());
        };
        match known.components.get(component) {
            None => error("not-found", format!("that owner has no component {component:?}")),
            Some(found) if !found.consumable => {
                error("not-permitted", format!("the component {component} does not declare its outputs consumable"))
            }
            Some(found) if found.is_too_large => {
                error("invalid", format!("the component {component} publishes more than the {MAX_BYTES} bytes that are passed on"))
            }
            Some(Published { outputs: Some(outputs), ready, .. }) => {
                let outputs: Map<String, Json> = outputs.as_object().cloned().unwrap_or_default();
                AnswerOutcome::Ok(json!(OutputsView { outputs, ready: *ready }))
            }
            Some(_) => error("unavailable", format!("the component {component} has not published anything yet")),
        }
    }

    /// The owner is gone. Returns whom to tell.
    pub(super) fn forget(&self, uid: &str) -> Vec<Consumer> {
        let mut state = self.lock();
        if let Some(known) = state.owners.remove(uid) {
            state.bytes -= known.bytes;
        }
        state.consumers.remove(uid).unwrap_or_default().into_values().collect()
    }

    /// Nobody looks at owners of the kind any more. Returns whom to tell.
    pub(super) fn end(&self, kind: &str) -> Vec<Consumer> {
        let ended: Vec<String> = self.lock().owners.iter().filter(|(_, known)| known.kind == kind).map(|(uid, _)| uid.clone()).collect();
        ended.iter().flat_map(|uid| self.forget(uid)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(outputs: Option<Json>) -> Published {
        Published { consumable: true, ready: true, outputs, is_too_large: false }
    }

    fn of(name: &str, component: Published) -> BTreeMap<String, Published> {
        BTreeMap::from([(name.to_owned(), component)])
    }

    fn consumer(uid: &str) -> Consumer {
        ("example.com/Tenant".to_owned(), OwnerReference { uid: uid.to_owned(), ..OwnerReference::default() })
    }

    fn class(outcome: &AnswerOutcome) -> &str {
        match outcome {
            AnswerOutcome::Error(error) => &error.class,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn whoever_asked_is_told_once_of_each_change_and_of_none_that_is_none() {
        let outputs = Outputs::default();
        assert_eq!(class(&outputs.answer("store", "db", Some(consumer("t")))), "unavailable");
        assert_eq!(outputs.publish("example.com/Store", "store", of("db", component(Some(json!({"address": "a"}))))).0, [consumer("t")]);
        assert_eq!(
            outputs.answer("store", "db", Some(consumer("t"))),
            AnswerOutcome::Ok(json!({"outputs": {"address": "a"}, "ready": true}))
        );
        assert_eq!(outputs.publish("example.com/Store", "store", of("db", component(Some(json!({"address": "a"}))))).0, []);
        let (told, wait) = outputs.publish("example.com/Store", "store", of("db", component(Some(json!({"address": "b"})))));
        assert_eq!((told, wait), (vec![consumer("t")], PACE), "they may wait for each other");
        outputs.answer("store", "db", Some(consumer("t")));
        assert_eq!(outputs.forget("store"), [consumer("t")]);
        assert_eq!(class(&outputs.answer("store", "db", None)), "unavailable");
    }

    #[test]
    fn a_component_that_does_not_answer_keeps_what_it_published_and_is_not_ready() {
        let outputs = Outputs::default();
        outputs.publish("example.com/Store", "store", of("db", component(Some(json!({"n": 1})))));
        outputs.publish("example.com/Store", "store", of("db", Published { ready: false, ..component(None) }));
        assert_eq!(outputs.answer("store", "db", None), AnswerOutcome::Ok(json!({"outputs": {"n": 1}, "ready": false})));
    }

    #[test]
    fn what_is_not_consumable_not_there_or_too_large_is_told_as_that() {
        let outputs = Outputs::default();
        outputs.publish("example.com/Store", "store", of("db", Published { consumable: false, ..component(None) }));
        assert_eq!(class(&outputs.answer("store", "db", None)), "not-permitted");
        assert_eq!(class(&outputs.answer("store", "other", None)), "not-found");
        outputs.publish("example.com/Store", "store", of("db", component(Some(json!({"n": "x".repeat(MAX_BYTES)})))));
        assert_eq!(class(&outputs.answer("store", "db", None)), "invalid");
        outputs.publish("example.com/Store", "store", of("db", component(Some(json!({"n": 1})))));
        outputs.end("example.com/Tenant");
        assert!(outputs.lock().bytes > 0);
        outputs.end("example.com/Store");
        assert_eq!(outputs.lock().bytes, 0);
        assert_eq!(class(&outputs.answer("store", "db", None)), "unavailable");
    }
}
