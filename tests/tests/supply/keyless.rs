//! A Plugin whose signers are known by certificate: what people see of it. The ways in which a keyless signature may be bad are tested in
//! `host/artifact`.

use banhbaoring_testing::cosign::Cosign;
use banhbaoring_testing::sigstore::Sigstore;
use banhbaoring_tests::objects;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::case::Case;
use crate::stage;

/// Writes the trust root into a Secret of the host's namespace, and says where.
async fn write_trust_root(case: &Case<'_>, text: &str) -> Value {
    let namespace = &stage().await.installation.namespace;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": case.name}, "stringData": {"trusted_root.json": text}});
    let secrets = Api::<Secret>::namespaced(case.kube.clone(), namespace);
    secrets.patch(&case.name, &PatchParams::apply("test").force(), &Patch::Apply(&secret)).await.unwrap();
    json!({"namespace": namespace, "name": case.name, "key": "trusted_root.json"})
}

#[tokio::test]
async fn a_plugin_by_the_named_identity_is_active_and_one_by_another_is_refused() {
    let mut case = Case::new(stage().await, "keyless").await;
    let (sigstore, cosign) = (Sigstore::start().await.unwrap(), Cosign::version3().await.unwrap());
    let trust_root = cosign.trusted_root(&sigstore).await.unwrap();
    let reference = write_trust_root(&case, &trust_root).await;
    let identities = json!([{"issuer": sigstore.issuer(), "subjectRegExp": r"releases@acme\.(example|test)"}]);
    let ci = json!({"name": "ci", "keyless": {"identities": identities, "trustRootRef": reference}});
    case.verify = json!({"mode": "enforce", "authorities": [ci]});

    let first = case.push("1.0.0").await;
    cosign.sign_keyless(&sigstore, "releases@acme.example", &case.repository.reference(&first)).await.unwrap();
    case.apply("1.0.0").await;
    let plugin = case.until_active(&first).await;
    assert_eq!(plugin["status"]["active"]["verifiedBy"], "ci");

    let second = case.push("2.0.0").await;
    cosign.sign_keyless(&sigstore, "mallory@acme.example", &case.repository.reference(&second)).await.unwrap();
    case.apply("2.0.0").await;
    let plugin = case.until_refused("Verified", "WrongIdentity", &first).await;
    assert!(objects::message(&plugin, "Verified").contains("another identity"), "{plugin}");

    // With a trust root that says nothing, nobody can sign; with the good one again, the right identity can.
    write_trust_root(&case, "{}").await;
    case.until_refused("Verified", "InvalidTrustRoot", &first).await;
    write_trust_root(&case, &trust_root).await;
    cosign.sign_keyless(&sigstore, "releases@acme.example", &case.repository.reference(&second)).await.unwrap();
    case.until_active(&second).await;
}
