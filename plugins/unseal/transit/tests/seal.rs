//! The seal transit against its golden cases, and the mistakes of earlier operators.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use banhbaoring_plugin_unseal_transit::Exports;
use banhbaoring_sdk::wit::Scalar;
use banhbaoring_sdk::{Failure, Plugin, Seal, testing};
use serde_json::{Value, json};

fn render(config: &Value) -> Result<Seal, Failure> {
    Exports::render(testing::seal_request("2.4.4", config))
}

fn config() -> Value {
    json!({
        "address": "https://vault.example.com:8200", "keyName": "autounseal",
        "token": {"secretName": "transit-token", "key": "token"},
    })
}

fn attribute<'a>(seal: &'a Seal, key: &str) -> Option<&'a Scalar> {
    seal.attributes.iter().find(|attribute| attribute.key == key).map(|attribute| &attribute.value)
}

banhbaoring_sdk::seal_goldens!(Exports);

// Defect 11 of the earlier operator: tls_skip_verify = "true" in every transit seal.
#[test]
fn verification_is_on_unless_the_owner_says_otherwise() {
    let seal = render(&config()).unwrap();
    assert_eq!(attribute(&seal, "tls_skip_verify"), None);
    assert!(seal.warnings.is_empty());
    let mut config = config();
    config["tlsSkipVerify"] = json!(true);
    let seal = render(&config).unwrap();
    assert_eq!(attribute(&seal, "tls_skip_verify"), Some(&Scalar::Text("true".to_owned())));
    assert!(seal.warnings[0].contains("tlsSkipVerify"));
}

#[test]
fn the_token_is_not_the_token_of_every_command_in_the_pod() {
    let seal = render(&config()).unwrap();
    assert_eq!(seal.env.len(), 1);
    assert_eq!(seal.env[0].name, "VAULT_TRANSIT_SEAL_TOKEN");
    assert_eq!(attribute(&seal, "token"), None);
}

#[test]
fn the_ports_of_the_address_are_opened_and_no_other() {
    let seal = render(&config()).unwrap();
    assert_eq!(seal.egress.iter().map(|egress| egress.port).collect::<Vec<_>>(), [8200]);
}

#[test]
fn it_stays_built_in_and_takes_no_plugin() {
    let mut config = config();
    assert!(Exports::render(testing::seal_request("2.7.0", &config)).unwrap().kms_plugin.is_none());
    config["plugin"] = json!({});
    assert_eq!(render(&config).unwrap_err().field.as_deref(), Some("spec.unseal.plugin"));
}
