//! The host dies at the two places where it hurts; whoever comes next makes nothing twice and takes nothing that is not its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use banhbaoring_api::inventory::ChildEntry;
use banhbaoring_cluster::inventory::InventoryError;
use banhbaoring_cluster::{Applied, Dependencies, StepOutcome, StoredInventory, Views};
use banhbaoring_testing::wait::until;
use serde_json::json;

use crate::secrets::authority_step;
use crate::support::{Fixture, apply, outcomes, plan, refused, written};

async fn intend(fixture: &Fixture, name: &str, token: &str) {
    let mut inventory = fixture.inventory().await;
    inventory.spec.children.push(ChildEntry {
        api_version: "v1".into(),
        kind: "ConfigMap".into(),
        namespace: Some(fixture.namespace.clone()),
        name: name.into(),
        component: "database".into(),
        account: format!("{}/plugin", fixture.namespace),
        intent: Some(token.into()),
        ..ChildEntry::default()
    });
    fixture.cluster.inventories.write(&mut inventory).await.unwrap();
}

#[tokio::test]
async fn death_between_intent_and_creation_converges() {
    let fixture = Fixture::new("crash").await;
    intend(&fixture, "a", "0123456789abcdef").await;
    let applied = fixture.apply(vec![fixture.create(fixture.config_map("a", "1"))]).await;
    assert!(matches!(outcomes(&applied).as_slice(), [StepOutcome::Written { created: true, .. }]), "{applied:?}");
    assert_eq!(applied.inventory.spec.children.len(), 1);
    assert_eq!(fixture.entry("a").await.uid, Some(written(&applied)));
}

#[tokio::test]
async fn death_between_creation_and_the_inventory_converges_on_the_same_object() {
    let fixture = Fixture::new("crash").await;
    let applied = fixture.apply(vec![fixture.create(fixture.config_map("a", "1"))]).await;
    let uid = fixture.get("configmap", "a").await["metadata"]["uid"].clone();
    let token = fixture.get("configmap", "a").await["metadata"]["annotations"]["banhbaoring.io/intent"].as_str().unwrap().to_owned();
    // What the inventory said when the host died: the intent, without the uid.
    let mut died = applied.inventory;
    died.spec.children[0] =
        ChildEntry { uid: None, desired_hash: None, fields_hash: None, intent: Some(token), ..died.spec.children[0].clone() };
    fixture.cluster.inventories.write(&mut died).await.unwrap();

    let seen = fixture.observe(&fixture.reference("v1", "ConfigMap", "a")).await.unwrap();
    assert_eq!(seen.controller.as_ref(), Some(&fixture.owner.uid), "the token proves that it is the one that was intended");
    let restarted = fixture.restarted().await;
    let inventory = restarted.inventories.read(&fixture.owner).await.unwrap();
    let again = plan(vec![fixture.create(fixture.config_map("a", "2"))], Vec::new());
    let applied = apply(&restarted, &again, &Dependencies::new(), inventory).await.unwrap();
    assert!(matches!(outcomes(&applied).as_slice(), [StepOutcome::Written { created: false, .. }]), "{applied:?}");
    let live = fixture.get("configmap", "a").await;
    assert_eq!(live["metadata"]["uid"], uid);
    assert_eq!(live["data"]["key"], "2", "what is desired now");
    assert_eq!(json!(fixture.entry("a").await.uid), uid);
    assert_eq!(fixture.entry("a").await.intent, None);
}

/// What the inventory says when the host dies before it could write down what came of its intents.
async fn forget_what_was_made(fixture: &Fixture, applied: &Applied, tokens: &BTreeMap<String, String>) {
    let mut died = fixture.inventory().await;
    died.spec.clone_from(&applied.inventory.spec);
    for entry in &mut died.spec.children {
        let intent = tokens.get(&entry.name).cloned();
        *entry = ChildEntry { uid: None, desired_hash: None, fields_hash: None, material: BTreeMap::new(), intent, ..entry.clone() };
    }
    fixture.cluster.inventories.write(&mut died).await.unwrap();
}

#[tokio::test]
async fn death_while_an_interrupted_creation_is_taken_up_converges_on_the_same_objects_again() {
    let fixture = Fixture::new("crash").await;
    let steps = || vec![authority_step(&fixture), fixture.create(fixture.config_map("a", "1"))];
    let first = fixture.apply(steps()).await;
    assert_eq!(first.mishaps(), []);
    let mut tokens = BTreeMap::new();
    let mut made = BTreeMap::new();
    for (kind, name) in [("secret", "authority"), ("configmap", "trust"), ("configmap", "a")] {
        let live = fixture.get(kind, name).await;
        tokens.insert(name.to_owned(), live["metadata"]["annotations"]["banhbaoring.io/intent"].as_str().unwrap().to_owned());
        made.insert((kind, name), (live["metadata"]["uid"].clone(), live["data"].clone()));
    }
    // Each of them takes up what the one before had made, and dies before it could say so.
    for death in 1..4 {
        forget_what_was_made(&fixture, &first, &tokens).await;
        let restarted = fixture.restarted().await;
        let inventory = restarted.inventories.read(&fixture.owner).await.unwrap();
        let applied = apply(&restarted, &plan(steps(), Vec::new()), &Dependencies::new(), inventory).await.unwrap();
        assert_eq!(applied.mishaps(), [], "death {death}");
        for ((kind, name), was) in &made {
            let live = fixture.get(kind, name).await;
            assert_eq!(&(live["metadata"]["uid"].clone(), live["data"].clone()), was, "death {death}: {name}");
            assert_eq!(json!(fixture.entry(name).await.uid), was.0, "death {death}: {name}");
        }
    }
}

#[tokio::test]
async fn an_intent_does_not_make_somebody_elses_object_ours() {
    let fixture = Fixture::new("crash").await;
    intend(&fixture, "a", "0123456789abcdef").await;
    let mut squatter = fixture.config_map("a", "theirs");
    squatter["metadata"]["annotations"] = json!({"banhbaoring.io/intent": "guessed"});
    let arguments = ["apply", "--server-side", "--field-manager=banhbaoring/database", "-f", "-"];
    fixture.kubectl.run_with_input(&arguments, &squatter.to_string()).await.unwrap();
    let seen = fixture.observe(&fixture.reference("v1", "ConfigMap", "a")).await.unwrap();
    assert_eq!(seen.controller, None, "its owner reference is a copy and counts for nothing");
    let applied = fixture.apply(vec![fixture.create(fixture.config_map("a", "1"))]).await;
    assert_eq!(refused(&applied).0, "NameTaken");
    assert_eq!(fixture.get("configmap", "a").await["data"]["key"], "theirs");
}

#[tokio::test]
async fn a_host_that_no_longer_leads_sends_nothing() {
    let fixture = Fixture::new("crash").await;
    let stale = fixture.inventory().await;
    fixture.apply(vec![fixture.create(fixture.config_map("a", "1"))]).await;
    let plan = plan(vec![fixture.create(fixture.config_map("b", "1"))], Vec::new());
    let refused = fixture.cluster.intend(&plan, stale).await;
    assert!(matches!(refused, Err(InventoryError::Superseded { .. })), "{refused:?}");
    assert!(!fixture.exists("configmap", "b").await);
}

#[tokio::test]
async fn a_host_killed_again_and_again_makes_nothing_twice() {
    let fixture = Fixture::new("crash").await;
    let names: Vec<String> = (0..12).map(|n| format!("child-{n}")).collect();
    let missing = |inventory: &StoredInventory| {
        let is_known = |name: &String| inventory.spec.children.iter().any(|entry| entry.name == *name && entry.uid.is_some());
        plan(names.iter().filter(|name| !is_known(name)).map(|name| fixture.create(fixture.config_map(name, "1"))).collect(), Vec::new())
    };
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let seed = std::process::id();
    for kill in 0..20_u32 {
        let cluster = fixture.restarted().await;
        let inventory = cluster.inventories.read(&fixture.owner).await.unwrap();
        let plan = missing(&inventory);
        let running = tokio::spawn(async move {
            let views = Views::new();
            cluster.observe_children(&inventory.spec, &views).await;
            apply(&cluster, &plan, &Dependencies::new(), inventory).await.map(|_| ())
        });
        // Somewhere between the first write and the last; the point differs from kill to kill.
        tokio::time::sleep(Duration::from_millis(u64::from((seed ^ kill.wrapping_mul(2_654_435_761)) % 60))).await;
        running.abort();
        let _ = running.await;
        for (name, uid) in children(&fixture).await {
            assert_eq!(seen.entry(name.clone()).or_insert_with(|| uid.clone()), &uid, "seed {seed}, kill {kill}: {name} was made twice");
        }
    }
    // What a killed host had sent may still arrive.
    let applied = until(banhbaoring_testing::wait::PATIENCE, "the last pass", async || {
        let inventory = fixture.inventory().await;
        let last = missing(&inventory);
        apply(&fixture.cluster, &last, &Dependencies::new(), inventory).await.map_err(|error| error.to_string())
    })
    .await
    .expect("nobody else writes");
    assert_eq!(applied.mishaps(), [], "seed {seed}");
    let live = children(&fixture).await;
    assert_eq!(live.keys().collect::<Vec<_>>(), names.iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>());
    for (name, uid) in &live {
        assert_eq!(fixture.entry(name).await.uid.as_ref(), Some(uid));
        assert_eq!(seen.get(name).unwrap_or(uid), uid);
    }
}

async fn children(fixture: &Fixture) -> BTreeMap<String, String> {
    let selector = format!("banhbaoring.io/owner-uid={}", fixture.owner.uid);
    let template = r"{range .items[*]}{.metadata.name} {.metadata.uid}{'\n'}{end}".replace('\'', "\"");
    let output = format!("jsonpath={template}");
    let text = fixture.kubectl.run(&["get", "configmaps", "-l", &selector, "-o", &output]).await.unwrap();
    text.lines().filter_map(|line| line.split_once(' ')).map(|(name, uid)| (name.to_owned(), uid.to_owned())).collect()
}
