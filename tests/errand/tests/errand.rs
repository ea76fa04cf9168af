//! What tests of side effects ask with: each id is one request, in the order of the spec.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use banhbaoring_plugin_errand::Exports;
use banhbaoring_sdk::{Plugin, testing};
use serde_json::json;

#[test]
fn the_goldens_hold() {
    testing::check::<Exports>(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens")).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn each_id_is_one_action_in_order() {
    let spec = json!({"port": 8080, "ids": ["c", "a"]});
    let owner = json!({
        "apiVersion": "errands.tests.banhbaoring.io/v1alpha1", "kind": "Errand",
        "metadata": {"name": "one", "namespace": "default", "uid": "u"}, "spec": spec,
    });
    let response = Exports::reconcile(testing::request("errand", &owner, &spec)).unwrap();
    let ids: Vec<String> = response.actions.into_iter().map(|action| action.id).collect();
    assert_eq!(ids, ["c", "a"]);
}
