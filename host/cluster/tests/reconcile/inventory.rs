//! The inventory store by itself.

use banhbaoring_api::inventory::{ChildEntry, OwnerReference};
use banhbaoring_cluster::inventory::InventoryError;
use serde_json::json;

use crate::support::Fixture;

#[tokio::test]
async fn what_is_stored_is_read_back_and_an_unchanged_one_is_not_written() {
    let fixture = Fixture::new("inventory").await;
    let mut inventory = fixture.inventory().await;
    assert_eq!(inventory.resource_version, None);
    inventory.spec.children.push(ChildEntry {
        name: "a".into(),
        kind: "ConfigMap".into(),
        api_version: "v1".into(),
        ..ChildEntry::default()
    });
    fixture.cluster.inventories.write(&mut inventory).await.unwrap();
    let version = inventory.resource_version.clone();
    assert!(version.is_some());
    fixture.cluster.inventories.write(&mut inventory).await.unwrap();
    assert_eq!(inventory.resource_version, version);
    let mut read = fixture.inventory().await;
    assert_eq!(read.spec, inventory.spec);
    fixture.cluster.inventories.write(&mut read).await.unwrap();
    assert_eq!(read.resource_version, version);
    read.spec.events.insert("a".into(), "1".into());
    fixture.cluster.inventories.write(&mut read).await.unwrap();
    assert_ne!(read.resource_version, version);
    let listed = fixture.cluster.inventories.list().await.unwrap();
    assert!(listed.malformed.is_empty());
    assert_eq!(listed.inventories, [read.clone()]);
    fixture.cluster.inventories.delete(&read).await.unwrap();
    assert_eq!(fixture.inventory().await.resource_version, None);
}

#[tokio::test]
async fn a_second_writer_is_told_that_it_no_longer_leads() {
    let fixture = Fixture::new("inventory").await;
    let (mut one, mut two) = (fixture.inventory().await, fixture.inventory().await);
    fixture.cluster.inventories.write(&mut one).await.unwrap();
    assert!(matches!(fixture.cluster.inventories.write(&mut two).await, Err(InventoryError::Superseded { .. })));
    let mut two = fixture.inventory().await;
    one.spec.events.insert("a".into(), "1".into());
    two.spec.events.insert("a".into(), "2".into());
    fixture.cluster.inventories.write(&mut one).await.unwrap();
    assert!(matches!(fixture.cluster.inventories.write(&mut two).await, Err(InventoryError::Superseded { .. })));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_it_is_sent() {
    let fixture = Fixture::new("inventory").await;
    let mut inventory = fixture.inventory().await;
    inventory.spec.children = (0..5000).map(|n| ChildEntry { name: format!("{n:0>250}"), ..ChildEntry::default() }).collect();
    assert!(matches!(fixture.cluster.inventories.write(&mut inventory).await, Err(InventoryError::TooLarge { .. })));
}

#[tokio::test]
async fn an_owner_of_the_same_name_with_another_uid_has_another_inventory() {
    let fixture = Fixture::new("inventory").await;
    let later = OwnerReference { uid: "11111111-2222-3333-4444-555555555555".into(), ..fixture.owner.clone() };
    let mut inventory = fixture.inventory().await;
    fixture.cluster.inventories.write(&mut inventory).await.unwrap();
    let other = fixture.cluster.inventories.read(&later).await.unwrap();
    assert_ne!(other.name, inventory.name);
    assert_eq!(other.resource_version, None);
}

#[tokio::test]
async fn one_that_was_edited_is_told_and_does_not_hide_the_others() {
    let fixture = Fixture::new("inventory").await;
    let later = OwnerReference { uid: "11111111-2222-3333-4444-555555555555".into(), ..fixture.owner.clone() };
    let (mut inventory, mut other) = (fixture.inventory().await, fixture.cluster.inventories.read(&later).await.unwrap());
    fixture.cluster.inventories.write(&mut inventory).await.unwrap();
    fixture.cluster.inventories.write(&mut other).await.unwrap();
    let token = "5ca1ab1e";
    let edited = json!({"spec": {"children": [{"apiVersion": "v1", "kind": "ConfigMap", "name": token}]}});
    let edit = ["patch", "inventories", &inventory.name, "--namespace", &fixture.namespace, "--type=merge", "--patch", &edited.to_string()];
    fixture.kubectl.run(&edit).await.expect("the API server takes whatever it is");
    let error = fixture.cluster.inventories.read(&fixture.owner).await.unwrap_err();
    assert_eq!(error.reason(), "InventoryMalformed");
    assert!(error.to_string().contains(&inventory.name) && !error.to_string().contains(token), "{error}");
    let listed = fixture.cluster.inventories.list().await.unwrap();
    assert_eq!(listed.inventories, [other]);
    assert_eq!(listed.malformed.iter().map(InventoryError::reason).collect::<Vec<_>>(), ["InventoryMalformed"]);
}
