//! Needs that the API server answers: admitted by the pipeline, asked as the plugin's account.

use banhbaoring_api::inventory::{ChildEntry, InventorySpec};
use banhbaoring_cluster::Cluster;
use banhbaoring_pipeline::ActivePlugin;
use banhbaoring_pipeline::admit::PermittedNeed;
use banhbaoring_pipeline::contract::{AnswerOutcome, Need, NeedMode};
use serde_json::{Value, json};

use crate::support::asks::{Asks, admitted, plugin};
use crate::support::{COMPONENT, Fixture};

async fn permitted(fixture: &Fixture, resources: Value, need: Need, inventory: &InventorySpec) -> PermittedNeed {
    let admitted = admitted(fixture, &plugin(fixture, json!({ "resources": resources })), Asks::need(need), inventory).await;
    admitted.components[0].needs[0].clone()
}

async fn answered(fixture: &Fixture, resources: Value, need: Need, inventory: &InventorySpec) -> AnswerOutcome {
    let permitted = permitted(fixture, resources, need, inventory).await;
    fixture.cluster.answer(&plugin(fixture, json!({})), &permitted, inventory).await
}

fn need(kind: &str, spec: Value, project: &[&str]) -> Need {
    let project = project.iter().map(|pointer| (*pointer).to_owned()).collect();
    Need { id: "n".to_owned(), kind: kind.to_owned(), mode: NeedMode::Fresh, project, spec }
}

fn one(name: &str, project: &[&str]) -> Need {
    need("object", json!({"reference": {"apiVersion": "v1", "kind": "ConfigMap", "name": name}}), project)
}

fn grant(relation: &str) -> Value {
    json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"], "relation": relation}])
}

fn names(outcome: &AnswerOutcome) -> Vec<String> {
    let AnswerOutcome::Ok(value) = outcome else { panic!("{outcome:?}") };
    value["items"].as_array().unwrap().iter().map(|item| item["reference"]["name"].as_str().unwrap().to_owned()).collect()
}

fn class(outcome: &AnswerOutcome) -> &str {
    match outcome {
        AnswerOutcome::Error(error) => &error.class,
        other => panic!("{other:?}"),
    }
}

async fn config_maps(fixture: &Fixture, names: &[&str]) {
    for name in names {
        let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "labels": {"tier": name}, "annotations": {"edge": "yes", "banhbaoring.io/intent": "token"}}, "data": {"key": name}});
        fixture.kubectl.apply(&manifest.to_string()).await.unwrap();
    }
}

async fn recorded(fixture: &Fixture, name: &str) -> InventorySpec {
    let uid = fixture.get("configmap", name).await["metadata"]["uid"].as_str().unwrap().to_owned();
    let entry = ChildEntry {
        api_version: "v1".into(),
        kind: "ConfigMap".into(),
        namespace: Some(fixture.namespace.clone()),
        name: name.into(),
        component: COMPONENT.into(),
        uid: Some(uid),
        ..ChildEntry::default()
    };
    InventorySpec { owner: fixture.owner.clone(), children: vec![entry], ..InventorySpec::default() }
}

#[tokio::test]
async fn an_object_is_answered_with_the_fields_that_were_projected_and_no_more() {
    let fixture = Fixture::new("needs").await;
    config_maps(&fixture, &["strange"]).await;
    let none = InventorySpec::default();
    let AnswerOutcome::Ok(value) = answered(&fixture, grant("any"), one("strange", &["/data/key", "/data/none"]), &none).await else {
        panic!()
    };
    assert_eq!(value["value"], json!({"/data/key": "strange"}));
    let AnswerOutcome::Ok(whole) = answered(&fixture, grant("any"), one("strange", &[]), &none).await else { panic!() };
    let metadata = &whole["value"]["metadata"];
    assert!(metadata.get("managedFields").is_none() && metadata.get("resourceVersion").is_none(), "{metadata}");
    assert_eq!(metadata["annotations"]["edge"], "yes");
    assert!(metadata["annotations"].get("banhbaoring.io/intent").is_none(), "the host's own marks are nobody's answer");
    assert_eq!(whole["uid"], metadata["uid"]);
    assert_eq!(class(&answered(&fixture, grant("any"), one("nobody", &[]), &none).await), "not-found");
}

#[tokio::test]
async fn what_may_be_read_as_ones_own_is_what_is_recorded_by_uid() {
    let fixture = Fixture::new("needs").await;
    config_maps(&fixture, &["mine"]).await;
    let mut inventory = recorded(&fixture, "mine").await;
    let ask = || one("mine", &["/data/key"]);
    assert!(matches!(answered(&fixture, grant("owned"), ask(), &inventory).await, AnswerOutcome::Ok(_)));
    let admitted = permitted(&fixture, grant("owned"), ask(), &inventory).await;
    inventory.children[0].uid = Some("of one that was there before".to_owned());
    assert_eq!(class(&fixture.cluster.answer(&plugin(&fixture, json!({})), &admitted, &inventory).await), "not-found");
}

#[tokio::test]
async fn many_objects_come_by_name_filtered_limited_and_only_those_of_the_granted_relation() {
    let fixture = Fixture::new("needs").await;
    config_maps(&fixture, &["zeta", "alpha", "mine", "named"]).await;
    let inventory = recorded(&fixture, "mine").await;
    let edge = json!([{"pointer": "/metadata/annotations/edge", "equals": "yes"}]);
    let many = |extra: Value| {
        let mut spec = json!({"apiVersion": "v1", "kind": "ConfigMap", "filter": edge});
        spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        need("objects", spec, &["/data/key"])
    };
    let all = answered(&fixture, grant("any"), many(json!({})), &inventory).await;
    assert_eq!(names(&all), ["alpha", "mine", "named", "zeta"]);
    let few = answered(&fixture, grant("any"), many(json!({"limit": 2})), &inventory).await;
    assert_eq!(names(&few), ["alpha", "mine"]);
    assert!(matches!(&few, AnswerOutcome::Ok(value) if value["truncated"] == true));
    assert_eq!(names(&answered(&fixture, grant("any"), many(json!({"matchLabels": {"tier": "zeta"}})), &inventory).await), ["zeta"]);
    assert_eq!(names(&answered(&fixture, grant("owned"), many(json!({})), &inventory).await), ["mine"]);
    assert_eq!(
        names(&answered(&fixture, grant("referenced"), many(json!({})), &inventory).await),
        ["mine", "named"],
        "the spec says `named`"
    );
    let injected = many(json!({"matchLabels": {"tier": "zeta,tier!=alpha"}}));
    assert_eq!(class(&answered(&fixture, grant("any"), injected, &inventory).await), "invalid");
}

#[tokio::test]
async fn what_rbac_does_not_allow_and_what_the_host_cannot_do_are_answers() {
    let fixture = Fixture::new("needs").await;
    config_maps(&fixture, &["strange"]).await;
    let none = InventorySpec::default();
    let admitted = permitted(&fixture, grant("any"), one("strange", &[]), &none).await;
    let nobody = banhbaoring_api::plugin::NamespacedName { namespace: fixture.namespace.clone(), name: "nobody".into() };
    let nobody = ActivePlugin { account: nobody, ..plugin(&fixture, json!({})) };
    let denied = fixture.cluster.answer(&nobody, &admitted, &none).await;
    assert_eq!(class(&denied), "not-permitted");
    let AnswerOutcome::Error(error) = denied else { panic!() };
    assert!(error.message.contains("nobody") && error.message.contains("configmaps"), "{}", error.message);
    assert_eq!(class(&answered(&fixture, json!([]), need("telepathy", json!({}), &[]), &none).await), "unsupported");
}

#[tokio::test]
async fn more_than_a_page_is_read_and_the_answer_has_a_bound() {
    let fixture = Fixture::new("needs").await;
    let cluster: &Cluster = &fixture.cluster;
    let big = "x".repeat(4_000);
    let list: Vec<Value> = (0..120)
        .map(|index| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("n{index:03}")}, "data": {"key": big}}))
        .collect();
    fixture.kubectl.apply(&json!({"apiVersion": "v1", "kind": "List", "items": list}).to_string()).await.unwrap();
    let none = InventorySpec::default();
    let ask = |project: &[&str]| need("objects", json!({"apiVersion": "v1", "kind": "ConfigMap"}), project);
    let narrow = permitted(&fixture, grant("any"), ask(&["/metadata/name"]), &none).await;
    let found = names(&cluster.answer(&plugin(&fixture, json!({})), &narrow, &none).await);
    assert!(found.len() > 120 && found.is_sorted(), "{}", found.len());
    let wide = permitted(&fixture, grant("any"), ask(&["/data"]), &none).await;
    assert_eq!(class(&cluster.answer(&plugin(&fixture, json!({})), &wide, &none).await), "invalid");
}
