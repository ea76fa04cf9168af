//! Credentials of a seal are read once, when a node starts: one that changes in its Secret has to restart the nodes, and a key never does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;

use banhbaoring_sdk::wit::{EnvVar, Seal, SecretVolume, VolumeSource};
use support::seals::{self, secret_env};
use support::{object, owner, render, request, template};

/// Hashes of Secrets that the pods carry for their seal.
fn hashes(seal: Seal) -> BTreeSet<String> {
    let response = render(&request(&owner(""), Some(seal))).unwrap();
    let template = template(&response);
    let annotations = template["metadata"]["annotations"].as_object().unwrap();
    let of_seal = annotations.iter().filter(|(key, _)| key.starts_with("openbao.org/seal-hash-"));
    of_seal.map(|(_, value)| value.as_str().unwrap().to_owned()).collect()
}

fn set<const N: usize>(hashes: [&str; N]) -> BTreeSet<String> {
    hashes.map(str::to_owned).into()
}

#[test]
fn pods_carry_the_hash_of_every_key_that_the_seal_reads_and_of_no_other() {
    assert_eq!(hashes(seals::awskms()), set(["$(hash:aws-credentials/access-key-id)", "$(hash:aws-credentials/secret-access-key)"]));
    assert_eq!(hashes(seals::transit()), set(["$(hash:transit-token/token)"]));
    assert_eq!(hashes(seals::gcpckms()), set(["$(hash:gcp-credentials)"]), "all keys are mounted");
    assert_eq!(hashes(seals::azurekeyvault()), set([]), "they come from the platform");
}

#[test]
fn a_secret_that_is_named_twice_is_hashed_once() {
    let whole = Seal { env: vec![secret_env("TOKEN", "gcp-credentials", "token")], ..seals::gcpckms() };
    assert_eq!(hashes(whole), set(["$(hash:gcp-credentials)"]), "a key of a Secret whose keys are all mounted");
    let twice: Vec<EnvVar> = ["ONE", "TWO"].map(|name| secret_env(name, "one", "key")).into();
    assert_eq!(hashes(Seal { env: twice, ..seals::stanza("transit", &[]) }), set(["$(hash:one/key)"]));
}

#[test]
fn a_static_key_that_is_exchanged_in_its_secret_restarts_nobody() {
    // It could not open what the one before has sealed, under the same name of the key: each node that restarts stays sealed.
    assert_eq!(hashes(seals::generated_key("prod")), set([]));
    let mut own = seals::generated_key("prod");
    own.volumes[0].source = VolumeSource::Secret(SecretVolume { secret: "of-a-team".to_owned(), items: Vec::new() });
    assert_eq!(hashes(own), set([]));
}

#[test]
fn whatever_the_secrets_are_called_the_annotations_are_valid_and_none_is_lost() {
    let long = "a".repeat(253);
    let env = (0..12).map(|number| secret_env(&format!("V{number}"), &long, &format!("key-{number}"))).collect();
    let response = render(&request(&owner(""), Some(Seal { env, ..seals::stanza("transit", &[]) }))).unwrap();
    let set = object(&response, "StatefulSet", "prod");
    let annotations = set["spec"]["template"]["metadata"]["annotations"].as_object().unwrap();
    let names: Vec<&str> = annotations.keys().filter_map(|key| key.strip_prefix("openbao.org/")).collect();
    assert!(names.iter().all(|name| name.len() <= 63), "{names:?}");
    assert_eq!(names.iter().filter(|name| name.starts_with("seal-hash-")).count(), 12, "{names:?}");
}
