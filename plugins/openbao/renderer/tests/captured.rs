//! A store that the operator initialises: what follows from what the node says, what the Secret holds and what the journal knows, wherever somebody was killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use banhbaoring_sdk::wit::{ActionOutcome, Response, State};
use serde_json::{Value, json};
use support::opening::{Opening, done, failed, settled, users};
use support::world::World;
use support::{object, render, stateful_set};

const SPEC: &str = "{initialization: {mode: Captured}}";

fn look(opening: &Opening) -> Response {
    render(&opening.request(SPEC)).unwrap()
}

fn step(response: &Response) -> String {
    let status: Value = response.status.parse().unwrap();
    status["initialization"]["step"].as_str().unwrap_or("none").to_owned()
}

fn asks(response: &Response) -> Vec<&str> {
    response.actions.iter().map(|action| action.id.as_str()).collect()
}

fn opening(before: &str, says: bool, root: Option<Option<u16>>, outcome: Option<ActionOutcome>) -> Opening {
    let results = outcome.map(|outcome| ("initialize-claim-1", outcome)).into_iter().collect();
    let begun = if before.is_empty() { Opening::default() } else { Opening::at(before) };
    Opening { says: Some(says), root, results, ..begun }
}

#[test]
fn what_follows_is_read_off_the_node_the_secret_and_the_journal() {
    let (token, revoked, none) = (Some(Some(200)), Some(Some(403)), Some(None));
    let again = &["initialize-claim-1"][..];
    let cases: Vec<(&str, Opening, &str, &[&str])> = vec![
        ("nobody asked it yet", opening("", false, None, None), "Initializing", again),
        ("it is under way", opening("Initializing", false, None, None), "Initializing", again),
        ("under way, and the node is faster than its answer", opening("Initializing", true, none, None), "Initializing", again),
        ("it reached nobody", opening("Initializing", false, None, Some(failed("unavailable"))), "Initializing", again),
        (
            "the operator was killed before it was sent",
            opening("Initializing", false, None, Some(ActionOutcome::Unknown)),
            "Initializing",
            &[],
        ),
        ("killed between the journal and the status", opening("", true, none, Some(ActionOutcome::Unknown)), "AnswerMissing", &[]),
        ("the answer was lost", opening("Initializing", true, none, Some(ActionOutcome::Unknown)), "AnswerMissing", &[]),
        ("looked for twice", opening("AnswerMissing", true, none, None), "AnswerLost", &[]),
        ("it could not be stored", opening("Initializing", true, none, Some(failed("lost"))), "AnswerMissing", &[]),
        ("it comes late after all", opening("AnswerLost", true, token, None), "MakingUsers", &[]),
        ("begun again with an empty volume", opening("AnswerLost", false, None, None), "Initializing", again),
        ("the store refuses", opening("Initializing", false, None, Some(done(400, "no"))), "Initializing", &[]),
        (
            "the node was killed in the middle",
            opening("Initializing", false, None, Some(done(500, "x: cluster already has state"))),
            "Interrupted",
            again,
        ),
        ("the node says it late", opening("Initializing", false, None, Some(done(200, ""))), "Captured", again),
        ("the volume went after the answer", opening("Captured", false, None, Some(done(200, ""))), "Captured", &[]),
        ("and the Secret is full", opening("Captured", false, None, Some(failed("conflict"))), "DataLost", again),
        ("the volume comes back", opening("DataLost", true, token, None), "MakingUsers", &[]),
        ("nobody here asked it", opening("", true, none, None), "Foreign", &[]),
        ("its token was revoked by others", opening("MakingUsers", true, revoked, None), "MakingUsers", &[]),
        ("revoked", opening("RevokingRootToken", true, revoked, None), "Done", &[]),
    ];
    for (name, opening, wanted, actions) in cases {
        let response = look(&opening);
        assert_eq!(step(&response), wanted, "{name}");
        if wanted != "MakingUsers" {
            assert_eq!(asks(&response), actions, "{name}");
        }
        assert_eq!(object(&response, "StatefulSet", "prod")["spec"]["replicas"], 1, "{name}");
        assert!(!response.actions.iter().any(|action| action.kind == "delete"), "{name}: no volume is ever deleted from here");
        let has_failed = ["AnswerLost", "DataLost", "Interrupted"].contains(&wanted);
        assert_eq!(response.state == State::Failed, has_failed, "{name}: {} {}", response.reason, response.message);
        let initialized = response.conditions.iter().find(|condition| condition.condition_type == "Initialized").unwrap();
        assert_eq!(initialized.reason == response.reason, initialized.reason != "Initialized", "{name}: {initialized:?}");
    }
}

#[test]
fn users_are_made_in_order_and_the_root_token_ends_only_after_the_operator_was_let_in() {
    let token = Some(Some(200));
    let making = Opening { says: Some(true), root: token, ..Opening::at("MakingUsers") };
    let response = look(&making);
    let ids: Vec<&str> = asks(&response).iter().map(|id| id.trim_end_matches("-claim-1")).collect();
    assert_eq!(ids, ["make-method", "make-admin-policy", "make-admin", "make-operator-policy", "make-operator"]);
    for action in &response.actions {
        assert!(action.spec.contains("prod-init") && action.spec.contains("root-token"), "the host puts the token in: {}", action.spec);
    }
    assert!(response.actions[2].spec.contains("prod-admin") && response.actions[4].spec.contains("prod-operator"));

    let mut results = users();
    results[0].1 = done(400, "path is already in use at userpass/");
    let all = Opening { results: results.clone(), ..making.clone() };
    assert_eq!(step(&look(&all)), "RevokingRootToken", "a method that is there already is as good");
    results[2].1 = done(500, "not now");
    let one = look(&Opening { results: results.clone(), ..making.clone() });
    assert_eq!((step(&one).as_str(), asks(&one).contains(&"make-admin-claim-1")), ("MakingUsers", false), "let go, to be asked for again");
    results[2].1 = ActionOutcome::Unknown;
    assert_eq!(step(&look(&Opening { results, ..making })), "MakingUsers");

    let revoking = |operator: Option<u16>| look(&Opening { says: Some(true), root: token, operator, ..Opening::at("RevokingRootToken") });
    assert_eq!(asks(&revoking(None)), [""; 0], "the operator is asked for first");
    let refused = revoking(Some(403));
    assert_eq!((step(&refused).as_str(), asks(&refused).len()), ("MakingUsers", 0), "its user is made again");
    assert_eq!(asks(&revoking(Some(200))), ["revoke-root-claim-1"]);
}

#[test]
fn nobody_joins_and_nothing_is_initialised_while_there_are_others() {
    let mut asked = Opening { says: Some(false), ..Opening::default() }.request(SPEC);
    let fields = settled(SPEC, 3);
    *asked.children.last_mut().unwrap() = stateful_set(banhbaoring_sdk::wit::ReadinessState::Ready, &fields);
    let response = render(&asked).unwrap();
    assert!(response.actions.is_empty());
    assert!(response.message.contains("scale statefulset prod --replicas=1"), "{}", response.message);
}

#[test]
fn a_store_that_was_initialised_otherwise_is_never_initialised_by_the_operator_least_of_all_when_it_is_gone() {
    let mut asked = Opening { says: Some(false), ..Opening::default() }.request(SPEC);
    asked.previous = Some(json!({"initialized": true}).to_string());
    let response = render(&asked).unwrap();
    assert_eq!((step(&response).as_str(), response.actions.len()), ("Foreign", 0));
    assert!(!response.needs.iter().any(|need| need.id.starts_with("first-")));
}

#[test]
fn a_store_of_one_node_is_ready_once_it_let_the_operator_in_and_is_never_asked_again() {
    let mut world = World::calm("replicas: 1");
    world.previous = Some(told_of_access(&world, Some("Unconfirmed")));
    world.lets_in = false;
    let first = world.tick();
    assert_eq!((first.state, first.reason.as_str()), (State::Progressing, "ConfirmingAccess"), "the users may be made at this moment");
    let second = world.tick();
    assert_eq!((second.state, second.reason.as_str()), (State::Failed, "OperatorRefused"));
    for words in ["kubectl -n bao delete pvc data-prod-0 --wait=false && kubectl -n bao delete pod prod-0", "If somebody ever did, do not"]
    {
        assert!(second.message.contains(words), "{}", second.message);
    }
    let access =
        |response: &Response| response.conditions.iter().find(|found| found.condition_type == "OperatorAccess").unwrap().reason.clone();
    assert_eq!(access(&second), "Refused");
    assert_ne!(object(&second, "ConfigMap", "prod-init")["data"]["init.json"], "{}\n", "there before the node begins again");
    // Whoever does as it says gets a store that begins again, and none that is lost.
    let mut begun_again = world.asked.clone().unwrap();
    begun_again.previous = Some(json!({"initialized": true, "operatorAccess": "Refused"}).to_string());
    begun_again.answers.clear();
    let begun_again = render(&begun_again).unwrap();
    assert!(begun_again.reason != "DataLost" && object(&begun_again, "ConfigMap", "prod-init")["data"]["init.json"] != "{}\n");
    world.lets_in = true;
    let let_in = world.until("let in", |_, response| response.state == State::Ready);
    assert_eq!(access(&let_in), "LoggedIn");
    let calm = world.tick();
    assert!(calm.needs.iter().all(|need| need.kind != "http"), "it costs nothing any more");
    assert_eq!((calm.state, access(&calm).as_str()), (State::Ready, "LoggedInBefore"));
    world.lets_in = false;
    let later = world.tick();
    assert_eq!((later.state, access(&later).as_str()), (State::Ready, "LoggedInBefore"), "a password that changed is no lost store");
}

/// The status as it was told, with another word about the operator's access.
fn told_of_access(world: &World, access: Option<&str>) -> String {
    let mut told: Value = world.previous.as_ref().unwrap().parse().unwrap();
    told.as_object_mut().unwrap().remove("operatorAccess");
    if let Some(access) = access {
        told["operatorAccess"] = access.into();
    }
    told.to_string()
}

#[test]
fn a_store_on_a_volume_that_was_kept_from_a_cluster_before_is_never_told_to_begin_again() {
    let mut world = World::calm("replicas: 1");
    world.previous = Some(told_of_access(&world, Some("RefusedOnce")));
    world.lets_in = false;
    world.tick();
    // The second of the StatefulSet is still its own.
    for (made, reason) in [("2026-01-01T00:00:00Z", "OperatorRefused"), ("2025-12-31T23:59:59Z", "Ready")] {
        world.claim_made = made.to_owned();
        let asked = world.request();
        let response = render(&asked).unwrap();
        assert_eq!(response.reason, reason, "{}", response.message);
        assert_eq!(response.message.contains("delete pvc"), reason != "Ready", "{}", response.message);
    }
    let mut asked = world.request();
    let status: Value = render(&asked).unwrap().status.parse().unwrap();
    assert_eq!(status["operatorAccess"], "NotExpected");
    asked.answers.retain(|answer| answer.id != "set-made");
    asked.previous = Some(told_of_access(&world, Some("RefusedOnce")));
    let unknown = render(&asked).unwrap();
    assert_eq!(unknown.reason, "ConfirmingAccess", "whose volume it is comes first: {}", unknown.message);
}

#[test]
fn a_store_that_an_older_version_initialised_is_in_use_whether_or_not_it_lets_the_operator_in() {
    let mut world = World::calm("replicas: 1");
    world.previous = Some(told_of_access(&world, None));
    world.lets_in = false;
    for _ in 0..3 {
        let response = world.tick();
        assert_eq!(response.state, State::Ready, "{}", response.message);
        assert_eq!(object(&response, "ConfigMap", "prod-init")["data"]["init.json"], "{}\n", "it never begins again");
    }
}

#[test]
fn a_store_that_somebody_initialises_by_hand_is_not_asked_to_let_the_operator_in() {
    let world = World::calm("{replicas: 1, initialization: {mode: Manual}}").tick();
    assert_eq!(world.state, State::Ready);
    assert!(world.needs.iter().all(|need| need.kind != "http"));
}
