//! The catalogue of plugins from the first look to drift, refusals and upgrades; what is asked and told, and how often.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use banhbaoring_sdk::wit::{ActionOutcome, ConditionStatus, OutcomeError, Response};
use serde_json::{Value, json};
use support::world::World;
use support::{config, template};

const SPEC: &str = "pluginCatalog: [{type: secret, name: greeter, version: v1.0.0, sha256: '%', command: greeter, args: [--a], env: {GREETING: hi}, image: 'registry.example.com/greeter:v1'}]";
const PATH: &str = "/v1/sys/plugins/catalog/secret/greeter";
const TOLD: &str = "register /v1/sys/plugins/catalog/secret/greeter v1.0.0";

fn spec(sha256: &str) -> String {
    SPEC.replace('%', &sha256.repeat(64))
}

/// Status, reason and message of the condition.
fn condition(response: &Response) -> (ConditionStatus, String, String) {
    let found = response.conditions.iter().find(|condition| condition.condition_type == "PluginsRegistered").unwrap();
    (found.status, found.reason.clone(), found.message.clone())
}

fn plugin(response: &Response) -> Value {
    response.status.parse::<Value>().unwrap()["plugins"][0].clone()
}

/// A cluster without plugins that is given one.
fn given() -> World {
    let mut world = World::calm("");
    world.spec = spec("0");
    world
}

/// How often the store was told.
fn times(world: &World) -> usize {
    world.told.iter().filter(|told| *told == TOLD).count()
}

fn registered() -> World {
    let mut world = given();
    world.until("registered", |_, response| plugin(response)["state"] == "Registered");
    world
}

#[test]
fn a_cluster_without_plugins_has_no_word_about_them() {
    let mut world = World::calm("");
    let response = world.tick();
    assert!(!config(&response).contains("plugin"), "{}", config(&response));
    assert!(template(&response)["spec"].get("initContainers").is_none());
    assert!(!response.conditions.iter().any(|condition| condition.condition_type == "PluginsRegistered"));
    assert!(
        !response
            .needs
            .iter()
            .any(|need| need.spec.contains("plugins/catalog") || need.project.iter().any(|field| field.contains("initContainer")))
    );
    assert!(!response.status.contains("plugins"), "{}", response.status);
}

#[test]
fn a_plugin_is_registered_once_every_node_has_its_binary_and_then_only_asked_for() {
    let mut world = given();
    let response = world.tick();
    assert_eq!(condition(&response).1, "Pending");
    let response = world.until("registered", |world, response| {
        assert!(times(world) == 0 || world.restarts.len() == 3, "no node without the binary: {}", world.describe());
        condition(response).0 == ConditionStatus::Yes
    });
    assert_eq!(times(&world), 1, "{:?}", world.told);
    let entry = &world.catalog[&format!("{PATH} v1.0.0")];
    let wanted = json!({"version": "v1.0.0", "sha256": "0".repeat(64), "command": "greeter", "args": ["--a"], "env": ["GREETING=hi"]});
    assert_eq!(entry, &wanted);
    assert_eq!((plugin(&response)["name"].clone(), plugin(&response)["state"].clone()), (json!("greeter"), json!("Registered")));
    world.told.clear();
    for _ in 0..10 {
        let response = world.tick();
        assert!(response.actions.is_empty() && condition(&response).1 == "AllRegistered", "{response:?}");
    }
    assert!(world.told.is_empty() && world.is_settled(), "{}", world.describe());
}

#[test]
fn what_somebody_changes_in_the_catalogue_is_put_back_and_what_the_spec_changes_is_written() {
    let mut world = registered();
    let key = format!("{PATH} v1.0.0");
    type Drift = fn(&mut World, &str);
    let drifts: [(&str, Drift); 4] = [
        ("deregistered", |world, key| drop(world.catalog.remove(key))),
        ("another checksum", |world, key| world.catalog.get_mut(key).unwrap()["sha256"] = "1".repeat(64).into()),
        ("another command", |world, key| world.catalog.get_mut(key).unwrap()["command"] = "sh".into()),
        ("other arguments", |world, key| world.catalog.get_mut(key).unwrap()["args"] = json!(["--b"])),
    ];
    for (what, drift) in drifts {
        drift(&mut world, &key);
        world.told.clear();
        world.until(what, |world, response| world.told == [TOLD] && plugin(response)["state"] == "Registered");
        assert_eq!((&world.catalog[&key]["command"], &world.catalog[&key]["args"]), (&json!("greeter"), &json!(["--a"])), "{what}");
    }
    // The store shows no environment, so that it changed is known by the digest alone. No node restarts for it.
    world.told.clear();
    world.restarts.clear();
    world.spec = spec("0").replace("GREETING: hi", "GREETING: ho");
    world.until("another environment", |world, response| world.told == [TOLD] && plugin(response)["state"] == "Registered");
    assert_eq!(world.catalog[&key]["env"], json!(["GREETING=ho"]));
    assert!(world.restarts.is_empty(), "{:?}", world.restarts);
}

#[test]
fn a_policy_that_is_older_than_the_plugin_is_told_with_its_missing_line_and_nothing_is_sent() {
    let mut world = given();
    world.unnamed.insert(PATH.to_owned());
    world.until("all nodes have the binary", |world, _| world.restarts.len() == 3 && world.is_settled());
    world.told.clear();
    for _ in 0..10 {
        let response = world.tick();
        let (status, reason, message) = condition(&response);
        assert_eq!((status, reason.as_str()), (ConditionStatus::No, "PolicyMissing"), "{message}");
        let line = "path \"sys/plugins/catalog/secret/greeter\" { capabilities = [\"read\", \"update\", \"sudo\"] }";
        assert!(message.contains(&format!("has no {line}")), "{message}");
        assert!(message.contains("bao policy write operator"), "{message}");
        assert!(response.actions.is_empty() && world.told.is_empty(), "nothing is tried");
        assert_eq!(plugin(&response)["state"], "Failed");
    }
    world.unnamed.clear();
    world.until("registered", |_, response| condition(response).1 == "AllRegistered");
}

#[test]
fn what_the_store_refuses_is_told_and_tried_again_only_when_something_is_otherwise() {
    let mut world = given();
    world.refusal = Some((400, "plugin version mismatch: greeter reported version (v2.0.0)".to_owned()));
    let response = world.until("refused", |_, response| condition(response).1 == "RegistrationRefused");
    assert!(
        condition(&response).2.contains("secret/greeter v1.0.0: the store answered 400: plugin version mismatch"),
        "{:?}",
        condition(&response)
    );
    for _ in 0..10 {
        assert_eq!(condition(&world.tick()).1, "RegistrationRefused");
    }
    assert_eq!(times(&world), 1, "once for this entry and this leader");
    world.elect_another();
    world.until("asked again of another leader", |world, _| times(world) == 2);
    world.refusal = None;
    world.spec = spec("0").replace("v1.0.0", "v2.0.0");
    world.until("registered as what it is", |_, response| condition(response).1 == "AllRegistered");
}

#[test]
fn what_the_store_cannot_do_just_now_is_tried_again_at_the_next_look() {
    let mut world = given();
    world.refusal = Some((500, "lstat /bao/plugins/greeter: no such file or directory".to_owned()));
    let response = world.until("told", |world, response| times(world) == 1 && condition(response).2.contains("no such file"));
    assert_eq!(condition(&response).1, "Pending");
    let status = response.status.clone();
    for _ in 0..6 {
        assert_eq!(world.tick().status, status, "a second attempt is no news");
    }
    assert!(times(&world) > 2);
    world.refusal = None;
    world.until("registered", |_, response| condition(response).1 == "AllRegistered");
    for mishap in
        [ActionOutcome::Unknown, ActionOutcome::Error(OutcomeError { class: "unavailable".to_owned(), message: "nobody".to_owned() })]
    {
        world.catalog.clear();
        world.mishaps.push(mishap);
        world.until("lost", |_, response| condition(response).1 == "Pending");
        // The host would have sent the one again after a while; the other it never does.
        world.results.retain(|_, outcome| *outcome == ActionOutcome::Unknown);
        world.until("registered", |_, response| condition(response).1 == "AllRegistered");
    }
}

#[test]
fn a_binary_with_another_checksum_stops_the_upgrade_at_the_first_node_and_is_named() {
    let mut world = registered();
    world.spec = spec("1");
    let response = world.until("a new template", |world, _| world.set.as_ref().is_some_and(|set| set.current != set.update));
    drop(response);
    world.bad.insert(world.set.as_ref().unwrap().update.clone());
    world.unusable = Some(format!("plugin secret/greeter v1.0.0: expected sha256 {}, found {}", "1".repeat(64), "0".repeat(64)));
    world.restarts.clear();
    let response = world.until("stuck", |_, response| response.reason == "UpgradeStuck");
    let (status, reason, message) = condition(&response);
    assert_eq!((status, reason.as_str()), (ConditionStatus::No, "ChecksumMismatch"));
    assert!(message.contains(&format!("prod-2 does not start: expected sha256 {}, found {}", "1".repeat(64), "0".repeat(64))), "{message}");
    assert!(response.message.contains("plugin secret/greeter v1.0.0: expected"), "{}", response.message);
    for _ in 0..10 {
        world.tick();
    }
    assert_eq!(world.restarts, [2], "the others go on");
    world.spec = spec("0");
    world.until("as before", |world, response| world.is_settled() && condition(response).1 == "AllRegistered");
}

#[test]
fn whoever_does_not_let_the_operator_in_is_told_how() {
    let mut world = World::calm("initialization: {mode: Manual}");
    world.lets_in = false;
    world.spec = format!("{{initialization: {{mode: Manual}}, {}}}", spec("0"));
    let response = world.until("refused", |_, response| condition(response).1 == "AccessRefused");
    assert!(condition(&response).2.contains("bao auth enable userpass"), "{:?}", condition(&response));
    assert!(condition(&response).2.contains("sys/plugins/catalog/secret/greeter"), "{:?}", condition(&response));
}

#[test]
fn two_versions_stand_side_by_side_and_the_order_of_the_list_means_nothing() {
    let entry = |version: &str, command: &str| json!({"type": "secret", "name": "greeter", "version": version, "sha256": "0".repeat(64), "command": command, "image": "a"});
    let list = |entries: [Value; 2]| json!({"pluginCatalog": entries}).to_string();
    let mut world = World::calm(&list([entry("v1.0.0", "one"), entry("v2.0.0", "two")]));
    world.until("registered", |_, response| condition(response).1 == "AllRegistered");
    assert_eq!(world.catalog.len(), 2);
    world.told.clear();
    world.spec = list([entry("v2.0.0", "two"), entry("v1.0.0", "one")]);
    for _ in 0..6 {
        world.tick();
    }
    assert!(world.told.is_empty() && world.restarts.is_empty() && world.is_settled(), "{}", world.describe());
}

#[test]
fn a_store_that_answers_late_is_told_once() {
    let mut world = given();
    world.is_slow = true;
    world.until("registered", |_, response| condition(response).1 == "AllRegistered");
    assert_eq!(times(&world), 1, "neither while it is told nor on an answer from before: {:?}", world.told);
    for _ in 0..6 {
        assert_eq!(condition(&world.tick()).1, "AllRegistered");
    }
    assert_eq!(times(&world), 1);
}
