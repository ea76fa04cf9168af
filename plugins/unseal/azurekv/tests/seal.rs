//! The seal azurekeyvault against its golden cases, and the mistakes of earlier operators.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use banhbaoring_plugin_unseal_azurekv::Exports;
use banhbaoring_sdk::wit::SealCredentials;
use banhbaoring_sdk::{Failure, Plugin, Seal, testing};
use serde_json::{Value, json};

fn render(config: &Value) -> Result<Seal, Failure> {
    Exports::render(testing::seal_request("2.4.4", config))
}

fn config() -> Value {
    json!({"tenantId": "t", "vaultName": "v", "keyName": "k"})
}

banhbaoring_sdk::seal_goldens!(Exports);

#[test]
fn both_names_select_it_and_the_stanza_carries_the_official_one() {
    let provider = &Exports::describe().unseal_providers[0];
    assert_eq!((provider.name.as_str(), provider.aliases.as_slice()), ("azurekv", ["azurekeyvault".to_owned()].as_slice()));
    assert_eq!(render(&config()).unwrap().stanza, "azurekeyvault");
}

#[test]
fn workload_identity_labels_the_pods_and_annotates_the_account() {
    let mut config = config();
    config["clientId"] = json!("aaaa");
    let seal = render(&config).unwrap();
    assert_eq!(seal.pod_labels[0].key, "azure.workload.identity/use");
    assert_eq!(seal.service_account_annotations[0].value, "aaaa");
    assert_eq!(seal.credentials, SealCredentials::Ambient);
    assert!(seal.env.is_empty());
}

#[test]
fn the_client_secret_never_reaches_the_stanza() {
    let mut config = config();
    config["credentials"] = json!({
        "clientId": {"secretName": "az", "key": "id"}, "clientSecret": {"secretName": "az", "key": "secret"},
    });
    let seal = render(&config).unwrap();
    assert!(seal.attributes.iter().all(|attribute| !attribute.key.starts_with("client")));
    assert_eq!(seal.env.len(), 2);
}

// Without this the NetworkPolicy of the nodes, which is on by default, keeps them from what the platform gives them.
#[test]
fn what_gives_credentials_to_pods_without_any_is_within_reach_and_only_then() {
    let reached = |config: &Value| -> Vec<(String, u16)> {
        let seal = render(config).unwrap();
        seal.egress.into_iter().filter_map(|egress| Some((egress.cidr?, egress.port))).collect()
    };
    assert_eq!(reached(&config()), [("169.254.169.254/32".to_owned(), 80)]);
    let mut workload = config();
    workload["clientId"] = json!("a");
    assert_eq!(reached(&workload), [], "a token is exchanged at 443");
}
