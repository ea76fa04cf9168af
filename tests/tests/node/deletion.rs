//! What becomes of a store that is deleted, by its policy: what has to stay stays, nothing else does, and a store of the same name goes on with what stayed.

use std::collections::BTreeSet;

use banhbaoring_testing::wait;
use banhbaoring_tests::Team;
use banhbaoring_tests::survey::{name_of, text};
use banhbaoring_tests::team::{PATIENCE, cluster};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::store::Store;
use crate::support::platform;

const VALUE: &str = "outlives-its-cluster";
const POLICIES: [(&str, &str); 3] = [("retain", "Retain"), ("claims", "DeletePVCs"), ("all", "DeleteAll")];
/// What each leaves. A key stays whatever is asked for: a snapshot of the store is worth nothing without it.
const LEFT: [&str; 8] = [
    "ConfigMap/claims-ca",
    "ConfigMap/retain-ca",
    "PersistentVolumeClaim/data-retain-0",
    "Secret/all-unseal-key",
    "Secret/claims-tls-ca",
    "Secret/claims-unseal-key",
    "Secret/retain-tls-ca",
    "Secret/retain-unseal-key",
];

async fn everything(team: &Team) -> BTreeSet<String> {
    let all = team.survey.everything("").await.unwrap();
    all.iter().filter(|object| text(object, "/metadata/namespace") == team.namespace).map(name_of).collect()
}

/// Waits until the namespace has exactly what it had before any cluster was there, and these.
async fn until_left(team: &Team, first: &BTreeSet<String>, left: &[&str]) {
    let expected: BTreeSet<String> = left.iter().map(|name| (*name).to_owned()).collect();
    let found = wait::until(PATIENCE, format!("only {expected:?} to be left"), async || {
        let there: BTreeSet<String> = everything(team).await.difference(first).cloned().collect();
        if there == expected { Ok(()) } else { Err(format!("{there:?}")) }
    });
    found.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_store_leaves_what_its_policy_says_and_one_of_the_same_name_goes_on_with_it() {
    let platform = platform().await;
    let clock = platform.clock.about("deletion");
    let team = platform.release.team("deletion").await.unwrap();
    let first = everything(&team).await;
    let owner = |name: &str, policy: &str| cluster(name, &json!({"version": "2.4.0", "replicas": 1, "deletionPolicy": policy}));
    team.apply(&POLICIES.map(|(name, policy)| owner(name, policy))).await.unwrap();
    let stores = join_all(POLICIES.map(|(name, _)| Store::when_ready(&platform.release, &team, name))).await;
    clock.tell("three stores are Ready");
    let retained = &stores[0];
    retained.keep(VALUE).await;
    let mut uids = Vec::new();
    for (name, _) in POLICIES {
        uids.push(team.uid(name).await.unwrap());
    }
    let mut kept = Vec::new();
    for left in LEFT {
        kept.push(identity(&team.get(&left.to_lowercase()).await.unwrap()));
    }

    let clusters = POLICIES.map(|(name, _)| name);
    team.kubectl.run(&[&["delete", "openbaocluster"], &clusters[..]].concat()).await.unwrap();
    until_left(&team, &first, &LEFT).await;
    for uid in &uids {
        let left = wait::until(PATIENCE, "the inventory to be gone", async || match team.survey.inventory(uid).await {
            Ok(None) => Ok(()),
            left => Err(format!("{left:?}")),
        });
        left.await.unwrap();
    }
    for (left, before) in LEFT.into_iter().zip(&kept) {
        assert_eq!(&identity(&team.get(&left.to_lowercase()).await.unwrap()), before, "{left} is the same");
    }
    clock.tell(&format!("deleted; left are {}", LEFT.join(", ")));

    // As docs/cluster-users.md says: the key under another name, the owner names it, and what is in the way goes.
    let key = team.get("secret/retain-unseal-key").await.unwrap()["data"].clone();
    let copy = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "copy"}, "data": key});
    let mut again = owner("retain", "DeletePVCs");
    again["spec"]["unseal"] = json!({"type": "static", "restoreFrom": "copy"});
    team.apply(&[copy, again]).await.unwrap();
    let told = team.until_condition("retain", "Reconciled", "False").await.unwrap();
    assert_eq!(told["reason"], "NameTaken", "{told}");
    team.kubectl.run(&["delete", "secret/retain-unseal-key", "secret/retain-tls-ca", "configmap/retain-ca"]).await.unwrap();
    retained.until_kept(VALUE).await;
    retained.until_ready().await;
    let volume = team.get("persistentvolumeclaim/data-retain-0").await.unwrap();
    assert!(kept.contains(&identity(&volume)), "the volume is the one of before: {volume}");
    assert_eq!(team.get("secret/retain-unseal-key").await.unwrap()["data"], key, "and so is the key");
    clock.tell("a store of the same name reads what was written");
    // Passwords are in the store. Those of Secrets that were made anew are not.
    let password = "go-template={{.data.password | base64decode}}";
    let password = team.kubectl.run(&["get", "secret/retain-admin", "-o", password]).await.unwrap();
    let refused = retained.bao(0, &format!("login -method=userpass -token-only username=admin password='{password}'")).await;
    assert!(refused.as_ref().is_err_and(|error| error.to_string().contains("invalid username or password")), "{refused:?}");
    assert_eq!(platform.release.complaints().await, Vec::<String>::new());

    team.kubectl.run(&["delete", "openbaocluster", "retain"]).await.unwrap();
    let mut left: Vec<&str> = LEFT.into_iter().filter(|name| !name.starts_with("PersistentVolumeClaim/")).collect();
    left.push("Secret/copy");
    until_left(&team, &first, &left).await;
    clock.tell("deleted with DeletePVCs: its volume is gone, its key is not");
}

/// By which an object is known again.
fn identity(object: &Value) -> (String, Value) {
    (text(object, "/metadata/uid").to_owned(), object["data"].clone())
}
