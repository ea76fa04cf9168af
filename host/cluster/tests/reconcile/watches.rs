//! Shared watches: who is told of what, against a real API server.

use std::time::Duration;

use banhbaoring_api::inventory::{ChildEntry, InventorySpec, OwnerReference};
use banhbaoring_cluster::watch::Question;
use banhbaoring_testing::wait;
use serde_json::json;
use tokio::sync::mpsc;

use crate::support::Fixture;

const DEADLINE: Duration = Duration::from_secs(30);

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
        watches.follow("kind", &inventory.owner, Some(&inventory), &[]).await;
    }
    assert_eq!(watches.len(), 1);
    // A watch that only begins may see nothing of the first changes.
    let mut first = None;
    for value in 0..60 {
        annotate(&fixture, "b", value).await;
        if let Ok(told) = tokio::time::timeout(Duration::from_millis(500), told.recv()).await {
            first = told;
            break;
        }
    }
    assert_eq!(first.expect("the owner of b was told of none of 60 changes").name, "b");
    annotate(&fixture, "a", 0).await;
    until_told(&mut told, "a").await;
    assert!(!watches.take_changed("uid-a"), "a child is no answer to a need");
}
