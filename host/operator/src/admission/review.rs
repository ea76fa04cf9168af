//! One question of the API server: it is read, given to the plugin with what that asks for, and answered. What goes wrong on our side lets the write
//! through with a warning, as the API server would where nobody answers: what must hold is checked again when the owner is reconciled.

use std::collections::BTreeMap;
use std::time::Duration;

use banhbaoring_api::inventory::{InventorySpec, OwnerReference};
use banhbaoring_pipeline::ActivePlugin;
use banhbaoring_pipeline::admit::admit_review;
use banhbaoring_pipeline::contract::{Answer, AnswerOutcome, Failure, FailureClass, Json, Operation, ReviewRequest};
use banhbaoring_pipeline::json;
use banhbaoring_pipeline::observation::Owner;
use banhbaoring_pipeline::review::{MAX_ROUNDS, Review as _, Verdict, Write, judging, verdict};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::sync::Arc;
use tracing::{info, warn};

use super::Admission;
use crate::active::Active;
use crate::metrics::Judged;

/// Less than the API server waits: it is better told than left.
const DEADLINE: Duration = Duration::from_secs(4);
/// What an API server's question may be.
const LIMITS: json::Limits = json::Limits { max_bytes: 7 << 20, max_depth: 128, max_nodes: 1_000_000 };
/// Bytes of the id of a question.
const UID: usize = 128;

/// What was asked is no question of an API server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    /// It is no JSON that we take.
    #[error("expected an AdmissionReview as JSON: {0}")]
    Json(String),
    /// Something is missing.
    #[error("expected an AdmissionReview of admission.k8s.io/v1 with {0}")]
    Missing(&'static str),
}

/// A question.
struct Question {
    uid: String,
    api_version: String,
    namespace: Option<String>,
    name: String,
    request: ReviewRequest,
}

/// Answers one question.
pub(super) async fn answer(admission: &Admission, plugin: &str, body: &[u8]) -> Result<Json, Unreadable> {
    let Question { uid, api_version, namespace, name, mut request } = read(body)?;
    let active = admission.parts.active.current();
    let write = Write { kind: &request.kind, operation: request.operation, namespace: namespace.as_deref(), user: &request.user };
    // The API server may not know yet that nothing is to be asked any more.
    let Some(serving) = active.plugins.get(plugin).cloned() else { return Ok(allowed(&uid, vec![])) };
    let Some(rule) = judging(&serving, &admission.account(), &write).cloned() else { return Ok(allowed(&uid, vec![])) };
    request.plugin_config = serving.config.clone();
    let subject = format!("{} {}/{name}", request.kind, namespace.as_deref().unwrap_or_default());
    let object = request.object.clone();
    let owner = owner(&api_version, namespace, &name, &request);
    let asked = ask(admission, active, &serving, owner, request);
    let judged = match tokio::time::timeout(DEADLINE, asked).await {
        Ok(response) => response.and_then(|response| verdict(&rule, object.as_ref(), &response)),
        Err(_) => Err(late()),
    };
    Ok(match judged {
        Ok(verdict) if verdict.allowed => {
            admission.parts.metrics.judged(plugin, Judged::Allowed);
            let Verdict { warnings, patch, .. } = verdict;
            let mut answer = allowed(&uid, warnings);
            if let Some(patch) = patch {
                answer["response"]["patchType"] = json!("JSONPatch");
                answer["response"]["patch"] = json!(STANDARD.encode(patch.to_string()));
            }
            answer
        }
        Ok(verdict) => {
            admission.parts.metrics.judged(plugin, Judged::Denied);
            info!(plugin, %subject, reason = %verdict.message, "a write was denied");
            denied(&uid, &verdict)
        }
        Err(failure) => {
            admission.parts.metrics.judged(plugin, Judged::Failed);
            warn!(plugin, %subject, reason = %failure.reason, message = %failure.message, "a write was not judged and goes on");
            let warning = format!("plugin {plugin} did not judge this ({}); see the status once it is reconciled", failure.reason);
            allowed(&uid, vec![warning])
        }
    })
}

/// Asks the plugin until it asks nothing more.
async fn ask(
    admission: &Admission,
    active: Arc<Active>,
    plugin: &Arc<ActivePlugin>,
    owner: Owner,
    mut request: ReviewRequest,
) -> Result<banhbaoring_pipeline::contract::ReviewResponse, Failure> {
    let cluster = &admission.parts.cluster;
    request.platform = cluster
        .platform(&admission.parts.cluster_domain, &admission.parts.host)
        .await
        .map_err(|error| failure("DiscoveryFailed", error.to_string()))?;
    let mut known: BTreeMap<String, AnswerOutcome> = BTreeMap::new();
    for _ in 0..MAX_ROUNDS {
        request.answers = known.iter().map(|(id, outcome)| Answer { id: id.clone(), outcome: outcome.clone() }).collect();
        let (asked, serving, modules) = (request.clone(), plugin.clone(), active.clone());
        // It computes, for as long as the plugin may.
        let response = tokio::task::spawn_blocking(move || modules.modules.review(&serving, &asked))
            .await
            .map_err(|error| failure("Interrupted", error.to_string()))??;
        let new: Vec<_> = response.needs.iter().filter(|need| !known.contains_key(&need.id)).cloned().collect();
        if new.is_empty() {
            return Ok(response);
        }
        let permitted = admit_review(plugin, &owner, &cluster.discovery.kinds(), &new)?;
        let nothing = InventorySpec::default();
        let answers = permitted.iter().map(|need| async { (need.need.id.clone(), cluster.answer(plugin, need, &nothing).await) });
        known.extend(futures::future::join_all(answers).await);
    }
    Err(failure("TooManyRounds", format!("it still asks after {MAX_ROUNDS} rounds")))
}

fn failure(reason: &str, message: String) -> Failure {
    Failure { class: FailureClass::Plugin, reason: reason.to_owned(), message, field: None }
}

fn late() -> Failure {
    failure(Failure::TIMED_OUT, format!("no verdict within {} s", DEADLINE.as_secs()))
}

fn owner(api_version: &str, namespace: Option<String>, name: &str, request: &ReviewRequest) -> Owner {
    let object = request.object.as_ref().or(request.old_object.as_ref()).cloned().unwrap_or_default();
    let kind = request.kind.split_once('/').map_or("", |(_, kind)| kind).to_owned();
    let uid = object.pointer("/metadata/uid").and_then(Json::as_str).unwrap_or_default().to_owned();
    Owner {
        reference: OwnerReference { api_version: api_version.to_owned(), kind, namespace, name: name.to_owned(), uid },
        generation: 0,
        deleting: request.operation == Operation::Delete,
        object,
    }
}

fn read(body: &[u8]) -> Result<Question, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|error| Unreadable::Json(error.to_string()))?;
    let mut review = json::parse(text, &LIMITS).map_err(|error| Unreadable::Json(error.to_string()))?;
    if review["apiVersion"] != "admission.k8s.io/v1" || review["kind"] != "AdmissionReview" {
        return Err(Unreadable::Missing("that apiVersion and kind"));
    }
    let mut taken = |field: &str| match review["request"][field].take() {
        Json::Object(object) => Some(stripped(Json::Object(object))),
        _ => None,
    };
    let (object, old_object) = (taken("object"), taken("oldObject"));
    let text = |pointer: &str| review.pointer(pointer).and_then(Json::as_str).unwrap_or_default().to_owned();
    let uid = text("/request/uid");
    if uid.is_empty() || uid.len() > UID {
        return Err(Unreadable::Missing("request.uid"));
    }
    let operation = match text("/request/operation").as_str() {
        "CREATE" => Operation::Create,
        "UPDATE" => Operation::Update,
        "DELETE" => Operation::Delete,
        _ => return Err(Unreadable::Missing("request.operation CREATE, UPDATE or DELETE")),
    };
    let (group, kind) = (text("/request/kind/group"), text("/request/kind/kind"));
    let groups = review.pointer("/request/userInfo/groups").and_then(Json::as_array).into_iter().flatten();
    let version = text("/request/kind/version");
    Ok(Question {
        uid,
        api_version: if group.is_empty() { version } else { format!("{group}/{version}") },
        namespace: Some(text("/request/namespace")).filter(|namespace| !namespace.is_empty()),
        name: text("/request/name"),
        request: ReviewRequest {
            operation,
            kind: format!("{group}/{kind}"),
            object,
            old_object,
            user: text("/request/userInfo/username"),
            groups: groups.filter_map(Json::as_str).map(ToOwned::to_owned).collect(),
            dry_run: review.pointer("/request/dryRun").and_then(Json::as_bool).unwrap_or_default(),
            answers: Vec::new(),
            platform: banhbaoring_pipeline::contract::Platform::default(),
            plugin_config: Json::Null,
        },
    })
}

/// As plugins see objects.
fn stripped(mut object: Json) -> Json {
    if let Some(metadata) = object.get_mut("metadata").and_then(Json::as_object_mut) {
        metadata.remove("managedFields");
        metadata.remove("resourceVersion");
    }
    object
}

fn allowed(uid: &str, warnings: Vec<String>) -> Json {
    respond(json!({"uid": uid, "allowed": true, "warnings": warnings}))
}

fn denied(uid: &str, verdict: &Verdict) -> Json {
    let status = json!({"code": 422, "reason": "Invalid", "message": verdict.message});
    respond(json!({"uid": uid, "allowed": false, "warnings": verdict.warnings, "status": status}))
}

fn respond(response: Json) -> Json {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(change: impl FnOnce(&mut Json)) -> Result<Question, Unreadable> {
        let mut review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "1", "operation": "UPDATE", "namespace": "team", "name": "a",
                "kind": {"group": "example.org", "version": "v1", "kind": "Stack"},
                "userInfo": {"username": "somebody", "groups": ["g"]},
                "object": {"metadata": {"name": "a", "managedFields": [], "resourceVersion": "7"}}, "oldObject": null,
            },
        });
        change(&mut review);
        read(review.to_string().as_bytes())
    }

    #[test]
    fn a_question_is_read_without_what_plugins_do_not_see() {
        let question = question(|_| ()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((question.api_version.as_str(), question.request.kind.as_str()), ("example.org/v1", "example.org/Stack"));
        assert_eq!(question.request.object, Some(json!({"metadata": {"name": "a"}})));
        assert_eq!((question.request.old_object, question.request.groups), (None, vec!["g".to_owned()]));
    }

    #[test]
    fn what_is_no_question_is_refused_with_what_is_missing() {
        for (change, missing) in [
            (("/request/uid", json!("")), "request.uid"),
            (("/request/uid", json!("x".repeat(200))), "request.uid"),
            (("/request/operation", json!("CONNECT")), "request.operation"),
            (("/kind", json!("Pod")), "kind"),
        ] {
            let error = question(|review| *review.pointer_mut(change.0).unwrap() = change.1.clone()).err().unwrap();
            assert!(error.to_string().contains(missing), "{error}");
        }
        assert!(matches!(read(b"{\"a\": 1, \"a\": 2}"), Err(Unreadable::Json(_))), "a key twice");
        assert!(matches!(read(&[0xff]), Err(Unreadable::Json(_))));
    }
}
