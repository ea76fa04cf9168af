//! Volumes that should be larger than they were made, through the plugin's door.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use banhbaoring_sdk::wit::{ActionOutcome, ActionResult, Answer, AnswerOutcome, OutcomeError, ReadinessState, Request, Response};
use serde_json::{Value, json};
use support::{object, owner, render, request, seals, stateful_set};

/// One node whose claim was made with 10Gi, and a spec that asks for that size.
fn one_node(size: &str) -> Request {
    let owner = owner(&format!("replicas: 1\nstorage: {{size: {size}}}"));
    let templates = json!([{"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": "10Gi"}}}}]);
    let mut request = request(&owner, Some(seals::generated_key("prod")));
    request.children = vec![stateful_set(ReadinessState::Ready, &json!({"/spec/replicas": 1, "/spec/volumeClaimTemplates": templates}))];
    request
}

fn claim(requested: &str, capacity: &str) -> Answer {
    let value = json!({"/spec/resources/requests/storage": requested, "/status/capacity/storage": capacity});
    let reference = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "bao", "name": "data-prod-0"});
    let view = json!({"reference": reference, "uid": "uid-1", "value": value});
    Answer { id: "size-data-prod-0".to_owned(), outcome: AnswerOutcome::Ok(view.to_string()) }
}

fn sized(response: &Response) -> (String, String) {
    let told = response.conditions.iter().find(|condition| condition.condition_type == "StorageSized").unwrap();
    (format!("{:?} {}", told.status, told.reason), told.message.clone())
}

#[test]
fn a_claim_that_asks_for_less_is_told_to_grow_and_followed_until_it_has() {
    let mut request = one_node("20Gi");
    let first = render(&request).unwrap();
    assert!(first.needs.iter().any(|need| need.id == "size-data-prod-0"));
    assert_eq!((sized(&first).0.as_str(), first.actions.len()), ("ConditionStatus::Unknown NotSeen", 0));
    let made = object(&first, "StatefulSet", "prod");
    let template = &made["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"];
    assert_eq!(template, "10Gi", "a template cannot change");

    request.answers = vec![claim("10Gi", "10Gi")];
    let grows = render(&request).unwrap();
    let action = grows.actions.iter().find(|action| action.id == "expand-data-prod-0-uid-1-20Gi").unwrap();
    let spec: Value = action.spec.parse().unwrap();
    assert_eq!(
        (&spec["target"]["name"], &spec["fields"]),
        (&json!("data-prod-0"), &json!({"spec": {"resources": {"requests": {"storage": "20Gi"}}}}))
    );
    let (condition, message) = sized(&grows);
    assert_eq!((condition.as_str(), message.contains("data-prod-0 has 10Gi")), ("ConditionStatus::No Expanding", true), "{message}");

    request.answers = vec![claim("20Gi", "10Gi")];
    let told = render(&request).unwrap();
    assert_eq!((sized(&told).0.as_str(), told.actions.len()), ("ConditionStatus::No Expanding", 0));
    request.answers = vec![claim("20480Mi", "20Gi")];
    assert_eq!(sized(&render(&request).unwrap()).0, "ConditionStatus::Yes AsAsked");
}

/// What the status says would go with the cluster.
fn told(request: &Request) -> Value {
    render(request).unwrap().status.parse::<Value>().unwrap()["deletionPolicy"].clone()
}

#[test]
fn what_would_go_with_the_cluster_is_read_off_what_there_is_and_not_off_the_spec() {
    let asked = |policy: &str, when_deleted: &str, owner_of_authority: Option<&str>| {
        let owner = owner(&format!("{{replicas: 1, deletionPolicy: {policy}}}"));
        let mut request = request(&owner, Some(seals::generated_key("prod")));
        let fields = json!({"/spec/replicas": 1, "/spec/persistentVolumeClaimRetentionPolicy/whenDeleted": when_deleted});
        let owners = owner_of_authority.map(|uid| json!({"/metadata/ownerReferences": [{"uid": uid, "controller": true}]}));
        let mut authority = stateful_set(ReadinessState::Ready, &owners.unwrap_or_else(|| json!({})));
        authority.reference.api_version = "v1".to_owned();
        authority.reference.kind = "ConfigMap".to_owned();
        authority.reference.name = "prod-ca".to_owned();
        request.children = vec![authority, stateful_set(ReadinessState::Ready, &fields)];
        request
    };
    let own = owner("")["metadata"]["uid"].as_str().unwrap().to_owned();
    assert_eq!(told(&asked("Retain", "Delete", None)), "DeletePVCs", "the spec has not reached the StatefulSet");
    assert_eq!(told(&asked("Retain", "Retain", None)), "Retain");
    assert_eq!(told(&asked("Retain", "Retain", Some(&own))), "DeleteAll", "the authority would still go");
    assert_eq!(told(&asked("Retain", "Retain", Some("of-somebody-else"))), "Retain");
    // The status is written after what is rendered now.
    assert_eq!(told(&asked("DeletePVCs", "Retain", None)), "DeletePVCs");
    assert_eq!(told(&asked("DeleteAll", "Delete", None)), "DeleteAll");
    let mut first = asked("DeletePVCs", "Delete", None);
    first.children.clear();
    assert_eq!(told(&first), "DeletePVCs");
    let held = "{replicas: 1, deletionPolicy: DeletePVCs, imageVerification: {enabled: true, policy: Block, publicKey: k}}";
    let mut held = Request { config: request(&owner(held), None).config, ..asked("DeletePVCs", "Retain", None) };
    held.previous = Some(json!({"deletionPolicy": "DeletePVCs"}).to_string());
    assert_eq!(told(&held), "Retain", "nothing is applied");
}

#[test]
fn a_storage_class_that_cannot_is_named() {
    let mut request = one_node("20Gi");
    request.answers = vec![claim("10Gi", "10Gi")];
    let error = OutcomeError { class: "invalid".to_owned(), message: "only dynamically provisioned pvc can be resized".to_owned() };
    request.results = vec![ActionResult { id: "expand-data-prod-0-uid-1-20Gi".to_owned(), outcome: ActionOutcome::Error(error) }];
    let refused = render(&request).unwrap();
    let (condition, message) = sized(&refused);
    assert_eq!(condition, "ConditionStatus::No ExpansionRefused");
    assert!(message.contains("dynamically provisioned") && message.contains("allowVolumeExpansion"), "{message}");
    assert_eq!(refused.actions.len(), 1, "it is tried again: somebody may allow it");
}

#[test]
fn a_claim_as_large_as_asked_is_not_asked_about() {
    for size in ["10Gi", "10240Mi"] {
        let response = render(&one_node(size)).unwrap();
        assert!(!response.needs.iter().any(|need| need.id.starts_with("size-")), "{size}");
        assert_eq!(sized(&response).0, "ConditionStatus::Yes AsAsked");
    }
}
