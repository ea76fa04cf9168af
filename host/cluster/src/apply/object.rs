//! One object, written: created where there must be none, applied where it must be the one that is known, recreated where an immutable field
//! differs and the component opted in.

use banhbaoring_pipeline::contract::{ApplyMode, ObjectReference};
use banhbaoring_pipeline::plan::{ObjectWrite, Step};
use serde_json::{Value, json};

use super::{Done, Ledger, StepError, Written, exclusive};
use crate::cluster::Cluster;
use crate::observe::Views;
use crate::request::{Answer, ApiError, Endpoint, Propagation, Seen};
use crate::sighting::{Sight, Sighting};

/// Annotation that carries the token of a creation; gone again with the next apply.
pub(crate) const INTENT_ANNOTATION: &str = "banhbaoring.io/intent";

/// A version that no object has: etcd's first revision is never one of an object.
pub(crate) const CREATION_VERSION: &str = "1";

impl Cluster {
    pub(super) async fn write_object(&self, step: &Step, write: &ObjectWrite, views: &Views, ledger: &Ledger) -> Result<Done, StepError> {
        let endpoint = Endpoint::find(&self.clients, &self.discovery, Some(&step.account), &step.reference).await?;
        let sight = Sight::of(&step.reference.api_version, &step.reference.kind, views);
        let answer = if write.exclusive.is_empty() { sight.answer() } else { Answer::Whole };
        let sender = Sender { endpoint: &endpoint, step, write, answer };
        let sent = if write.create {
            sender.create(ledger).await
        } else if let Some(uid) = &write.uid {
            sender.update(uid, None).await.map(Sent::existing)
        } else if write.mode == ApplyMode::IfExists {
            let Some(object) = endpoint.get(Answer::Metadata).await? else {
                return Ok(Done::Absent);
            };
            sender.update(&Seen::of(&object).uid, None).await.map(Sent::existing)
        } else {
            let message = "the plan neither creates it nor says its uid; this is an error of the host: report it".to_owned();
            return Err(StepError::Unsupported { reference: step.reference.clone(), message });
        };
        let sent = match sent {
            Ok(sent) => sent,
            Err(StepError::Api(ApiError::ImmutableField { .. })) if write.recreate.is_some() && write.uid.is_some() => {
                return self.recreate(&endpoint, write).await;
            }
            Err(error) => return Err(error),
        };
        let Some(Sent { object, created }) = sent else {
            return Ok(Done::Leaving);
        };
        let object = exclusive::enforce(&endpoint, write, object).await?;
        let sighting = Sighting::of(&object, &sight, &write.exclusive);
        Ok(Done::Written(Box::new(Written {
            fields_hash: sighting.fields_hash(&write.manager).map(ToOwned::to_owned),
            uid: sighting.uid.clone(),
            resource_version: sighting.resource_version.clone(),
            created,
            sighting: Some(sighting),
            ..Written::default()
        })))
    }

    /// Deletes the one that is there; the next pass makes it anew, after the inventory knows of the intent.
    async fn recreate(&self, endpoint: &Endpoint, write: &ObjectWrite) -> Result<Done, StepError> {
        let Some((uid, recreate)) = write.uid.as_deref().zip(write.recreate) else {
            return Ok(Done::Leaving);
        };
        let propagation = if recreate.orphan { Propagation::Orphan } else { Propagation::Background };
        match endpoint.delete(uid, None, propagation).await {
            Ok(_) | Err(ApiError::NotFound { .. }) => Ok(Done::Leaving),
            Err(error) => Err(error.into()),
        }
    }
}

struct Sent {
    object: Value,
    created: bool,
}

impl Sent {
    fn existing(object: Value) -> Option<Self> {
        Some(Self { object, created: false })
    }
}

/// One object on its way.
struct Sender<'a> {
    endpoint: &'a Endpoint,
    step: &'a Step,
    write: &'a ObjectWrite,
    /// How much of the object comes back.
    answer: Answer,
}

impl Sender<'_> {
    /// `None`: its predecessor is still on its way out.
    async fn create(&self, ledger: &Ledger) -> Result<Option<Sent>, StepError> {
        let intent = ledger.intent(&self.step.reference);
        let body = creation(&self.write.manifest, intent);
        let (object, created) = match self.endpoint.apply(&body, &self.write.manager, self.answer).await {
            Ok(object) => (object, true),
            Err(ApiError::Conflict { .. }) => match claim(self.endpoint, &self.step.reference, ledger).await? {
                Some(seen) => (self.update(&seen.uid, intent).await?, false),
                None => return Ok(None),
            },
            Err(error) => return Err(error.into()),
        };
        let object = self.hold_create_only_fields(object).await?;
        Ok(Some(Sent { object, created }))
    }

    async fn update(&self, uid: &str, intent: Option<&str>) -> Result<Value, StepError> {
        let mut body = self.write.manifest.clone();
        set_metadata(&mut body, "uid", json!(uid));
        mark(&mut body, intent);
        Ok(self.endpoint.apply(&body, &self.write.manager, self.answer).await?)
    }

    /// Fields that are set at creation and then left get a second owner of ours, so that a later apply which no longer names them does not take
    /// them away.
    async fn hold_create_only_fields(&self, object: Value) -> Result<Value, StepError> {
        let Self { step, write, .. } = self;
        let mut held = json!({});
        for pointer in &write.create_only_fields {
            let unsupported = |message: String| StepError::Unsupported { reference: step.reference.clone(), message };
            let Some(tokens) = banhbaoring_pipeline::json::tokens(pointer) else {
                return Err(unsupported(format!("{pointer} is not a JSON pointer; mend createOnlyFields in the plugin")));
            };
            if copy_path(&write.manifest, &tokens, &mut held).is_err() {
                return Err(unsupported(format!(
                    "{pointer} goes through a list whose items have no name; give a pointer to the list itself"
                )));
            }
        }
        let Some(fields) = held.as_object().filter(|fields| !fields.is_empty()) else {
            return Ok(object);
        };
        let mut body = json!({"apiVersion": write.manifest["apiVersion"], "kind": write.manifest["kind"]});
        for (key, value) in fields {
            body[key.as_str()] = value.clone();
        }
        set_metadata(&mut body, "name", json!(step.reference.name));
        set_metadata(&mut body, "uid", json!(Seen::of(&object).uid));
        Ok(self.endpoint.apply(&body, &creation_manager(&write.manager), self.answer).await?)
    }
}

/// `manifest` as the body of a creation: a conflict where an object of that name exists.
pub(crate) fn creation(manifest: &Value, intent: Option<&str>) -> Value {
    let mut body = manifest.clone();
    set_metadata(&mut body, "resourceVersion", json!(CREATION_VERSION));
    mark(&mut body, intent);
    body
}

/// Puts the token of the intent on an object that is written before the inventory has its uid: also on one that was there already, or the host
/// that comes after a second crash could not know it for ours.
pub(crate) fn mark(body: &mut Value, intent: Option<&str>) {
    let Some(intent) = intent else { return };
    if !body["metadata"]["annotations"].is_object() {
        set_metadata(body, "annotations", json!({}));
    }
    body["metadata"]["annotations"][INTENT_ANNOTATION] = json!(intent);
}

/// Whether the object that is in the way of a creation is ours after all. `None`: it is on its way out.
pub(crate) async fn claim(endpoint: &Endpoint, reference: &ObjectReference, ledger: &Ledger) -> Result<Option<Seen>, StepError> {
    let Some(object) = endpoint.get(Answer::Metadata).await? else {
        let message = "it was there a moment ago and is gone".to_owned();
        return Err(ApiError::Conflict { target: reference.to_string(), message }.into());
    };
    let seen = Seen::of(&object);
    let token = seen.annotations.get(INTENT_ANNOTATION).and_then(Value::as_str);
    let by_token = token.is_some() && token == ledger.intent(reference);
    let by_uid = ledger.recorded_uid(reference) == Some(seen.uid.as_str());
    if seen.deleting && (by_token || by_uid) {
        Ok(None)
    } else if by_token || by_uid {
        Ok(Some(seen))
    } else {
        Err(StepError::NameTaken(reference.clone()))
    }
}

/// The manager that holds what is set at creation.
fn creation_manager(manager: &str) -> String {
    const SUFFIX: &str = "/created";
    let kept: String = manager.chars().take(128 - SUFFIX.len()).collect();
    format!("{kept}{SUFFIX}")
}

/// Copies what lies at a path, with the names of the list items on the way. What is absent is not copied.
fn copy_path(from: &Value, tokens: &[String], to: &mut Value) -> Result<(), ()> {
    let Some((token, rest)) = tokens.split_first() else {
        *to = from.clone();
        return Ok(());
    };
    match from {
        Value::Object(fields) => {
            let Some(field) = fields.get(token) else { return Ok(()) };
            if !to.is_object() {
                *to = json!({});
            }
            copy_path(field, rest, &mut to[token.as_str()])
        }
        Value::Array(items) => {
            let Some(item) = token.parse::<usize>().ok().and_then(|at| items.get(at)) else { return Ok(()) };
            let name = item.get("name").filter(|_| !rest.is_empty()).ok_or(())?;
            if !to.is_array() {
                *to = json!([]);
            }
            let Some(copies) = to.as_array_mut() else { return Ok(()) };
            let at = copies.iter().position(|copy| copy.get("name") == Some(name)).unwrap_or_else(|| {
                copies.push(json!({"name": name}));
                copies.len() - 1
            });
            copy_path(item, rest, &mut copies[at])
        }
        _ => Ok(()),
    }
}

/// Sets one field of `metadata`.
pub(crate) fn set_metadata(body: &mut Value, field: &str, value: Value) {
    if !body["metadata"].is_object() {
        body["metadata"] = json!({});
    }
    body["metadata"][field] = value;
}
