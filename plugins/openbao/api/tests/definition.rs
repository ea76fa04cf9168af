//! The definition that the guest carries is the one that the types make. `UPDATE_GOLDENS=1` writes it anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use banhbaoring_openbao_api::{CRD_JSON, crd};
use serde_json::Value;

fn made() -> Value {
    serde_json::to_value(crd()).unwrap()
}

#[test]
fn the_stored_definition_is_what_the_types_make() {
    let text = format!("{}\n", serde_json::to_string_pretty(&made()).unwrap());
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/crd.json"), text).unwrap();
        return;
    }
    assert!(CRD_JSON == text, "crd.json is stale; run with UPDATE_GOLDENS=1");
}

#[test]
fn the_table_and_the_names_are_what_people_type() {
    let made = made();
    assert_eq!(made["metadata"]["name"], "openbaoclusters.openbao.org");
    assert_eq!(made["spec"]["names"]["shortNames"][0], "obc");
    assert_eq!(made["spec"]["scope"], "Namespaced");
    let version = &made["spec"]["versions"][0];
    assert_eq!(version["name"], "v1alpha1");
    assert!(version["subresources"]["status"].is_object());
    let columns: Vec<_> =
        version["additionalPrinterColumns"].as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(columns, ["Version", "Replicas", "Leader", "Operation", "Unseal", "Phase", "Ready", "Age"]);
}

#[test]
fn lists_that_several_may_write_are_merged_by_key() {
    let schema = made()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"].clone();
    for (list, key) in
        [("/status/properties/conditions", "type"), ("/spec/properties/audit", "path"), ("/spec/properties/plugins", "component")]
    {
        let list = schema.pointer(list).unwrap();
        assert_eq!((&list["x-kubernetes-list-type"], &list["x-kubernetes-list-map-keys"][0]), (&"map".into(), &key.into()));
    }
    assert_eq!(schema["spec"]["properties"]["unseal"]["x-kubernetes-preserve-unknown-fields"], true);
}
