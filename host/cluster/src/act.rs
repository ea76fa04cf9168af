//! Step 7: performs one side effect that was admitted and written down. The API server is asked as the plugin's account, every change names the uid of
//! what it changes. Which action is sent when, and the journal, are not decided here.

use std::collections::BTreeMap;

use banhbaoring_api::inventory::{InventorySpec, OwnerReference};
use banhbaoring_api::plugin::NamespacedName;
use banhbaoring_contract::action::{self, Propagation as Wanted};
use banhbaoring_contract::http::Capture;
use banhbaoring_pipeline::ActivePlugin;
use banhbaoring_pipeline::admit::{ActionScope, PermittedAction, PermittedRequest, Whose};
use banhbaoring_pipeline::contract::{ActionOutcome, Json, ObjectReference, OutcomeError};
use banhbaoring_pipeline::journal::{LOST, UNSUPPORTED};
use banhbaoring_pipeline::json::{get, push_token};
use banhbaoring_pipeline::runs::News;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::apply::set_metadata;
use crate::cluster::Cluster;
use crate::exchange::{Asking, ExchangeError, Gate, Reply};
use crate::relation::Relation;
use crate::request::{Answer, ApiError, Endpoint, Propagation, Seen};
use crate::secret::material;

/// Attempts to store what was captured: it may be nowhere else.
const STORES: u32 = 6;

/// For whom something is done.
#[derive(Clone, Copy)]
pub struct Acting<'a> {
    /// Under whose grants and as whose account.
    pub plugin: &'a ActivePlugin,
    /// The component that asks.
    pub component: &'a str,
    /// The owner's.
    pub inventory: &'a InventorySpec,
    /// When the owner was made, as its metadata says.
    pub owner_since: &'a str,
    /// Says right before something is sent whether it still may be.
    pub gate: Gate<'a>,
}

/// What came of an action.
#[derive(Debug, Clone, PartialEq)]
pub struct Acted {
    /// As the plugin is told.
    pub outcome: ActionOutcome,
    /// Of a run: to be written down together with the outcome.
    pub news: Option<News>,
}

impl From<ActionOutcome> for Acted {
    fn from(outcome: ActionOutcome) -> Self {
        Self { outcome, news: None }
    }
}

/// Why nothing was done, as the plugin is told.
pub(crate) struct Undone(pub(crate) OutcomeError);

impl Undone {
    pub(crate) fn new(class: &str, message: impl Into<String>) -> Self {
        Self(OutcomeError { class: class.to_owned(), message: message.into() })
    }
}

impl From<ApiError> for Undone {
    fn from(error: ApiError) -> Self {
        Self::new(error.class(), error.to_string())
    }
}

impl From<ExchangeError> for Undone {
    fn from(error: ExchangeError) -> Self {
        Self(error.told())
    }
}

/// It was done, and what came back is not known.
pub(crate) fn lost(message: String) -> ActionOutcome {
    ActionOutcome::Error(OutcomeError { class: LOST.to_owned(), message })
}

pub(crate) fn told(done: Result<(), Undone>) -> ActionOutcome {
    match done {
        Ok(()) => ActionOutcome::Ok(json!(action::Done {})),
        Err(Undone(error)) => ActionOutcome::Error(error),
    }
}

/// An object that was replaced since the plugin saw it stays as it is.
fn is_still(seen: &Seen, uid: &str, reference: &ObjectReference) -> Result<(), Undone> {
    if seen.uid == uid {
        return Ok(());
    }
    Err(Undone::new("conflict", format!("{reference} is not the one that was seen: its uid is another")))
}

fn taken(secret: &str, key: &str) -> Undone {
    Undone::new("conflict", format!("the key {key} of Secret {secret} is there already; it is never overwritten"))
}

impl Cluster {
    /// Does what an action says. Never fails: what came of it is told.
    pub async fn act(&self, acting: Acting<'_>, action: &PermittedAction) -> Acted {
        let done = match &action.scope {
            ActionScope::Http(request) => return self.act_http(acting, request).await.into(),
            ActionScope::Run(job, run) => return self.act_run(acting, &action.action.id, job, run).await,
            ActionScope::Patch(reference, spec, whose) => self.act_patch(acting, reference, spec, whose).await,
            ActionScope::Adopt(reference, spec, whose) => self.act_adopt(acting, reference, &spec.uid, whose).await,
            ActionScope::Delete(reference, spec, whose) => self.act_delete(acting, reference, spec, whose).await,
            ActionScope::RemoveFinalizer(reference, spec, whose) => self.act_remove_finalizer(acting, reference, spec, whose).await,
            ActionScope::Unsupported(message) => Err(Undone::new(UNSUPPORTED, message)),
        };
        told(done).into()
    }

    async fn act_http(&self, acting: Acting<'_>, request: &PermittedRequest) -> ActionOutcome {
        let asking = Asking { plugin: acting.plugin, inventory: acting.inventory, gate: acting.gate };
        // Seen before it is sent: what could not be stored must not be asked for.
        for capture in &request.capture {
            if let Err(Undone(error)) = self.vessel(acting, capture).await {
                return ActionOutcome::Error(error);
            }
        }
        let mut reply = match self.exchange(asking, request).await {
            Ok(reply) => reply,
            Err(error) if error.may_have_been_sent() => {
                tracing::warn!(%error, "what came of a request is not known");
                return ActionOutcome::Unknown;
            }
            Err(error) if error.was_answered() => return lost(error.to_string()),
            Err(error) => return ActionOutcome::Error(error.told()),
        };
        // A refusal has nothing to keep, and is told as what it is.
        if (200..300).contains(&reply.status)
            && let Err(Undone(error)) = self.capture(acting, &request.capture, &mut reply).await
        {
            return lost(error.message);
        }
        match reply.shown(&request.endpoint.expose) {
            Ok(answer) => ActionOutcome::Ok(json!(answer)),
            Err(error) => lost(error.to_string()),
        }
    }

    /// The Secret that takes what is captured: one that the inventory records, with room for the key.
    async fn vessel(&self, acting: Acting<'_>, capture: &Capture) -> Result<(), Undone> {
        let (_, secret) = self.vessel_named(acting, &capture.secret).await?;
        if material::values_of(&secret).contains_key(&capture.key) {
            return Err(taken(&capture.secret, &capture.key));
        }
        Ok(())
    }

    async fn vessel_named(&self, acting: Acting<'_>, name: &str) -> Result<(Endpoint, Value), Undone> {
        let namespace = acting.inventory.owner.namespace.clone();
        let reference = ObjectReference { api_version: "v1".to_owned(), kind: "Secret".to_owned(), namespace, name: name.to_owned() };
        self.target(acting, &reference, &Whose::Known(Default::default())).await
    }

    async fn capture(&self, acting: Acting<'_>, captures: &[Capture], reply: &mut Reply) -> Result<(), Undone> {
        let mut missing = None;
        let mut by_secret: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
        for capture in captures {
            match reply.take(&capture.pointer) {
                Some(value) => drop(by_secret.entry(&capture.secret).or_default().insert(&capture.key, value)),
                // What is there is kept all the same: it may be nowhere else.
                None => missing = missing.or(Some(&capture.pointer)),
            }
        }
        for (secret, values) in by_secret {
            let mut stored = self.store(acting, secret, &values).await;
            for attempt in 1..STORES {
                if stored.is_ok() {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(100 << attempt)).await;
                stored = self.store(acting, secret, &values).await;
            }
            stored.map_err(|Undone(error)| {
                Undone::new(LOST, format!("what was answered could not be stored in Secret {secret}: {}", error.message))
            })?;
        }
        match missing {
            None => Ok(()),
            Some(pointer) => {
                let message = format!("the answer (status {}) has nothing at {pointer} to capture", reply.status);
                Err(Undone::new("invalid", message))
            }
        }
    }

    /// All that goes into one Secret goes in one write: whoever is killed in between must not leave half of it.
    async fn store(&self, acting: Acting<'_>, name: &str, values: &BTreeMap<&str, String>) -> Result<(), Undone> {
        let (endpoint, secret) = self.vessel_named(acting, name).await?;
        let there = material::values_of(&secret);
        if values.iter().all(|(key, value)| there.get(*key).is_some_and(|found| found == value.as_bytes())) {
            // The write before this one came through, and its answer did not.
            return Ok(());
        }
        let mut operations = vec![json!({"op": "test", "path": "/metadata/uid", "value": Seen::of(&secret).uid})];
        operations.push(json!({"op": "test", "path": "/metadata/resourceVersion", "value": Seen::of(&secret).resource_version}));
        if secret.get("data").is_none() {
            operations.push(json!({"op": "add", "path": "/data", "value": {}}));
        }
        for (key, value) in values {
            if there.contains_key(*key) {
                return Err(taken(name, key));
            }
            let mut path = "/data".to_owned();
            push_token(&mut path, key);
            operations.push(json!({"op": "add", "path": path, "value": STANDARD.encode(value)}));
        }
        endpoint.json_patch(&json!(operations), Answer::Metadata).await?;
        Ok(())
    }

    /// The object that an action names, if it stands in the granted relation to the owner.
    async fn target(&self, acting: Acting<'_>, reference: &ObjectReference, whose: &Whose) -> Result<(Endpoint, Value), Undone> {
        let account: &NamespacedName = &acting.plugin.account;
        let endpoint = Endpoint::find(&self.clients, &self.discovery, Some(account), reference).await?;
        let missing = || Undone::new("not-found", format!("there is no {reference}"));
        let object = endpoint.get(Answer::Whole).await?.ok_or_else(missing)?;
        let relation = Relation { whose, inventory: acting.inventory };
        if !self.stands_in(account, &relation, &object).await? {
            return Err(Undone::new("not-permitted", format!("{reference} is not the owner's, and no grant speaks of others")));
        }
        Ok((endpoint, object))
    }

    async fn act_patch(&self, acting: Acting<'_>, reference: &ObjectReference, spec: &action::Patch, whose: &Whose) -> Result<(), Undone> {
        let (endpoint, object) = self.target(acting, reference, whose).await?;
        let mut body = Json::Object(spec.fields.clone());
        body["apiVersion"] = json!(reference.api_version);
        body["kind"] = json!(reference.kind);
        set_metadata(&mut body, "name", json!(reference.name));
        if let Some(namespace) = &reference.namespace {
            set_metadata(&mut body, "namespace", json!(namespace));
        }
        // With it an object that went away meanwhile is a conflict and is not made.
        set_metadata(&mut body, "uid", json!(Seen::of(&object).uid));
        endpoint.apply(&body, &format!("banhbaoring-patch/{}", acting.component), Answer::Metadata).await?;
        Ok(())
    }

    async fn act_delete(
        &self,
        acting: Acting<'_>,
        reference: &ObjectReference,
        spec: &action::Delete,
        whose: &Whose,
    ) -> Result<(), Undone> {
        let (endpoint, object) = match self.target(acting, reference, whose).await {
            Err(Undone(error)) if error.class == "not-found" => return Ok(()),
            found => found?,
        };
        is_still(&Seen::of(&object), &spec.uid, reference)?;
        let since = get(&object, "/metadata/creationTimestamp").and_then(Value::as_str).unwrap_or_default();
        // Times of the API server are all of one form. A volume that was there before its owner was somebody else's first.
        if matches!(whose, Whose::OfStatefulSet(_)) && (acting.owner_since.is_empty() || since < acting.owner_since) {
            return Err(Undone::new("not-permitted", format!("{reference} is older than its owner; whoever brought it may delete it")));
        }
        let propagation = match spec.propagation {
            Wanted::Background => Propagation::Background,
            Wanted::Foreground => Propagation::Foreground,
            Wanted::Orphan => Propagation::Orphan,
        };
        match endpoint.delete(&spec.uid, spec.resource_version.as_deref(), propagation).await {
            Ok(_) | Err(ApiError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn act_adopt(&self, acting: Acting<'_>, reference: &ObjectReference, uid: &str, whose: &Whose) -> Result<(), Undone> {
        let (endpoint, object) = self.target(acting, reference, whose).await?;
        let seen = Seen::of(&object);
        let owner: &OwnerReference = &acting.inventory.owner;
        is_still(&seen, uid, reference)?;
        if let Some(controller) = &seen.controller {
            let message = || format!("{reference} has another controller already");
            return if *controller == owner.uid { Ok(()) } else { Err(Undone::new("conflict", message())) };
        }
        if owner.namespace.is_some() && owner.namespace != reference.namespace {
            return Err(Undone::new("invalid", format!("{reference} lies in another namespace than its owner would")));
        }
        let mut owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array).cloned().unwrap_or_default();
        owners.retain(|other| other.get("uid").and_then(Value::as_str) != Some(&owner.uid));
        owners.push(json!({"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid, "controller": true}));
        self.replace_metadata(&endpoint, &seen, "/metadata/ownerReferences", json!(owners)).await
    }

    async fn act_remove_finalizer(
        &self,
        acting: Acting<'_>,
        reference: &ObjectReference,
        spec: &action::RemoveFinalizer,
        whose: &Whose,
    ) -> Result<(), Undone> {
        let (endpoint, object) = match self.target(acting, reference, whose).await {
            Err(Undone(error)) if error.class == "not-found" => return Ok(()),
            found => found?,
        };
        let seen = Seen::of(&object);
        is_still(&seen, &spec.uid, reference)?;
        let mut finalizers = object.pointer("/metadata/finalizers").and_then(Value::as_array).cloned().unwrap_or_default();
        let before = finalizers.len();
        finalizers.retain(|finalizer| finalizer.as_str() != Some(&spec.finalizer));
        if finalizers.len() == before {
            return Ok(());
        }
        self.replace_metadata(&endpoint, &seen, "/metadata/finalizers", json!(finalizers)).await
    }

    /// Replaces a list of an object that is still as it was seen.
    async fn replace_metadata(&self, endpoint: &Endpoint, seen: &Seen, path: &str, list: Value) -> Result<(), Undone> {
        let operations = json!([
            {"op": "test", "path": "/metadata/uid", "value": seen.uid},
            {"op": "test", "path": "/metadata/resourceVersion", "value": seen.resource_version},
            {"op": "add", "path": path, "value": list},
        ]);
        endpoint.json_patch(&operations, Answer::Metadata).await?;
        Ok(())
    }
}
