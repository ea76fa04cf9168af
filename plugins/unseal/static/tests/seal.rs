//! The seal static against its golden cases, and the mistakes of earlier operators.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use banhbaoring_plugin_unseal_static::Exports;
use banhbaoring_sdk::wit::{Scalar, SecretClass, VolumeSource};
use banhbaoring_sdk::{FailureClass, Plugin, testing};
use serde_json::json;

banhbaoring_sdk::seal_goldens!(Exports);

#[test]
fn the_generated_key_is_an_identity_of_32_raw_bytes_that_is_kept() {
    let seal = Exports::render(testing::seal_request("2.4.0", &json!({}))).unwrap();
    let secret = &seal.secrets[0];
    assert_eq!((secret.name.as_str(), &secret.class, secret.keep), ("prod-unseal-key", &SecretClass::Identity, true));
    assert_eq!(secret.entries.len(), 1);
    assert_eq!(secret.entries[0].key, "key");
    // A key file is not trimmed: a newline or another encoding would break it.
    assert_eq!(secret.entries[0].generator, "bytes");
    assert_eq!(secret.entries[0].spec, r#"{"encoding":"raw","length":32}"#);
    let VolumeSource::Secret(volume) = &seal.volumes[0].source else { panic!("expected a Secret") };
    assert_eq!((volume.secret.as_str(), seal.volumes[0].mount_path.as_str()), ("prod-unseal-key", "/etc/bao/unseal"));
    assert_eq!(seal.attributes[0].value, Scalar::Text("file:///etc/bao/unseal/key".to_owned()));
    assert_eq!(seal.attributes[1].value, Scalar::Text("operator-generated-v1".to_owned()));
}

#[test]
fn before_2_4_there_is_no_static_seal() {
    let failure = Exports::render(testing::seal_request("2.3.9", &json!({}))).unwrap_err();
    assert_eq!((failure.class, failure.field.as_deref()), (FailureClass::Unsupported, Some("spec.version")));
}

#[test]
fn a_key_of_the_owners_own_makes_no_secret() {
    let config = json!({"currentKey": {"secretName": "mine", "key": "k"}, "currentKeyId": "mine-1"});
    assert!(Exports::render(testing::seal_request("2.4.0", &config)).unwrap().secrets.is_empty());
}

#[test]
fn nothing_needs_the_network() {
    assert!(Exports::render(testing::seal_request("2.4.0", &json!({}))).unwrap().egress.is_empty());
}
