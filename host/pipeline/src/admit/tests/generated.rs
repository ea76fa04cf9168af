//! Secrets whose material the host makes.

use crate::contract::Publication;

use super::*;

fn with_secret(secret: GeneratedSecret) -> Response {
    Response { secrets: vec![secret], ..response(vec![]) }
}

fn entry(key: &str, generator: &str, spec: Json) -> SecretEntry {
    SecretEntry { key: key.to_owned(), generator: generator.to_owned(), spec }
}

fn with_entries(entries: Vec<SecretEntry>) -> Response {
    with_secret(GeneratedSecret { entries, ..generated("prod-key") })
}

fn authority() -> SecretEntry {
    entry("ca.key", "ca", json!({"commonName": "prod", "validDays": 365, "certificate": "ca.crt"}))
}

#[test]
fn a_generated_secret_needs_create_on_secrets() {
    allowed(with_secret(generated("prod-key")));
    let refusal = refusal_under(Grants::default(), with_secret(generated("prod-key"))).unwrap();
    assert_eq!(refusal.reason, "ResourceNotGranted");
    assert!(refusal.message.contains("secrets") && refusal.message.contains("create"), "{}", refusal.message);
}

#[test]
fn a_malformed_generator_is_refused() {
    for bad in [
        vec![],
        vec![entry("key", "magic", json!({}))],
        vec![entry("key", "bytes", json!({"length": 0}))],
        vec![entry("key", "bytes", json!({"length": 1_000_000}))],
        vec![entry("key", "bytes", json!({"length": 32, "extra": 1}))],
        vec![entry("key", "bytes", json!("32"))],
        vec![entry("../key", "bytes", json!({"length": 32}))],
        vec![entry("a", "bytes", json!({"length": 32})), entry("a", "bytes", json!({"length": 32}))],
        vec![authority(), entry("ca.crt", "bytes", json!({"length": 32}))],
        vec![entry("p", "password", json!({"length": 8, "upper": 4, "digits": 5}))],
        vec![entry("p", "password", json!({"length": 4_000_000_000u32}))],
        vec![entry("h", "hash", json!({"of": "absent", "algorithm": "bcrypt"}))],
        vec![entry("h", "hash", json!({"of": "h", "algorithm": "bcrypt"}))],
        vec![entry("a", "bytes", json!({"length": 8})), entry("h", "hash", json!({"of": "a", "algorithm": "bcrypt", "cost": 31}))],
    ] {
        let told = format!("{bad:?}");
        let refusal = refusal_under(grants(), with_entries(bad)).unwrap_or_else(|| panic!("{told}"));
        assert_eq!(refusal.reason, "SecretInvalid", "{told}");
    }
    let mut name = generated("prod-key");
    name.name = "../x".to_owned();
    refused(with_secret(name), Reason::SecretInvalid, "name");
}

#[test]
fn a_template_or_certificate_takes_from_own_secrets_only() {
    let template = |secret: &str| entry("url", "template", json!({"template": "{{p}}", "secrets": {"p": {"secret": secret, "key": "k"}}}));
    refused(with_entries(vec![template("foreign")]), Reason::SecretNotGranted, "foreign");
    refused(with_entries(vec![template("from-spec")]), Reason::SecretNotGranted, "from-spec");
    let certificate = |secret: &str| {
        let spec = json!({"commonName": "prod", "validDays": 30, "ca": {"secret": secret, "privateKey": "ca.key", "certificate": "ca.crt"}, "certificate": "tls.crt"});
        entry("tls.key", "certificate", spec)
    };
    refused(with_entries(vec![certificate("foreign")]), Reason::SecretNotGranted, "foreign");
    let ca = GeneratedSecret { entries: vec![authority()], ..generated("prod-ca") };
    let leaf = GeneratedSecret { entries: vec![certificate("prod-ca"), template("prod-ca")], ..generated("prod-tls") };
    allowed(Response { secrets: vec![ca, leaf], ..response(vec![]) });
}

#[test]
fn only_public_parts_are_published() {
    let publish = |key: &str, map: &str| {
        let publish = vec![Publication { key: key.to_owned(), config_map: map.to_owned(), config_map_key: "ca.crt".to_owned() }];
        with_secret(GeneratedSecret { entries: vec![authority()], publish, ..generated("prod-ca") })
    };
    refused(publish("ca.crt", "prod-ca"), Reason::ResourceNotGranted, "configmaps");
    let mut grants = grants();
    grants.resources[1].resources.push("configmaps".to_owned());
    assert_eq!(refusal_under(grants.clone(), publish("ca.crt", "prod-ca")), None);
    assert_eq!(refusal_under(grants.clone(), publish("ca.key", "prod-ca")).unwrap().reason, "PublicationNotAllowed");
    assert_eq!(refusal_under(grants.clone(), publish("ca.crt", "../x")).unwrap().reason, "SecretInvalid");
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "prod-ca"}});
    let both = Response { objects: vec![object(map)], ..publish("ca.crt", "prod-ca") };
    assert_eq!(refusal_under(grants, both).unwrap().reason, "ObjectClaimedTwice");
}

#[test]
fn only_the_owners_user_brings_material() {
    let restore = |from: &str| with_secret(GeneratedSecret { restore_from: Some(from.to_owned()), ..generated("prod-key") });
    refused(restore("foreign"), Reason::SecretNotGranted, "foreign");
    allowed(restore("from-spec"));
}

#[test]
fn a_renewal_that_would_never_end_is_refused() {
    let renewable = |before: u32, entries: Vec<SecretEntry>| {
        with_secret(GeneratedSecret { class: SecretClass::Renewable(before), entries, ..generated("prod-ca") })
    };
    allowed(renewable(86_400, vec![authority()]));
    refused(renewable(365 * 86_400, vec![authority()]), Reason::SecretInvalid, "renewed");
    refused(renewable(60, vec![entry("k", "bytes", json!({"length": 8}))]), Reason::SecretInvalid, "renewed");
}
