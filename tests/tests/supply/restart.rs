//! The last known good version after a restart, when nothing new can be had or should be.

use banhbaoring_artifact::SigningKey;
use banhbaoring_testing::registry::{Options, Registry};
use banhbaoring_tests::{Stage, objects};
use serde_json::json;

use crate::case::Case;
use crate::policies::policy;

/// On a stage of its own: the operator of the others stays up.
#[tokio::test]
async fn what_was_good_serves_after_a_restart_whatever_the_registry_says_now() {
    let stage = Stage::start().await.unwrap();
    let outage = Registry::start().await.unwrap();
    let locked = Registry::with(Options { account: Some(("robot".to_owned(), "before".to_owned())), ..Options::default() }).await.unwrap();
    let down = Case::on(&stage, "down", &outage.host()).await;
    let down_version = down.first_version().await;
    let mut expired = Case::on(&stage, "expired", &locked.host()).await;
    expired.repository = expired.repository.clone().known_as("robot", "before");
    expired.pull_with(&locked.host(), "robot", "before").await;
    let expired_version = expired.first_version().await;
    let moved = Case::new(&stage, "moved").await;
    let moved_version = moved.push_signed("1.0.0").await;
    moved.repository.copy_tag("1.0.0", "stable").await.unwrap();
    moved.apply("stable").await;
    moved.until_active(&moved_version).await;
    let mut suspended = Case::new(&stage, "suspended").await;
    let suspended_version = suspended.first_version().await;
    suspended.repository.copy_tag("1.0.0", "stable").await.unwrap();
    suspended.suspend = true;
    suspended.apply("stable").await;
    suspended.until_active(&suspended_version).await;

    stage.operator.server().kill();
    outage.server().kill();
    expired.pull_with(&locked.host(), "robot", "after").await;
    moved.push("2.0.0").await;
    moved.repository.copy_tag("2.0.0", "stable").await.unwrap();
    suspended.push_signed("2.0.0").await;
    suspended.repository.copy_tag("2.0.0", "stable").await.unwrap();
    stage.operator.start_again().unwrap();
    down.until_refused("Resolved", "RegistryUnreachable", &down_version).await;
    expired.until_refused("Resolved", "RegistryUnauthorized", &expired_version).await;
    moved.until_refused("Verified", "Unsigned", &moved_version).await;
    suspended.serves("while suspended").await;
    suspended.is_active(&suspended_version).await;
    suspended.suspend = false;
    suspended.apply("stable").await;
    suspended.until(&[("Ready", "True", "Active")]).await;
    let next = suspended.push_signed("3.0.0").await;
    suspended.repository.copy_tag("3.0.0", "stable").await.unwrap();
    suspended.until_active(&next).await;
}

/// A Plugin is a small object and there is one of it; that the policies are a long list only makes sure that they arrive later.
#[tokio::test]
async fn a_policy_holds_from_the_first_moment_after_a_restart() {
    let stage = Stage::start().await.unwrap();
    let case = Case::new(&stage, "policy-comes-late").await;
    let version = case.first_version().await;
    stage.operator.server().kill();
    let glob = format!("{}/plugins/policy-comes-late", stage.publisher.registry.host());
    let policies = policy(&case, &glob, "enforce", &SigningKey::generate()).await;
    for number in 0..80 {
        let elsewhere = json!({
            "apiVersion": "plugins.banhbaoring.io/v1alpha1", "kind": "PluginPolicy",
            "metadata": {"name": format!("elsewhere-{number}"), "annotations": {"essay": "x".repeat(200_000)}},
            "spec": {"images": ["nowhere.example.com/**"]},
        });
        objects::apply(&policies, &elsewhere).await.unwrap();
    }
    stage.operator.start_again().unwrap();
    let plugin = case.until(&[("Verified", "False", "WrongKey"), ("Ready", "False", "WrongKey")]).await;
    assert_eq!(plugin["status"]["active"]["digest"], version.to_string(), "what was good before is still on record");
    assert!(!stage.operator.log().contains("the last known good revision serves"), "{}", stage.operator.log());
}
