//! What an author of an admission relies on: the write is read into the author's types, a refusal reaches the writer with its field, and of several
//! admissions the right one is asked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use banhbaoring_sdk::prelude::*;
use banhbaoring_sdk::wit::{AnswerOutcome, KeyValue, NeedMode, ReviewPatch, ReviewRequest, Validation};
use banhbaoring_sdk::{FailureClass, Plugin, testing};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

const KIND: &str = "example.org/Stack";

#[derive(Deserialize)]
struct Stack {
    spec: StackSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StackSpec {
    replicas: u32,
    #[serde(default)]
    engine: String,
}

struct Judge;

impl Admission for Judge {
    const KIND: &'static str = KIND;
    type Object = Stack;

    fn describe() -> AdmissionDescriptor {
        AdmissionDescriptor::on(&[Operation::Create, Operation::Update])
            .match_condition("not-system", "object.metadata.namespace != 'kube-system'")
            .validation("object.spec.replicas < 10", "expected fewer than 10 replicas; lower spec.replicas")
    }

    fn review(cx: &ReviewContext<Self>) -> Result<Verdict, Failure> {
        let spec = cx.object()?.spec;
        let before = cx.old_object().map(|before| before.spec.replicas);
        if spec.replicas >= 10 {
            return Err(Failure::invalid("spec.replicas", format!("expected fewer than 10, found {}; lower it", spec.replicas)));
        }
        match spec.engine.as_str() {
            "old" => Err(Failure::unsupported("EngineTooOld", "the engine `old` is gone; take another")),
            "broken" => Err(Failure::internal("Broken", "it cannot be told")),
            _ if cx.user() == "mallory" => Ok(Verdict::denied("ask somebody else").warn("this is noted")),
            _ => Ok(Verdict::allowed().warn(format!("{} has {before:?} before {}", cx.name(), spec.replicas))),
        }
    }
}

/// Fills in an image, which it asks about.
struct Fill;

impl Admission for Fill {
    const KIND: &'static str = "example.org/Image";
    type Object = DynamicObject;

    fn describe() -> AdmissionDescriptor {
        AdmissionDescriptor::on(&[Operation::Create]).may_touch("/spec/image").may_touch("/spec/tag")
    }

    fn review(cx: &ReviewContext<Self>) -> Result<Verdict, Failure> {
        let image = need::Image { reference: "redis:8".into(), verify: None, pull_secrets: Vec::new(), insecure: false };
        let verdict = Verdict::allowed().need(Need::fresh("image", &image));
        let Answer::Known(view) = cx.answer::<need::Image>("image")? else { return Ok(verdict) };
        let verdict = verdict.set("/spec/image", &json!({"z": view.digest, "a": 1})).remove("/spec/tag");
        Ok(if cx.value()["spec"]["broken"] == true { verdict.set("/spec/image", &Unserialisable) } else { verdict })
    }
}

struct Unserialisable;

impl Serialize for Unserialisable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no"))
    }
}

/// The same kind as the first, for what that one does not judge.
struct Keep;

impl Admission for Keep {
    const KIND: &'static str = KIND;
    type Object = Stack;

    fn describe() -> AdmissionDescriptor {
        AdmissionDescriptor::on(&[Operation::Update, Operation::Delete])
    }

    fn review(cx: &ReviewContext<Self>) -> Result<Verdict, Failure> {
        let fits = cx.old_object().is_some();
        Ok(Verdict::denied(format!("{}/{} stays: {} {fits}", cx.namespace(), cx.name(), cx.old_value()["spec"]["replicas"])))
    }
}

export_plugin!(name: "stack", admissions: [Judge, Fill, Keep]);

fn stack(spec: &Value) -> Value {
    json!({"apiVersion": "example.org/v1", "kind": "Stack", "metadata": {"name": "prod", "namespace": "ns"}, "spec": spec})
}

fn review(old: Option<&Value>, new: Option<&Value>) -> ReviewRequest {
    testing::review_request(KIND, old, new)
}

fn created(spec: &Value) -> ReviewRequest {
    review(None, Some(&stack(spec)))
}

#[test]
fn a_descriptor_says_which_writes_are_judged_and_what_may_change() {
    let admissions = Exports::describe().admissions;
    assert_eq!(admissions.iter().map(|admission| admission.kind.as_str()).collect::<Vec<_>>(), [KIND, "example.org/Image", KIND]);
    let condition = KeyValue { key: "not-system".into(), value: "object.metadata.namespace != 'kube-system'".into() };
    assert_eq!((admissions[0].mutating, &admissions[0].match_conditions), (false, &vec![condition]));
    let rule = Validation {
        expression: "object.spec.replicas < 10".into(),
        message: "expected fewer than 10 replicas; lower spec.replicas".into(),
    };
    assert_eq!(admissions[0].validations, [rule]);
    assert_eq!((admissions[1].mutating, admissions[1].may_touch.as_slice()), (true, ["/spec/image".into(), "/spec/tag".into()].as_slice()));
}

#[test]
fn an_allowed_write_goes_on_with_its_warnings() {
    let verdict = Exports::review(review(Some(&stack(&json!({"replicas": 1}))), Some(&stack(&json!({"replicas": 2}))))).unwrap();
    assert_eq!((verdict.allowed, verdict.warnings.as_slice()), (true, ["prod has Some(1) before 2".to_owned()].as_slice()));
    // What is there need not fit any more.
    let verdict = Exports::review(review(Some(&stack(&json!({"replicas": "?"}))), Some(&stack(&json!({"replicas": 2}))))).unwrap();
    assert_eq!(verdict.warnings, ["prod has None before 2"]);
}

#[test]
fn what_the_writer_can_mend_is_a_denial_that_names_the_field() {
    for (spec, message) in [
        (json!({"replicas": 12}), "spec.replicas: expected fewer than 10, found 12; lower it"),
        (json!({"replicas": "x"}), "spec.replicas: invalid type: string \"x\", expected u32"),
        (json!({}), "spec.replicas: missing field `replicas`"),
        (json!({"replicas": 1, "engine": "old"}), "the engine `old` is gone; take another"),
    ] {
        let verdict = Exports::review(created(&spec)).unwrap();
        assert_eq!((verdict.allowed, verdict.message.as_str()), (false, message), "{spec}");
    }
    let mut by_mallory = created(&json!({"replicas": 1}));
    by_mallory.user = "mallory".into();
    let verdict = Exports::review(by_mallory).unwrap();
    assert_eq!((verdict.allowed, verdict.message.as_str(), verdict.warnings.len()), (false, "ask somebody else", 1));
}

#[test]
fn a_defect_of_the_plugin_is_no_verdict() {
    let failure = Exports::review(created(&json!({"replicas": 1, "engine": "broken"}))).unwrap_err();
    assert_eq!(failure.class, FailureClass::Internal);
    let mut unreadable = created(&json!({"replicas": 1}));
    unreadable.object = Some("{".into());
    assert_eq!(Exports::review(unreadable).unwrap_err().class, FailureClass::Internal);
}

#[test]
fn of_several_admissions_of_a_kind_the_first_that_lists_the_operation_is_asked() {
    let (before, after) = (stack(&json!({"replicas": "?"})), stack(&json!({"replicas": 2})));
    assert!(Exports::review(review(Some(&before), Some(&after))).unwrap().allowed);
    let verdict = Exports::review(review(Some(&before), None)).unwrap();
    assert_eq!((verdict.allowed, verdict.message.as_str()), (false, "ns/prod stays: \"?\" false"));
    let image = json!({"metadata": {"name": "a"}});
    for request in
        [testing::review_request("example.org/Other", None, Some(&after)), testing::review_request("example.org/Image", Some(&image), None)]
    {
        assert_eq!(Exports::review(request).unwrap_err().class, FailureClass::Unsupported);
    }
}

#[test]
fn a_verdict_may_wait_for_an_answer_and_then_change_what_is_written() {
    let image = json!({"metadata": {"name": "a"}, "spec": {"tag": "8"}});
    let mut request = testing::review_request("example.org/Image", None, Some(&image));
    let asked = Exports::review(request.clone()).unwrap();
    assert_eq!((asked.needs[0].id.as_str(), &asked.needs[0].mode, asked.patches.len()), ("image", &NeedMode::Fresh, 0));
    request.answers.push(wit::Answer { id: "image".into(), outcome: AnswerOutcome::Ok(r#"{"digest":"sha256:aa"}"#.into()) });
    let answered = Exports::review(request.clone()).unwrap();
    let patch = |path: &str, value: Option<&str>| ReviewPatch { path: path.into(), value: value.map(Into::into) };
    assert_eq!(answered.patches, [patch("/spec/image", Some(r#"{"a":1,"z":"sha256:aa"}"#)), patch("/spec/tag", None)]);

    request.object = Some(json!({"metadata": {"name": "a"}, "spec": {"broken": true}}).to_string());
    assert_eq!(Exports::review(request).unwrap_err().reason, "UnserialisableVerdict");
}

#[test]
fn what_changes_and_what_is_on_its_way_out_can_be_told() {
    let before = stack(&json!({"replicas": 1, "deep": {"a": [1]}}));
    let mut after = before.clone();
    after["metadata"]["labels"] = json!({"a": "b"});
    let cx = ReviewContext::<Judge>::new(review(Some(&before), Some(&after))).unwrap();
    assert!((cx.changes("/metadata") && !cx.changes("/spec") && !cx.is_deleting()), "only the labels");
    after["spec"]["deep"]["a"] = json!([]);
    after["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let cx = ReviewContext::<Judge>::new(review(Some(&before), Some(&after))).unwrap();
    assert!(cx.changes("/spec") && cx.changes("/spec/deep/a") && !cx.changes("/spec/replicas") && cx.is_deleting());
    assert_eq!(ReviewContext::<Judge>::new(review(Some(&before), None)).unwrap().object().err().unwrap().class, FailureClass::Internal);
}

#[test]
fn a_config_of_the_plugin_that_does_not_fit_is_nothing_that_a_writer_can_mend() {
    let cx = ReviewContext::<Judge>::new(created(&json!({"replicas": 1}))).unwrap();
    assert_eq!(cx.plugin_config::<Vec<u8>>().unwrap_err().class, FailureClass::Internal);
}

#[test]
fn goldens_of_reviews_are_checked_like_all_others() {
    let folder = std::env::temp_dir().join(format!("banhbaoring-reviews-{}", std::process::id()));
    let case = folder.join("denied");
    testing::write(&case.join("request.yaml"), &created(&json!({"replicas": 12}))).unwrap();
    let answer = testing::Outcome::from(Exports::review(created(&json!({"replicas": 12}))));
    testing::write(&case.join("response.yaml"), &answer).unwrap();
    testing::check_review::<Exports>(&folder).unwrap();
    testing::write(&case.join("request.yaml"), &created(&json!({"replicas": 1}))).unwrap();
    assert_eq!(testing::check_review::<Exports>(&folder).unwrap_err().category(), "differs");
    std::fs::remove_dir_all(&folder).unwrap();
}
