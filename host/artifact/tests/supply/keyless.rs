//! Keyless signatures by the real cosign, certified by a real private Fulcio and timed by a real timestamp authority.

use banhbaoring_artifact::*;
use banhbaoring_testing::cosign::{self, TRUSTED_ROOT};
use banhbaoring_testing::sigstore::Sigstore;
use serde_json::{Value, json};

use crate::support::raw::{BUNDLE, Raw};
use crate::support::*;

const WHO: &str = "releases@acme.example";

/// A Sigstore, a registry, and a cosign that signs there.
struct Keyless {
    sigstore: Sigstore,
    cosign: Cosign,
    registry: Registry,
    source: Source,
}

impl Keyless {
    async fn new() -> Self {
        Self::on(Registry::distribution().await).await
    }

    async fn on(registry: Registry) -> Self {
        let (sigstore, cosign) = (Sigstore::start().await.unwrap(), Cosign::version3());
        for step in sigstore.preparation() {
            cosign.must(&step.iter().map(String::as_str).collect::<Vec<_>>()).await;
        }
        let source = source(&registry.address, "plugin");
        Self { sigstore, cosign, registry, source }
    }

    async fn push(&self, label: &str) -> Digest {
        push_component(&self.source, label, label).await
    }

    fn reference(&self, digest: &Digest) -> String {
        format!("{}/plugin@{digest}", self.registry.address)
    }

    async fn sign(&self, digest: &Digest) {
        let token = self.sigstore.identity_token(WHO).unwrap();
        self.cosign.must(&cosign::sign_keyless(&token, &self.reference(digest))).await;
    }

    async fn push_signed(&self, label: &str) -> Digest {
        let digest = self.push(label).await;
        self.sign(&digest).await;
        digest
    }

    /// The bundle of the first signature of that artifact, changed and attached to a new one of its own.
    async fn forged(&self, signed: &Digest, label: &str, change: impl FnOnce(&mut Value, &Digest)) -> Digest {
        let raw = Raw::new(&self.registry.address, "plugin");
        let mut bundle: Value = serde_json::from_slice(&raw.bundles(signed).await[0]).unwrap();
        let forged = self.push(label).await;
        change(&mut bundle, &forged);
        raw.attach(&forged, BUNDLE, &serde_json::to_vec(&bundle).unwrap()).await;
        forged
    }

    /// The same bundle, changed, in another registry where nothing else speaks for the artifact.
    async fn changed(&self, signed: &Digest, label: &str, change: impl FnOnce(&mut Value)) -> (Registry, Source) {
        let mut bundle: Value = serde_json::from_slice(&Raw::new(&self.registry.address, "plugin").bundles(signed).await[0]).unwrap();
        change(&mut bundle);
        let registry = Registry::distribution().await;
        let copy = source(&registry.address, "plugin");
        assert_eq!(push_component(&copy, label, label).await, *signed);
        Raw::new(&registry.address, "plugin").attach(signed, BUNDLE, &serde_json::to_vec(&bundle).unwrap()).await;
        (registry, copy)
    }

    fn trust_root(&self) -> Value {
        serde_json::from_slice(&self.cosign.read(TRUSTED_ROOT)).unwrap()
    }

    fn trusting(&self, subject: Subject) -> Vec<Requirement> {
        self.rooted_in(&self.trust_root(), subject)
    }

    fn rooted_in(&self, root: &Value, subject: Subject) -> Vec<Requirement> {
        let identity = Identity { issuer: self.sigstore.issuer().to_owned(), subject };
        enforce(vec![keyless(vec![identity], root.to_string())])
    }
}

fn keyless(identities: Vec<Identity>, trust_root: impl Into<Vec<u8>>) -> Authority {
    let kind = AuthorityKind::Keyless { identities, trust_root: trust_root.into(), ignore_transparency_log: false };
    Authority { name: "ci".to_owned(), kind }
}

fn exactly(subject: &str) -> Subject {
    Subject::Exact(subject.to_owned())
}

fn like(pattern: &str) -> Subject {
    Subject::Pattern(pattern.to_owned())
}

#[tokio::test]
async fn a_keyless_signature_by_the_real_cosign_is_accepted_on_both_registries() {
    for registry in Registry::both().await {
        let on = Keyless::on(registry).await;
        let digest = on.push_signed("p").await;
        let verified = on.cosign.run(&cosign::verify_keyless(on.sigstore.issuer(), WHO, &on.reference(&digest))).await;
        assert!(verified.status.success(), "cosign does not accept its own: {}", String::from_utf8_lossy(&verified.stderr));
        for subject in [exactly(WHO), like(r".*@acme\.example"), like("nobody|releases@acme.example")] {
            let (verification, component) = accept(&on.source, &digest, &on.trusting(subject)).await.unwrap();
            assert_eq!(forms(&verification), [Form::Bundle]);
            assert_eq!(component.artifact(), digest);
        }
        let by = verify_digest(&on.source, &digest, &on.trusting(exactly(WHO))[0]).await.unwrap();
        assert!(matches!(by, Verification::Accepted(by) if by[0].authority == "ci"));
    }
}

#[tokio::test]
async fn a_certificate_of_another_subject_or_another_issuer_is_refused_as_wrong_identity() {
    let on = Keyless::new().await;
    let digest = on.push_signed("p").await;
    for subject in [exactly("releases@acme.example.evil.test"), like("releases@acme"), like(r"cme\.example"), like("RELEASES@acme.example")]
    {
        let (reason, error) = refused(&on.source, &digest, &on.trusting(subject.clone())).await;
        assert_eq!(reason, "WrongIdentity", "{subject:?}: {error}");
    }
    for issuer in ["https://issuer.example", &on.sigstore.issuer()[..on.sigstore.issuer().len() - 1]] {
        let identity = Identity { issuer: issuer.to_owned(), subject: exactly(WHO) };
        let (reason, error) = refused(&on.source, &digest, &enforce(vec![keyless(vec![identity], on.trust_root().to_string())])).await;
        assert_eq!(reason, "WrongIdentity", "{issuer}: {error}");
    }
    let (mut warn, wrong) = (on.trusting(exactly("nobody@acme.example")), on.trusting(exactly("nobody@acme.example")));
    warn[0].mode = Mode::Warn;
    let (verification, _) = accept(&on.source, &digest, &warn).await.unwrap();
    assert!(matches!(verification, Verification::Warned { why, .. } if why.reason() == "WrongIdentity"));

    // One of several candidates is enough, and none excuses another requirement.
    on.cosign.must(&cosign::sign_keyless(&on.sigstore.identity_token("nobody@acme.example").unwrap(), &on.reference(&digest))).await;
    accept(&on.source, &digest, &wrong).await.unwrap();
    let both = [on.trusting(exactly(WHO)), on.trusting(exactly("third@acme.example"))].concat();
    assert_eq!(refused(&on.source, &digest, &both).await.0, "WrongIdentity");
}

#[tokio::test]
async fn a_certificate_by_another_fulcio_is_refused_and_so_is_the_time_of_another_authority() {
    let (on, other) = (Keyless::new().await, Keyless::new().await);
    let digest = on.push_signed("p").await;
    let mut root = on.trust_root();
    root["certificateAuthorities"] = other.trust_root()["certificateAuthorities"].clone();
    let (reason, error) = refused(&on.source, &digest, &on.rooted_in(&root, exactly(WHO))).await;
    assert_eq!(reason, "UntrustedCertificate", "{error}");

    let mut root = on.trust_root();
    root["timestampAuthorities"] = other.trust_root()["timestampAuthorities"].clone();
    let (reason, error) = refused(&on.source, &digest, &on.rooted_in(&root, exactly(WHO))).await;
    assert_eq!(reason, "NoTrustedTime", "{error}");

    // An authority whose time was over before the signature was made.
    let mut root = on.trust_root();
    root["certificateAuthorities"][0]["validFor"] = json!({"start": "2020-01-01T00:00:00Z", "end": "2021-01-01T00:00:00Z"});
    assert_eq!(refused(&on.source, &digest, &on.rooted_in(&root, exactly(WHO))).await.0, "UntrustedCertificate");
}

#[tokio::test]
async fn a_signature_without_a_timestamp_is_refused_although_its_certificate_is_good_now() {
    let on = Keyless::new().await;
    let digest = on.push_signed("p").await;
    let (_registry, copy) = on
        .changed(&digest, "p", |bundle| {
            let removed = bundle["verificationMaterial"].as_object_mut().unwrap().remove("timestampVerificationData");
            assert!(removed.is_some(), "{bundle}");
        })
        .await;
    let (reason, error) = refused(&copy, &digest, &on.trusting(exactly(WHO))).await;
    assert_eq!(reason, "NoTrustedTime", "{error}");
}

#[tokio::test]
async fn a_signature_that_no_log_knows_is_refused_where_the_trust_root_names_one_unless_that_is_waived() {
    let on = Keyless::new().await;
    let digest = on.push_signed("p").await;
    let key = rcgen::KeyPair::generate().unwrap();
    use base64::Engine as _;
    use rcgen::PublicKeyData as _;
    let engine = base64::engine::general_purpose::STANDARD;
    let mut root = on.trust_root();
    root["tlogs"] = json!([{"baseUrl": "https://rekor.example", "hashAlgorithm": "SHA2_256", "logId": {"keyId": engine.encode([7; 32])},
        "publicKey": {"rawBytes": engine.encode(key.subject_public_key_info()), "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "validFor": {"start": "2024-01-01T00:00:00Z"}}}]);
    let mut logged = on.rooted_in(&root, exactly(WHO));
    let (reason, error) = refused(&on.source, &digest, &logged).await;
    assert_eq!(reason, "NotLogged", "{error}");
    let AuthorityKind::Keyless { ignore_transparency_log, .. } = &mut logged[0].authorities[0].kind else { unreachable!() };
    *ignore_transparency_log = true;
    accept(&on.source, &digest, &logged).await.unwrap();
    // The same for logs of certificates: this one never saw ours.
    root["ctlogs"] = root["tlogs"].take();
    root["tlogs"] = json!([]);
    assert_eq!(refused(&on.source, &digest, &on.rooted_in(&root, exactly(WHO))).await.0, "UntrustedCertificate");
}

#[tokio::test]
async fn a_keyless_signature_that_was_changed_or_is_of_another_artifact_is_refused() {
    let on = Keyless::new().await;
    let good = on.push_signed("good").await;
    let replayed = on.forged(&good, "replayed", |_, _| {}).await;
    let (reason, error) = refused(&on.source, &replayed, &on.trusting(exactly(WHO))).await;
    assert_eq!(reason, "SignatureReplayed", "{error}");
    // Of somebody else: what they signed is not the story.
    assert_eq!(refused(&on.source, &replayed, &on.trusting(exactly("other@acme.example"))).await.0, "WrongIdentity");

    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    let tampered = on.forged(&good, "tampered", |bundle, forged| {
        let payload = engine.decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap()).unwrap();
        let payload = String::from_utf8(payload).unwrap().replace(&good.hex(), &forged.hex());
        bundle["dsseEnvelope"]["payload"] = json!(engine.encode(payload));
    });
    let (reason, error) = refused(&on.source, &tampered.await, &on.trusting(exactly(WHO))).await;
    assert_eq!(reason, "SignatureTampered", "{error}");

    // Another signature by the same key would need another timestamp.
    let resigned = on.forged(&good, "resigned", |bundle, _| {
        let mut signature = engine.decode(bundle["dsseEnvelope"]["signatures"][0]["sig"].as_str().unwrap()).unwrap();
        *signature.last_mut().unwrap() ^= 1;
        bundle["dsseEnvelope"]["signatures"][0]["sig"] = json!(engine.encode(signature));
    });
    assert_eq!(refused(&on.source, &resigned.await, &on.trusting(exactly(WHO))).await.0, "NoTrustedTime");
}

#[tokio::test]
async fn a_keyless_attestation_is_not_a_signature() {
    let on = Keyless::new().await;
    let digest = on.push("p").await;
    let predicate = on.cosign.write("predicate.json", r#"{"checked": true}"#);
    let token = on.sigstore.identity_token(WHO).unwrap();
    on.cosign.must(&cosign::attest_keyless(&token, &predicate, &on.reference(&digest))).await;
    let (reason, error) = refused(&on.source, &digest, &on.trusting(exactly(WHO))).await;
    assert_eq!(reason, "AttestationOnly", "{error}");
    // Beside one, a signature counts.
    on.sign(&digest).await;
    accept(&on.source, &digest, &on.trusting(exactly(WHO))).await.unwrap();
}

#[tokio::test]
async fn a_key_takes_no_keyless_signature_and_an_identity_none_by_a_key() {
    let on = Keyless::new().await;
    let digest = on.push_signed("p").await;
    let key = SigningKey::generate();
    let by_key = enforce(vec![authority("platform-team", &key)]);
    let (reason, error) = refused(&on.source, &digest, &by_key).await;
    assert_eq!(reason, "KeylessSignature", "{error}");

    let second = on.push("second").await;
    sign_with(&on.source, &second, &key).await;
    let (reason, error) = refused(&on.source, &second, &on.trusting(like(".*"))).await;
    assert_eq!(reason, "KeySignature", "{error}");

    // Either of two authorities is enough; two requirements need both.
    let either = enforce([by_key[0].authorities.clone(), on.trusting(exactly(WHO))[0].authorities.clone()].concat());
    for digest in [&digest, &second] {
        accept(&on.source, digest, &either).await.unwrap();
    }
    let both = [by_key, on.trusting(exactly(WHO))].concat();
    assert_eq!(refused(&on.source, &second, &both).await.0, "KeySignature");
    on.sign(&second).await;
    accept(&on.source, &second, &both).await.unwrap();
}

#[tokio::test]
async fn a_keyless_sig_tag_is_refused_as_the_older_form() {
    let on = Keyless::new().await;
    let digest = on.push("p").await;
    let token = on.sigstore.identity_token(WHO).unwrap();
    let reference = on.reference(&digest);
    let sign = cosign::sign_keyless_legacy(on.sigstore.fulcio_url(), &on.sigstore.timestamp_url(), &token, &reference);
    on.cosign.must(&sign.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let (reason, error) = refused(&on.source, &digest, &on.trusting(exactly(WHO))).await;
    assert_eq!(reason, "LegacyKeylessSignature", "{error}");
    let by_key = enforce(vec![authority("platform-team", &SigningKey::generate())]);
    assert_eq!(refused(&on.source, &digest, &by_key).await.0, "KeylessSignature");
}

#[tokio::test]
async fn a_trust_root_that_nothing_can_be_verified_with_is_named_as_the_reason() {
    let on = Keyless::new().await;
    let digest = on.push_signed("p").await;
    let good = on.trust_root();
    let without = |field: &str| {
        let mut root = good.clone();
        root.as_object_mut().unwrap().remove(field);
        root.to_string()
    };
    let crowded = {
        let mut root = good.clone();
        root["certificateAuthorities"] = Value::Array(vec![root["certificateAuthorities"][0].clone(); 100]);
        root.to_string()
    };
    let mut broken = good.clone();
    broken["certificateAuthorities"][0]["certChain"]["certificates"][0]["rawBytes"] = json!("AAAA");
    let deep = format!(r#"{{"mediaType": {}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let long = format!("{good}{}", " ".repeat(256 << 10));
    let (no_ca, no_time) = (without("certificateAuthorities"), without("timestampAuthorities"));
    let roots =
        ["", "null", "nonsense", "{}", "\u{0}", &no_ca, &no_time, &crowded, &broken.to_string(), &deep, &long].map(ToOwned::to_owned);
    for root in roots {
        let identity = Identity { issuer: on.sigstore.issuer().to_owned(), subject: exactly(WHO) };
        let (reason, error) = refused(&on.source, &digest, &enforce(vec![keyless(vec![identity], root.clone())])).await;
        assert_eq!(reason, "InvalidTrustRoot", "{error} of {:.80}", root);
        assert!(error.to_string().contains("cosign trusted-root create") && error.to_string().len() < 1024, "{error}");
    }
    let unusable = |identities| enforce(vec![keyless(identities, good.to_string())]);
    assert_eq!(refused(&on.source, &digest, &unusable(Vec::new())).await.0, "InvalidIdentity");
    let climbing = Identity { issuer: on.sigstore.issuer().to_owned(), subject: like("a)|(?:.*") };
    assert_eq!(refused(&on.source, &digest, &unusable(vec![climbing])).await.0, "InvalidIdentity");
}

#[tokio::test]
async fn a_keyless_signature_survives_a_restart_with_the_registry_and_the_sigstore_down() {
    let on = Keyless::new().await;
    let digest = on.push_signed("p").await;
    let trusted = on.trusting(exactly(WHO));
    let verified = Artifact::fetch(&on.source, &digest, Limits::default()).await.unwrap().verify(&trusted).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    ContentStore::open(&root).unwrap().save(&verified, &verified.pull().await.unwrap()).await.unwrap();
    let nobody = on.trusting(exactly("nobody@acme.example"));
    drop(on);
    let kept = || async { ContentStore::open(&root).unwrap().load(&digest, Limits::default()).await.unwrap() };
    kept().await.verify(&trusted).await.unwrap();
    assert_eq!(kept().await.verify(&nobody).await.unwrap_err().reason(), "WrongIdentity");
}
