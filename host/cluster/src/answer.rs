//! Answers to needs: `object` and `objects` from the API server, `http` from whoever it leads to. Asked as the plugin's account, only of what was
//! permitted, and only what was projected comes back. `job` is answered in `run`; when something is asked, and for how long an answer holds, is the
//! operator's, and so are outputs and images.

use std::collections::BTreeMap;

use banhbaoring_api::inventory::InventorySpec;
use banhbaoring_api::plugin::NamespacedName;
use banhbaoring_contract::need::{self, NeedSpec, ObjectView, ObjectsView};
use banhbaoring_contract::reference::ObjectRef;
use banhbaoring_pipeline::ActivePlugin;
use banhbaoring_pipeline::admit::{NeedScope, PermittedNeed, PermittedRequest, Whose};
use banhbaoring_pipeline::contract::{AnswerOutcome, Json, ObjectReference, OutcomeError};
use banhbaoring_pipeline::json::{get, project};
use banhbaoring_pipeline::plan::ANNOTATION_PREFIX;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::exchange::Asking;
use crate::relation::Relation;
use crate::request::{Answer, ApiError, Collection, Endpoint, Seen};

/// Objects that one answer holds at most, whatever limit was asked for.
const MAX_ITEMS: usize = 500;
/// Objects that are looked through for one answer.
const MAX_LOOKED_AT: usize = 10_000;
/// Bytes of one answer as JSON.
const MAX_BYTES: usize = 256 << 10;

impl Cluster {
    /// Asks what a need asks, as the plugin's account. Never fails: why there is no answer is an answer.
    pub async fn answer(&self, plugin: &ActivePlugin, need: &PermittedNeed, inventory: &InventorySpec) -> AnswerOutcome {
        let account = &plugin.account;
        let answered = match &need.scope {
            NeedScope::Object(reference, whose) if need.need.kind == need::Object::KIND => {
                self.answer_object(account, need, reference, &Relation { whose, inventory }).await
            }
            NeedScope::Objects { namespaces, whose } => {
                self.answer_objects(account, need, namespaces, &Relation { whose, inventory }).await
            }
            NeedScope::Http(request) => self.answer_http(plugin, request, inventory).await,
            NeedScope::Unsupported(message) => Err(Unanswerable::new("unsupported", message.clone())),
            NeedScope::Object(..) | NeedScope::Outputs(..) | NeedScope::Job(..) | NeedScope::Image(_) | NeedScope::Other => {
                let message = format!("this version of the host does not answer needs of the kind {}", need.need.kind);
                Err(Unanswerable::new("unsupported", message))
            }
        };
        match answered {
            Ok(value) if value.to_string().len() > MAX_BYTES => AnswerOutcome::Error(OutcomeError {
                class: "invalid".to_owned(),
                message: format!("expected an answer of at most {MAX_BYTES} bytes; project the fields that are needed, or set a limit"),
            }),
            Ok(value) => AnswerOutcome::Ok(value),
            Err(Unanswerable(error)) => AnswerOutcome::Error(error),
        }
    }

    /// The uid of the owner whose outputs a need asks for, if they may be told: it is read as the plugin's account.
    ///
    /// # Errors
    /// What the plugin is told instead.
    pub async fn uid_of(
        &self,
        plugin: &ActivePlugin,
        reference: &ObjectReference,
        whose: &Whose,
        inventory: &InventorySpec,
    ) -> Result<String, OutcomeError> {
        let found = async {
            let endpoint = Endpoint::find(&self.clients, &self.discovery, Some(&plugin.account), reference).await?;
            match endpoint.get(Answer::Metadata).await? {
                Some(object) if self.stands_in(&plugin.account, &Relation { whose, inventory }, &object).await? => {
                    Ok(Seen::of(&object).uid)
                }
                _ => Err(Unanswerable::new("not-found", format!("there is no {reference}"))),
            }
        };
        found.await.map_err(|Unanswerable(error)| error)
    }

    async fn answer_http(
        &self,
        plugin: &ActivePlugin,
        request: &PermittedRequest,
        inventory: &InventorySpec,
    ) -> Result<Json, Unanswerable> {
        // It changes nothing, so a replica that no longer leads does no harm.
        let asking = Asking { plugin, inventory, gate: &|| Ok(()) };
        let reply = self.exchange(asking, request).await.map_err(|error| Unanswerable(error.told()))?;
        reply.shown(&request.endpoint.expose).map(|answer| json!(answer)).map_err(|error| Unanswerable(error.told()))
    }

    async fn answer_object(
        &self,
        account: &NamespacedName,
        need: &PermittedNeed,
        reference: &ObjectReference,
        relation: &Relation<'_>,
    ) -> Result<Json, Unanswerable> {
        let endpoint = Endpoint::find(&self.clients, &self.discovery, Some(account), reference).await?;
        match endpoint.get(Answer::Whole).await? {
            Some(object) if self.stands_in(account, relation, &object).await? => {
                Ok(json!(view(reference.clone(), object, &need.need.project)))
            }
            _ => Err(Unanswerable::new("not-found", format!("there is no {reference}"))),
        }
    }

    async fn answer_objects(
        &self,
        account: &NamespacedName,
        need: &PermittedNeed,
        namespaces: &[String],
        relation: &Relation<'_>,
    ) -> Result<Json, Unanswerable> {
        let spec: need::Objects =
            serde_json::from_value(need.need.spec.clone()).map_err(|error| Unanswerable::new("invalid", error.to_string()))?;
        if !spec.match_labels.iter().all(|(key, value)| is_label_text(key, "./_-") && (value.is_empty() || is_label_text(value, "._-"))) {
            return Err(Unanswerable::new("invalid", "matchLabels: expected keys and values of labels".to_owned()));
        }
        let limit = spec.limit.map_or(MAX_ITEMS, |limit| MAX_ITEMS.min(limit as usize));
        let kind = self.discovery.kind(&spec.api_version, &spec.kind).await.map_err(ApiError::from)?;
        let places: Vec<Option<&str>> =
            if kind.namespaced { namespaces.iter().map(|namespace| Some(namespace.as_str())).collect() } else { vec![None] };
        let mut found = BTreeMap::new();
        let (mut looked_at, mut truncated) = (0, false);
        for place in places {
            let collection = Collection::find(&self.clients, &self.discovery, account, (&spec.api_version, &spec.kind), place).await?;
            let mut from = None;
            loop {
                let page = collection.page(&spec.match_labels, from.as_deref()).await?;
                looked_at += page.items.len();
                for object in page.items.into_iter().filter(|object| relation.is_recorded(object) && fits(object, &spec.filter)) {
                    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).map(ToOwned::to_owned);
                    let reference = ObjectReference {
                        api_version: spec.api_version.clone(),
                        kind: spec.kind.clone(),
                        namespace: text("/metadata/namespace"),
                        name: text("/metadata/name").unwrap_or_default(),
                    };
                    found.insert((reference.namespace.clone(), reference.name.clone()), view(reference, object, &need.need.project));
                    // The first by name, whatever order they came in: the same answer to the same question.
                    if found.len() > limit {
                        found.pop_last();
                        truncated = true;
                    }
                }
                from = page.next;
                if from.is_none() {
                    break;
                }
                if looked_at >= MAX_LOOKED_AT {
                    truncated = true;
                    break;
                }
            }
        }
        Ok(json!(ObjectsView { items: found.into_values().collect(), truncated }))
    }
}

/// Why there is no answer.
pub(crate) struct Unanswerable(pub(crate) OutcomeError);

impl Unanswerable {
    pub(crate) fn new(class: &str, message: String) -> Self {
        Self(OutcomeError { class: class.to_owned(), message })
    }
}

impl From<ApiError> for Unanswerable {
    fn from(error: ApiError) -> Self {
        Self::new(error.class(), error.to_string())
    }
}

fn fits(object: &Value, filters: &[need::FieldFilter]) -> bool {
    filters.iter().all(|filter| match (get(object, &filter.pointer), &filter.equals) {
        (Some(found), Some(wanted)) => found == wanted,
        (found, None) => found.is_some(),
        (None, Some(_)) => false,
    })
}

/// What the plugin gets to see: nothing that changes without meaning, and none of the host's own marks.
fn view(reference: ObjectReference, mut object: Value, pointers: &[String]) -> ObjectView {
    let uid = object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        metadata.remove("resourceVersion");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.retain(|key, _| !key.starts_with(ANNOTATION_PREFIX));
        }
    }
    let ObjectReference { api_version, kind, namespace, name } = reference;
    let value = if pointers.is_empty() { object } else { project(&object, pointers) };
    ObjectView { reference: ObjectRef { api_version, kind, namespace, name }, uid, value }
}

fn is_label_text(text: &str, marks: &str) -> bool {
    (1..=317).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || marks.as_bytes().contains(&b))
}
