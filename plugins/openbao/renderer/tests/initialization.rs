//! The first initialisation: what the first node is told, when it is told nothing, and what is never taken from a resource.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use banhbaoring_sdk::wit::{Answer, AnswerOutcome, ReadinessState, Response, State};
use serde_json::{Value, json};
use support::{container, object, objects, owner, refused, render, rendered, request, seals, stateful_set, template};

fn init_file(response: &Response) -> Value {
    serde_json::from_str(object(response, "ConfigMap", "prod-init")["data"]["init.json"].as_str().unwrap()).unwrap()
}

#[test]
fn only_the_first_node_is_told_to_initialise_and_only_before_it_was() {
    let response = rendered("");
    let blocks = init_file(&response)["initialize"].as_array().unwrap().clone();
    let names: Vec<&String> = blocks.iter().flat_map(|block| block.as_object().unwrap().keys()).collect();
    assert_eq!(names, ["admin", "operator", "end"], "who gets in first, the end of the token last");
    assert_eq!(blocks[2]["end"]["request"][0]["revoke"]["path"], "auth/token/revoke-self");
    let command = container(&response)["command"][2].as_str().unwrap().to_owned();
    assert!(command.contains("*-0) init=-config=/etc/bao/init/init.json;;") && command.ends_with("$init"), "{command}");
    assert!(command.contains("*) unset INITIAL_ADMIN_PASSWORD INITIAL_OPERATOR_PASSWORD;; esac"), "{command}");
    let mut again = request(&owner(""), Some(seals::generated_key("prod")));
    again.previous = Some(json!({"initialized": true}).to_string());
    let again = render(&again).unwrap();
    assert_eq!(init_file(&again), json!({}), "a first node that lost its volume has to join, not to begin anew");
    assert_eq!(template(&again), template(&response), "which is no reason to roll the pods");
    assert!(response.secrets.iter().any(|secret| secret.name == "prod-admin"));
    assert!(!again.secrets.iter().any(|secret| secret.name == "prod-admin"), "whoever deleted it since then meant it");
    let variables = container(&response)["env"].as_array().unwrap().clone();
    let password = variables.iter().find(|variable| variable["name"] == "INITIAL_ADMIN_PASSWORD").unwrap();
    assert_eq!(password["valueFrom"]["secretKeyRef"], json!({"name": "prod-admin", "key": "password", "optional": true}));
    let password = variables.iter().find(|variable| variable["name"] == "INITIAL_OPERATOR_PASSWORD").unwrap();
    assert_eq!(password["valueFrom"]["secretKeyRef"], json!({"name": "prod-operator", "key": "password", "optional": true}));
    assert!(again.secrets.iter().any(|secret| secret.name == "prod-operator"), "it is needed on day 2");
    let by_hand = rendered("initialization: {mode: Manual}");
    assert!(!objects(&by_hand).iter().any(|object| object["metadata"]["name"] == "prod-init"));
    assert!(!by_hand.secrets.iter().any(|secret| secret.name == "prod-admin"));
}

#[test]
fn a_first_password_that_is_lost_early_is_let_go_and_made_again_and_later_it_is_not() {
    let asks = |previous: Value, there: bool| {
        let mut asked = request(&owner(""), Some(seals::generated_key("prod")));
        asked.previous = Some(previous.to_string());
        let mut secret = stateful_set(ReadinessState::Ready, &json!({}));
        (secret.reference.api_version, secret.reference.kind, secret.reference.name) = ("v1".into(), "Secret".into(), "prod-admin".into());
        asked.children = there.then_some(secret).into_iter().collect();
        let response = render(&asked).unwrap();
        let status: Value = serde_json::from_str(&response.status).unwrap();
        let asked = response.secrets.iter().any(|secret| secret.name == "prod-admin" && !secret.keep);
        assert_eq!(status["adminSecret"] == "prod-admin", asked, "{status}");
        asked
    };
    assert!(asks(json!({}), false), "at first");
    assert!(asks(json!({"adminSecret": "prod-admin"}), true) && asks(json!({"adminSecret": "prod-admin", "initialized": true}), true));
    assert!(!asks(json!({"adminSecret": "prod-admin"}), false), "let go");
    assert!(asks(json!({"adminSecret": null}), false), "and made again");
    assert!(!asks(json!({"initialized": true}), false), "but not for a store that is initialised");
}

#[test]
fn the_operators_password_that_is_lost_is_let_go_and_made_again_and_nothing_is_sent_without_it() {
    let asks = |previous: Value, there: bool| {
        let mut asked = request(&owner(""), Some(seals::generated_key("prod")));
        asked.previous = Some(previous.to_string());
        let mut secret = stateful_set(ReadinessState::Ready, &json!({}));
        (secret.reference.api_version, secret.reference.kind, secret.reference.name) =
            ("v1".into(), "Secret".into(), "prod-operator".into());
        asked.children = there.then_some(secret).into_iter().collect();
        let response = render(&asked).unwrap();
        let made = response.secrets.iter().any(|secret| secret.name == "prod-operator");
        let sent = response.needs.iter().any(|need| need.kind == "http");
        assert!(made || !sent, "a login without its Secret is refused as a whole");
        (made, sent)
    };
    assert_eq!(asks(json!({}), false), (true, false), "at first");
    assert_eq!(asks(json!({"operatorSecret": "prod-operator", "initialized": true}), true), (true, true));
    assert_eq!(asks(json!({"operatorSecret": "prod-operator", "initialized": true}), false), (false, false), "let go");
    assert_eq!(asks(json!({"initialized": true}), false), (true, true), "and made again");
}

#[test]
fn a_request_that_would_read_the_nodes_own_secrets_or_be_misread_is_refused() {
    for (data, why) in [
        ("{password: {eval_type: string, eval_source: env, env_var: AWS_SECRET_ACCESS_KEY}}", "eval_"),
        ("{a: [{deep: {eval_source: file}}, 1]}", "eval_"),
        ("{a: [{b: 1}]}", "list of one object"),
        ("{a: null}", "null"),
    ] {
        let failure = refused(&format!("initialization: {{requests: [{{name: x, path: sys/x, data: {data}}}]}}"));
        assert_eq!(failure.field.as_deref(), Some("spec.initialization.requests[0].data"), "{data}");
        assert!(failure.message.contains(why), "{}", failure.message);
    }
    let failure = refused("{version: 2.3.2, unseal: {type: static}, initialization: {mode: SelfInit}}");
    assert!(failure.message.contains("2.4"), "{}", failure.message);
}

/// Pods of three nodes that was each labelled so, or not at all, and is ready or not, of a store that was initialised before.
fn labelled(pods: [(Option<&str>, bool); 3]) -> Response {
    let mut asked = request(&owner("replicas: 3"), Some(seals::generated_key("prod")));
    asked.previous = Some(json!({"initialized": true, "operatorAccess": "Confirmed"}).to_string());
    let all_ready = pods.iter().all(|(_, ready)| *ready);
    let readiness = if all_ready { ReadinessState::Ready } else { ReadinessState::Progressing };
    asked.children = vec![stateful_set(readiness, &json!({"/spec/replicas": 3}))];
    let answer = |(ordinal, (initialized, ready)): (usize, (Option<&str>, bool))| {
        let ready = if ready { "True" } else { "False" };
        let mut value = json!({"/status/conditions": [{"type": "Ready", "status": ready}]});
        if let Some(initialized) = initialized {
            value["/metadata/labels/openbao-initialized"] = initialized.into();
            value["/metadata/labels/openbao-sealed"] = (initialized == "false").to_string().into();
        }
        let view = json!({"reference": {"apiVersion": "v1", "kind": "Pod", "name": format!("prod-{ordinal}")}, "uid": "u", "value": value});
        Answer { id: format!("node-{ordinal}"), outcome: AnswerOutcome::Ok(view.to_string()) }
    };
    asked.answers = pods.into_iter().enumerate().map(answer).collect();
    render(&asked).unwrap()
}

#[test]
fn a_store_that_was_initialised_and_is_not_any_more_is_lost_and_said_so() {
    let response = labelled([(Some("false"), true); 3]);
    assert_eq!((response.state, response.reason.as_str()), (State::Failed, "DataLost"));
    let status: Value = serde_json::from_str(&response.status).unwrap();
    assert_eq!(status["initialized"], true, "what was told once is not forgotten");
}

#[test]
fn a_node_that_is_sealed_starting_or_silent_may_hold_the_store_so_that_nothing_is_called_lost() {
    let (empty, sealed, silent) = ((Some("false"), true), (Some("false"), false), (None, false));
    for pods in
        [[sealed; 3], [silent; 3], [empty, sealed, sealed], [empty, empty, sealed], [empty, empty, silent], [empty, empty, (None, true)]]
    {
        let response = labelled(pods);
        assert_ne!(response.reason, "DataLost", "{pods:?}: {}", response.message);
        let said = format!("{} {:?}", response.message, response.conditions);
        for advice in ["delete the cluster", "sys/init", "initialises the store by itself"] {
            assert!(!said.contains(advice), "{pods:?}: {advice} in {said}");
        }
        let initialized = response.conditions.iter().find(|condition| condition.condition_type == "Initialized").unwrap();
        assert_eq!(initialized.reason, "Initialized", "{pods:?}: {initialized:?}");
        let status: Value = serde_json::from_str(&response.status).unwrap();
        assert_eq!(status["initialized"], true);
    }
    let response = labelled([sealed; 3]);
    assert!(response.message.contains("it is sealed, or not unsealed yet"), "{}: {}", response.reason, response.message);
}
