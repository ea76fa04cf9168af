//! The seal awskms against its golden cases, and the mistakes of earlier operators.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use banhbaoring_plugin_unseal_awskms::Exports;
use banhbaoring_sdk::wit::{EnvValue, SealCredentials};
use banhbaoring_sdk::{Failure, FailureClass, Plugin, Seal, testing};
use serde_json::{Value, json};

fn render(version: &str, config: &Value) -> Result<Seal, Failure> {
    Exports::render(testing::seal_request(version, config))
}

fn explicit() -> Value {
    json!({
        "keyId": "alias/k", "region": "us-east-1",
        "credentials": {
            "accessKeyId": {"secretName": "aws", "key": "id"},
            "secretAccessKey": {"secretName": "aws", "key": "secret"},
        },
    })
}

banhbaoring_sdk::seal_goldens!(Exports);

// Defect 8 of the earlier operator: the seal's environment was appended twice.
#[test]
fn every_environment_variable_appears_once() {
    let seal = render("2.4.4", &explicit()).unwrap();
    let mut names: Vec<_> = seal.env.iter().map(|variable| variable.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]);
}

#[test]
fn credentials_are_references_and_never_in_the_stanza() {
    let seal = render("2.4.4", &explicit()).unwrap();
    assert!(seal.env.iter().all(|variable| matches!(variable.value, EnvValue::SecretKey(_))));
    assert!(seal.attributes.iter().all(|attribute| ["region", "kms_key_id"].contains(&attribute.key.as_str())));
    assert_eq!(seal.credentials, SealCredentials::Secrets(vec!["aws".to_owned()]));
}

#[test]
fn an_empty_key_id_is_named() {
    let failure = render("2.4.4", &json!({"keyId": " ", "region": "us-east-1"})).unwrap_err();
    assert_eq!(failure.class, FailureClass::InvalidConfig);
    assert_eq!(failure.field.as_deref(), Some("spec.unseal.keyId"));
}

#[test]
fn from_2_7_a_kms_plugin_is_needed_and_checked() {
    for version in ["2.7.0", "2.7.0-rc1", "3.0.0"] {
        let failure = render(version, &explicit()).unwrap_err();
        assert_eq!(failure.field.as_deref(), Some("spec.unseal.plugin"), "{version}");
    }
    assert!(render("2.6.9", &explicit()).unwrap().kms_plugin.is_none());
    let sha = "a".repeat(64);
    for (plugin, field) in [
        (json!({"version": "1", "sha256": sha}), "spec.unseal.plugin"),
        (json!({"image": "i", "command": "c", "version": "1", "sha256": sha}), "spec.unseal.plugin"),
        (json!({"image": "i", "version": "1", "sha256": "xyz"}), "spec.unseal.plugin.sha256"),
        (json!({"image": "i", "version": "", "sha256": sha}), "spec.unseal.plugin.version"),
        (json!({"image": "i", "sha256": sha}), "spec.unseal.plugin.version"),
    ] {
        let mut config = explicit();
        config["plugin"] = plugin;
        assert_eq!(render("2.7.0", &config).unwrap_err().field.as_deref(), Some(field));
    }
}

#[test]
fn a_custom_endpoint_opens_its_own_port() {
    let ports = |endpoint: &str| -> Vec<u16> {
        let mut config = explicit();
        config["endpoint"] = json!(endpoint);
        render("2.4.4", &config).unwrap().egress.iter().map(|egress| egress.port).collect()
    };
    assert_eq!(ports("http://127.0.0.1:5000"), [5000]);
    assert_eq!(ports("https://vpce-1.kms.eu-west-1.vpce.amazonaws.com"), [443]);
}

#[test]
fn what_this_plugin_does_not_have_is_unsupported() {
    let failure = Exports::reconcile(testing::request("openbao", &json!({}), &json!({}))).unwrap_err();
    assert_eq!(failure.class, FailureClass::Unsupported);
}

// Without this the NetworkPolicy of the nodes, which is on by default, keeps them from what the platform gives them.
#[test]
fn what_gives_credentials_to_pods_without_any_is_within_reach_and_only_then() {
    let reached = |config: &Value| -> Vec<(String, u16)> {
        let seal = render("2.4.4", config).unwrap();
        seal.egress.into_iter().filter_map(|egress| Some((egress.cidr?, egress.port))).collect()
    };
    let ambient = reached(&json!({"keyId": "a", "region": "us-east-1"}));
    assert!(
        ambient.contains(&("169.254.169.254/32".to_owned(), 80)) && ambient.contains(&("169.254.170.23/32".to_owned(), 80)),
        "{ambient:?}"
    );
    assert_eq!(reached(&explicit()), []);
    assert_eq!(reached(&json!({"keyId": "a", "region": "us-east-1", "roleArn": "arn:aws:iam::1:role/a"})), []);
}
