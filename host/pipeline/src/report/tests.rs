//! What an owner is told, and told again.

use serde_json::json;

use super::*;
use crate::contract::{Failure, FailureClass, Object, ReadinessState, Response, State};
use crate::sample::{child, component, config_map, observation, owner, plugin, response, scripted};
use crate::{PluginSet, admit, compose, plan, render};

/// The report on an owner whose one component answers this, with children as they are after step 6 and the status of the report before it.
fn told(answer: Result<Response, Failure>, after: impl Fn(&mut Observation), before: Option<&Report>) -> Report {
    let mut seen = observation(owner(json!({})));
    if let Some(before) = before {
        seen.owner.object["status"] = before.status.clone();
    }
    let mut stack = plugin("stack", vec![component("store", &[])]);
    stack.grants = serde_json::from_value(json!({"resources": [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch", "delete"], "namespaces": ["owner"]}
    ]}))
    .unwrap();
    let graph = compose(&seen.owner, &PluginSet::default().with(stack));
    let renderer = scripted(move |_| answer.clone());
    let desired = render(&graph, &seen, &renderer);
    let permitted = admit(&desired, &seen);
    let plan = plan(&permitted, &seen);
    after(&mut seen);
    report(Facts { observation: &seen, graph: &graph, desired: &desired, permitted: &permitted, plan: &plan, mishaps: &[] })
}

fn one_object() -> Result<Response, Failure> {
    Ok(Response { objects: vec![config_map("a")], ..response(State::Ready) })
}

fn failure(message: &str) -> Result<Response, Failure> {
    Err(Failure { class: FailureClass::Internal, reason: "Broken".to_owned(), message: message.to_owned(), field: None })
}

fn reasons(report: &Report) -> Vec<&str> {
    report.events.iter().map(|event| event.reason.as_str()).collect()
}

fn with_child(state: ReadinessState) -> impl Fn(&mut Observation) {
    move |seen| child(seen, "store", "ConfigMap", "a", Some(state), json!({}))
}

#[test]
fn a_component_is_as_ready_as_the_objects_that_were_just_written() {
    let report = told(one_object(), with_child(ReadinessState::Ready), None);
    assert_eq!((report.components[0].state, report.phase), (ComponentState::Ready, Phase::Running));
    let report = told(one_object(), with_child(ReadinessState::Progressing), None);
    assert_eq!(report.components[0].state, ComponentState::Progressing);
}

#[test]
fn a_transition_is_told_once_and_the_status_remembers_it() {
    let first = told(one_object(), with_child(ReadinessState::Progressing), None);
    assert!(reasons(&first).is_empty(), "that a new one is on its way is no news");
    let ready = told(one_object(), with_child(ReadinessState::Ready), Some(&first));
    assert_eq!(reasons(&ready), ["ComponentReady"]);
    let again = told(one_object(), with_child(ReadinessState::Ready), Some(&ready));
    assert!(reasons(&again).is_empty());
    let back = told(one_object(), with_child(ReadinessState::Progressing), Some(&again));
    assert_eq!(reasons(&back), ["ComponentProgressing"]);
}

#[test]
fn what_is_wrong_is_told_at_once_and_again_when_it_is_something_else() {
    let first = told(failure("one"), |_| {}, None);
    assert_eq!((reasons(&first), first.events[0].event_type), (vec!["Broken"], EventType::Warning));
    assert!(reasons(&told(failure("one"), |_| {}, Some(&first))).is_empty());
    assert_eq!(reasons(&told(failure("two"), |_| {}, Some(&first))), ["Broken"]);
}

#[test]
fn an_event_of_a_component_is_told_until_the_inventory_has_it() {
    let event = crate::contract::Event {
        event_type: EventType::Normal,
        reason: "Rotated".to_owned(),
        message: "a key".to_owned(),
        key: "rotation".to_owned(),
    };
    let answer = || Ok(Response { events: vec![event.clone()], ..response(State::Ready) });
    let first = told(answer(), |_| {}, None);
    let Some(event) = first.events.iter().find(|event| event.reason == "Rotated") else { panic!("{first:?}") };
    let known = event.told.clone().unwrap();
    let knows = move |seen: &mut Observation| seen.inventory.events.extend([known.clone()]);
    assert!(!reasons(&told(answer(), knows, Some(&first))).contains(&"Rotated"));
}

fn blocked() -> Result<Response, Failure> {
    Ok(response(State::Blocked))
}

#[test]
fn what_a_component_told_stays_while_it_fails_is_refused_or_blocked_and_goes_when_it_says_so() {
    let telling = |status: serde_json::Value| Ok(Response { status, ..response(State::Ready) });
    let first = told(telling(json!({"initialized": true, "nodes": "3/3"})), |_| {}, None);
    assert_eq!(first.status["store"]["initialized"], true);
    let not_allowed = Ok(Response {
        status: json!({"initialized": false}),
        objects: vec![Object { manifest: json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}), ..config_map("a") }],
        ..response(State::Ready)
    });
    for silent in [failure("one"), blocked(), not_allowed] {
        let after = told(silent.clone(), |_| {}, Some(&first));
        assert_eq!((&after.status["store"]["initialized"], &after.status["store"]["nodes"]), (&json!(true), &json!("3/3")), "{silent:?}");
    }
    let blocked_with_status = Ok(Response { status: json!({"nodes": "0/3"}), ..response(State::Blocked) });
    let after = told(blocked_with_status, |_| {}, Some(&first));
    assert_eq!((after.status["store"].get("initialized"), &after.status["store"]["nodes"]), (None, &json!("0/3")));
    let after = told(telling(json!({})), |_| {}, Some(&first));
    assert_eq!((after.status["store"].get("initialized"), after.status["store"].get("nodes")), (None, None));
}

#[test]
fn conditions_stay_while_their_component_waits_and_go_when_it_answers_without_them() {
    let condition = crate::contract::ComponentCondition {
        condition_type: "HasQuorum".to_owned(),
        status: crate::contract::ConditionState::Yes,
        reason: "AllNodes".to_owned(),
        message: String::new(),
    };
    let telling = || Ok(Response { conditions: vec![condition.clone()], ..response(State::Ready) });
    let types = |report: &Report| -> Vec<String> {
        report.status["conditions"].as_array().unwrap().iter().map(|one| one["type"].as_str().unwrap().to_owned()).collect()
    };
    let first = told(telling(), |_| {}, None);
    for silent in [blocked(), failure("one")] {
        assert!(types(&told(silent, |_| {}, Some(&first))).contains(&"HasQuorum".to_owned()));
    }
    assert!(!types(&told(Ok(response(State::Ready)), |_| {}, Some(&first))).contains(&"HasQuorum".to_owned()));
}

#[test]
fn what_a_component_told_stays_while_it_is_kept_out() {
    let status = json!({"store": {"initialized": true}});
    let mut seen = observation(owner(json!({})));
    seen.owner.object["status"] = status;
    let one = |name: &str| plugin(name, vec![component("store", &[])]);
    let graph = compose(&seen.owner, &PluginSet::default().with(one("stack")).with(one("other")));
    assert_eq!((graph.nodes.len(), graph.kept_out.len()), (0, 1));
    let desired = render(&graph, &seen, &scripted(|_| failure("never asked")));
    let (permitted, plan) = (admit(&desired, &seen), Plan::default());
    let report = report(Facts { observation: &seen, graph: &graph, desired: &desired, permitted: &permitted, plan: &plan, mishaps: &[] });
    assert_eq!(report.status["store"]["initialized"], true, "{}", report.status);
}
