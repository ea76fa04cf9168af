//! One question of the API server: it is read, given to the plugin with what that asks for, and answered. What goes wrong on our side lets the write
//! through with a warning, as the API server would where nobody answers: what must hold is checked again when the owner is reconciled.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use banhbaoring_api::inventory::{InventorySpec, OwnerReference};
use banhbaoring_pipeline::ActivePlugin;
use banhbaoring_pipeline::admit::admit_review;
use banhbaoring_pipeline::contract::{Answer, AnswerOutcome, Failure, FailureClass, Json, Operation, ReviewRequest, ReviewResponse};
use banhbaoring_pipeline::observation::Owner;
use banhbaoring_pipeline::review::{MAX_ROUNDS, Question, Review as _, Unreadable, Verdict, Write, allowed, denied, judging, verdict};
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
/// Answers one question.
pub(super) async fn answer(admission: &Admission, plugin: &str, body: Bytes) -> Result<Json, Unreadable> {
    let Question { uid, api_version, namespace, name, mut request } = read(body).await?;
    let active = admission.parts.active.current();
    let write = Write { kind: &request.kind, operation: request.operation, namespace: namespace.as_deref(), user: &request.user };
    // The API server may not know yet that nothing is to be asked any more.
    let Some(serving) = active.plugins.get(plugin).cloned() else { return Ok(allowed(&uid, vec![])) };
    let Some(rule) = judging(&serving, &admission.account(), &write).cloned() else { return Ok(allowed(&uid, vec![])) };
    request.plugin_config = serving.config.clone();
    let subject = format!("{} {}/{name}", request.kind, namespace.as_deref().unwrap_or_default());
    let reference = reference(&api_version, namespace, &name, &request);
    let asked = ask(admission, active, &serving, reference, request);
    let judged = match tokio::time::timeout(DEADLINE, asked).await {
        Ok(answered) => answered.and_then(|(request, response)| verdict(&rule, request.object.as_ref(), &response)),
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

/// On a thread that may compute: it takes a moment, and questions come from whoever reaches the port.
async fn read(body: Bytes) -> Result<Question, Unreadable> {
    let read = tokio::task::spawn_blocking(move || Question::read(&body));
    read.await.unwrap_or_else(|error| Err(Unreadable::Json(error.to_string())))
}

/// Asks the plugin until it asks nothing more. What is asked comes back with the answer: it may be large, and there is one of it.
async fn ask(
    admission: &Admission,
    active: Arc<Active>,
    plugin: &Arc<ActivePlugin>,
    reference: OwnerReference,
    mut request: ReviewRequest,
) -> Result<(ReviewRequest, ReviewResponse), Failure> {
    let cluster = &admission.parts.cluster;
    request.platform = cluster
        .platform(&admission.parts.cluster_domain, &admission.parts.host)
        .await
        .map_err(|error| failure("DiscoveryFailed", error.to_string()))?;
    let mut known: BTreeMap<String, AnswerOutcome> = BTreeMap::new();
    for _ in 0..MAX_ROUNDS {
        request.answers = known.iter().map(|(id, outcome)| Answer { id: id.clone(), outcome: outcome.clone() }).collect();
        let (serving, modules) = (plugin.clone(), active.clone());
        // It computes, for as long as the plugin may.
        let judged = tokio::task::spawn_blocking(move || {
            let response = modules.modules.review(&serving, &request);
            (request, response)
        });
        let (asked, response) = judged.await.map_err(|error| failure("Interrupted", error.to_string()))?;
        let response = response?;
        let new: Vec<_> = response.needs.iter().filter(|need| !known.contains_key(&need.id)).cloned().collect();
        if new.is_empty() {
            return Ok((asked, response));
        }
        let owner = owner(&reference, &asked);
        request = asked;
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

fn reference(api_version: &str, namespace: Option<String>, name: &str, request: &ReviewRequest) -> OwnerReference {
    let object = request.object.as_ref().or(request.old_object.as_ref());
    let kind = request.kind.split_once('/').map_or("", |(_, kind)| kind).to_owned();
    let uid = object.and_then(|object| object.pointer("/metadata/uid")?.as_str()).unwrap_or_default().to_owned();
    OwnerReference { api_version: api_version.to_owned(), kind, namespace, name: name.to_owned(), uid }
}

/// What is written, as the asker of needs.
fn owner(reference: &OwnerReference, request: &ReviewRequest) -> Owner {
    let object = request.object.as_ref().or(request.old_object.as_ref()).cloned().unwrap_or_default();
    Owner { reference: reference.clone(), generation: 0, deleting: request.operation == Operation::Delete, object }
}
