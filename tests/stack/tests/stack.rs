//! What the benchmarks count with: twelve objects a stack, of which a new message changes one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use banhbaoring_plugin_stack::Exports;
use banhbaoring_sdk::{Plugin, testing};
use serde_json::json;

fn manifests(message: &str) -> Vec<String> {
    let spec = json!({"message": message});
    let owner = json!({
        "apiVersion": "bench.banhbaoring.io/v1alpha1", "kind": "Stack",
        "metadata": {"name": "one", "namespace": "default", "uid": "u"}, "spec": spec,
    });
    let response = Exports::reconcile(testing::request("stack", &owner, &spec)).unwrap();
    response.objects.into_iter().map(|object| object.manifest).collect()
}

#[test]
fn the_goldens_hold() {
    testing::check::<Exports>(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens")).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_stack_is_twelve_objects_and_a_new_message_changes_one() {
    let (before, after) = (manifests("a"), manifests("b"));
    assert_eq!(before.len(), 12);
    assert_eq!(before.iter().zip(&after).filter(|(a, b)| a != b).count(), 1);
}
