//! The traps of reference/cosign.md, each by number.

use banhbaoring_artifact::*;

use crate::support::raw::{BUNDLE, Raw, fallback};
use crate::support::*;

// Trap 1, an attestation that cosign takes for a signature, is in `signatures`; trap 8, the moved tag, in `failures`.

#[tokio::test]
async fn trap_2_a_429_on_the_fallback_tag_is_no_unsigned() {
    let registry = Registry::distribution().await;
    let direct = source(&registry.address, "plugin");
    let key = SigningKey::generate();
    let digest = push_component(&direct, "p", "1").await;
    sign_with(&direct, &digest, &key).await;
    let throttled_tag = fallback(&digest);
    let proxy =
        misbehaving(&registry.address, move |asked| asked.path.ends_with(&throttled_tag).then_some(Misbehaviour::Status(429))).await;
    let source = source(&proxy.address, "plugin");
    for mode in [Mode::Enforce, Mode::Warn] {
        let trusted = vec![requirement(mode, vec![authority("us", &key)])];
        assert_eq!(refused(&source, &digest, &trusted).await.0, "RegistryThrottled");
    }
    let asked = proxy.asked(&fallback(&digest));
    assert_eq!(asked.iter().filter(|asked| !asked.path.ends_with(".sig")).count(), 3 * 2, "a 429 is tried again");
}

#[tokio::test]
async fn trap_3_referrers_are_asked_for_with_credentials() {
    let registry = Registry::with_user("user", "password").await;
    let credentials = Credentials::basic(&registry.address, "user", "password");
    let key = SigningKey::generate();
    let writer = source_as(&registry.address, "plugin", &credentials);
    let digest = push_component(&writer, "p", "1").await;
    sign_with(&writer, &digest, &key).await;
    let proxy = misbehaving(&registry.address, |_| None).await;
    let credentials = Credentials::basic(&proxy.address, "user", "password");
    // A fresh source whose very first question is for the referrers would be the trap.
    let source = source_as(&proxy.address, "plugin", &credentials);
    accept(&source, &digest, &enforce(vec![authority("us", &key)])).await.unwrap();
    let referrers = proxy.asked("/referrers/");
    assert!(!referrers.is_empty() && referrers.iter().all(|asked| asked.authorization.is_some()), "{referrers:?}");
}

#[tokio::test]
async fn trap_4_referrers_are_asked_for_without_filter_page_by_page_and_bounded() {
    let registry = Registry::with_referrers().await;
    let direct = source(&registry.address, "plugin");
    let key = SigningKey::generate();
    let digest = push_component(&direct, "p", "1").await;
    sign_with(&direct, &digest, &key).await;
    let whole = reqwest::get(format!("http://{}/v2/plugin/referrers/{digest}", registry.address)).await.unwrap();
    let whole = whole.bytes().await.unwrap().to_vec();

    // The good signature is on the second page.
    let proxy = misbehaving(&registry.address, move |asked| {
        let index = vec![("content-type", "application/vnd.oci.image.index.v1+json".to_owned())];
        let first_page = br#"{"schemaVersion":2,"manifests":[{"junk":true}]}"#.to_vec();
        if !asked.path.contains("/referrers/") {
            return None;
        }
        if asked.path.contains("page=2") {
            return Some(Misbehaviour::Answer(200, index, whole.clone()));
        }
        let link = ("link", format!("<{}?page=2>; rel=\"next\"", asked.path));
        Some(Misbehaviour::Answer(200, [index, vec![link]].concat(), first_page))
    })
    .await;
    let trusted = enforce(vec![authority("us", &key)]);
    accept(&source(&proxy.address, "plugin"), &digest, &trusted).await.unwrap();
    assert!(proxy.asked("/referrers/").iter().all(|asked| !asked.path.contains("artifactType")));

    // A registry that has always one more page, and one with a flood of referrers.
    let endless = misbehaving(&registry.address, |asked| {
        let index = ("content-type", "application/vnd.oci.image.index.v1+json".to_owned());
        let link = ("link", format!("<{}?more>; rel=\"next\"", asked.path.split('?').next().unwrap()));
        let empty = br#"{"schemaVersion":2,"manifests":[]}"#.to_vec();
        asked.path.contains("/referrers/").then(|| Misbehaviour::Answer(200, vec![index, link], empty))
    })
    .await;
    assert_eq!(refused(&source(&endless.address, "plugin"), &digest, &trusted).await.0, "Unsigned");
    assert_eq!(endless.asked("/referrers/").len(), 100);

    let flood = misbehaving(&registry.address, |asked| {
        let entry = |n| {
            let digest = Digest::of(format!("{n}").as_bytes());
            serde_json::json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 2, "artifactType": BUNDLE})
        };
        let entries: Vec<_> = (0..1000).map(entry).collect();
        let body = serde_json::to_vec(&serde_json::json!({"schemaVersion": 2, "manifests": entries})).unwrap();
        let index = ("content-type", "application/vnd.oci.image.index.v1+json".to_owned());
        asked.path.contains("/referrers/").then(|| Misbehaviour::Answer(200, vec![index], body))
    })
    .await;
    let (reason, error) = refused(&source(&flood.address, "plugin"), &digest, &trusted).await;
    assert_eq!(reason, "NotASignature");
    assert!(error.to_string().contains("more referrers than are looked at"), "{error}");
    assert_eq!(flood.asked("/manifests/").iter().filter(|asked| !asked.path.ends_with(".sig")).count(), 65);
}

#[tokio::test]
async fn trap_5_connection_refused_is_told_as_such() {
    let registry = Registry::distribution().await;
    let source = source(&registry.address, "plugin");
    let digest = push_component(&source, "p", "1").await;
    registry.stop();
    let (reason, error) = refused(&source, &digest, &enforce(vec![authority("us", &SigningKey::generate())])).await;
    assert_eq!(reason, "RegistryUnreachable");
    assert!(error.is_transient());
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn trap_6_a_key_off_its_curve_is_refused_as_a_key() {
    let good = SigningKey::generate().public_key_pem().unwrap();
    let block = good.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    let mut der = engine.decode(block).unwrap();
    *der.last_mut().unwrap() ^= 1;
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", engine.encode(der));
    let registry = Registry::distribution().await;
    let source = source(&registry.address, "plugin");
    let digest = push_component(&source, "p", "1").await;
    let (reason, error) = refused(&source, &digest, &enforce(vec![authority_pem("us", pem)])).await;
    assert_eq!(reason, "InvalidKey");
    assert!(error.to_string().contains("not on the curve"), "{error}");
}

#[tokio::test]
async fn trap_7_a_registry_that_forgets_the_location_of_a_manifest_does_no_harm() {
    let registry = Registry::distribution().await;
    let key = SigningKey::generate();
    let digest = push_component(&source(&registry.address, "plugin"), "p", "1").await;
    let proxy = misbehaving(&registry.address, |asked| {
        (asked.method == "PUT" && asked.path.contains("/manifests/sha256:")).then_some(Misbehaviour::WithoutLocation)
    })
    .await;
    let source = source(&proxy.address, "plugin");
    sign_with(&source, &digest, &key).await;
    accept(&source, &digest, &enforce(vec![authority("us", &key)])).await.unwrap();
}

#[tokio::test]
async fn trap_9_junk_beside_a_good_signature_does_not_hide_it() {
    let registry = Registry::distribution().await;
    let (source, raw) = (source(&registry.address, "plugin"), Raw::new(&registry.address, "plugin"));
    let (key, stranger) = (SigningKey::generate(), SigningKey::generate());
    let digest = push_component(&source, "p", "1").await;
    let other = push_component(&source, "other", "2").await;
    sign_with(&source, &digest, &key).await;
    sign_with(&source, &digest, &stranger).await;
    sign_with(&source, &other, &key).await;
    let replayed = raw.bundles(&other).await.remove(0);
    let oversized = vec![b' '; 5 << 20];
    let nested = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    for junk in [b"".as_slice(), b"{}", b"\xff\xfe", b"[]", &replayed, &oversized, &nested] {
        raw.attach(&digest, BUNDLE, if junk.is_empty() { b" " } else { junk }).await;
    }
    raw.attach(&digest, "application/spdx+json", b"{}").await;
    let trusted = enforce(vec![authority("us", &key)]);
    accept(&source, &digest, &trusted).await.unwrap();

    // Without the good one, the junk is no excuse, and the telling reason wins over the noise.
    let alone = push_component(&source, "alone", "3").await;
    raw.attach(&alone, BUNDLE, b"{}").await;
    assert_eq!(refused(&source, &alone, &trusted).await.0, "NotASignature");
    raw.attach(&alone, BUNDLE, &replayed).await;
    assert_eq!(refused(&source, &alone, &trusted).await.0, "SignatureReplayed");
}

#[tokio::test]
async fn trap_9_a_referrer_that_cannot_be_read_now_is_no_unsigned() {
    let registry = Registry::distribution().await;
    let direct = source(&registry.address, "plugin");
    let key = SigningKey::generate();
    let digest = push_component(&direct, "p", "1").await;
    let signature = sign_with(&direct, &digest, &key).await;
    for (status, reason) in [(503, "RegistryUnavailable"), (429, "RegistryThrottled"), (403, "RegistryForbidden")] {
        let path = signature.to_string();
        let proxy = misbehaving(&registry.address, move |asked| asked.path.ends_with(&path).then_some(Misbehaviour::Status(status))).await;
        let trusted = enforce(vec![authority("us", &key)]);
        assert_eq!(refused(&source(&proxy.address, "plugin"), &digest, &trusted).await.0, reason);
    }
}
