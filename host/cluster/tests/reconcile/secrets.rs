//! Generated Secrets in a cluster: made once, never taken over, completed, renewed, published.

use banhbaoring_cluster::{Applied, StepOutcome};
use banhbaoring_pipeline::contract::{GeneratedSecret, Publication, SecretClass, SecretEntry};
use banhbaoring_pipeline::plan::{Cause, SecretWrite, Step, Write, field_manager};
use banhbaoring_testing::wait::until;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{COMPONENT, Fixture, outcomes, refused, written};

fn secret(name: &str, class: SecretClass, entries: &[(&str, &str, Value)]) -> GeneratedSecret {
    GeneratedSecret {
        name: name.into(),
        class,
        labels: Vec::new(),
        entries: entries
            .iter()
            .map(|(key, generator, spec)| SecretEntry { key: (*key).into(), generator: (*generator).into(), spec: spec.clone() })
            .collect(),
        publish: Vec::new(),
        restore_from: None,
        keep: true,
    }
}

fn unseal_key() -> GeneratedSecret {
    secret("unseal", SecretClass::Identity, &[("key", "bytes", json!({"length": 32, "encoding": "base64"}))])
}

fn authority() -> GeneratedSecret {
    let ca = json!({"commonName": "test ca", "validDays": 365, "certificate": "ca.crt"});
    let mut authority = secret("authority", SecretClass::Identity, &[("ca.key", "ca", ca)]);
    authority.publish = vec![Publication { key: "ca.crt".into(), config_map: "trust".into(), config_map_key: "ca.crt".into() }];
    authority
}

const TEN_DAYS: u32 = 864_000;
/// Of a certificate that is valid for thirty days: due three seconds after it was made.
const ALMOST_AT_ONCE: u32 = 2_591_997;

fn certificate(renew_before: u32) -> GeneratedSecret {
    let ca = json!({"secret": "authority", "privateKey": "ca.key", "certificate": "ca.crt"});
    let spec = json!({"commonName": "db", "dnsNames": ["db.test"], "validDays": 30, "ca": ca, "certificate": "tls.crt", "caCertificate": "ca.crt"});
    secret("tls", SecretClass::Renewable(renew_before), &[("tls.key", "certificate", spec)])
}

fn step(fixture: &Fixture, secret: GeneratedSecret, cause: Cause, uid: Option<String>) -> Step {
    let name = secret.name.clone();
    let keep = secret.keep;
    let write = SecretWrite {
        manifest: fixture.completed(json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": name}})),
        desired_hash: banhbaoring_pipeline::json::hash(&json!(secret)),
        secret,
        manager: field_manager(COMPONENT),
        create: uid.is_none(),
        uid,
    };
    Step {
        component: COMPONENT.into(),
        plugin: "plugin".into(),
        account: fixture.account.clone(),
        reference: fixture.reference("v1", "Secret", &name),
        cause,
        write: Write::Secret(write),
        keep,
    }
}

/// The creation of an authority that is published.
pub fn authority_step(fixture: &Fixture) -> Step {
    step(fixture, authority(), Cause::Missing, None)
}

async fn value(fixture: &Fixture, name: &str, key: &str) -> Vec<u8> {
    let live = fixture.get("secret", name).await;
    STANDARD.decode(live["data"][key].as_str().unwrap_or_else(|| panic!("key {key} of {name}"))).unwrap()
}

fn is_complete(applied: &Applied) -> bool {
    outcomes(applied).iter().all(|outcome| matches!(outcome, StepOutcome::Written { .. }))
}

#[tokio::test]
async fn a_pre_made_secret_of_that_name_is_refused_and_stays_as_it_is() {
    let fixture = Fixture::new("secret").await;
    let planted =
        fixture.completed(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "unseal"}, "stringData": {"key": "attacker"}}));
    let arguments = ["apply", "--server-side", "--field-manager=banhbaoring/database", "-f", "-"];
    fixture.kubectl.run_with_input(&arguments, &planted.to_string()).await.unwrap();
    let before = fixture.get("secret", "unseal").await;
    let applied = fixture.apply(vec![step(&fixture, unseal_key(), Cause::Missing, None)]).await;
    let (reason, message) = refused(&applied);
    assert_eq!(reason, "NameTaken");
    assert!(!message.contains("attacker"));
    assert!(message.contains("the only key") && !message.contains("Delete"), "it may be what an earlier owner left: {message}");
    assert_eq!(fixture.get("secret", "unseal").await, before);
    assert!(fixture.entry("unseal").await.material.is_empty(), "not even a hash of it is recorded");
}

#[tokio::test]
async fn an_identity_is_made_once_and_only_completed_later() {
    let fixture = Fixture::new("secret").await;
    let uid = written(&fixture.apply(vec![step(&fixture, unseal_key(), Cause::Missing, None)]).await);
    let made = value(&fixture, "unseal", "key").await;
    assert_eq!(made.len(), 44);
    let entry = fixture.entry("unseal").await;
    assert!(entry.keep);
    let hash = entry.material["key"].clone();
    let inventory = serde_json::to_string(&fixture.inventory().await.spec).unwrap();
    assert!(!inventory.contains(std::str::from_utf8(&made).unwrap()), "no value in the inventory");

    let mut more = unseal_key();
    more.entries.push(SecretEntry { key: "second".into(), generator: "bytes".into(), spec: json!({"length": 8, "encoding": "hex"}) });
    fixture.apply(vec![step(&fixture, more, Cause::Changed, Some(uid.clone()))]).await;
    assert_eq!(value(&fixture, "unseal", "key").await, made);
    assert_eq!(value(&fixture, "unseal", "second").await.len(), 16);
    assert_eq!(fixture.entry("unseal").await.material["key"], hash);
    let child = fixture.observe(&fixture.reference("v1", "Secret", "unseal")).await.unwrap();
    assert_eq!(child.fields_hash, fixture.entry("unseal").await.fields_hash);
    assert_eq!(child.uid, uid);
}

#[tokio::test]
async fn an_identity_that_lost_its_value_is_not_given_another() {
    let fixture = Fixture::new("secret").await;
    let uid = written(&fixture.apply(vec![step(&fixture, unseal_key(), Cause::Missing, None)]).await);
    let emptied = ["patch", "secret", "unseal", "--type=json", "-p", r#"[{"op": "remove", "path": "/data/key"}]"#];
    fixture.kubectl.run(&emptied).await.unwrap();
    let mut more = unseal_key();
    more.labels.push(("team".to_owned(), "a".to_owned()));
    let applied = fixture.apply(vec![step(&fixture, more, Cause::Changed, Some(uid))]).await;
    let (reason, message) = refused(&applied);
    assert_eq!(reason, "IdentityLost");
    assert!(message.contains("unseal lost its key key"), "{message}");
    assert!(fixture.get("secret", "unseal").await["data"]["key"].is_null());
    assert!(fixture.entry("unseal").await.material.contains_key("key"), "what it was is still known");
}

#[tokio::test]
async fn an_identity_whose_creation_was_interrupted_keeps_its_material() {
    let fixture = Fixture::new("secret").await;
    let applied = fixture.apply(vec![step(&fixture, unseal_key(), Cause::Missing, None)]).await;
    let made = value(&fixture, "unseal", "key").await;
    let token = fixture.get("secret", "unseal").await["metadata"]["annotations"]["banhbaoring.io/intent"].as_str().unwrap().to_owned();
    let mut died = applied.inventory;
    let entry = &mut died.spec.children[0];
    (entry.uid, entry.intent, entry.desired_hash) = (None, Some(token), None);
    entry.material.clear();
    fixture.cluster.inventories.write(&mut died).await.unwrap();
    assert!(is_complete(&fixture.apply(vec![step(&fixture, unseal_key(), Cause::Interrupted, None)]).await));
    assert_eq!(value(&fixture, "unseal", "key").await, made);
    assert!(!fixture.entry("unseal").await.material.is_empty());
}

#[tokio::test]
async fn a_certificate_is_signed_published_and_renewed_without_touching_its_authority() {
    let fixture = Fixture::new("secret").await;
    let applied = fixture
        .apply(vec![step(&fixture, authority(), Cause::Missing, None), step(&fixture, certificate(TEN_DAYS), Cause::Missing, None)])
        .await;
    assert!(is_complete(&applied), "{:?}", outcomes(&applied));
    let ca = value(&fixture, "authority", "ca.crt").await;
    assert_eq!(fixture.get("configmap", "trust").await["data"]["ca.crt"].as_str().unwrap().as_bytes(), ca);
    assert_eq!(value(&fixture, "tls", "ca.crt").await, ca);
    let trust = fixture.entry("trust").await;
    assert!(trust.uid.is_some() && trust.intent.is_none());
    let entry = fixture.entry("tls").await;
    assert!(entry.renew_at.is_some());
    let before = value(&fixture, "tls", "tls.crt").await;

    let applied = fixture.apply(vec![step(&fixture, certificate(TEN_DAYS), Cause::Changed, entry.uid.clone())]).await;
    assert!(is_complete(&applied), "{:?}", outcomes(&applied));
    assert_eq!(value(&fixture, "tls", "tls.crt").await, before, "a change beside it rolls nobody");
    until(banhbaoring_testing::wait::PATIENCE, "the certificate to be due", async || {
        let applied = fixture.apply(vec![step(&fixture, certificate(ALMOST_AT_ONCE), Cause::Expiring, entry.uid.clone())]).await;
        assert!(is_complete(&applied), "{:?}", outcomes(&applied));
        if value(&fixture, "tls", "tls.crt").await == before { Err("the same") } else { Ok(()) }
    })
    .await
    .expect("it is renewed when it is due");
    assert_eq!(value(&fixture, "authority", "ca.crt").await, ca);
    let renewed = fixture.entry("tls").await;
    assert_eq!(renewed.uid, entry.uid);
    assert_ne!(renewed.material["tls.crt"], entry.material["tls.crt"], "pods that carry the hash roll");
    assert_eq!(renewed.material["ca.crt"], entry.material["ca.crt"]);
}

#[tokio::test]
async fn a_publication_whose_name_is_taken_does_not_cost_the_secret() {
    let fixture = Fixture::new("secret").await;
    fixture.kubectl.run(&["create", "configmap", "trust", "--from-literal=a=b"]).await.unwrap();
    let applied = fixture.apply(vec![step(&fixture, authority(), Cause::Missing, None)]).await;
    let (reason, message) = refused(&applied);
    assert_eq!(reason, "NameTaken");
    assert!(message.contains("trust"), "{message}");
    let entry = fixture.entry("authority").await;
    assert!(entry.uid.is_some() && !entry.material.is_empty());
    assert_eq!(entry.desired_hash, None, "it is sent again");
    let made = value(&fixture, "authority", "ca.key").await;
    fixture.kubectl.run(&["delete", "configmap", "trust"]).await.unwrap();
    assert!(is_complete(&fixture.apply(vec![step(&fixture, authority(), Cause::Changed, entry.uid)]).await));
    assert_eq!(value(&fixture, "authority", "ca.key").await, made);
    assert!(fixture.get("configmap", "trust").await["data"]["ca.crt"].is_string());
}

#[tokio::test]
async fn an_authority_that_somebody_slipped_in_signs_nothing() {
    let fixture = Fixture::new("secret").await;
    fixture.kubectl.run(&["create", "secret", "generic", "authority", "--from-literal=ca.key=x", "--from-literal=ca.crt=y"]).await.unwrap();
    let applied = fixture.apply(vec![step(&fixture, certificate(TEN_DAYS), Cause::Missing, None)]).await;
    assert_eq!(refused(&applied).0, "SecretNotOurs");
    assert!(!fixture.exists("secret", "tls").await);
}

#[tokio::test]
async fn a_private_value_is_never_published() {
    let fixture = Fixture::new("secret").await;
    let mut leaky = unseal_key();
    leaky.publish = vec![Publication { key: "key".into(), config_map: "trust".into(), config_map_key: "key".into() }];
    let applied = fixture.apply(vec![step(&fixture, leaky, Cause::Missing, None)]).await;
    assert_eq!(refused(&applied).0, "GeneratorInvalid");
    assert!(!fixture.exists("configmap", "trust").await);
    assert!(!fixture.exists("secret", "unseal").await, "nothing is applied half");
}

#[tokio::test]
async fn a_value_that_was_brought_is_not_public_because_a_generator_would_make_it_so() {
    let fixture = Fixture::new("secret").await;
    fixture
        .kubectl
        .run(&["create", "secret", "generic", "backup", "--from-literal=key=k", "--from-literal=password=hunter2"])
        .await
        .unwrap();
    let mut leaky = secret("pair", SecretClass::Identity, &[("key", "key-pair", json!({"algorithm": "ed25519", "publicKey": "password"}))]);
    leaky.restore_from = Some("backup".into());
    leaky.publish = vec![Publication { key: "password".into(), config_map: "trust".into(), config_map_key: "password".into() }];
    let applied = fixture.apply(vec![step(&fixture, leaky, Cause::Missing, None)]).await;
    assert_eq!(refused(&applied).0, "GeneratorInvalid");
    assert!(!fixture.exists("configmap", "trust").await);
}

#[tokio::test]
async fn what_is_restored_is_what_was_brought() {
    let fixture = Fixture::new("secret").await;
    let restored = || GeneratedSecret { restore_from: Some("backup".into()), ..unseal_key() };
    let applied = fixture.apply(vec![step(&fixture, restored(), Cause::Missing, None)]).await;
    assert_eq!(refused(&applied).0, "SecretMissing");
    assert!(!fixture.exists("secret", "unseal").await);
    fixture.kubectl.run(&["create", "secret", "generic", "backup", "--from-literal=key=brought", "--from-literal=other=x"]).await.unwrap();
    assert!(is_complete(&fixture.apply(vec![step(&fixture, restored(), Cause::Missing, None)]).await));
    assert_eq!(value(&fixture, "unseal", "key").await, b"brought");
    assert!(fixture.get("secret", "unseal").await["data"].get("other").is_none());
}

#[tokio::test]
async fn the_hash_of_a_users_secret_is_salted_and_read_as_the_account() {
    let mut fixture = Fixture::new("secret").await;
    for name in ["one", "two"] {
        fixture.kubectl.run(&["create", "secret", "generic", name, "--from-literal=k=same"]).await.unwrap();
    }
    let wanted = ["one/k", "two/k", "two", "none/k"].map(str::to_owned).into();
    let found = fixture.cluster.observe_material(&fixture.account, &fixture.namespace, &wanted).await.unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["one/k", "two", "two/k"]);
    assert_ne!(found["one/k"], found["two/k"], "the same value under another uid");
    fixture.kubectl.run(&["create", "serviceaccount", "weak"]).await.unwrap();
    fixture.account.name = "weak".into();
    let refused = fixture.cluster.observe_material(&fixture.account, &fixture.namespace, &wanted).await.unwrap_err();
    assert_eq!(refused.reason(), "Forbidden");
}
