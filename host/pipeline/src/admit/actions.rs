//! Actions: side effects after apply, each within the dimension of the grants that it touches.

use std::collections::BTreeSet;

use banhbaoring_api::grants::Relation;
use banhbaoring_contract::action::{self, ActionSpec};
use banhbaoring_contract::reference::ObjectRef;
use serde::de::DeserializeOwned;

use super::asker::Asker;
use super::needs::{Unresolved, resolve, whose_is};
use super::refusal::{Findings, Reason, shown};
use super::resources::Access;
use super::syntax::{is_data_key, is_pointer, is_subdomain};
use super::{ActionScope, PermittedAction, PermittedRequest, Whose, http, pods};
use crate::contract::{Action, Json, ObjectReference};
use crate::kinds::KindInfo;
use crate::runs;

/// Actions per answer.
const ACTIONS: usize = 64;
/// Groups whose objects give rights: changing them in part cannot be checked against what they are as a whole.
const GUARDED_GROUPS: &[&str] =
    &["rbac.authorization.k8s.io", "apiextensions.k8s.io", "admissionregistration.k8s.io", "apiregistration.k8s.io"];

pub(super) fn check(asker: &Asker<'_>, findings: &mut Findings, actions: &[Action]) -> Vec<PermittedAction> {
    if actions.len() > ACTIONS {
        findings.add(Reason::TooMuch, None, format!("{} actions; at most {ACTIONS}", actions.len()));
        return Vec::new();
    }
    let mut ids = BTreeSet::new();
    let mut permitted = Vec::new();
    for action in actions {
        if action.id.is_empty() || action.id.len() > 253 || !ids.insert(action.id.as_str()) {
            findings.add(Reason::ActionInvalid, None, format!("the action {} has no id of its own", shown(&action.id)));
        }
        if let Some(scope) = scope(asker, findings, action) {
            permitted.push(PermittedAction { action: action.clone(), scope });
        }
    }
    permitted
}

/// Absent where something was found against it.
fn scope(asker: &Asker<'_>, findings: &mut Findings, action: &Action) -> Option<ActionScope> {
    Some(match action.kind.as_str() {
        action::Http::KIND => {
            let spec: action::Http = parsed(findings, action)?;
            ActionScope::Http(Box::new(request(asker, findings, action, spec)))
        }
        action::Run::KIND => {
            let spec: action::Run = parsed(findings, action)?;
            let job = runs::job(&asker.owner.reference, &spec.key);
            run(asker, findings, action, &job, &spec);
            ActionScope::Run(job, Box::new(spec))
        }
        action::Patch::KIND => {
            let spec: action::Patch = parsed(findings, action)?;
            let (reference, kind) = target(asker, findings, action, &spec.target)?;
            patch(findings, action, &spec, &reference);
            let whose = access(asker, findings, &reference, &kind, &["get", "patch"]);
            ActionScope::Patch(reference, spec, whose)
        }
        action::Adopt::KIND => {
            let spec: action::Adopt = parsed(findings, action)?;
            let (reference, kind) = target(asker, findings, action, &spec.target)?;
            let whose = access(asker, findings, &reference, &kind, &["get", "patch"]);
            ActionScope::Adopt(reference, spec, whose)
        }
        action::Delete::KIND => {
            let spec: action::Delete = parsed(findings, action)?;
            let (reference, kind) = target(asker, findings, action, &spec.target)?;
            let whose = access(asker, findings, &reference, &kind, &["delete"]);
            ActionScope::Delete(reference, spec, whose)
        }
        action::RemoveFinalizer::KIND => {
            let spec: action::RemoveFinalizer = parsed(findings, action)?;
            let (reference, kind) = target(asker, findings, action, &spec.target)?;
            if spec.finalizer.is_empty() {
                findings.add(Reason::ActionInvalid, Some(&reference), format!("the action {} names no finalizer", shown(&action.id)));
            }
            let whose = access(asker, findings, &reference, &kind, &["get", "patch"]);
            ActionScope::RemoveFinalizer(reference, spec, whose)
        }
        other => ActionScope::Unsupported(format!("this host knows no action of the kind {}", shown(other))),
    })
}

fn parsed<T: DeserializeOwned + ActionSpec>(findings: &mut Findings, action: &Action) -> Option<T> {
    match serde_json::from_value(action.spec.clone()) {
        Ok(spec) => Some(spec),
        Err(error) => {
            let message = format!("the action {} does not fit the schema of {}: {}", shown(&action.id), T::KIND, shown(&error.to_string()));
            findings.add(Reason::ActionInvalid, None, message);
            None
        }
    }
}

fn target(asker: &Asker<'_>, findings: &mut Findings, action: &Action, named: &ObjectRef) -> Option<(ObjectReference, KindInfo)> {
    match resolve(asker, named) {
        Ok((reference, kind)) => {
            let guarded = GUARDED_GROUPS.contains(&reference.group()) || reference.group() == banhbaoring_api::GROUP;
            if guarded
                || (reference.group().is_empty() && matches!(reference.kind.as_str(), "Secret" | "ServiceAccount" | "PersistentVolume"))
            {
                let message = format!("the action {} touches {reference}, which gives rights; no grant allows it", shown(&action.id));
                findings.add(Reason::KindNotAllowed, Some(&reference), message);
            }
            Some((reference, kind))
        }
        Err(Unresolved::Invalid(message) | Unresolved::NotServed(message)) => {
            findings.add(Reason::ActionInvalid, None, format!("the action {}: {message}", shown(&action.id)));
            None
        }
    }
}

fn access(asker: &Asker<'_>, findings: &mut Findings, reference: &ObjectReference, kind: &KindInfo, verbs: &[&str]) -> Whose {
    let relation = asker.relation_to(reference);
    asker.access(findings, &Access { reference, kind, verbs, relation });
    whose_is(asker, reference, kind, verbs, relation)
}

fn patch(findings: &mut Findings, action: &Action, spec: &action::Patch, reference: &ObjectReference) {
    for field in spec.fields.keys().filter(|field| !matches!(field.as_str(), "spec" | "data" | "metadata")) {
        let message = format!("the action {} would own the field {}, which is not one to patch", shown(&action.id), shown(field));
        findings.add(Reason::ActionInvalid, Some(reference), message);
    }
    if let Some(metadata) = spec.fields.get("metadata") {
        super::objects::metadata_of(findings, reference, metadata, "metadata", &["labels", "annotations"]);
    }
    // A partial template cannot be judged: what it is merged with is not known here.
    if reference.group().is_empty() && reference.kind == "Service" || !pods::template_paths(reference.group(), &reference.kind).is_empty() {
        let narrow = spec
            .fields
            .get("spec")
            .and_then(Json::as_object)
            .is_none_or(|spec| spec.keys().all(|key| key == "replicas" || key == "suspend"));
        if !narrow {
            let message = format!("the action {} changes more of a workload or Service than replicas and suspend", shown(&action.id));
            findings.add(Reason::ActionInvalid, Some(reference), message);
        }
    }
    if spec.release && !spec.fields.is_empty() {
        let message = format!("the action {} both takes and releases fields", shown(&action.id));
        findings.add(Reason::ActionInvalid, Some(reference), message);
    }
}

fn run(asker: &Asker<'_>, findings: &mut Findings, action: &Action, job: &ObjectReference, spec: &action::Run) {
    let mut invalid = |expected: &str| {
        findings.add(Reason::ActionInvalid, Some(job), format!("the action {}: expected {expected}", shown(&action.id)));
    };
    if !is_subdomain(&spec.key) || spec.deadline_seconds == 0 || spec.deadline_seconds > 86_400 {
        invalid("a key that is a valid name, and a deadline of 1 to 86400 seconds");
    }
    if asker.namespace().is_none() {
        invalid("an owner with a namespace for its Jobs; this one is cluster-scoped");
    }
    let pod = spec.pod_template.get("spec");
    // Of several containers nobody could say whose exit code is the run's.
    if pod.and_then(|pod| pod.get("containers")?.as_array()).is_none_or(|containers| containers.len() != 1) {
        invalid("a pod template with exactly one container");
    }
    if pod.and_then(|pod| pod.get("restartPolicy")).is_some_and(|policy| policy != "Never") {
        invalid("restartPolicy Never: a run is not repeated");
    }
    let access = Access { reference: job, kind: &runs::kind(), verbs: &["get", "create"], relation: Relation::Owned };
    asker.access(findings, &access);
    pods::check_template(asker, findings, job, &Json::Object(spec.pod_template.clone()));
}

fn request(asker: &Asker<'_>, findings: &mut Findings, action: &Action, spec: action::Http) -> PermittedRequest {
    let who = format!("the action {}", shown(&action.id));
    http::check(asker, findings, &spec.endpoint, spec.method, &who);
    http::captures(findings, &spec.endpoint, &spec.capture, &who);
    let kind = KindInfo { plural: "secrets".to_owned(), namespaced: true };
    for capture in &spec.capture {
        if !is_subdomain(&capture.secret) || !is_data_key(&capture.key) || !is_pointer(&capture.pointer) {
            findings.add(Reason::ActionInvalid, None, format!("{who}: capture is malformed"));
            continue;
        }
        let reference = ObjectReference {
            api_version: "v1".to_owned(),
            kind: "Secret".to_owned(),
            namespace: asker.namespace().map(ToOwned::to_owned),
            name: capture.secret.clone(),
        };
        let access = Access { reference: &reference, kind: &kind, verbs: &["get", "create", "patch"], relation: Relation::Owned };
        asker.access(findings, &access);
    }
    PermittedRequest { endpoint: spec.endpoint, method: spec.method, body: spec.body, capture: spec.capture }
}
