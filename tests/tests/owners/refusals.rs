//! Bad resources: refused by the API server, through the definition that the operator installed, where schema and rules can tell; else a
//! condition names the field. Nothing is applied half.

use banhbaoring_tests::team::{cluster, parts_of};
use serde_json::{Value, json};

use crate::support::{changed, crew};

/// Specs that no API server with our definition takes, and what it says.
fn refused_at_the_door() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("even", json!({"replicas": 2}), "replicas must be 1, 3, 5 or 7"),
        ("four", json!({"replicas": 4}), "replicas must be 1, 3, 5 or 7"),
        ("none", json!({"replicas": 0}), "replicas must be 1, 3, 5 or 7"),
        ("word", json!({"replicas": "three"}), "spec.replicas"),
        ("no-key-id", json!({"unseal": {"type": "awskms", "region": "eu-central-1"}}), "awskms needs unseal.keyId"),
        ("number-as-key-id", json!({"unseal": {"type": "awskms", "keyId": 5}}), "spec.unseal.keyId"),
        ("list-as-region", json!({"unseal": {"type": "awskms", "keyId": "a", "region": ["b"]}}), "spec.unseal.region"),
        (
            "token-as-text",
            json!({"unseal": {"type": "transit", "address": "https://a", "keyName": "k", "token": "s.abc"}}),
            "spec.unseal.token",
        ),
        ("half-a-rotation", json!({"unseal": {"type": "static", "previousKeyId": "v0"}}), "unseal.previousKey and unseal.previousKeyId"),
        ("number-as-key-name", json!({"unseal": {"type": "static", "currentKeyId": 5}}), "spec.unseal.currentKeyId"),
        ("no-provider", json!({"unseal": {"keyId": "alias/a"}}), "unseal.type is static, which is its default"),
        ("short-leases", json!({"maxLeaseTtl": "24h"}), "defaultLeaseTtl must be above zero and at most maxLeaseTtl"),
        ("forgotten-mode", json!({"tls": {"secretName": "mine"}}), "tls.secretName is read only with"),
        ("no-provider-name", json!({"unseal": {"type": "AWS KMS"}}), "spec.unseal.type"),
        ("no-size", json!({"storage": {"size": "big"}}), "spec.storage.size"),
        ("misspelt", json!({"replica": 3}), ".spec.replica: field not declared in schema"),
        ("a.dot", json!({}), "metadata.name must be a DNS label"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_definition_can_tell_is_refused_by_the_api_server() {
    let crew = crew("door").await;
    let strict = ["apply", "--server-side", "--validate=strict", "-f", "-"];
    for (name, spec, says) in refused_at_the_door() {
        let told = crew.kubectl.run_with_input(&strict, &cluster(name, &spec).to_string()).await.expect_err(name).to_string();
        assert!(told.contains(says), "{spec}: expected {says:?} in {told}");
    }
    let malformed = "apiVersion: openbao.org/v1alpha1\nkind: OpenBaoCluster\nmetadata: {name: a}\nspec: {replicas: [3}\n";
    crew.kubectl.run_with_input(&["apply", "-f", "-"], malformed).await.expect_err("not YAML");
    let there = crew.kubectl.run(&["get", "openbaoclusters,statefulsets,secrets,services", "-o", "name"]).await.unwrap();
    assert_eq!(there.trim(), "", "nothing came of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_undone_is_refused_and_the_parts_stay_as_they_are() {
    let crew = crew("undo").await;
    crew.settled("a", json!({"storage": {"size": "10Gi"}})).await;
    let before = crew.until_all_is_told("a").await;
    for (patch, says) in [
        (json!({"storage": {"size": "5Gi"}}), "size cannot shrink"),
        (json!({"storage": {"storageClass": "fast"}}), "storageClass is immutable"),
        (json!({"replicas": 4}), "replicas must be 1, 3, 5 or 7"),
        (json!({"replicas": 0}), "replicas must be 1, 3, 5 or 7"),
        (json!({"unseal": {"type": "awskms", "keyId": "a"}}), "unseal.type is immutable"),
        (json!({"auditStorage": {"size": "1Gi"}}), "auditStorage cannot be added to or taken from"),
    ] {
        let told = crew.patch("openbaocluster/a", &json!({"spec": patch})).await.expect_err("refused").to_string();
        assert!(told.contains(says), "{patch}: expected {says:?} in {told}");
    }
    crew.resync(&["a"], 2).await;
    assert_eq!(changed(&before, &crew.still("a").await), [] as [&str; 0]);
}

/// Specs that only a plugin can judge, the reason and the field that the condition names.
fn refused_by_plugins() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    vec![
        ("unknown", json!({"unseal": {"type": "ocikms", "keyId": "a"}}), "ProviderUnknown", "spec.unseal.type"),
        ("misspelt", json!({"unseal": {"type": "static", "currentKeyID": "v0"}}), "", "spec.unseal.currentKeyID"),
        (
            "same",
            json!({"unseal": {"currentKey": {"secretName": "s", "key": "k"}, "currentKeyId": "v1",
                "previousKey": {"secretName": "s", "key": "l"}, "previousKeyId": "v1"}}),
            "",
            "spec.unseal.previousKeyId",
        ),
        ("address", json!({"tls": {"ipAddresses": ["999.1.1.1"]}}), "", "spec.tls.ipAddresses[0]"),
        ("label", json!({"pod": {"labels": {"a b": "c"}}}), "", "spec.pod.labels"),
        ("old", json!({"version": "2.3.0", "unseal": {"type": "static"}}), "", "version"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_plugin_can_tell_becomes_a_condition_that_names_the_field() {
    let crew = crew("named").await;
    for (name, spec, ..) in refused_by_plugins() {
        crew.apply(&[cluster(name, &spec)]).await.unwrap();
    }
    for (name, spec, reason, field) in refused_by_plugins() {
        for type_ in ["Ready", "Reconciled"] {
            let told = crew.until_condition(name, type_, "False").await.unwrap();
            assert!(told["message"].as_str().unwrap().contains(field), "{spec}: expected {field} in {told}");
            assert!(reason.is_empty() || told["reason"] == reason, "{spec}: expected {reason} in {told}");
        }
        let told =
            crew.until(name, "phase Failed", |cluster| if cluster["status"]["phase"] == "Failed" { Ok(()) } else { Err("another".into()) });
        told.await.unwrap();
        crew.resync(&[name], 2).await;
        let children = crew.children(name).await.unwrap();
        assert!(children.is_empty(), "{spec}: {:?}", children.keys());
    }
    // A provider that nobody has is no fate either: there are no nodes yet that it sealed.
    for (name, mended) in [
        ("misspelt", json!({"spec": {"unseal": {"currentKeyID": null}}})),
        ("unknown", json!({"spec": {"unseal": {"type": "static", "keyId": null}}})),
    ] {
        crew.patch(&format!("openbaocluster/{name}"), &mended).await.unwrap();
        crew.until_children(name, &parts_of(name)).await.unwrap();
        crew.until_condition(name, "Reconciled", "True").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_becomes_bad_keeps_its_parts_as_they_are() {
    let crew = crew("bad").await;
    let before = crew.settled("a", json!({})).await;
    let told_before = crew.told("a").await;
    // Together with a change that would be good by itself: all or nothing.
    let bad = json!({"spec": {"logLevel": "debug", "networkPolicy": {"enabled": false}, "unseal": {"currentKeyID": "v0"}}});
    crew.patch("openbaocluster/a", &bad).await.unwrap();
    let told = crew.until_condition("a", "Reconciled", "False").await.unwrap();
    assert!(told["message"].as_str().unwrap().contains("spec.unseal.currentKeyID"), "{told}");
    crew.resync(&["a"], 3).await;
    let after = crew.still("a").await;
    let others: Vec<String> = changed(&before, &after).into_iter().filter(|name| name != "the owner" && name != "the inventory").collect();
    assert_eq!(others, [] as [String; 0], "children stay as they were");
    // What it told is its memory: without it, a cluster with nodes would pass for a new one.
    let told_after = crew.told("a").await;
    for field in ["nodes", "operatorSecret", "endpoints", "version"] {
        assert_eq!((&told_after[field], told_after[field].is_null()), (&told_before[field], false), "{field} in {told_after}");
    }
    let provider = json!({"spec": {"unseal": {"type": "awskms", "keyId": "a", "currentKeyID": null}}});
    let refused = crew.patch("openbaocluster/a", &provider).await.expect_err("refused").to_string();
    assert!(refused.contains("unseal.type is immutable"), "{refused}");
    crew.patch("openbaocluster/a", &json!({"spec": {"unseal": {"currentKeyID": null}}})).await.unwrap();
    let mut parts = parts_of("a");
    parts.remove("NetworkPolicy/a-network-policy");
    crew.until_children("a", &parts).await.unwrap();
    crew.until_condition("a", "Reconciled", "True").await.unwrap();
}
