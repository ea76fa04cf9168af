//! A store that the operator initialises, at each point where somebody may have been killed: what the node says, what the Secret holds, what the journal knows.

use banhbaoring_sdk::wit::{
    ActionOutcome, ActionResult, Answer, AnswerOutcome, Child, ObjectReference, OutcomeError, ReadinessState, Request,
};
use serde_json::{Value, json};

use super::{object, owner, rendered, request, seals, stateful_set};

/// What is known at a look.
#[derive(Clone, Default)]
pub struct Opening {
    /// What was told at the look before: `initialization` of the status.
    pub before: Option<Value>,
    /// The node says that it is initialised.
    pub says: Option<bool>,
    /// What the store answers to the token in the Secret; `None` where there is no token.
    pub root: Option<Option<u16>>,
    /// The same, asked once more after the token was missed.
    pub again: Option<Option<u16>>,
    /// What the store answers to the operator.
    pub operator: Option<u16>,
    /// Why the operator could not ask, by class.
    pub operator_fails: Option<&'static str>,
    /// What the journal knows of actions.
    pub results: Vec<(&'static str, ActionOutcome)>,
}

/// Uid of the first node's claim.
pub const CLAIM: &str = "claim-1";

/// Fields of a StatefulSet of so many nodes that has nothing left to do.
pub fn settled(spec: &str, replicas: i32) -> Value {
    let hash = object(&rendered(spec), "StatefulSet", "prod")["metadata"]["annotations"]["openbao.org/template-hash"].clone();
    json!({
        "/metadata/annotations/openbao.org~1template-hash": hash, "/metadata/generation": 1, "/status/observedGeneration": 1,
        "/spec/replicas": replicas, "/status/readyReplicas": replicas, "/status/currentRevision": "r1", "/status/updateRevision": "r1",
        "/spec/updateStrategy/rollingUpdate/partition": replicas,
    })
}

/// An answer of that status.
pub fn done(status: u16, refusal: &str) -> ActionOutcome {
    let exposed = if refusal.is_empty() { json!({}) } else { json!({"/errors/0": refusal}) };
    ActionOutcome::Ok(json!({"status": status, "exposed": exposed}).to_string())
}

/// An action that was not done, or whose answer is gone.
pub fn failed(class: &str) -> ActionOutcome {
    ActionOutcome::Error(OutcomeError { class: class.to_owned(), message: "why".to_owned() })
}

/// All five of the users' actions, done.
pub fn users() -> Vec<(&'static str, ActionOutcome)> {
    ["make-method-claim-1", "make-admin-policy-claim-1", "make-admin-claim-1", "make-operator-policy-claim-1", "make-operator-claim-1"]
        .map(|id| (id, done(204, "")))
        .into()
}

impl Opening {
    /// At that step of the look before, with an attempt for the claim.
    pub fn at(step: &str) -> Self {
        Self { before: Some(json!({"step": step, "attempt": CLAIM})), ..Self::default() }
    }

    /// The request that the host would send.
    pub fn request(&self, spec: &str) -> Request {
        let mut asked = request(&owner(spec), Some(seals::generated_key("prod")));
        asked.previous =
            Some(json!({"initialization": self.before, "operatorSecret": "prod-operator", "adminSecret": "prod-admin"}).to_string());
        let fields = settled(spec, 1);
        let secret = |name: &str| Child {
            reference: ObjectReference {
                api_version: "v1".to_owned(),
                kind: "Secret".to_owned(),
                namespace: Some("bao".to_owned()),
                name: name.to_owned(),
            },
            ..stateful_set(ReadinessState::Ready, &json!({}))
        };
        asked.children =
            vec![secret("prod-admin"), secret("prod-init"), secret("prod-operator"), stateful_set(ReadinessState::Ready, &fields)];
        let ok = |value: Value| AnswerOutcome::Ok(value.to_string());
        let status = |status: u16| ok(json!({"status": status, "exposed": {}}));
        let view = |kind: &str, name: &str, uid: &str, value: Value| {
            ok(json!({"reference": {"apiVersion": "v1", "kind": kind, "namespace": "bao", "name": name}, "uid": uid, "value": value}))
        };
        let mut answers = vec![
            ("first-claim", view("PersistentVolumeClaim", "data-prod-0", CLAIM, json!({}))),
            (
                "node-0",
                view(
                    "Pod",
                    "prod-0",
                    "pod-1",
                    json!({"/status/conditions": [{"type": "Ready", "status": "True"}], "/metadata/labels/controller-revision-hash": "r1"}),
                ),
            ),
        ];
        if let Some(says) = self.says {
            answers.push(("first-init", ok(json!({"status": 200, "exposed": {"/initialized": says}}))));
        }
        let no_token =
            || AnswerOutcome::Error(OutcomeError { class: "not-found".to_owned(), message: "there is no key root-token".to_owned() });
        if let Some(root) = self.root {
            answers.push(("first-root", root.map_or_else(no_token, status)));
        }
        if let Some(again) = self.again {
            answers.push(("first-root-again", again.map_or_else(no_token, status)));
        }
        if let Some(operator) = self.operator {
            answers.push(("first-operator", status(operator)));
        }
        if let Some(class) = self.operator_fails {
            // Of its class only the login's own words say that the store refused.
            let message =
                if class == "not-permitted" { "the login at /v1/auth/userpass/login/operator was refused with 400" } else { "why" };
            let error = OutcomeError { class: class.to_owned(), message: message.to_owned() };
            answers.push(("first-operator", AnswerOutcome::Error(error)));
        }
        answers.sort_by_key(|(id, _)| *id);
        asked.answers = answers.into_iter().map(|(id, outcome)| Answer { id: id.to_owned(), outcome }).collect();
        asked.results = self.results.iter().map(|(id, outcome)| ActionResult { id: (*id).to_owned(), outcome: outcome.clone() }).collect();
        asked.results.sort_by(|a, b| a.id.cmp(&b.id));
        asked
    }
}

/// The stages, by name.
pub fn stages() -> Vec<(&'static str, Request)> {
    let spec = "{initialization: {mode: Captured, recovery: {shares: 3, threshold: 2}}}";
    let asked = |outcome| vec![("initialize-claim-1", outcome)];
    let at = |step| Opening::at(step);
    let mut first = request(&owner(spec), Some(seals::generated_key("prod")));
    first.previous = None;
    let stages = [
        ("captured-2-asked", Opening { says: Some(false), ..Opening::default() }),
        ("captured-3-users", Opening { says: Some(true), root: Some(Some(200)), results: asked(done(200, "")), ..at("Initializing") }),
        ("captured-4-revoke", Opening { says: Some(true), root: Some(Some(200)), operator: Some(200), ..at("RevokingRootToken") }),
        ("captured-5-done", Opening { says: Some(true), root: Some(Some(403)), operator: Some(200), ..at("RevokingRootToken") }),
        (
            "captured-answer-lost",
            Opening { says: Some(true), root: Some(None), again: Some(None), operator_fails: Some("not-permitted"), ..at("AnswerMissing") },
        ),
        ("captured-data-lost", Opening { says: Some(false), results: asked(failed("conflict")), ..at("Captured") }),
        (
            "captured-interrupted",
            Opening { says: Some(false), results: asked(done(400, "cluster already has state")), ..at("Initializing") },
        ),
    ];
    std::iter::once(("captured-1-first", first)).chain(stages.into_iter().map(|(name, stage)| (name, stage.request(spec)))).collect()
}
