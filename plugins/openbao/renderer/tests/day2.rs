//! Day 2 as a whole, in a world that lives: upgrades and their way back, leaders, growing and shrinking, certificates, mishaps in any order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use banhbaoring_sdk::wit::{ActionOutcome, AnswerOutcome, OutcomeError, Response, State};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::render;
use support::world::World;

fn condition(response: &Response, of: &str) -> String {
    let found = response.conditions.iter().find(|condition| condition.condition_type == of).unwrap();
    format!("{:?} {}", found.status, found.reason)
}

fn partition(world: &World) -> i64 {
    world.set.as_ref().unwrap().object["spec"]["updateStrategy"]["rollingUpdate"]["partition"].as_i64().unwrap()
}

fn status(response: &Response) -> Value {
    response.status.parse().unwrap()
}

/// The revision that is rendered next does not come up.
fn spoil(world: &mut World, spec: &str) {
    world.spec = spec.to_owned();
    world.tick();
    let update = world.set.as_ref().unwrap().update.clone();
    world.bad.insert(update);
}

#[test]
fn a_calm_cluster_is_asked_rarely_and_nothing_is_under_way() {
    let mut world = World::calm("");
    let response = world.tick();
    assert_eq!((response.state, response.requeue_after_seconds, partition(&world)), (State::Ready, None, 3));
    assert_eq!(condition(&response, "Upgrading"), "ConditionStatus::No UpToDate");
    assert_eq!(condition(&response, "Scaling"), "ConditionStatus::No AsAsked");
    assert_eq!(condition(&response, "HasQuorum"), "ConditionStatus::Yes AllNodes");
    assert_eq!(condition(&response, "OperatorAccess"), "ConditionStatus::Yes LoggedIn");
    assert!(response.actions.is_empty() && status(&response)["operation"].is_null());
    assert_eq!(
        status(&response)["members"][2],
        json!({"name": "prod-2", "active": false, "sealed": false, "initialized": true,
        "version": "2.4.0", "ready": true, "upToDate": true, "voter": true})
    );
    assert_eq!(world.tick(), response, "the same again");
}

#[test]
fn an_upgrade_goes_from_the_highest_node_to_the_lowest_and_the_leader_steps_down_first() {
    for leader in 0..3 {
        let mut world = World::calm("");
        world.leader = Some((leader, 7));
        world.spec = "logLevel: debug".to_owned();
        let response = world.tick();
        assert_eq!((condition(&response, "Upgrading").as_str(), partition(&world)), ("ConditionStatus::Yes Starting", 3));
        assert_eq!(response.requeue_after_seconds, Some(5));
        world.until("done", |world, _| world.is_settled() && partition(world) == 3);
        assert_eq!(world.restarts, [2, 1, 0], "leader {leader}");
        assert!(world.told.iter().any(|told| *told == format!("step-down prod-{leader}")), "{:?}", world.told);
        assert!(world.told.iter().all(|told| told.starts_with("step-down ")), "{:?}", world.told);
        assert_eq!(condition(&world.tick(), "Upgrading"), "ConditionStatus::No UpToDate");
    }
}

#[test]
fn an_upgrade_that_does_not_come_up_stops_says_so_and_can_be_taken_back() {
    let mut world = World::calm("");
    spoil(&mut world, "logLevel: debug");
    let response = world.until("stuck", |_, response| condition(response, "Upgrading") == "ConditionStatus::Yes UpgradeStuck");
    assert_eq!((response.state, response.reason.as_str()), (State::Progressing, "UpgradeStuck"));
    assert!(response.message.contains("prod-2") && response.message.contains("CrashLoopBackOff"), "{}", response.message);
    for _ in 0..30 {
        world.tick();
    }
    assert_eq!((world.restarts.as_slice(), partition(&world)), ([2].as_slice(), 2), "it never goes on");
    world.spec = String::new();
    world.until("back", |world, _| world.is_settled() && partition(world) == 3);
    assert_eq!(world.restarts, [2, 2], "only the one that failed is touched");
}

#[test]
fn an_upgrade_that_does_not_come_up_can_be_mended_forwards() {
    let mut world = World::calm("");
    spoil(&mut world, "logLevel: debug");
    world.until("stuck", |_, response| condition(response, "Upgrading") == "ConditionStatus::Yes UpgradeStuck");
    world.spec = "logLevel: trace".to_owned();
    world.until("done", |world, _| world.is_settled());
    assert_eq!(world.restarts, [2, 2, 1, 0]);
}

#[test]
fn a_pod_that_is_evicted_while_an_upgrade_is_stuck_comes_back_as_it_was() {
    let mut world = World::calm("");
    spoil(&mut world, "logLevel: debug");
    world.until("stuck", |_, response| condition(response, "Upgrading") == "ConditionStatus::Yes UpgradeStuck");
    let current = world.set.as_ref().unwrap().current.clone();
    world.pods.remove(&0);
    let response = world.until("quorum lost", |_, response| condition(response, "HasQuorum") == "ConditionStatus::No QuorumLost");
    assert_eq!((response.state, response.reason.as_str()), (State::Failed, "QuorumLost"));
    assert!(response.message.contains("prod-2") && response.message.contains("docs/runbooks/quorum-lost.md"), "{}", response.message);
    world.until("back", |world, _| world.is_up(0));
    assert_eq!(world.pods[&0].revision, current);
    assert_eq!(world.restarts, [2]);
}

#[test]
fn a_node_that_is_not_ready_is_believed_before_the_stateful_set_has_counted_it() {
    let mut world = World::calm("replicas: 3");
    assert_eq!(world.tick().state, State::Ready);
    world.pods.get_mut(&2).unwrap().ending = true;
    let mut silent = world.request();
    for answer in silent.answers.iter_mut().filter(|answer| answer.id == "node-2") {
        let AnswerOutcome::Ok(pod) = &mut answer.outcome else { panic!("{answer:?}") };
        *pod = pod.replace("openbao-sealed", "another-label");
    }
    world.pods.remove(&2);
    for asked in [silent, world.request()] {
        let told = render(&asked).unwrap();
        assert_eq!((told.state, told.reason.as_str(), told.message.as_str()), (State::Progressing, "NodesStarting", "not ready: prod-2"));
    }
}

#[test]
fn nodes_whose_volumes_are_empty_are_no_quorum_where_nobody_leads() {
    let mut world = World::calm("");
    for ordinal in [1, 2] {
        world.claims.get_mut(&ordinal).unwrap().joined = None;
    }
    let response = world.tick();
    assert_eq!(condition(&response, "HasQuorum"), "ConditionStatus::Yes AllNodes", "whoever leads lets them in");

    let mut world = World::calm("");
    world.leader = None;
    for ordinal in [1, 2] {
        world.claims.get_mut(&ordinal).unwrap().joined = None;
    }
    let response = world.tick();
    assert_eq!(condition(&response, "HasQuorum"), "ConditionStatus::No QuorumLost");
    assert!(
        response.message.contains("1 of 3 nodes are up") && response.message.contains("prod-2 (its volume is empty"),
        "{}",
        response.message
    );
}

#[test]
fn nodes_that_cannot_unseal_have_lost_nothing_and_come_back() {
    for sealed in [vec![0, 1, 2], vec![1, 2]] {
        let mut world = World::calm("");
        for ordinal in &sealed {
            world.pods.get_mut(ordinal).unwrap().sealed = true;
        }
        world.raft();
        let response = world.tick();
        assert_eq!((response.state, response.reason.as_str()), (State::Failed, "QuorumLost"), "{}", response.message);
        assert!(!response.message.contains("its volume is empty"), "{}", response.message);
        assert_eq!(status(&response)["initialized"], true);
        for pod in world.pods.values_mut() {
            pod.sealed = false;
        }
        world.until("back", |world, response| world.is_settled() && response.state == State::Ready);
        assert!(world.restarts.is_empty() && world.told.is_empty());
    }
}

#[test]
fn a_template_that_changes_under_way_restarts_nobody_out_of_turn() {
    let mut world = World::calm("");
    world.spec = "logLevel: debug".to_owned();
    world.until("the first is down", |world, _| world.restarts == [2]);
    world.spec = "logLevel: trace".to_owned();
    // The world checks that nobody goes while another is down.
    world.until("done", |world, _| world.is_settled());
    assert_eq!(world.restarts.last(), Some(&0));
}

#[test]
fn a_renewed_certificate_goes_the_same_way() {
    let mut world = World::calm("");
    world.certificate = 2;
    world.until("seen", |world, _| world.set.as_ref().unwrap().update != world.set.as_ref().unwrap().current);
    assert_eq!(partition(&world), 3, "nobody is restarted by the renewal itself");
    world.until("done", |world, _| world.is_settled());
    assert_eq!(world.restarts, [2, 1, 0]);
}

#[test]
fn a_request_that_fails_or_whose_end_nobody_knows_is_made_again() {
    let error = OutcomeError { class: "unavailable".to_owned(), message: "no answer".to_owned() };
    let sealed = json!({"status": 503, "exposed": {}}).to_string();
    let mishaps = vec![ActionOutcome::Error(error), ActionOutcome::Unknown, ActionOutcome::Ok(sealed)];
    for spec in ["{replicas: 5, logLevel: debug}", "replicas: 3"] {
        let mut world = World::calm("replicas: 5");
        world.crown(4);
        world.mishaps.clone_from(&mishaps);
        world.spec = spec.to_owned();
        let told = |response: &Response| response.message.contains("is tried again: the store answered 503");
        world.until("told", |_, response| told(response));
        world.until("done", |world, _| world.is_settled());
        assert!(world.mishaps.is_empty());
        assert_eq!(world.told.iter().filter(|told| *told == "step-down prod-4").count(), 1, "{:?}", world.told);
    }
}

#[test]
fn answers_that_come_late_slow_things_down_and_nothing_else() {
    for leader in 0..5 {
        let mut world = World::calm("replicas: 5");
        world.lags = true;
        world.crown(leader);
        world.spec = "{replicas: 5, logLevel: debug}".to_owned();
        world.until("upgraded", |world, _| world.is_settled());
        assert_eq!(world.restarts, [4, 3, 2, 1, 0]);
        world.spec = "{replicas: 3, logLevel: trace}".to_owned();
        world.until("shrunk and upgraded", |world, _| world.is_settled());
    }
}

#[test]
fn a_single_node_restarts_at_once_and_nobody_is_told_to_step_down() {
    let mut world = World::calm("replicas: 1");
    world.spec = "{replicas: 1, logLevel: debug}".to_owned();
    world.until("done", |world, _| world.is_settled());
    assert_eq!((world.restarts.as_slice(), world.told.len()), ([0].as_slice(), 0));
}

#[test]
fn without_access_an_upgrade_goes_on_and_nobody_is_told_anything() {
    let mut world = World::calm("initialization: {mode: Manual}");
    world.lets_in = false;
    world.spec = "{logLevel: debug, initialization: {mode: Manual}}".to_owned();
    let response = world.until("asked", |_, response| condition(response, "OperatorAccess") == "ConditionStatus::No Refused");
    let told = response.conditions.iter().find(|condition| condition.condition_type == "OperatorAccess").unwrap();
    assert!(told.message.contains("bao policy write operator") && told.message.contains("bao write auth/userpass/users/operator"));
    world.until("done", |world, _| world.is_settled());
    assert_eq!((world.restarts.as_slice(), world.told.len()), ([2, 1, 0].as_slice(), 0));
    let calm = world.tick();
    assert!(calm.needs.iter().all(|need| need.kind != "http"), "nobody is asked who would refuse");
}

#[test]
fn shrinking_takes_one_node_after_the_other_out_of_raft_before_it_goes_and_then_its_volumes() {
    for leader in [0, 3, 4] {
        let mut world = World::calm("replicas: 5");
        world.leader = Some((leader, 7));
        world.spec = "replicas: 3".to_owned();
        world.until("done", |world, response| world.is_settled() && status(response)["retired"] == json!([]));
        let told: Vec<&str> = world.told.iter().map(String::as_str).filter(|told| !told.starts_with("step-down")).collect();
        assert_eq!(told, ["remove prod-4", "remove prod-3", "delete data-prod-4", "delete data-prod-3"], "leader {leader}");
        assert!(world.restarts.is_empty());
        assert_eq!(condition(&world.tick(), "Scaling"), "ConditionStatus::No AsAsked");
    }
    let mut world = World::calm("replicas: 3");
    world.spec = "replicas: 1".to_owned();
    world.until("done", |world, _| world.is_settled());
}

#[test]
fn a_template_and_a_number_that_change_together_are_done_one_after_the_other() {
    let mut world = World::calm("replicas: 5");
    world.crown(4);
    world.spec = "{replicas: 3, logLevel: debug}".to_owned();
    // The world checks that nobody restarts while a node is taken away.
    world.until("done", |world, _| world.is_settled());
    assert_eq!(world.restarts, [2, 1, 0], "nodes that go are not restarted first");
}

#[test]
fn growing_needs_nothing_and_after_shrinking_it_waits_for_the_old_volumes() {
    let mut world = World::calm("replicas: 3");
    world.spec = "replicas: 5".to_owned();
    world.until("done", |world, _| world.is_settled());
    assert!(world.told.is_empty() && world.restarts.is_empty());
    for when in ["step-down", "remove prod-4", "delete data-prod-4", "remove prod-3"] {
        let mut world = world.clone();
        world.leader = Some((4, 7));
        world.spec = "replicas: 3".to_owned();
        world.until(when, |world, _| world.told.iter().any(|told| told.starts_with(when)));
        world.spec = "replicas: 5".to_owned();
        world.until("grown again", |world, _| world.is_settled());
        let removed = world.told.iter().filter(|told| told.starts_with("remove")).count();
        let deleted = world.told.iter().filter(|told| told.starts_with("delete")).count();
        assert_eq!(removed, deleted, "who was removed comes back with an empty volume: {:?}", world.told);
    }
}

#[test]
fn shrinking_without_access_is_blocked_and_says_how_to_go_on() {
    let mut world = World::calm("{replicas: 5, initialization: {mode: Manual}}");
    world.lets_in = false;
    world.spec = "{replicas: 3, initialization: {mode: Manual}}".to_owned();
    let response = world.until("blocked", |_, response| condition(response, "Scaling") == "ConditionStatus::Yes ScaleDownBlocked");
    assert_eq!((response.state, response.reason.as_str()), (State::Progressing, "ScaleDownBlocked"));
    for part in ["bao policy write operator", "bao write auth/userpass/users/operator", "kubectl get secret prod-operator -n bao"] {
        assert!(response.message.contains(part), "{part} in {}", response.message);
    }
    assert_eq!((world.pods.len(), world.peers.len()), (5, 5));
    world.lets_in = true;
    world.until("done", |world, _| world.is_settled());
}

#[test]
fn who_scales_the_stateful_set_by_hand_loses_nothing() {
    let mut world = World::calm("replicas: 3");
    world.set.as_mut().unwrap().object["spec"]["replicas"] = 0.into();
    world.set.as_mut().unwrap().generation += 1;
    let claims: Vec<String> = world.claims.values().map(|claim| claim.uid.clone()).collect();
    world.until("mended", |world, _| world.is_settled());
    assert_eq!(claims, world.claims.values().map(|claim| claim.uid.clone()).collect::<Vec<_>>());
    assert!(world.told.is_empty());
}

#[test]
fn a_node_is_neither_restarted_nor_taken_away_while_another_is_down() {
    let mut world = World::calm("replicas: 5");
    world.pods.get_mut(&1).unwrap().crashed = true;
    world.spec = "{replicas: 3, logLevel: debug}".to_owned();
    for _ in 0..20 {
        world.tick();
    }
    assert!(world.told.is_empty() && world.restarts.is_empty(), "{}", world.describe());
    let response = world.tick();
    assert_eq!(condition(&response, "Upgrading"), "ConditionStatus::Yes WaitingForOthers");
    assert_eq!(condition(&response, "Scaling"), "ConditionStatus::Yes Waiting");
    world.pods.remove(&1);
    world.until("done", |world, _| world.is_settled());
}

#[test]
fn all_nodes_that_never_came_up_are_mended_by_another_template() {
    let mut world = World::calm("");
    for pod in world.pods.values_mut() {
        pod.crashed = true;
    }
    world.spec = "logLevel: debug".to_owned();
    world.until("done", |world, _| world.is_settled());
    assert_eq!(world.restarts, [2, 1, 0]);
}

#[derive(Clone, Debug)]
enum Happens {
    Nothing(u8),
    Spec(usize, &'static str),
    Spoils,
    Renews,
    Crashes(i32),
    Evicts(i32),
    Leads(i32),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (1_u8..6).prop_map(Happens::Nothing),
        3 => (prop::sample::select(vec![1_usize, 3, 5]), prop::sample::select(vec!["info", "debug", "trace"])).prop_map(|(n, l)| Happens::Spec(n, l)),
        1 => Just(Happens::Spoils),
        1 => Just(Happens::Renews),
        1 => (0..5).prop_map(Happens::Crashes),
        1 => (0..5).prop_map(Happens::Evicts),
        2 => (0..5).prop_map(Happens::Leads),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// What must never happen is asserted in the world; what must happen in the end is asserted here.
    #[test]
    fn whatever_happens_no_node_is_taken_too_many_and_in_the_end_all_is_well(events in prop::collection::vec(happens(), 1..14)) {
        let mut world = World::calm("replicas: 3");
        for event in events {
            match event {
                Happens::Nothing(ticks) => for _ in 0..ticks { world.tick(); },
                Happens::Spec(replicas, level) => world.spec = format!("{{replicas: {replicas}, logLevel: {level}}}"),
                Happens::Spoils => {
                    let set = world.set.as_ref().unwrap();
                    // One that all nodes run is not spoiled afterwards: then nothing is to be taken back to.
                    if set.update != set.current { let update = set.update.clone(); world.bad.insert(update); }
                }
                // Not while one is down: see the module `rollout` for what that would cost.
                Happens::Renews => if world.set.as_ref().is_some_and(|set| set.current == set.update) && partition(&world) >= i64::try_from(world.pods.len()).unwrap() { world.certificate += 1 },
                Happens::Crashes(ordinal) => if let Some(pod) = world.pods.get_mut(&ordinal) { pod.crashed = true; },
                Happens::Evicts(ordinal) => drop(world.pods.remove(&ordinal)),
                Happens::Leads(ordinal) => if world.peers.contains(&ordinal) && world.is_up(ordinal) && world.leader.is_some() { world.crown(ordinal) },
            }
            world.tick();
        }
        // Somebody makes crashed pods anew, and writes a spec that comes up.
        world.bad.clear();
        for pod in world.pods.values_mut() { pod.crashed = false; }
        world.spec = "{replicas: 3, logLevel: warn}".to_owned();
        for _ in 0..150 {
            world.tick();
            if world.is_settled() { break; }
        }
        prop_assert!(world.is_settled(), "{}", world.describe());
    }
}
