//! A store that the operator initialises: what follows from what the node says, what the Secret holds and what the journal knows, wherever somebody was killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use banhbaoring_sdk::wit::{ActionOutcome, Answer, AnswerOutcome, Response, State};
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

/// The token was missed twice, and the store does not let the operator in.
fn twice_missing(before: &str) -> Opening {
    Opening { again: Some(None), operator_fails: Some("not-permitted"), ..opening(before, true, Some(None), None) }
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
        ("one answer, seen twice", opening("AnswerMissing", true, none, None), "AnswerMissing", &[]),
        ("looked for twice", twice_missing("AnswerMissing"), "AnswerLost", &[]),
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

/// What is told next, where nothing but the status before is new.
fn next(opening: &Opening, response: &Response) -> Opening {
    let status: Value = response.status.parse().unwrap();
    Opening { before: Some(status["initialization"].clone()), ..opening.clone() }
}

#[test]
fn one_answer_that_is_seen_twice_does_not_make_a_loss() {
    let unsettled = opening("Initializing", true, Some(None), Some(ActionOutcome::Unknown));
    let first = look(&unsettled);
    assert!(first.needs.iter().all(|need| need.id != "first-root-again"), "it is a question about what was missed at a look before");
    let missed = next(&unsettled, &first);
    let second = look(&missed);
    assert_eq!((step(&first).as_str(), step(&second).as_str()), ("AnswerMissing", "AnswerMissing"));
    assert!(second.needs.iter().any(|need| need.id == "first-root-again"), "another id is another question, asked anew");
    assert!(second.needs.iter().any(|need| need.id == "first-operator"), "who is let in has not lost a store");
    let third = next(&missed, &second);
    assert_eq!(step(&look(&third)), "AnswerMissing", "no second answer is no second look");
    for (name, otherwise) in [
        ("the operator was not answered", Opening { again: Some(None), ..third.clone() }),
        ("a Service or an authority that is missing", Opening { operator_fails: Some("not-found"), ..twice_missing("AnswerMissing") }),
        ("the store is busy", Opening { operator: Some(503), operator_fails: None, ..twice_missing("AnswerMissing") }),
        ("it came after all", Opening { again: Some(Some(200)), ..twice_missing("AnswerMissing") }),
        (
            "another volume than was asked for",
            Opening { before: Some(json!({"step": "AnswerMissing", "attempt": "claim-0"})), ..twice_missing("") },
        ),
    ] {
        let response = look(&otherwise);
        assert_eq!((step(&response).as_str(), response.message.contains("delete pvc")), ("AnswerMissing", false), "{name}");
    }
    for before in ["AnswerMissing", "AnswerLost"] {
        let let_in = Opening { operator: Some(200), operator_fails: None, ..twice_missing(before) };
        assert_eq!(step(&look(&let_in)), "Done", "whom the store lets in has lost nothing");
    }
}

#[test]
fn a_token_that_is_taken_out_early_is_no_lost_answer_and_nobody_is_told_to_delete_a_volume() {
    for before in ["Captured", "MakingUsers", "RevokingRootToken", "RootTokenRefused", "DataLost"] {
        let mut opening = opening(before, true, Some(None), None);
        for _ in 0..2 {
            let response = look(&opening);
            assert_eq!(step(&response), before, "the operator is asked first");
            assert!(!response.message.contains("delete pvc"), "{before}: {}", response.message);
            assert!(response.needs.iter().any(|need| need.id == "first-operator"), "{before}");
            opening = next(&opening, &response);
        }
        let asked = |operator, operator_fails| look(&Opening { operator, operator_fails, again: Some(None), ..opening.clone() });
        let done = asked(Some(200), None);
        assert_eq!(step(&done), "Done", "{before}");
        assert_eq!(step(&asked(None, Some("not-found"))), before, "a Service or an authority that is missing");
        let refused = asked(None, Some("not-permitted"));
        assert_eq!((step(&refused).as_str(), refused.reason.as_str()), ("RootTokenRefused", "RootTokenRefused"), "{before}");
        assert!(refused.message.contains("put it back") && !refused.message.contains("delete pvc"), "{}", refused.message);
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

    for lost in ["prod-admin", "prod-operator"] {
        let mut asked = making.request(SPEC);
        asked.children.retain(|child| child.reference.name != lost);
        let response = render(&asked).unwrap();
        assert_eq!((response.actions.len(), step(&response).as_str()), (0, "MakingUsers"), "nothing is sent without {lost}");
        assert!(response.secrets.iter().all(|secret| secret.name != lost), "it is let go first");
    }

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
fn a_first_node_with_an_empty_volume_is_not_initialised_beside_a_store_of_others() {
    let spec = "{initialization: {mode: Captured}}";
    let mut asked = Opening { says: Some(false), ..Opening::default() }.request(spec);
    *asked.children.last_mut().unwrap() = stateful_set(banhbaoring_sdk::wit::ReadinessState::Ready, &settled(spec, 3));
    // The status is lost, with all that was told of the store.
    asked.previous = None;
    for (ordinal, initialized) in [(1, "true"), (2, "true")] {
        let reference = json!({"apiVersion": "v1", "kind": "Pod", "namespace": "bao", "name": format!("prod-{ordinal}")});
        let value = json!({"/metadata/labels/openbao-initialized": initialized});
        let view = json!({"reference": reference, "uid": format!("pod-{ordinal}"), "value": value}).to_string();
        asked.answers.push(Answer { id: format!("node-{ordinal}"), outcome: AnswerOutcome::Ok(view) });
    }
    asked.answers.sort_by(|a, b| a.id.cmp(&b.id));
    let response = render(&asked).unwrap();
    assert_eq!((response.actions.len(), step(&response).as_str()), (0, "Waiting"));
    let told =
        |response: &Response| response.conditions.iter().find(|found| found.condition_type == "Initialized").unwrap().message.clone();
    assert!(told(&response).contains("prod-1 has a store") && !told(&response).contains("kubectl"), "{}", told(&response));
    assert!(!response.message.contains("kubectl"), "{}", response.message);
    assert_eq!(object(&response, "StatefulSet", "prod")["spec"]["replicas"], 3, "nobody goes");
    // One that has not told yet may have one.
    asked.answers.retain(|answer| answer.id != "node-1" && answer.id != "node-2");
    let response = render(&asked).unwrap();
    assert!(response.actions.is_empty() && told(&response).contains("prod-1 has not told"), "{}", told(&response));
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
    let mut world = World::locked("replicas: 1", "Unconfirmed");
    let first = world.tick();
    assert_eq!((first.state, first.reason.as_str()), (State::Progressing, "ConfirmingAccess"), "the users may be made at this moment");
    let second = world.tick();
    assert_eq!((second.state, second.reason.as_str()), (State::Failed, "OperatorRefused"));
    for words in [
        "kubectl -n bao scale statefulset prod --replicas=0 && kubectl -n bao delete pvc data-prod-0 --wait=false, and it begins again",
        "If somebody ever did, do not",
    ] {
        assert!(second.message.contains(words), "{}", second.message);
    }
    let access =
        |response: &Response| response.conditions.iter().find(|found| found.condition_type == "OperatorAccess").unwrap().reason.clone();
    assert_eq!(access(&second), "Refused");
    assert_eq!(object(&second, "ConfigMap", "prod-init")["data"]["init.json"], "{}\n", "somebody may use it all the same");
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

#[test]
fn a_store_that_an_older_version_initialised_is_in_use_whether_or_not_it_lets_the_operator_in() {
    let mut world = World::calm("replicas: 1");
    world.previous = Some(world.told_of_access(None));
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
