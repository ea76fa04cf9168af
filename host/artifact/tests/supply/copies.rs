//! Signatures that were made for the same digest in another repository and came along to ours, as a mirror brings them.
//!
//! A signature binds the digest: a version 3 bundle names no repository at all, and of the one in a version 2 payload cosign says itself that it is
//! a claim. So they count, or no mirror could be trusted; which keys count in which repository is what policies are for.

use banhbaoring_artifact::*;
use serde_json::Value;

use crate::support::raw::{BUNDLE, Raw};
use crate::support::*;

/// The same artifact in two repositories of a registry.
struct Mirror {
    registry: Registry,
    digest: Digest,
    theirs: Raw,
    ours: Raw,
    /// Where we pull from.
    source: Source,
}

impl Mirror {
    async fn new() -> Self {
        let registry = Registry::distribution().await;
        let digest = push_component(&source(&registry.address, "theirs/plugin"), "p", "1").await;
        let source = source(&registry.address, "ours/plugin");
        assert_eq!(push_component(&source, "p", "1").await, digest);
        let raw = |path: &str| Raw::new(&registry.address, path);
        let (theirs, ours) = (raw("theirs/plugin"), raw("ours/plugin"));
        Self { digest, theirs, ours, source, registry }
    }

    fn reference(&self, whose: &str) -> String {
        format!("{}/{whose}/plugin@{}", self.registry.address, self.digest)
    }

    /// Ours is unsigned yet, also for cosign.
    async fn is_unsigned(&self, cosign: &Cosign, public: &str, trusted: &[Requirement]) {
        assert!(!cosign.verify(public, &self.reference("ours")).await.status.success());
        assert_eq!(refused(&self.source, &self.digest, trusted).await.0, "Unsigned");
    }

    /// The copy counts, for cosign too, and for nobody who trusts another key.
    async fn counts(&self, cosign: &Cosign, public: &str, trusted: &[Requirement], form: Form) {
        let said = cosign.verify(public, &self.reference("ours")).await;
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        let (verification, _) = accept(&self.source, &self.digest, trusted).await.unwrap();
        assert_eq!(forms(&verification), [form]);
        let others = enforce(vec![authority("ours alone", &SigningKey::generate())]);
        assert_eq!(refused(&self.source, &self.digest, &others).await.0, "WrongKey");
    }
}

#[tokio::test]
async fn a_bundle_that_came_along_from_another_repository_counts_here_for_who_trusts_its_key() {
    let cosign = Cosign::version3();
    let (private, public) = cosign.key_pair("k").await;
    let trusted = enforce(vec![authority_pem("them", cosign.read(&public))]);
    let mirror = Mirror::new().await;
    cosign.sign_bundle(&private, &mirror.reference("theirs")).await;
    mirror.is_unsigned(&cosign, &public, &trusted).await;
    for bundle in mirror.theirs.bundles(&mirror.digest).await {
        mirror.ours.attach(&mirror.digest, BUNDLE, &bundle).await;
    }
    mirror.counts(&cosign, &public, &trusted, Form::Bundle).await;
}

#[tokio::test]
async fn a_sig_tag_that_came_along_counts_here_although_its_payload_names_the_other_repository() {
    let cosign = Cosign::version2();
    let (private, public) = cosign.key_pair("k").await;
    let trusted = enforce(vec![authority_pem("them", cosign.read(&public))]);
    let mirror = Mirror::new().await;
    cosign.sign_legacy(&private, &mirror.reference("theirs")).await;
    mirror.is_unsigned(&cosign, &public, &trusted).await;
    let tag = format!("sha256-{}.sig", mirror.digest.hex());
    mirror.ours.copy_from(&mirror.theirs, &tag).await;
    let layer = mirror.ours.manifest(&tag).await["layers"][0]["digest"].clone();
    let payload: Value = serde_json::from_slice(&mirror.ours.blob(layer.as_str().unwrap()).await).unwrap();
    let named = payload["critical"]["identity"]["docker-reference"].as_str().unwrap();
    assert!(named.contains("theirs/plugin"), "cosign names no repository any more: {payload}");
    mirror.counts(&cosign, &public, &trusted, Form::SimpleSigning).await;
}
