//! Which image nodes run where the spec says who must have signed it, through the plugin's door. The decision itself is tested beside it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use banhbaoring_sdk::wit::{Answer, AnswerOutcome, OutcomeError, ReadinessState, Request, Response, State};
use serde_json::{Value, json};
use support::{container, owner, render, request, seals, stateful_set};

const KEY: &str = "-----BEGIN PUBLIC KEY-----\\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\\n-----END PUBLIC KEY-----\\n";

fn asking(policy: &str, image: &str) -> Request {
    let spec = format!("image: {image}\nimagePullSecrets: [{{name: pull}}]\nimageVerification: {{policy: {policy}, publicKey: \"{KEY}\"}}");
    request(&owner(&spec), Some(seals::generated_key("prod")))
}

fn question(response: &Response) -> Option<(String, Value)> {
    let need = response.needs.iter().find(|need| need.id.starts_with("image-"))?;
    Some((need.id.clone(), need.spec.parse().unwrap()))
}

fn answered(mut request: Request, id: &str, outcome: AnswerOutcome) -> Request {
    request.answers = vec![Answer { id: id.to_owned(), outcome }];
    request
}

fn signed(digest: &str) -> AnswerOutcome {
    AnswerOutcome::Ok(json!({"digest": format!("sha256:{}", digest.repeat(64)), "signer": "key sha256:1"}).to_string())
}

fn error(class: &str) -> AnswerOutcome {
    AnswerOutcome::Error(OutcomeError { class: class.to_owned(), message: "Unsigned: no signature".to_owned() })
}

fn condition(response: &Response) -> (String, String) {
    let found = response.conditions.iter().find(|condition| condition.condition_type == "ImageVerified").unwrap();
    (format!("{:?} {}", found.status, found.reason), found.message.clone())
}

fn status(response: &Response) -> Value {
    response.status.parse().unwrap()
}

/// The request after the nodes were made as that response wants them.
fn running(mut request: Request, before: &Response) -> Request {
    let image = container(before)["image"].clone();
    let fields = json!({"/spec/template/spec/containers/0/image": image, "/spec/replicas": 3, "/status/readyReplicas": 3});
    request.children = vec![stateful_set(ReadinessState::Ready, &fields)];
    request.previous = Some(before.status.clone());
    request
}

#[test]
fn nodes_are_made_once_the_image_is_verified_and_run_the_digest_without_asking_again() {
    let asking = asking("Block", "quay.io/openbao/openbao:2.4.0");
    let first = render(&asking).unwrap();
    assert_eq!((first.state, first.reason.as_str(), first.objects.len(), first.secrets.len()), (State::Progressing, "Verifying", 0, 0));
    assert_eq!(first.needs.len(), 1, "there are no pods yet that would be this cluster's");
    let (id, need) = question(&first).unwrap();
    assert_eq!((&need["reference"], &need["pullSecrets"]), (&json!("quay.io/openbao/openbao:2.4.0"), &json!(["pull"])));
    let made = render(&answered(asking.clone(), &id, signed("a"))).unwrap();
    let pinned = format!("quay.io/openbao/openbao:2.4.0@sha256:{}", "a".repeat(64));
    assert_eq!(container(&made)["image"], pinned);
    assert_eq!(status(&made)["image"]["digest"], format!("sha256:{}", "a".repeat(64)));
    assert_eq!(condition(&made).0, "ConditionStatus::Yes Verified");
    // The tag moves, the registry goes: nobody looks.
    let later = render(&running(asking, &made)).unwrap();
    assert_eq!((container(&later)["image"].as_str(), question(&later)), (Some(pinned.as_str()), None));
}

#[test]
fn an_update_that_is_not_signed_changes_nothing_and_tells_how_the_nodes_are() {
    let before = asking("Block", "quay.io/openbao/openbao:2.4.0");
    let (id, _) = question(&render(&before).unwrap()).unwrap();
    let made = render(&answered(before, &id, signed("a"))).unwrap();
    let update = running(asking("Block", "quay.io/openbao/openbao:2.4.1"), &made);
    let pending = render(&update).unwrap();
    assert_eq!((pending.state, pending.objects.len()), (State::Blocked, 0), "what is there stays");
    let (id, need) = question(&pending).unwrap();
    assert_eq!(need["reference"], "quay.io/openbao/openbao:2.4.1");
    let mut untrusted = answered(update, &id, error("untrusted"));
    let mut told = status(&made);
    told["initialized"] = true.into();
    untrusted.previous = Some(told.to_string());
    let blocked = render(&untrusted).unwrap();
    assert_eq!((blocked.state, blocked.reason.as_str(), blocked.objects.len()), (State::Blocked, "ImageUntrusted", 0));
    let (verdict, message) = condition(&blocked);
    assert_eq!(verdict, "ConditionStatus::No ImageUntrusted");
    for part in ["2.4.1 is not signed as it should be", "Unsigned: no signature", "nodes that run go on", "policy: Block"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let status = status(&blocked);
    assert_eq!(
        (&status["initialized"], &status["nodes"], &status["operatorSecret"]),
        (&json!(true), &json!("3/3"), &json!("prod-operator"))
    );
    assert!(blocked.needs.iter().any(|need| need.id == "node-0"), "nodes are looked at");
}

#[test]
fn with_warn_an_image_that_is_not_signed_runs_and_is_warned_of() {
    let asking = asking("Warn", "quay.io/openbao/openbao:2.4.0");
    let (id, _) = question(&render(&asking).unwrap()).unwrap();
    let warned = render(&answered(asking.clone(), &id, error("untrusted"))).unwrap();
    assert_eq!(container(&warned)["image"], "quay.io/openbao/openbao:2.4.0");
    assert_eq!(condition(&warned).0, "ConditionStatus::No ImageUntrusted");
    let event = warned.events.iter().find(|event| event.reason == "ImageUntrusted").unwrap();
    assert!(event.message.contains("policy: Warn"), "{}", event.message);
    assert!(question(&warned).is_some(), "it is asked about again");
    let verified = render(&answered(running(asking, &warned), &id, signed("a"))).unwrap();
    assert_eq!(condition(&verified).0, "ConditionStatus::Yes Verified");
}

#[test]
fn without_verification_nobody_is_asked() {
    let spec = format!("imageVerification: {{enabled: false, publicKey: \"{KEY}\"}}");
    for spec in ["", spec.as_str()] {
        let response = support::rendered(spec);
        assert_eq!((container(&response)["image"].as_str(), question(&response)), (Some("openbao/openbao:2.4.0"), None));
        assert!(!response.conditions.iter().any(|condition| condition.condition_type == "ImageVerified"));
    }
}
