//! Keys that are made once.

use banhbaoring_testing::wait;
use banhbaoring_tests::team::{PATIENCE, cluster, parts_of};
use serde_json::json;

use crate::support::{changed, crew};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_gone_is_not_made_anew_and_comes_back_from_a_copy() {
    let crew = crew("lost").await;
    crew.settled("a", json!({})).await;
    let key = crew.get("secret/a-unseal-key").await.unwrap();
    crew.kubectl.run(&["delete", "secret/a-unseal-key"]).await.unwrap();
    crew.pulse().await;
    let told = crew.until_condition("a", "Reconciled", "False").await.unwrap();
    assert_eq!(told["reason"], "IdentityLost", "{told}");
    assert!(told["message"].as_str().unwrap().contains("a-unseal-key"), "{told}");
    let lost = crew.until_still("a").await;
    let mut parts = parts_of("a");
    parts.remove("Secret/a-unseal-key");
    let left: std::collections::BTreeSet<String> = crew.children("a").await.unwrap().into_keys().collect();
    assert_eq!(left, parts, "nothing is made in its place, and nothing else goes");

    let copy = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "copy"}, "data": key["data"]});
    crew.apply(&[copy, cluster("a", &json!({"unseal": {"type": "static", "restoreFrom": "copy"}}))]).await.unwrap();
    crew.until_children("a", &parts_of("a")).await.unwrap();
    crew.until_condition("a", "Reconciled", "True").await.unwrap();
    assert_eq!(crew.get("secret/a-unseal-key").await.unwrap()["data"], key["data"]);
    let back = crew.until_still("a").await;
    assert_eq!(changed(&lost, &back), ["Secret/a-unseal-key", "the inventory", "the owner"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_there_before_is_refused_by_name_and_not_touched() {
    let crew = crew("squat").await;
    let squatter = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a-unseal-key", "labels": {
        "app.kubernetes.io/managed-by": "banhbaoring", "banhbaoring.io/component": "openbao"}},
        "stringData": {"key": "known to somebody else, 32 bytes"}});
    crew.apply(&[squatter]).await.unwrap();
    let before = crew.get("secret/a-unseal-key").await.unwrap();
    crew.apply(&[cluster("a", &json!({}))]).await.unwrap();
    let told = crew.until_condition("a", "Reconciled", "False").await.unwrap();
    assert_eq!(told["reason"], "NameTaken", "{told}");
    assert!(told["message"].as_str().unwrap().contains("a-unseal-key"), "{told}");
    assert_eq!(crew.cluster("a").await.unwrap()["status"]["phase"], "Failed");
    crew.resync(&["a"], 3).await;
    assert_eq!(crew.get("secret/a-unseal-key").await.unwrap(), before, "not touched, whatever its labels say");
    assert!(crew.get("statefulset/a").await.is_err(), "no pod may start with that key");

    // Once it is out of the way a key is made.
    crew.kubectl.run(&["delete", "secret/a-unseal-key"]).await.unwrap();
    crew.pulse().await;
    crew.until_children("a", &parts_of("a")).await.unwrap();
    crew.until_condition("a", "Reconciled", "True").await.unwrap();
    assert_ne!(crew.get("secret/a-unseal-key").await.unwrap()["data"], before["data"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_somebody_changed_is_not_overwritten() {
    let crew = crew("edited").await;
    crew.settled("a", json!({})).await;
    crew.patch("secret/a-unseal-key", &json!({"stringData": {"key": "brought by a person, 32 bytes !!"}})).await.unwrap();
    let edited = crew.get("secret/a-unseal-key").await.unwrap();
    crew.resync(&["a"], 3).await;
    crew.patch("openbaocluster/a", &json!({"spec": {"logLevel": "debug"}})).await.unwrap();
    wait::until(PATIENCE, "the change to be applied", async || {
        let config = crew.get("configmap/a-config").await.map_err(|error| error.to_string())?.to_string();
        if config.contains("debug") { Ok(()) } else { Err(config) }
    })
    .await
    .unwrap();
    assert_eq!(crew.get("secret/a-unseal-key").await.unwrap(), edited);
}
