//! Shared watches: who is told of what, against a real API server.

use std::time::Duration;

use banhbaoring_api::inventory::{ChildEntry, InventorySpec, OwnerReference};
use banhbaoring_cluster::observe::Views;
use banhbaoring_cluster::watch::{Question, Subscription};
use banhbaoring_pipeline::observation::ObservedChild;
use banhbaoring_pipeline::plan::Cause;
use banhbaoring_testing::wait;
use serde_json::json;
use tokio::sync::mpsc;

use crate::support::Fixture;

const DEADLINE: Duration = banhbaoring_testing::wait::PATIENCE;

fn owner(fixture: &Fixture, name: &str) -> OwnerReference {
    OwnerReference { uid: format!("uid-{name}"), name: name.to_owned(), ..fixture.owner.clone() }
}

/// Names of owners that were told, until `wanted` was.
async fn until_told(told: &mut mpsc::Receiver<OwnerReference>, wanted: &str) -> Vec<String> {
    let mut names = Vec::new();
    while !names.iter().any(|name| name == wanted) {
        let next = tokio::time::timeout(DEADLINE, told.recv()).await;
        names.push(next.unwrap_or_else(|_| panic!("{wanted} was not told; told were {names:?}")).expect("a sender").name);
    }
    names
}

async fn annotate(fixture: &Fixture, name: &str, value: usize) {
    fixture.kubectl.run(&["annotate", "configmap", name, &format!("touched=v{value}"), "--overwrite"]).await.unwrap();
}

#[tokio::test]
async fn what_a_need_asks_about_wakes_who_asked_and_says_that_the_answer_is_old() {
    let fixture = Fixture::new("watches").await;
    for name in ["asked", "other"] {
        let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        fixture.kubectl.apply(&manifest.to_string()).await.unwrap();
    }
    let watches = &fixture.cluster.watches;
    let (wake, mut told) = mpsc::channel(64);
    let subscription = watches.subscribe("kind", wake);
    let question = |name: &str| Question { reference: fixture.reference("v1", "ConfigMap", name), account: fixture.account.clone() };
    watches.follow("kind", &owner(&fixture, "one"), None, &[question("asked")]).await;
    watches.follow("kind", &owner(&fixture, "many"), None, &[question("")]).await;
    assert_eq!(watches.len(), 1, "one watch for both");
    until_told(&mut told, "one").await;
    wait::until(DEADLINE, "the beginning to be told", async || if watches.take_changed("uid-one") { Ok(()) } else { Err("not yet") })
        .await
        .unwrap();
    while told.try_recv().is_ok() {}
    watches.take_changed("uid-one");

    annotate(&fixture, "other", 1).await;
    assert!(!until_told(&mut told, "many").await.contains(&"one".to_owned()), "it asks about another object");
    assert!(!watches.take_changed("uid-one"));
    annotate(&fixture, "asked", 2).await;
    until_told(&mut told, "one").await;
    assert!(watches.take_changed("uid-one"));

    watches.forget("uid-one");
    watches.follow("kind", &owner(&fixture, "many"), None, &[]).await;
    assert!(watches.is_empty(), "nobody asks any more");
    drop(subscription);
}

/// A fixture with one child `a` that a watch follows, and who is told of it.
async fn followed() -> (Fixture, InventorySpec, mpsc::Receiver<OwnerReference>, Subscription) {
    let fixture = Fixture::new("watches").await;
    let inventory = fixture.apply(vec![fixture.create(fixture.config_map("a", "1"))]).await.inventory.spec;
    let watches = &fixture.cluster.watches;
    let (wake, mut told) = mpsc::channel(64);
    let subscription = watches.subscribe("kind", wake);
    watches.follow("kind", &inventory.owner, Some((&inventory, &Views::new())), &[]).await;
    until_told(&mut told, "owner").await;
    (fixture, inventory, told, subscription)
}

/// How many children could not be observed, and the first that could.
async fn observed(fixture: &Fixture, inventory: &InventorySpec) -> (usize, Option<ObservedChild>) {
    let observed = fixture.cluster.observe_children(inventory, &Views::new()).await;
    (observed.failures.len(), observed.children.into_values().next())
}

async fn revoke(fixture: &Fixture) {
    fixture.kubectl.run(&["delete", "rolebinding", "plugin"]).await.unwrap();
}

#[tokio::test]
async fn what_a_watch_keeps_current_costs_no_request() {
    let (fixture, mut inventory, _told, _subscription) = followed().await;
    let seen = observed(&fixture, &inventory).await;
    // An account that may do nothing shows whether anybody is asked.
    revoke(&fixture).await;
    assert_eq!(observed(&fixture, &inventory).await, seen, "known without a request");
    let mut unreadable = inventory.clone();
    unreadable.children[0].account = format!("{}/nobody", fixture.namespace);
    assert_eq!(observed(&fixture, &unreadable).await.0, 1, "another account has to ask for itself");
    inventory.children[0].exclusive = vec!["/data".to_owned()];
    assert_eq!(observed(&fixture, &inventory).await.0, 1, "what others own below exclusive pointers was not minded");
}

#[tokio::test]
async fn what_a_write_was_answered_is_what_is_known() {
    let (fixture, inventory, _told, _subscription) = followed().await;
    let before = observed(&fixture, &inventory).await.1.unwrap();
    let applied = fixture.apply(vec![fixture.update(Cause::Changed, fixture.config_map("a", "2"), &before.uid)]).await;
    revoke(&fixture).await;
    let (failures, seen) = observed(&fixture, &applied.inventory.spec).await;
    let seen = seen.unwrap();
    let live = fixture.get("configmap", "a").await["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    assert_eq!((failures, &seen.resource_version), (0, &live));
    assert_eq!(applied.children.into_values().collect::<Vec<_>>(), [seen]);
}

#[tokio::test]
async fn additions_below_exclusive_pointers_are_seen_through_the_watch() {
    let (fixture, mut inventory, mut told, _subscription) = followed().await;
    inventory.children[0].exclusive = vec!["/data".to_owned()];
    let before = observed(&fixture, &inventory).await.1.unwrap();
    fixture.cluster.watches.follow("kind", &inventory.owner, Some((&inventory, &Views::new())), &[]).await;
    assert_eq!(observed(&fixture, &inventory).await, (0, Some(before.clone())));
    fixture.kubectl.run(&["patch", "configmap", "a", "--type=merge", "-p", r#"{"data":{"theirs":"1"}}"#]).await.unwrap();
    until_told(&mut told, "owner").await;
    revoke(&fixture).await;
    let after = observed(&fixture, &inventory).await.1.unwrap();
    assert_ne!(before.fields_hash, after.fields_hash);
}

#[tokio::test]
async fn drift_is_seen_through_the_watch() {
    let (fixture, inventory, mut told, _subscription) = followed().await;
    let before = observed(&fixture, &inventory).await.1.unwrap();
    fixture.kubectl.run(&["patch", "configmap", "a", "--type=merge", "-p", r#"{"data":{"key":"theirs"}}"#]).await.unwrap();
    until_told(&mut told, "owner").await;
    let after = observed(&fixture, &inventory).await.1.unwrap();
    assert_ne!(before.fields_hash, after.fields_hash);
    fixture.kubectl.run(&["delete", "configmap", "a"]).await.unwrap();
    until_told(&mut told, "owner").await;
    assert_eq!(observed(&fixture, &inventory).await, (0, None));
}

#[tokio::test]
async fn an_account_that_may_look_everywhere_needs_one_watch_for_all_namespaces() {
    let (here, there) = (Fixture::new("watches").await, Fixture::new("watches").await);
    let binding = format!("watches-{}", here.namespace);
    let subject = format!("--serviceaccount={}:plugin", here.namespace);
    here.kubectl.run(&["create", "clusterrolebinding", &binding, "--clusterrole=cluster-admin", &subject]).await.unwrap();
    let watches = &here.cluster.watches;
    let (wake, mut told) = mpsc::channel(64);
    let _subscription = watches.subscribe("kind", wake);
    let mut inventories = Vec::new();
    for (name, fixture) in [("here", &here), ("there", &there)] {
        let mut inventory = fixture.apply(vec![fixture.create(fixture.config_map("a", "1"))]).await.inventory.spec;
        inventory.children[0].account = format!("{}/plugin", here.namespace);
        inventory.owner = owner(fixture, name);
        watches.follow("kind", &inventory.owner, Some((&inventory, &Views::new())), &[]).await;
        watches.settled(&inventory.owner.uid).await;
        inventories.push(inventory);
    }
    assert_eq!(watches.len(), 1);
    here.kubectl.run(&["delete", "clusterrolebinding", &binding]).await.unwrap();
    revoke(&here).await;
    for inventory in &inventories {
        assert_eq!(observed(&here, inventory).await.0, 0, "known without a request: {inventory:?}");
    }
    until_told(&mut told, "here").await;
    while told.try_recv().is_ok() {}
    annotate(&there, "a", 1).await;
    assert_eq!(until_told(&mut told, "there").await, ["there"], "an object of the same name in another namespace is another");
}

#[tokio::test]
async fn a_child_that_changes_wakes_its_owner_alone() {
    let fixture = Fixture::new("watches").await;
    let entry = |name: &str| ChildEntry {
        api_version: "v1".into(),
        kind: "ConfigMap".into(),
        namespace: Some(fixture.namespace.clone()),
        name: name.into(),
        component: "database".into(),
        account: format!("{}/{}", fixture.account.namespace, fixture.account.name),
        ..ChildEntry::default()
    };
    for name in ["a", "b"] {
        let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "banhbaoring"}}});
        fixture.kubectl.apply(&manifest.to_string()).await.unwrap();
    }
    let watches = &fixture.cluster.watches;
    let (wake, mut told) = mpsc::channel(64);
    let _subscription = watches.subscribe("kind", wake);
    for name in ["a", "b"] {
        let inventory = InventorySpec { owner: owner(&fixture, name), children: vec![entry(name)], ..InventorySpec::default() };
        watches.follow("kind", &inventory.owner, Some((&inventory, &Views::new())), &[]).await;
    }
    assert_eq!(watches.len(), 1);
    // A watch that begins tells all owners, because it was not there before.
    until_told(&mut told, "a").await;
    until_told(&mut told, "b").await;
    annotate(&fixture, "b", 1).await;
    assert_eq!(until_told(&mut told, "b").await, ["b"]);
    annotate(&fixture, "a", 1).await;
    assert_eq!(until_told(&mut told, "a").await, ["a"]);
    assert!(!watches.take_changed("uid-a"), "a child is no answer to a need");
}

#[tokio::test]
async fn secrets_are_not_watched_and_asked_for_by_name() {
    let fixture = Fixture::new("watches").await;
    let uid = {
        fixture.kubectl.run(&["create", "secret", "generic", "key", "--from-literal=k=v"]).await.unwrap();
        fixture.get("secret", "key").await["metadata"]["uid"].as_str().unwrap().to_owned()
    };
    let entry = ChildEntry {
        api_version: "v1".into(),
        kind: "Secret".into(),
        namespace: Some(fixture.namespace.clone()),
        name: "key".into(),
        component: "database".into(),
        account: format!("{}/{}", fixture.account.namespace, fixture.account.name),
        uid: Some(uid),
        ..ChildEntry::default()
    };
    let inventory = InventorySpec { owner: owner(&fixture, "one"), children: vec![entry], ..InventorySpec::default() };
    fixture.cluster.watches.follow("kind", &inventory.owner, Some((&inventory, &Views::new())), &[]).await;
    assert!(fixture.cluster.watches.is_empty(), "nobody gets the right to list Secrets for the sake of a watch");
    assert_eq!(fixture.cluster.observe_children(&inventory, &Views::new()).await.children.len(), 1);
}
