//! Definitions of kinds, and what discovery makes of them.

use std::time::Duration;

use banhbaoring_cluster::crd::CrdError;
use banhbaoring_pipeline::contract::HostIdentity;
use banhbaoring_testing::wait::until;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};

use crate::support::Fixture;

const DEADLINE: Duration = banhbaoring_testing::wait::PATIENCE;

fn definition(fixture: &Fixture, field: &str) -> Value {
    let group = format!("{}.test", fixture.namespace);
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": format!("tills.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": {"kind": "Till", "plural": "tills"}, "versions": [{"name": "v1", "served": true,
            "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {field: {"type": "string"}}}}}}}]}})
}

#[tokio::test]
async fn an_installed_kind_is_served_and_upgraded_by_its_own_plugin_only() {
    let fixture = Fixture::new("kinds").await;
    let first = definition(&fixture, "a");
    assert_eq!(fixture.cluster.installed_crd(&first, "shop").await.unwrap(), None);
    fixture.cluster.install_crd(&first, "shop", DEADLINE).await.unwrap();
    let api_version = format!("{}.test/v1", fixture.namespace);
    let kind = fixture.cluster.discovery.kind(&api_version, "Till").await.unwrap();
    assert_eq!((kind.plural.as_str(), kind.namespaced), ("tills", true));
    let platform = fixture.cluster.platform("cluster.local", &HostIdentity::default()).await.unwrap();
    assert!(platform.apis.contains(&format!("{api_version}/Till")) && platform.apis.contains(&"apps/v1/StatefulSet".to_owned()));
    assert!(platform.apis.is_sorted());
    assert!(platform.kubernetes_version.starts_with('v'));
    assert!(fixture.cluster.discovery.kinds().get(&api_version, "Till").is_some());

    let second = definition(&fixture, "b");
    let stolen = fixture.cluster.install_crd(&second, "thief", DEADLINE).await;
    assert!(matches!(stolen, Err(CrdError::KindConflict { .. })), "{stolen:?}");
    fixture.cluster.install_crd(&second, "shop", DEADLINE).await.unwrap();
    let live = fixture.cluster.installed_crd(&second, "shop").await.unwrap().unwrap();
    assert!(live.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/b").is_some());
}

#[tokio::test]
async fn a_status_that_becomes_one_value_is_written_on_by_who_wrote_it() {
    let fixture = Fixture::new("kinds").await;
    let mut first = definition(&fixture, "a");
    first["spec"]["versions"][0]["subresources"] = json!({"status": {}});
    let mut second = first.clone();
    for (definition, map_type) in [(&mut first, "granular"), (&mut second, "atomic")] {
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"] =
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "x-kubernetes-map-type": map_type});
    }
    fixture.cluster.install_crd(&first, "shop", DEADLINE).await.unwrap();
    let group = format!("{}.test", fixture.namespace);
    let (api_version, resource) = (format!("{group}/v1"), format!("tills.{group}"));
    let till = json!({"apiVersion": api_version, "kind": "Till", "metadata": {"name": "till", "namespace": fixture.namespace}});
    fixture.kubectl.apply(&till.to_string()).await.unwrap();
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(&group, "v1", "Till"));
    let tills: Api<DynamicObject> = Api::namespaced_with(fixture.plane.client().await.unwrap(), &fixture.namespace, &kind);
    let write = async |status: Value| {
        let mut body = till.clone();
        body["status"] = status;
        let parameters = PatchParams::apply("banhbaoring/status").force();
        tills.patch_status("till", &parameters, &Patch::Apply(&body)).await.unwrap().data["status"].clone()
    };
    write(json!({"phase": "a", "old": true})).await;
    let foreign = ["patch", &resource, "till", "--namespace", &fixture.namespace, "--subresource=status", "--type=merge", "--patch"];
    fixture.kubectl.run(&[&foreign[..], &[r#"{"status": {"foreign": true}}"#]].concat()).await.unwrap();
    assert_eq!(write(json!({"phase": "b"})).await, json!({"phase": "b", "foreign": true}), "field by field, a foreign one stays");

    fixture.cluster.install_crd(&second, "shop", DEADLINE).await.unwrap();
    // The API server takes up a changed schema a moment after it stored it.
    let whole = async || match write(json!({"phase": "c"})).await {
        status if status == json!({"phase": "c"}) => Ok(()),
        status => Err(status.to_string()),
    };
    until(DEADLINE, "the status to be what was written last and nothing else", whole).await.unwrap();
    assert_eq!(write(json!({"phase": "d", "nodes": {"a": 1}})).await, json!({"phase": "d", "nodes": {"a": 1}}));
    let managed = fixture.get(&resource, "till").await["metadata"]["managedFields"].clone();
    let ours = managed.as_array().unwrap().iter().find(|entry| entry["manager"] == "banhbaoring/status").expect("our entry");
    assert_eq!(ours["fieldsV1"], json!({"f:status": {}}));
}

#[tokio::test]
async fn a_definition_that_somebody_else_installed_is_left_alone_whatever_it_says_of_itself() {
    let fixture = Fixture::new("kinds").await;
    let mut theirs = definition(&fixture, "theirs");
    theirs["metadata"]["annotations"] = json!({"banhbaoring.io/plugin": "shop"});
    fixture.kubectl.apply(&theirs.to_string()).await.unwrap();
    let refused = fixture.cluster.install_crd(&definition(&fixture, "ours"), "shop", DEADLINE).await;
    assert!(matches!(refused, Err(CrdError::KindConflict { .. })), "{refused:?}");
    let name = theirs["metadata"]["name"].as_str().unwrap();
    let live = fixture.get("crd", name).await;
    assert!(live.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/theirs").is_some());
}

#[tokio::test]
async fn a_kind_that_is_not_served_is_an_error_that_says_so() {
    let fixture = Fixture::new("kinds").await;
    let error = fixture.cluster.discovery.kind("shop.example/v1", "Nothing").await.unwrap_err();
    assert!(error.to_string().contains("does not serve Nothing of shop.example/v1"), "{error}");
}
