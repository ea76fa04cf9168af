//! The example against its golden cases.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use banhbaoring_plugin_hello::Exports;
use banhbaoring_sdk::wit::{Child, ObjectReference, ReadinessState, State};
use banhbaoring_sdk::{FailureClass, Plugin, testing};
use serde_json::{Value, json};

fn owner(spec: &Value) -> Value {
    json!({
        "apiVersion": "examples.banhbaoring.io/v1alpha1", "kind": "Hello",
        "metadata": {"name": "world", "namespace": "default", "uid": "u"}, "spec": spec,
    })
}

#[test]
fn the_goldens_hold() {
    testing::check::<Exports>(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens")).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn the_descriptor_is_stable() {
    testing::describe::<Exports>(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/describe.yaml"))
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(Exports::describe(), Exports::describe());
}

#[test]
fn it_is_ready_when_its_pods_are() {
    let spec = json!({"greeting": "hi", "replicas": 2});
    let mut request = testing::request("hello", &owner(&spec), &spec);
    assert_eq!(Exports::reconcile(request.clone()).unwrap().state, State::Progressing);
    request.children.push(Child {
        reference: ObjectReference {
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            namespace: Some("default".to_owned()),
            name: "world".to_owned(),
        },
        readiness: ReadinessState::Ready,
        reason: String::new(),
        message: String::new(),
        fields: r#"{"/status/readyReplicas":2}"#.to_owned(),
    });
    assert_eq!(Exports::reconcile(request).unwrap().state, State::Ready);
}

#[test]
fn a_field_that_is_not_there_is_named() {
    let spec = json!({"replicas": 2});
    let failure = Exports::reconcile(testing::request("hello", &owner(&spec), &spec)).unwrap_err();
    assert_eq!((failure.class, failure.field.as_deref()), (FailureClass::InvalidConfig, Some("spec.greeting")));
}
