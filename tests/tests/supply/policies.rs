//! `warn` and PluginPolicies: what a platform team demands beyond the Plugin itself.

use banhbaoring_artifact::SigningKey;
use banhbaoring_tests::objects;
use kube::Api;
use kube::api::DynamicObject;
use serde_json::json;

use crate::case::{Case, trusting};
use crate::stage;

/// A policy for images that match the glob, which demands a signature of the key.
pub async fn policy(case: &Case<'_>, glob: &str, mode: &str, key: &SigningKey) -> Api<DynamicObject> {
    let policies = objects::resource("plugins.banhbaoring.io", "PluginPolicy");
    let policies: Api<DynamicObject> =
        Api::all_with(case.kube.clone(), &kube::core::ApiResource { plural: "pluginpolicies".to_owned(), ..policies });
    let authorities = trusting(&key.public_key_pem().unwrap())["authorities"].clone();
    let policy = json!({
        "apiVersion": "plugins.banhbaoring.io/v1alpha1", "kind": "PluginPolicy", "metadata": {"name": case.name},
        "spec": {"images": [glob], "mode": mode, "authorities": authorities},
    });
    objects::apply(&policies, &policy).await.unwrap();
    policies
}

#[tokio::test]
async fn warn_serves_what_is_unsigned_and_says_so() {
    let mut case = Case::new(stage().await, "warned").await;
    case.verify["mode"] = json!("warn");
    let digest = case.push("1.0.0").await;
    case.apply("1.0.0").await;
    let plugin = case.until(&[("Verified", "True", "VerificationWarned"), ("Ready", "True", "Active")]).await;
    let told = objects::message(&plugin, "Verified");
    assert!(told.contains("unsigned") && told.contains("platform-team"), "{told}");
    assert_eq!(plugin["status"]["active"]["digest"], digest.to_string());
    assert_eq!(plugin["status"]["active"]["verifiedBy"], "unverified (warn)");
    case.serves("although nobody signed").await;
}

#[tokio::test]
async fn a_plugin_for_which_nobody_is_named_is_refused() {
    let mut case = Case::new(stage().await, "nobody").await;
    case.verify = json!({});
    case.push_signed("1.0.0").await;
    case.apply("1.0.0").await;
    case.until(&[("Verified", "False", "NoAuthority"), ("Ready", "False", "NoAuthority")]).await;
}

#[tokio::test]
async fn a_policy_that_matches_demands_its_own_signature_as_long_as_it_is_there() {
    let case = Case::new(stage().await, "policy-matches").await;
    let first = case.first_version().await;
    let glob = format!("{}/*/policy-matches", stage().await.publisher.registry.host());
    let security = SigningKey::generate();
    let policies = policy(&case, &glob, "enforce", &security).await;
    let plugin = case.until_refused("Verified", "WrongKey", &first).await;
    let told = objects::message(&plugin, "Verified");
    assert!(told.contains("PluginPolicy/policy-matches"), "{told}");

    case.repository.sign(&first, &security).await.unwrap();
    case.until_active(&first).await;
    policy(&case, &glob, "enforce", &SigningKey::generate()).await;
    case.until_refused("Verified", "WrongKey", &first).await;
    policies.delete(&case.name, &kube::api::DeleteParams::default()).await.unwrap();
    case.until_active(&first).await;
}

#[tokio::test]
async fn a_strict_policy_is_not_softened_by_a_plugin_that_only_warns() {
    let mut case = Case::new(stage().await, "policy-is-strict").await;
    case.verify["mode"] = json!("warn");
    let glob = format!("{}/plugins/policy-is-strict", stage().await.publisher.registry.host());
    policy(&case, &glob, "enforce", &SigningKey::generate()).await;
    case.push_signed("1.0.0").await;
    case.apply("1.0.0").await;
    case.until(&[("Verified", "False", "WrongKey"), ("Ready", "False", "WrongKey")]).await;
}

#[tokio::test]
async fn a_policy_for_other_images_changes_nothing() {
    let case = Case::new(stage().await, "policy-elsewhere").await;
    let registry = stage().await.publisher.registry.host();
    policy(&case, &format!("{registry}/*"), "enforce", &SigningKey::generate()).await;
    case.first_version().await;
}
