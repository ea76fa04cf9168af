//! Which signatures count: the real cosign in both forms, ours, and everything that looks like one.

use banhbaoring_artifact::*;

use crate::support::raw::{BUNDLE, Raw};
use crate::support::*;

#[tokio::test]
async fn a_bundle_by_the_real_cosign_3_is_accepted_on_registries_with_and_without_the_referrers_api() {
    let cosign = Cosign::version3();
    let (private, public) = cosign.key_pair("k").await;
    for registry in Registry::both().await {
        let source = source(&registry.address, "team/plugin");
        let digest = push_component(&source, "a", "1.0.0").await;
        cosign.sign_bundle(&private, &format!("{}/team/plugin@{digest}", registry.address)).await;

        let trusted = enforce(vec![authority_pem("platform-team", cosign.read(&public))]);
        let (verification, pulled) = accept(&source, &digest, &trusted).await.unwrap();
        let by = VerifiedBy { requirement: "Plugin".to_owned(), authority: "platform-team".to_owned(), form: Form::Bundle };
        assert_eq!(verification, Verification::Accepted(vec![by]));
        assert_eq!(pulled.bytes(), component("a"));
        assert_eq!(pulled.digest(), Digest::of(&component("a")));
        assert_eq!(pulled.artifact(), digest);
    }
}

#[tokio::test]
async fn a_sig_tag_by_the_real_cosign_2_and_3_is_accepted() {
    for (index, cosign) in [Cosign::version2(), Cosign::version3()].into_iter().enumerate() {
        let (private, public) = cosign.key_pair("k").await;
        for registry in Registry::both().await {
            let source = source(&registry.address, "team/plugin");
            let digest = push_component(&source, &format!("legacy{index}"), "1.0.0").await;
            cosign.sign_legacy(&private, &format!("{}/team/plugin@{digest}", registry.address)).await;

            let trusted = enforce(vec![authority_pem("platform-team", cosign.read(&public))]);
            let (verification, _) = accept(&source, &digest, &trusted).await.unwrap();
            assert_eq!(forms(&verification), [Form::SimpleSigning]);
        }
    }
}

#[tokio::test]
async fn rsa_keys_that_cosign_can_use_are_accepted_in_both_forms() {
    let cosign = Cosign::version3();
    let registry = Registry::distribution().await;
    let source = source(&registry.address, "rsa");
    for size in [rcgen::RsaKeySize::_2048, rcgen::RsaKeySize::_3072, rcgen::RsaKeySize::_4096] {
        let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).unwrap();
        let name = format!("rsa{size:?}").to_lowercase();
        let pem = cosign.write(&format!("{name}.pem"), key.serialize_pem());
        cosign.must(&["import-key-pair", "--key", &pem, "--output-key-prefix", &name]).await;
        for legacy in [false, true] {
            let digest = push_component(&source, &format!("{name}{legacy}"), "x").await;
            let reference = format!("{}/rsa@{digest}", registry.address);
            let private = format!("{name}.key");
            if legacy {
                cosign.sign_legacy(&private, &reference).await;
            } else {
                cosign.sign_bundle(&private, &reference).await;
            }
            let trusted = enforce(vec![authority_pem("rsa", cosign.read(&format!("{name}.pub")))]);
            accept(&source, &digest, &trusted).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_we_sign_the_real_cosign_verifies_on_both_registries() {
    let cosign = Cosign::version3();
    let key = SigningKey::generate();
    let public = cosign.write("k.pub", key.public_key_pem().unwrap());
    let other = cosign.write("other.pub", SigningKey::generate().public_key_pem().unwrap());
    for registry in Registry::both().await {
        let source = source(&registry.address, "team/plugin");
        let digest = push_component(&source, "ours", "1.0.0").await;
        let reference = format!("{}/team/plugin@{digest}", registry.address);
        assert!(!cosign.verify(&public, &reference).await.status.success(), "cosign accepts unsigned artifacts");

        let first = sign_with(&source, &digest, &key).await;
        assert_eq!(first, sign_with(&source, &digest, &key).await, "signing twice writes two signatures");
        let output = cosign.verify(&public, &reference).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!cosign.verify(&other, &reference).await.status.success(), "cosign accepts any key");

        let (verification, _) = accept(&source, &digest, &enforce(vec![authority("us", &key)])).await.unwrap();
        assert_eq!(forms(&verification), [Form::Bundle]);
    }
}

#[tokio::test]
async fn a_key_that_cosign_made_opens_here_and_one_that_we_made_opens_there() {
    let cosign = Cosign::version3();
    let (private, public) = cosign.key_pair("theirs").await;
    let theirs = SigningKey::open(&cosign.read(&private), PASSWORD.as_bytes()).unwrap();
    assert_eq!(theirs.public_key_pem().unwrap().as_bytes(), cosign.read(&public));

    let ours = SigningKey::generate();
    cosign.write("ours.key", ours.seal(PASSWORD.as_bytes()).unwrap());
    let printed = cosign.must(&["public-key", "--key", "ours.key"]).await;
    assert!(printed.contains(ours.public_key_pem().unwrap().trim()), "{printed}");

    let registry = Registry::distribution().await;
    let source = source(&registry.address, "plugin");
    let digest = push_component(&source, "p", "1").await;
    cosign.sign_bundle("ours.key", &format!("{}/plugin@{digest}", registry.address)).await;
    accept(&source, &digest, &enforce(vec![authority("ours", &ours)])).await.unwrap();
}

#[tokio::test]
async fn an_unsigned_artifact_is_refused_as_unsigned() {
    for registry in Registry::both().await {
        let source = source(&registry.address, "plugin");
        let digest = push_component(&source, "p", "1").await;
        let trusted = enforce(vec![authority("platform-team", &SigningKey::generate())]);
        let (reason, error) = refused(&source, &digest, &trusted).await;
        assert_eq!(reason, "Unsigned");
        assert!(error.to_string().contains("platform-team"), "{error}");
    }
}

#[tokio::test]
async fn a_signature_by_another_key_is_refused_as_wrong_key_in_both_forms() {
    let cosign = Cosign::version3();
    let (private, _) = cosign.key_pair("k").await;
    let registry = Registry::distribution().await;
    let source = source(&registry.address, "plugin");
    let trusted = enforce(vec![authority("platform-team", &SigningKey::generate())]);
    let bundled = push_component(&source, "bundled", "1").await;
    cosign.sign_bundle(&private, &format!("{}/plugin@{bundled}", registry.address)).await;
    let legacy = push_component(&source, "legacy", "2").await;
    cosign.sign_legacy(&private, &format!("{}/plugin@{legacy}", registry.address)).await;
    for digest in [bundled, legacy] {
        let (reason, error) = refused(&source, &digest, &trusted).await;
        assert_eq!(reason, "WrongKey", "{error}");
    }
}

#[tokio::test]
async fn a_signature_of_another_artifact_is_refused_as_replayed_in_both_forms() {
    let cosign = Cosign::version3();
    let (private, public) = cosign.key_pair("k").await;
    let registry = Registry::distribution().await;
    let (source, raw) = (source(&registry.address, "plugin"), Raw::new(&registry.address, "plugin"));
    let trusted = enforce(vec![authority_pem("platform-team", cosign.read(&public))]);
    let good = push_component(&source, "good", "1").await;
    cosign.sign_bundle(&private, &format!("{}/plugin@{good}", registry.address)).await;
    cosign.sign_legacy(&private, &format!("{}/plugin@{good}", registry.address)).await;

    let evil = push_component(&source, "evil", "2").await;
    for bundle in raw.bundles(&good).await {
        raw.attach(&evil, BUNDLE, &bundle).await;
    }
    assert_eq!(refused(&source, &evil, &trusted).await.0, "SignatureReplayed");

    let evil = push_component(&source, "evil by tag", "3").await;
    let signatures = raw.manifest(&format!("sha256-{}.sig", good.hex())).await;
    raw.put_manifest(Some(&format!("sha256-{}.sig", evil.hex())), &signatures).await;
    assert_eq!(refused(&source, &evil, &trusted).await.0, "SignatureReplayed");
}

#[tokio::test]
async fn an_artifact_with_an_attestation_only_is_refused_although_cosign_accepts_it() {
    let cosign = Cosign::version3();
    let (private, public) = cosign.key_pair("k").await;
    for registry in Registry::both().await {
        let source = source(&registry.address, "plugin");
        let digest = push_component(&source, "p", "1").await;
        cosign.attest(&private, &format!("{}/plugin@{digest}", registry.address)).await;
        let reference = format!("{}/plugin@{digest}", registry.address);
        assert!(cosign.verify(&public, &reference).await.status.success(), "cosign mended this: the trap is gone");
        let trusted = enforce(vec![authority_pem("platform-team", cosign.read(&public))]);
        let (reason, error) = refused(&source, &digest, &trusted).await;
        assert_eq!(reason, "AttestationOnly", "{error}");
    }
}

#[tokio::test]
async fn a_changed_signature_is_refused_as_tampered() {
    let registry = Registry::distribution().await;
    let (source, raw) = (source(&registry.address, "plugin"), Raw::new(&registry.address, "plugin"));
    let key = SigningKey::generate();
    let good = push_component(&source, "good", "1").await;
    sign_with(&source, &good, &key).await;
    let evil = push_component(&source, "evil", "2").await;
    let mut bundle: serde_json::Value = serde_json::from_slice(&raw.bundles(&good).await[0]).unwrap();
    let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    let statement = String::from_utf8(engine.decode(payload).unwrap()).unwrap();
    let statement = statement.replace(&good.hex(), &evil.hex());
    bundle["dsseEnvelope"]["payload"] = serde_json::json!(engine.encode(statement));
    raw.attach(&evil, BUNDLE, &serde_json::to_vec(&bundle).unwrap()).await;
    let (reason, error) = refused(&source, &evil, &enforce(vec![authority("us", &key)])).await;
    assert_eq!(reason, "SignatureTampered", "{error}");
}

#[tokio::test]
async fn every_requirement_must_be_met_and_one_good_signature_excuses_no_other() {
    let registry = Registry::distribution().await;
    let source = source(&registry.address, "plugin");
    let (first, second) = (SigningKey::generate(), SigningKey::generate());
    let digest = push_component(&source, "p", "1").await;
    sign_with(&source, &digest, &first).await;
    let both = |mode| {
        let policy = Requirement { name: "policy security".to_owned(), authorities: vec![authority("security", &second)], mode };
        vec![requirement(Mode::Enforce, vec![authority("platform-team", &first)]), policy]
    };
    let (reason, error) = refused(&source, &digest, &both(Mode::Enforce)).await;
    assert_eq!(reason, "WrongKey");
    assert!(error.to_string().contains("policy security") && error.to_string().contains("security"), "{error}");
    assert_eq!(refused(&source, &digest, &both(Mode::Warn)).await.0, "WrongKey", "the strictest mode must win");

    let either = vec![authority("security", &second), authority("platform-team", &first)];
    accept(&source, &digest, &enforce(either)).await.expect("one of a requirement's authorities is enough");

    sign_with(&source, &digest, &second).await;
    let (verification, _) = accept(&source, &digest, &both(Mode::Enforce)).await.unwrap();
    assert_eq!(forms(&verification), [Form::Bundle, Form::Bundle]);
}

#[tokio::test]
async fn requirements_may_be_met_by_different_forms() {
    let cosign = Cosign::version3();
    let (private, public) = cosign.key_pair("k").await;
    let registry = Registry::distribution().await;
    let source = source(&registry.address, "plugin");
    let ours = SigningKey::generate();
    let digest = push_component(&source, "p", "1").await;
    sign_with(&source, &digest, &ours).await;
    cosign.sign_legacy(&private, &format!("{}/plugin@{digest}", registry.address)).await;
    let mut both = enforce(vec![authority_pem("legacy", cosign.read(&public))]);
    both.extend(enforce(vec![authority("ours", &ours)]));
    let (verification, _) = accept(&source, &digest, &both).await.unwrap();
    assert_eq!(forms(&verification), [Form::SimpleSigning, Form::Bundle]);
}

#[tokio::test]
async fn warn_lets_pass_and_says_why_it_should_not() {
    let registry = Registry::distribution().await;
    let source = source(&registry.address, "plugin");
    let digest = push_component(&source, "p", "1").await;
    let warn = vec![requirement(Mode::Warn, vec![authority("platform-team", &SigningKey::generate())])];
    let (verification, _) = accept(&source, &digest, &warn).await.unwrap();
    let Verification::Warned { met, why } = verification else { panic!("accepted: {verification:?}") };
    assert!(met.is_empty());
    assert_eq!(why.reason(), "Unsigned");
    assert_eq!(refused(&source, &digest, &[]).await.0, "NoAuthority");
}

#[tokio::test]
async fn keys_that_cosign_cannot_verify_with_are_refused_with_that_reason() {
    let registry = Registry::distribution().await;
    let source = source(&registry.address, "plugin");
    let digest = push_component(&source, "p", "1").await;
    let p521 = &rcgen::PKCS_ECDSA_P521_SHA512;
    for (kind, named) in [(&rcgen::PKCS_ECDSA_P384_SHA384, "P-384"), (&rcgen::PKCS_ED25519, "Ed25519"), (p521, "")] {
        let pem = rcgen::KeyPair::generate_for(kind).unwrap().public_key_pem();
        let (reason, error) = refused(&source, &digest, &enforce(vec![authority_pem("team", pem)])).await;
        assert_eq!(reason, "UnsupportedKey", "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
    for pem in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert_eq!(refused(&source, &digest, &enforce(vec![authority_pem("team", pem)])).await.0, "InvalidKey");
    }
    assert_eq!(refused(&source, &digest, &enforce(Vec::new())).await.0, "NoAuthority");
}

#[tokio::test]
async fn a_log_entry_in_a_bundle_neither_helps_nor_harms_a_signature_by_a_key() {
    let registry = Registry::distribution().await;
    let (source, raw) = (source(&registry.address, "plugin"), Raw::new(&registry.address, "plugin"));
    let key = SigningKey::generate();
    let other = push_component(&source, "other", "1").await;
    let entry = serde_json::json!([{"logIndex": "1", "logId": {"keyId": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
        "kindVersion": {"kind": "dsse", "version": "0.0.1"}, "integratedTime": "1700000000",
        "inclusionPromise": {"signedEntryTimestamp": "AAAA"}, "canonicalizedBody": "e30="}]);
    for (label, signer, expected) in [("good", &key, None), ("bad", &SigningKey::generate(), Some("WrongKey"))] {
        let digest = push_component(&source, label, label).await;
        sign_with(&source, &digest, signer).await;
        let mut bundle: serde_json::Value = serde_json::from_slice(&raw.bundles(&digest).await[0]).unwrap();
        bundle["verificationMaterial"]["tlogEntries"] = entry.clone();
        // A registry of its own, so that only the bundle with the entry is there.
        let second = Registry::distribution().await;
        let copy = crate::support::source(&second.address, "plugin");
        assert_eq!(push_component(&copy, label, label).await, digest);
        Raw::new(&second.address, "plugin").attach(&digest, BUNDLE, &serde_json::to_vec(&bundle).unwrap()).await;
        let found = accept(&copy, &digest, &enforce(vec![authority("us", &key)])).await;
        assert_eq!(found.err().map(|error| error.reason()), expected);
    }
    assert_eq!(refused(&source, &other, &enforce(vec![authority("us", &key)])).await.0, "Unsigned");
}
