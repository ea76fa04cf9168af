//! What is not signed as it should be is refused, each case with its own reason, and the version that was active goes on serving.

use banhbaoring_artifact::{Digest, SigningKey};
use banhbaoring_testing::cosign::Cosign;
use banhbaoring_tests::objects;

use crate::case::{Case, trusting};
use crate::{both_registries, stage};

#[tokio::test]
async fn an_unsigned_version_is_refused_until_somebody_signs_it() {
    for (kind, registry) in both_registries().await {
        let case = Case::on(stage().await, &format!("unsigned-{kind}"), &registry).await;
        let first = case.first_version().await;
        let unsigned = case.push("2.0.0").await;
        case.apply("2.0.0").await;
        let plugin = case.until_refused("Verified", "Unsigned", &first).await;
        assert!(objects::message(&plugin, "Verified").contains("platform-team"), "{plugin}");
        let later = objects::condition(&plugin, "Loaded").unwrap();
        assert_eq!((&later["status"], &later["reason"]), (&"Unknown".into(), &"NotReached".into()));

        case.repository.sign(&unsigned, &case.key).await.unwrap();
        case.until_active(&unsigned).await;
    }
}

#[tokio::test]
async fn a_plugin_without_any_good_version_does_not_serve_at_all() {
    let case = Case::new(stage().await, "never-signed").await;
    case.push("1.0.0").await;
    case.apply("1.0.0").await;
    let plugin = case.until(&[("Verified", "False", "Unsigned"), ("Ready", "False", "Unsigned")]).await;
    assert!(plugin["status"]["active"].is_null(), "{plugin}");
}

#[tokio::test]
async fn a_version_signed_with_another_key_is_refused() {
    let case = Case::new(stage().await, "wrong-key").await;
    let first = case.first_version().await;
    let foreign = case.push("2.0.0").await;
    case.repository.sign(&foreign, &SigningKey::generate()).await.unwrap();
    case.apply("2.0.0").await;
    case.until_refused("Verified", "WrongKey", &first).await;
}

#[tokio::test]
async fn a_layer_that_was_changed_in_the_registry_is_refused() {
    let stage = stage().await;
    let case = Case::new(stage, "tampered").await;
    let first = case.first_version().await;
    let second = case.push_signed("2.0.0").await;
    let layer = Digest::of(&case.component("2.0.0"));
    let blob = format!("docker/registry/v2/blobs/sha256/{}/{}/data", &layer.hex()[..2], layer.hex());
    let file = stage.publisher.registry.storage().join(blob);
    let whole = std::fs::read(&file).unwrap();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(&file, changed).unwrap();
    case.apply("2.0.0").await;
    let plugin = case.until_refused("Loaded", "DigestMismatch", &first).await;
    assert!(objects::message(&plugin, "Loaded").contains(&layer.to_string()), "{plugin}");

    std::fs::write(&file, whole).unwrap();
    case.until_active(&second).await;
}

#[tokio::test]
async fn a_bundle_of_another_image_is_refused_as_replayed() {
    let case = Case::new(stage().await, "replayed-bundle").await;
    let first = case.first_version().await;
    let evil = case.push("2.0.0").await;
    let referrers = |digest: &Digest| format!("sha256-{}", digest.hex());
    case.repository.copy_tag(&referrers(&first), &referrers(&evil)).await.unwrap();
    case.apply("2.0.0").await;
    case.until_refused("Verified", "SignatureReplayed", &first).await;
}

#[tokio::test]
async fn a_sig_tag_of_another_image_is_refused_as_replayed() {
    let cosign = Cosign::version2().await.unwrap();
    let mut case = Case::new(stage().await, "replayed-sig-tag").await;
    let first = case.push("1.0.0").await;
    cosign.sign_legacy(&case.repository.reference(&first)).await.unwrap();
    case.verify = trusting(&cosign.public_key().unwrap());
    case.apply("1.0.0").await;
    case.until_active(&first).await;
    let evil = case.push("2.0.0").await;
    let signatures = |digest: &Digest| format!("sha256-{}.sig", digest.hex());
    case.repository.copy_tag(&signatures(&first), &signatures(&evil)).await.unwrap();
    case.apply("2.0.0").await;
    case.until_refused("Verified", "SignatureReplayed", &first).await;
}

#[tokio::test]
async fn a_version_with_an_attestation_only_is_refused_although_cosign_accepts_it() {
    let cosign = Cosign::version3().await.unwrap();
    let mut case = Case::new(stage().await, "attested").await;
    let first = case.push("1.0.0").await;
    cosign.sign_bundle(&case.repository.reference(&first)).await.unwrap();
    case.verify = trusting(&cosign.public_key().unwrap());
    case.apply("1.0.0").await;
    case.until_active(&first).await;
    let attested = case.repository.reference(&case.push("2.0.0").await);
    cosign.attest(&attested).await.unwrap();
    cosign.verify(&attested).await.expect("cosign mended this: the trap is gone");
    case.apply("2.0.0").await;
    case.until_refused("Verified", "AttestationOnly", &first).await;
}
