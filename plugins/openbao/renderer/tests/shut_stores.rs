//! Stores that let nobody in: what counts as a refusal, whose the volumes are, and how such a store begins again without another being begun beside one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use banhbaoring_sdk::wit::{AnswerOutcome, OutcomeError, Response, State};
use serde_json::Value;
use support::world::World;
use support::{object, render};

fn init_file(response: &Response) -> String {
    object(response, "ConfigMap", "prod-init")["data"]["init.json"].as_str().unwrap().to_owned()
}

fn access_of(response: &Response) -> String {
    let status: Value = response.status.parse().unwrap();
    status["operatorAccess"].as_str().unwrap_or("none").to_owned()
}

/// A store of so many nodes that nobody got into.
fn shut(replicas: usize) -> World {
    let mut world = World::locked(&format!("replicas: {replicas}"), "Unconfirmed");
    world.until("refused", |_, response| response.reason == "OperatorRefused");
    world
}

/// Somebody scales the StatefulSet to no nodes.
fn put_down(world: &mut World) {
    let set = world.set.as_mut().unwrap();
    set.object["spec"]["replicas"] = 0.into();
    set.generation += 1;
    world.controller();
    world.raft();
}

#[test]
fn a_node_of_a_store_that_lets_nobody_in_never_begins_another_beside_it() {
    let mut world = shut(3);
    // Months later the first node loses its volume, and then all of them are away for a while.
    world.pods.remove(&0);
    world.claims.remove(&0);
    for _ in 0..6 {
        assert_eq!(init_file(&world.tick()), "{}\n");
    }
    world.pods.clear();
    world.raft();
    let response = world.tick();
    assert_eq!(init_file(&response), "{}\n");
    let mut silent = world.asked.clone().unwrap();
    silent.answers.clear();
    assert_eq!(init_file(&render(&silent).unwrap()), "{}\n");
    for _ in 0..6 {
        assert_eq!(init_file(&world.tick()), "{}\n");
    }
}

#[test]
fn a_store_that_lets_nobody_in_begins_again_once_its_nodes_and_volumes_are_gone() {
    for replicas in [1, 3] {
        let mut world = shut(replicas);
        put_down(&mut world);
        for _ in 0..4 {
            let held = world.tick();
            assert_eq!((held.reason.as_str(), init_file(&held).as_str()), ("OperatorRefused", "{}\n"));
            assert_eq!(object(&held, "StatefulSet", "prod")["spec"]["replicas"], 0, "nobody comes back to volumes that are to go");
            assert!(held.message.contains("delete pvc data-prod-0"), "{}", held.message);
            assert!(held.message.contains(&format!("scale statefulset prod --replicas={replicas}")), "and the way back: {}", held.message);
        }
        let mut kept = world.clone();
        let last = world.claims.keys().max().copied().unwrap();
        world.claims.retain(|ordinal, _| *ordinal == last);
        assert_eq!(init_file(&world.tick()), "{}\n", "one of the volumes is left");
        world.claims.clear();
        world.peers.clear();
        world.lets_in = true;
        let begins = world.tick();
        assert_ne!(init_file(&begins), "{}\n");
        assert_eq!(object(&begins, "StatefulSet", "prod")["spec"]["replicas"], replicas, "the file is there before the nodes");
        let told: Value = begins.status.parse().unwrap();
        assert_eq!((&told["initialized"], &told["operatorAccess"]), (&Value::Null, &Value::Null), "it is another store");
        let begins = world.tick();
        assert_ne!(init_file(&begins), "{}\n", "until the first node has read it");
        let ready = world.until("ready", |world, response| world.is_settled() && response.state == State::Ready);
        assert_eq!((init_file(&ready).as_str(), access_of(&ready).as_str()), ("{}\n", "Confirmed"));

        // Whoever thinks better of it scales up again.
        kept.set.as_mut().unwrap().object["spec"]["replicas"] = replicas.into();
        kept.set.as_mut().unwrap().generation += 1;
        kept.controller();
        let back = kept.until("back", |world, _| world.is_settled());
        assert_eq!((back.reason.as_str(), init_file(&back).as_str()), ("OperatorRefused", "{}\n"));
    }
}

#[test]
fn who_follows_what_was_told_before_is_told_how_to_go_on_and_not_that_the_store_is_lost() {
    // Pods and claims were deleted and nothing was scaled: the new nodes are empty.
    let mut world = shut(1);
    world.pods.clear();
    world.claims.clear();
    world.peers.clear();
    world.leader = None;
    let response = world.until("empty", |world, _| world.is_up(0));
    assert!(response.reason != "DataLost", "{}", response.message);
    let response = render(&world.request()).unwrap();
    assert_eq!(response.reason, "OperatorRefused", "{}", response.message);
}

#[test]
fn one_volume_that_was_kept_is_enough_for_a_store_that_is_never_told_to_begin_again() {
    for kept in 0..3 {
        let mut world = World::locked("replicas: 3", "Unconfirmed");
        world.claim_made.insert(kept, "2025-12-31T23:59:59Z".to_owned());
        for _ in 0..4 {
            let response = world.tick();
            assert!(!format!("{} {:?}", response.message, response.conditions).contains("delete pvc"), "{kept}: {}", response.message);
        }
        assert!(world.previous.as_ref().unwrap().contains("NotExpected"), "{:?}", world.previous);
        // Of a new owner, before any node tells.
        let init_file = |world: &World| {
            let mut asked = world.request();
            asked.previous = None;
            asked.answers.retain(|answer| !answer.id.starts_with("node-"));
            object(&render(&asked).unwrap(), "ConfigMap", "prod-init")["data"]["init.json"].clone()
        };
        world.needs = render(&{
            let mut asked = world.request();
            asked.previous = None;
            asked.answers.clear();
            asked
        })
        .unwrap()
        .needs;
        assert_eq!(init_file(&world), "{}\n", "{kept}: a first node must not begin a store beside it");
        world.claim_made.clear();
        assert_ne!(init_file(&world), "{}\n");
    }
}

#[test]
fn only_what_the_login_was_answered_is_a_refusal() {
    let mut world = World::calm("replicas: 1");
    world.lets_in = false;
    for told in ["Unconfirmed", "RefusedOnce"] {
        world.previous = Some(world.told_of_access(Some(told)));
        world.tick();
        world.previous = Some(world.told_of_access(Some(told)));
        let with = |class: &str, message: &str| {
            let mut asked = world.request();
            let error = OutcomeError { class: class.to_owned(), message: message.to_owned() };
            let answer = asked.answers.iter_mut().find(|answer| answer.id.starts_with("raft")).unwrap();
            answer.outcome = AnswerOutcome::Error(error);
            let status: Value = render(&asked).unwrap().status.parse().unwrap();
            status["operatorAccess"].as_str().unwrap().to_owned()
        };
        let login = "the login at /v1/auth/userpass/login/operator";
        for (class, message) in [
            ("not-permitted", "service account bao/plugin may not list pods in namespace bao: refused with 403".to_owned()),
            ("not-permitted", "the pod prod-0 was not made by this owner's components".to_owned()),
            ("not-permitted", format!("{login} was refused with 405")),
            ("not-found", "there is no key password in Secret prod-operator yet".to_owned()),
            ("unavailable", format!("{login} was answered with 503")),
        ] {
            assert_eq!(with(class, &message), told, "{class}: {message}");
        }
        let next = if told == "RefusedOnce" { "Refused" } else { "RefusedOnce" };
        for status in [400, 403] {
            assert_eq!(with("not-permitted", &format!("{login} was refused with {status}")), next);
        }
    }
    // The words are the host's.
    let host = include_str!("../../../../host/cluster/src/exchange/credential.rs");
    assert!(host.contains(r#"ExchangeError::Refused(format!("the login at {} was refused with {status}", login.path))"#));
}

#[test]
fn one_refusal_that_is_looked_at_twice_is_one() {
    let mut world = World::locked("replicas: 1", "Unconfirmed");
    let once = world.tick();
    assert_eq!(access_of(&once), "RefusedOnce");
    let mut asked = world.asked.clone().unwrap();
    for _ in 0..3 {
        asked.previous.clone_from(&world.previous);
        let again = render(&asked).unwrap();
        assert_eq!(access_of(&again), "RefusedOnce", "the same answer");
        assert!(again.needs.iter().any(|need| need.id == "raft-again") && again.needs.iter().all(|need| need.id != "raft"));
        world.previous = Some(again.status.clone());
    }
    let second = world.tick();
    assert_eq!((access_of(&second).as_str(), second.reason.as_str()), ("Refused", "OperatorRefused"));
}

#[test]
fn a_store_on_a_volume_that_was_kept_from_a_cluster_before_is_never_told_to_begin_again() {
    let mut world = World::locked("replicas: 1", "RefusedOnce");
    world.tick();
    // A claim is made within the second of its StatefulSet: then whom it was made for tells, and where that is not said, nothing is known.
    let (ours, others) = (world.claims[&0].made_for.clone(), Some("another".to_owned()));
    assert!(ours.is_some());
    for (made, whose, reason) in [
        ("2026-01-01T00:00:00Z", &ours, "OperatorRefused"),
        ("2026-01-01T00:00:01Z", &None, "OperatorRefused"),
        ("2026-01-01T00:00:00Z", &None, "ConfirmingAccess"),
        ("2026-01-01T00:00:01Z", &others, "Ready"),
        ("2025-12-31T23:59:59Z", &ours, "Ready"),
        ("2025-12-31T23:59:59Z", &None, "Ready"),
    ] {
        world.claim_made.insert(0, made.to_owned());
        world.claims.get_mut(&0).unwrap().made_for.clone_from(whose);
        world.previous = Some(world.told_of_access(Some("RefusedOnce")));
        let asked = world.request();
        let response = render(&asked).unwrap();
        assert_eq!(response.reason, reason, "{made} {whose:?} {}", response.message);
        let said = format!("{} {:?}", response.message, response.conditions);
        assert_eq!(said.contains("delete pvc"), reason == "OperatorRefused", "{said}");
        assert_eq!(said.contains("nothing is to be deleted"), reason == "ConfirmingAccess", "{said}");
    }
    let mut asked = world.request();
    let status: Value = render(&asked).unwrap().status.parse().unwrap();
    assert_eq!(status["operatorAccess"], "NotExpected");
    asked.answers.retain(|answer| answer.id != "set-made");
    asked.previous = Some(world.told_of_access(Some("RefusedOnce")));
    let unknown = render(&asked).unwrap();
    assert_eq!(unknown.reason, "ConfirmingAccess", "whose volume it is comes first: {}", unknown.message);
}
