//! The seal gcpckms against its golden cases, and the mistakes of earlier operators.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use banhbaoring_plugin_unseal_gcpkms::Exports;
use banhbaoring_sdk::wit::VolumeSource;
use banhbaoring_sdk::{Failure, Plugin, Seal, testing};
use serde_json::{Value, json};

fn render(config: &Value) -> Result<Seal, Failure> {
    Exports::render(testing::seal_request("2.4.4", config))
}

banhbaoring_sdk::seal_goldens!(Exports);

#[test]
fn both_names_select_it_and_the_stanza_carries_the_official_one() {
    let provider = &Exports::describe().unseal_providers[0];
    assert_eq!((provider.name.as_str(), provider.aliases.as_slice()), ("gcpkms", ["gcpckms".to_owned()].as_slice()));
    for name in ["gcpkms", "gcpckms"] {
        let config = json!({"type": name, "project": "p", "location": "global", "keyRing": "r", "cryptoKey": "k"});
        assert_eq!(render(&config).unwrap().stanza, "gcpckms");
    }
}

#[test]
fn the_service_account_key_is_mounted_under_the_name_that_the_environment_says() {
    let seal = render(&json!({
        "project": "p", "location": "global", "keyRing": "r", "cryptoKey": "k",
        "credentials": {"serviceAccountKey": {"secretName": "gcp", "key": "my-key.json"}},
    }))
    .unwrap();
    let VolumeSource::Secret(volume) = &seal.volumes[0].source else { panic!("expected a Secret") };
    assert_eq!((volume.items[0].key.as_str(), volume.items[0].path.as_str()), ("my-key.json", "credentials.json"));
    assert_eq!(seal.env.len(), 1);
    assert!(seal.attributes.iter().all(|attribute| attribute.key != "credentials"));
}

// Without this the NetworkPolicy of the nodes, which is on by default, keeps them from what the platform gives them.
#[test]
fn what_gives_credentials_to_pods_without_any_is_within_reach_and_only_then() {
    let reached = |config: &Value| -> Vec<(String, u16)> {
        let seal = render(config).unwrap();
        seal.egress.into_iter().filter_map(|egress| Some((egress.cidr?, egress.port))).collect()
    };
    let config = json!({"project": "p", "location": "global", "keyRing": "r", "cryptoKey": "k"});
    let metadata = [("169.254.169.254/32".to_owned(), 80), ("169.254.169.252/32".to_owned(), 988)];
    assert_eq!(reached(&config), metadata);
    let mut account = config.clone();
    account["serviceAccount"] = json!("a@p.iam.gserviceaccount.com");
    assert_eq!(reached(&account), metadata);
    let mut explicit = config;
    explicit["credentialsSecretRef"] = json!({"name": "s"});
    assert_eq!(reached(&explicit), []);
}
