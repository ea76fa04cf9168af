//! What an API server sends and is sent: an `AdmissionReview`, read strictly, and the answers to it.

use serde_json::json;

use super::Verdict;
use crate::contract::{Json, Operation, Platform, ReviewRequest};
use crate::json;

/// What an API server's question may be. Two objects of 1.5 MiB, the most that etcd takes, have a tenth of these nodes; each costs up to 300 bytes here, and
/// several questions are read at a time.
const LIMITS: json::Limits = json::Limits { max_bytes: 7 << 20, max_depth: 128, max_nodes: 200_000 };
/// Bytes of the id of a question.
const UID: usize = 128;

/// What was asked is no question of an API server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is no JSON that we take.
    #[error("expected an AdmissionReview as JSON: {0}")]
    Json(String),
    /// Something is missing.
    #[error("expected an AdmissionReview of admission.k8s.io/v1 with {0}")]
    Missing(&'static str),
}

/// A question.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Its id, which the answer carries.
    pub uid: String,
    /// `group/version` of the object.
    pub api_version: String,
    /// Namespace of the object; absent for cluster-scoped ones.
    pub namespace: Option<String>,
    /// Name of the object; empty where the API server makes it up later.
    pub name: String,
    /// What the plugin is to be asked, as far as the API server tells it.
    pub request: ReviewRequest,
}

impl Question {
    /// Reads an `AdmissionReview` of `admission.k8s.io/v1`.
    ///
    /// # Errors
    /// It is none, or more than an API server sends.
    pub fn read(body: &[u8]) -> Result<Self, Unreadable> {
        let text = std::str::from_utf8(body).map_err(|error| Unreadable::Json(error.to_string()))?;
        let mut review = json::parse(text, &LIMITS).map_err(|error| Unreadable::Json(error.to_string()))?;
        if review["apiVersion"] != "admission.k8s.io/v1" || review["kind"] != "AdmissionReview" {
            return Err(Unreadable::Missing("that apiVersion and kind"));
        }
        let mut taken = |field: &str| {
            let object = review.get_mut("request")?.get_mut(field)?.take();
            object.is_object().then(|| stripped(object))
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
        Ok(Self {
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
                platform: Platform::default(),
                plugin_config: Json::Null,
            },
        })
    }
}

/// As plugins see objects.
fn stripped(mut object: Json) -> Json {
    if let Some(metadata) = object.get_mut("metadata").and_then(Json::as_object_mut) {
        metadata.remove("managedFields");
        metadata.remove("resourceVersion");
    }
    object
}

/// The answer that lets the write through.
pub fn allowed(uid: &str, warnings: Vec<String>) -> Json {
    respond(json!({"uid": uid, "allowed": true, "warnings": warnings}))
}

/// The answer that does not.
pub fn denied(uid: &str, verdict: &Verdict) -> Json {
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
        Question::read(review.to_string().as_bytes())
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
            (("/request", json!("none")), "request.uid"),
            (("/request", json!(["none"])), "request.uid"),
        ] {
            let error = question(|review| *review.pointer_mut(change.0).unwrap() = change.1.clone()).err().unwrap();
            assert!(error.to_string().contains(missing), "{error}");
        }
        assert!(matches!(Question::read(b"{\"a\": 1, \"a\": 2}"), Err(Unreadable::Json(_))), "a key twice");
        assert!(matches!(Question::read(&[0xff]), Err(Unreadable::Json(_))));
    }
}
