//! What an author relies on: a component is called with its request read into its types, and its answer crosses whole or not at all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use banhbaoring_sdk::answer::Outcome;
use banhbaoring_sdk::prelude::*;
use banhbaoring_sdk::wit::{
    ActionOutcome, ActionResult, AnswerOutcome, ApplyMode, Child, Input, ObjectReference, OutcomeError, ReadinessState, Request,
    SlotAnswer, SlotFilling, State,
};
use banhbaoring_sdk::{FailureClass, Plugin, testing, wit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Config {
    replicas: u32,
    #[serde(default)]
    broken: bool,
}

struct Redis;

impl Component for Redis {
    const NAME: &'static str = "redis";
    type Owner = DynamicObject;
    type Config = Config;

    fn describe() -> ComponentDescriptor {
        ComponentDescriptor::at("/cache/redis")
            .kind("example.org/Stack")
            .after("certificates", Gate::Outputs)
            .criticality(Criticality::Degrading)
            .unseal_slot("unseal", "/type", "", Some("static"))
    }

    fn reconcile(cx: &Context<Self>) -> Result<Response, Failure> {
        if cx.deleting() {
            return Ok(Response::disabled("Deleted", "").finalized());
        }
        let image = need::Image { reference: "redis:8".into(), verify: None, pull_secrets: Vec::new(), insecure: false };
        let digest = match cx.answer::<need::Image>("image")? {
            Answer::Known(view) => view.digest,
            Answer::Unasked | Answer::Pending => {
                return Ok(Response::progressing("Resolving", "").need(Need::watch("image", &image)));
            }
            Answer::Error(error) => return Ok(Response::failed("ImageUnknown", error.message)),
        };
        let certificates: Option<Value> = cx.input("certificates")?;
        let manifest = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": cx.name(), "namespace": cx.namespace()},
            "data": {"image": digest, "seal": cx.slot("unseal").map(|seal| &seal.stanza), "ca": certificates.map(|c| c["ca"].clone())},
        });
        let mut response = Response::ready()
            .need(Need::watch("image", &image).project(["/digest"]))
            .object(Object::of(&manifest).keep().create_only_field("/data/image").exclusive("/data"))
            .secret(
                GeneratedSecret::identity("redis")
                    .entry("password", &generator::Password::alphanumeric(32))
                    .label("b", "1")
                    .label("a", "2"),
            )
            .status(&json!({"replicas": cx.config().replicas, "absent": null}))
            .status(&json!({"ready": cx.is_ready("Deployment", "redis")}))
            .output("service", "redis")
            .condition("Cached", true, "Ready", "")
            .warning("key-1", "Slow", "it is slow")
            .metric("replicas", &[("b", "2"), ("a", "1")], 3.0)
            .action(Action::new(
                "drop",
                &action::RemoveFinalizer { target: ObjectRef::new("v1", "Pod", "p"), uid: "u".into(), finalizer: "f/x".into() },
            ))
            .requeue_after(30);
        if cx.config().broken {
            response = response.apply(&Unserialisable);
        }
        Ok(response)
    }
}

struct Unserialisable;

impl Serialize for Unserialisable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no"))
    }
}

export_plugin!(name: "cache", summary: "A cache", components: [Redis]);

fn request(config: &Value) -> Request {
    let owner = json!({
        "apiVersion": "example.org/v1", "kind": "Stack", "metadata": {"name": "prod", "namespace": "ns", "uid": "u"},
        "spec": {"cache": {"redis": config}},
    });
    testing::request("redis", &owner, config)
}

fn answered(mut request: Request) -> Request {
    request.answers.push(wit::Answer { id: "image".into(), outcome: AnswerOutcome::Ok(r#"{"digest":"sha256:aa"}"#.into()) });
    request
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_descriptor_is_filled_in_from_the_types() {
    let descriptor = Exports::describe();
    assert_eq!((descriptor.name.as_str(), descriptor.version.as_str()), ("cache", env!("CARGO_PKG_VERSION")));
    let component = &descriptor.components[0];
    assert_eq!((component.name.as_str(), component.status_path.as_str()), ("redis", "/cache/redis"));
    assert_eq!(json(component.config_schema.as_deref().unwrap())["properties"]["replicas"]["type"], "integer");
    assert_eq!(component.slots[0].interface_name, "unseal-provider");
}

#[test]
fn a_config_that_does_not_fit_names_the_field_of_the_owner() {
    let failure = Exports::reconcile(request(&json!({"replicas": "three"}))).unwrap_err();
    assert_eq!((failure.class, failure.field.as_deref()), (FailureClass::InvalidConfig, Some("spec.cache.redis.replicas")));
    let failure = Exports::reconcile(request(&json!({"replicas": 1, "relpicas": 1}))).unwrap_err();
    assert_eq!(failure.field.as_deref(), Some("spec.cache.redis.relpicas"));
}

#[test]
fn a_question_is_asked_until_it_is_answered() {
    let asked = Exports::reconcile(request(&json!({"replicas": 1}))).unwrap();
    assert_eq!((asked.state, asked.needs.len()), (State::Progressing, 1));
    assert_eq!((asked.needs[0].kind.as_str(), asked.needs[0].spec.as_str()), ("image", r#"{"reference":"redis:8"}"#));
    let answered = Exports::reconcile(answered(request(&json!({"replicas": 1})))).unwrap();
    assert_eq!(answered.state, State::Ready);
    assert_eq!(answered.needs[0].project, ["/digest"]);
    let mut failed = request(&json!({"replicas": 1}));
    let error = OutcomeError { class: "unavailable".into(), message: "registry down".into() };
    failed.answers.push(wit::Answer { id: "image".into(), outcome: AnswerOutcome::Error(error) });
    let failed = Exports::reconcile(failed).unwrap();
    assert_eq!((failed.state, failed.message.as_str()), (State::Failed, "registry down"));
}

#[test]
fn children_inputs_and_slots_are_read() {
    let mut request = answered(request(&json!({"replicas": 2})));
    request.inputs.push(Input { component: "certificates".into(), outputs: r#"{"ca":"ca.crt"}"#.into() });
    request.slots.push(SlotAnswer { slot: "unseal".into(), provider: "x".into(), filling: SlotFilling::Seal(Seal::stanza("static")) });
    request.children.push(Child {
        reference: ObjectReference {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            namespace: Some("ns".into()),
            name: "redis".into(),
        },
        readiness: ReadinessState::Ready,
        reason: String::new(),
        message: String::new(),
        fields: "{}".into(),
    });
    let response = Exports::reconcile(request).unwrap();
    assert_eq!(json(&response.objects[0].manifest)["data"], json!({"ca": "ca.crt", "image": "sha256:aa", "seal": "static"}));
    assert_eq!(json(&response.status), json!({"ready": true, "replicas": 2}));
}

#[test]
fn what_is_absent_is_left_out_and_lists_are_sorted() {
    let response = Exports::reconcile(answered(request(&json!({"replicas": 2})))).unwrap();
    let object = &response.objects[0];
    assert_eq!(
        object.manifest,
        r#"{"apiVersion":"v1","data":{"image":"sha256:aa"},"kind":"ConfigMap","metadata":{"name":"prod","namespace":"ns"}}"#
    );
    assert_eq!(
        (object.mode, object.keep, object.create_only_fields.as_slice()),
        (ApplyMode::Apply, true, ["/data/image".to_owned()].as_slice())
    );
    assert_eq!(response.secrets[0].labels.iter().map(|label| label.key.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(response.metrics[0].labels[0].key, "a");
    assert_eq!(response.outputs, r#"{"service":"redis"}"#);
}

#[test]
fn one_part_that_does_not_serialise_refuses_the_whole_answer() {
    let failure = Exports::reconcile(answered(request(&json!({"replicas": 1, "broken": true})))).unwrap_err();
    assert_eq!((failure.class, failure.reason.as_str()), (FailureClass::Internal, "UnserialisableObject"));
}

#[test]
fn an_unknown_component_and_an_interface_that_is_not_there_are_unsupported() {
    let mut other = request(&json!({"replicas": 1}));
    other.component = "postgres".into();
    assert_eq!(Exports::reconcile(other).unwrap_err().class, FailureClass::Unsupported);
    assert_eq!(Exports::render(testing::seal_request("2.4.0", &json!({}))).unwrap_err().class, FailureClass::Unsupported);
}

#[test]
fn an_unknown_outcome_of_an_action_is_told_apart_from_none() {
    let mut request = request(&json!({"replicas": 1}));
    request.results.push(ActionResult { id: "a".into(), outcome: ActionOutcome::Unknown });
    request.results.push(ActionResult { id: "b".into(), outcome: ActionOutcome::Ok("{}".into()) });
    let cx = Context::<Redis>::new(request).unwrap();
    assert_eq!(cx.outcome::<action::Run>("a").unwrap(), Outcome::Unknown);
    assert_eq!(cx.outcome::<action::Run>("b").unwrap(), Outcome::Done(action::Done {}));
    assert_eq!(cx.outcome::<action::Run>("c").unwrap(), Outcome::NotRun);
}

#[test]
fn deletion_ends_with_finalized() {
    let mut request = request(&json!({"replicas": 1}));
    request.deleting = true;
    assert!(Exports::reconcile(request).unwrap().finalized);
}

#[test]
fn a_golden_comes_back_as_it_was_written_and_a_changed_answer_differs() {
    let folder = std::env::temp_dir().join(format!("banhbaoring-golden-{}", std::process::id()));
    let case = folder.join("steady");
    testing::write(&case.join("request.yaml"), &answered(request(&json!({"replicas": 2})))).unwrap();
    let written: Request = testing::read(&case.join("request.yaml")).unwrap();
    assert_eq!(written, answered(request(&json!({"replicas": 2}))));
    assert_eq!(testing::check::<Exports>(&folder).unwrap_err().category(), "file");

    let answer = testing::Outcome::from(Exports::reconcile(written));
    testing::write(&case.join("response.yaml"), &answer).unwrap();
    testing::check::<Exports>(&folder).unwrap();

    testing::write(&case.join("request.yaml"), &answered(request(&json!({"replicas": 3})))).unwrap();
    let error = testing::check::<Exports>(&folder).unwrap_err();
    assert_eq!(error.category(), "differs");
    assert!(error.to_string().contains("+    replicas: 3"), "{error}");
    std::fs::remove_dir_all(&folder).unwrap();
}
