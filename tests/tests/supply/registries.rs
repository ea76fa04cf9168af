//! Registries that do not give what they should: each failure has its own reason, is none of the others, and passes by itself.

use banhbaoring_artifact::Digest;
use banhbaoring_testing::registry::{Options, Registry};
use serde_json::json;

use crate::case::Case;
use crate::proxy::Proxy;
use crate::stage;

#[tokio::test]
async fn a_registry_that_throttles_is_no_missing_signature_and_is_asked_again() {
    let registry = stage().await.publisher.registry.host();
    let proxy = Proxy::before(&registry).await;
    let mut case = Case::on(stage().await, "throttled", &registry).await;
    case.oci["url"] = json!(format!("oci://{}/plugins/throttled", proxy.address));
    let first = case.first_version().await;
    let second = case.push_signed("2.0.0").await;
    proxy.refuse(429, "/manifests/2.0.0");
    case.apply("2.0.0").await;
    case.until_refused("Resolved", "RegistryThrottled", &first).await;
    // The fallback tag of the signatures: an empty list of referrers would be "unsigned".
    proxy.refuse(429, &format!("/manifests/sha256-{}", second.hex()));
    case.until_refused("Verified", "RegistryThrottled", &first).await;
    proxy.behave();
    case.until_active(&second).await;
}

#[tokio::test]
async fn a_registry_that_asks_who_asks_gives_to_the_right_pull_secret_alone() {
    let account = ("robot".to_owned(), "pass:word".to_owned());
    let registry = Registry::with(Options { account: Some(account), ..Options::default() }).await.unwrap();
    let mut case = Case::on(stage().await, "unauthorized", &registry.host()).await;
    case.repository = case.repository.clone().known_as("robot", "pass:word");
    let first = case.push_signed("1.0.0").await;
    case.apply("1.0.0").await;
    case.until(&[("Resolved", "False", "RegistryUnauthorized"), ("Ready", "False", "RegistryUnauthorized")]).await;

    case.pull_with(&registry.host(), "robot", "pass:word").await;
    case.apply("1.0.0").await;
    case.until_active(&first).await;

    case.pull_with(&registry.host(), "robot", "wrong").await;
    let second = case.push_signed("2.0.0").await;
    case.apply("2.0.0").await;
    case.until_refused("Resolved", "RegistryUnauthorized", &first).await;
    case.pull_with(&registry.host(), "robot", "pass:word").await;
    case.until_active(&second).await;
}

#[tokio::test]
async fn a_registry_that_is_down_stops_nothing_but_the_next_version() {
    let registry = Registry::start().await.unwrap();
    let case = Case::on(stage().await, "unreachable", &registry.host()).await;
    let first = case.first_version().await;
    let second = case.push_signed("2.0.0").await;
    registry.server().kill();
    // The tag that is active cannot be asked for either; nothing else is asked of it.
    case.until_refused("Resolved", "RegistryUnreachable", &first).await;
    case.apply("2.0.0").await;
    case.until_refused("Resolved", "RegistryUnreachable", &first).await;
    registry.server().start_again().unwrap();
    registry.until_ready().await.unwrap();
    case.until_active(&second).await;
}

#[tokio::test]
async fn after_an_outage_without_news_every_condition_is_as_before() {
    let registry = Registry::start().await.unwrap();
    let case = Case::on(stage().await, "outage", &registry.host()).await;
    let first = case.first_version().await;
    registry.server().kill();
    case.until_refused("Resolved", "RegistryUnreachable", &first).await;
    registry.server().start_again().unwrap();
    registry.until_ready().await.unwrap();
    case.until_active(&first).await;
}

#[tokio::test]
async fn a_tag_that_moves_while_its_artifact_is_pulled_changes_nothing() {
    let registry = stage().await.publisher.registry.host();
    let proxy = Proxy::before(&registry).await;
    let mut case = Case::on(stage().await, "moves-while-pulled", &registry).await;
    case.oci["url"] = json!(format!("oci://{}/plugins/{}", proxy.address, case.name));
    case.oci["interval"] = json!("1h");
    let signed = case.push_signed("1.0.0").await;
    case.repository.copy_tag("1.0.0", "stable").await.unwrap();
    let layer = Digest::of(&case.component("1.0.0"));
    proxy.hold(&format!("/blobs/{layer}"));
    case.apply("stable").await;
    // Its signature was verified, or the layer would not be asked for.
    proxy.until_asked(&layer.to_string()).await;
    case.push("2.0.0").await;
    case.repository.copy_tag("2.0.0", "stable").await.unwrap();
    proxy.behave();
    let plugin = case.until_active(&signed).await;
    assert_eq!(plugin["status"]["active"]["version"], "1.0.0");
    assert_eq!(proxy.asked("/manifests/stable").len(), 1, "a tag is resolved once: {:?}", proxy.asked(""));
}

#[tokio::test]
async fn a_tag_that_moves_to_something_unsigned_is_not_followed_and_back_again_all_is_well() {
    let case = Case::new(stage().await, "moves-later").await;
    let first = case.push_signed("1.0.0").await;
    case.repository.copy_tag("1.0.0", "stable").await.unwrap();
    case.apply("stable").await;
    case.until_active(&first).await;
    case.push("2.0.0").await;
    case.repository.copy_tag("2.0.0", "stable").await.unwrap();
    case.until_refused("Verified", "Unsigned", &first).await;

    case.repository.copy_tag("1.0.0", "stable").await.unwrap();
    case.until_active(&first).await;
    let third = case.push_signed("3.0.0").await;
    case.repository.copy_tag("3.0.0", "stable").await.unwrap();
    case.until_active(&third).await;
}
