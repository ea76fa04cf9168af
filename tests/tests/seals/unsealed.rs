//! Seals whose key is on this machine: after a restart a node is unsealed, and nobody did anything.

use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use banhbaoring_testing::bao::{Bao, Pod};
use banhbaoring_testing::moto::{AccessKey, Moto};
use banhbaoring_testing::wait;
use banhbaoring_tests::Team;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{PATIENCE, example, pod, secret, team};

const REGION: &str = "us-east-1";
/// Where Raft keeps what it has.
const DATA: &str = "/bao/data";
/// The static key of before.
const PREVIOUS: &str = "/etc/bao/unseal-previous/key";

/// Starts the node, initialises it over its API, starts it again, and finds it unsealed with what was written.
async fn comes_back_unsealed(pod: &Pod, seal: &str, of_the_platform: &[(&str, &str)]) {
    let bao = pod.start(&pod.address(), of_the_platform).unwrap();
    bao.until_answering(PATIENCE).await.unwrap();
    let log = bao.server().log();
    assert!(!log.contains("unknown or unsupported field"), "{log}");
    let initialised = bao.initialise().await.unwrap();
    bao.until_unsealed(PATIENCE).await.unwrap();
    let token = Some(initialised.root_token.as_str());
    bao.succeed(Method::POST, "/v1/sys/mounts/kept", token, Some(&json!({"type": "kv"}))).await.unwrap();
    bao.succeed(Method::POST, "/v1/kept/one", token, Some(&json!({"a": "b"}))).await.unwrap();

    let before = bao.server().pid();
    bao.server().start_again().unwrap();
    assert_ne!(bao.server().pid(), before);
    bao.until_unsealed(PATIENCE).await.unwrap();
    let status = bao.seal_status().await.unwrap();
    assert_eq!((&status["type"], &status["sealed"], &status["recovery_seal"]), (&json!(seal), &json!(false), &json!(true)), "{status}");
    let kept = bao.succeed(Method::GET, "/v1/kept/one", token, None).await.unwrap();
    assert_eq!(kept["data"]["a"], "b");
}

#[tokio::test(flavor = "multi_thread")]
async fn static_with_the_key_and_the_certificate_that_the_operator_made() {
    let team = team("static").await;
    let pod = pod(&team, &example("unseal-static"), &[]).await;
    comes_back_unsealed(&pod, "static", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transit_with_a_token_that_may_only_encrypt_and_decrypt() {
    let other = Bao::dev("root").await.unwrap();
    let root = Some("root");
    other.succeed(Method::POST, "/v1/sys/mounts/transit", root, Some(&json!({"type": "transit"}))).await.unwrap();
    other.succeed(Method::POST, "/v1/transit/keys/autounseal", root, None).await.unwrap();
    let policy = "path \"transit/encrypt/autounseal\" {capabilities = [\"update\"]}\npath \"transit/decrypt/autounseal\" {capabilities = [\"update\"]}";
    other.succeed(Method::PUT, "/v1/sys/policies/acl/autounseal", root, Some(&json!({"policy": policy}))).await.unwrap();
    let wanted = json!({"policies": ["autounseal"], "period": "24h", "no_parent": true});
    let made = other.succeed(Method::POST, "/v1/auth/token/create", root, Some(&wanted)).await.unwrap();

    let team = team("transit").await;
    let mut owner = example("unseal-transit");
    owner["spec"]["unseal"]["address"] = other.address().into();
    let token = secret("transit-token", &json!({"token": made["auth"]["client_token"]}));
    comes_back_unsealed(&pod(&team, &owner, &[token]).await, "transit", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn awskms_with_credentials_of_a_secret() {
    let aws = Moto::start().await.unwrap();
    let key = aws.create_kms_key(REGION).await.unwrap();
    let mut owner = example("unseal-awskms");
    aws.create_kms_alias(REGION, owner["spec"]["unseal"]["keyId"].as_str().unwrap(), &key).await.unwrap();
    owner["spec"]["unseal"]["endpoint"] = aws.endpoint().into();

    let team = team("awskms").await;
    let credentials =
        secret("aws-credentials", &json!({"access-key-id": "AKIATESTTESTTESTTEST", "secret-access-key": "only for this test"}));
    comes_back_unsealed(&pod(&team, &owner, &[credentials]).await, "awskms", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn awskms_with_credentials_that_the_platform_gives_to_the_pod() {
    let aws = Moto::start().await.unwrap();
    let key = aws.create_kms_key(REGION).await.unwrap();
    let mut owner = example("unseal-awskms");
    aws.create_kms_alias(REGION, owner["spec"]["unseal"]["keyId"].as_str().unwrap(), &key).await.unwrap();
    // From here on nobody else is let in.
    let credentials = aws.demand_access_keys(1).await.unwrap().remove(0);
    let unseal = owner["spec"]["unseal"].as_object_mut().unwrap();
    unseal.insert("endpoint".to_owned(), aws.endpoint().into());
    unseal.remove("credentials").expect("the example names a Secret");

    let team = team("ambient").await;
    let pod = pod(&team, &owner, &[]).await;
    let refused = pod.start(&pod.address(), &[("AWS_EC2_METADATA_DISABLED", "true")]).unwrap();
    refused.server().until_logged(PATIENCE, "NoCredentialProviders").await.unwrap();
    drop(refused);
    let agent = identity_agent(&credentials).await;
    let of_the_platform = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.as_str()), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", TOKEN)];
    comes_back_unsealed(&pod, "awskms", &of_the_platform).await;
}

/// Stands for the account of the pod.
const TOKEN: &str = "the-account-of-the-pod";

/// Gives credentials as the agent of EKS Pod Identity does, to who shows the token of the pod's account; that agent runs nowhere but on EKS.
async fn identity_agent(credentials: &AccessKey) -> String {
    let answer = json!({"AccessKeyId": credentials.id, "SecretAccessKey": credentials.secret, "Expiration": "2099-01-01T00:00:00Z"});
    let give = move |headers: HeaderMap| async move {
        let shown = headers.get("authorization").and_then(|value| value.to_str().ok());
        if shown == Some(TOKEN) { Ok(Json(answer)) } else { Err(StatusCode::UNAUTHORIZED) }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/v1/credentials", get(give))).await });
    format!("http://{address}/v1/credentials")
}

fn is_mounted(pod: &Pod, file: &str) -> bool {
    pod.path(file).exists()
}

/// The pod made anew on the same volume, once the operator renders what `holds` looks for.
async fn made_anew(team: &Team, owner: &Value, secrets: &[Value], before: Pod, holds: impl Fn(&Pod, &str) -> bool) -> Pod {
    let next = wait::until(PATIENCE, "the configuration with the other keys", async || {
        let next = pod(team, owner, secrets).await;
        let config = next.config().unwrap();
        if holds(&next, &config) { Ok(next) } else { Err(config) }
    });
    let next = next.await.unwrap();
    std::fs::remove_dir_all(next.path(DATA)).unwrap();
    std::fs::rename(before.path(DATA), next.path(DATA)).unwrap();
    next
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_key_is_exchanged_with_the_one_before_beside_it_and_then_alone() {
    let team = team("rotated").await;
    let mut owner = example("unseal-static");
    let first = pod(&team, &owner, &[]).await;
    let bao = first.start(&first.address(), &[]).unwrap();
    bao.until_answering(PATIENCE).await.unwrap();
    let initialised = bao.initialise().await.unwrap();
    bao.until_unsealed(PATIENCE).await.unwrap();
    let token = Some(initialised.root_token.as_str());
    bao.succeed(Method::POST, "/v1/sys/mounts/kept", token, Some(&json!({"type": "kv"}))).await.unwrap();
    bao.succeed(Method::POST, "/v1/kept/one", token, Some(&json!({"a": "b"}))).await.unwrap();
    drop(bao);

    let next_key = [secret("next-key", &json!({"key": "0123456789abcdef0123456789abcdef"}))];
    owner["spec"]["unseal"] = json!({"type": "static", "currentKey": {"secretName": "next-key", "key": "key"}, "currentKeyId": "next",
        "previousKey": {"secretName": "unseal-static-unseal-key", "key": "key"}, "previousKeyId": "operator-generated-v1"});
    let both = made_anew(&team, &owner, &next_key, first, |pod, text| text.contains("previous_key_id") && is_mounted(pod, PREVIOUS)).await;
    let bao = both.start(&both.address(), &[]).unwrap();
    bao.until_unsealed(PATIENCE).await.unwrap();
    bao.server().until_logged(PATIENCE, "upgrading stored keys").await.unwrap();
    drop(bao);

    for field in ["previousKey", "previousKeyId"] {
        owner["spec"]["unseal"][field].take();
    }
    let alone = made_anew(&team, &owner, &next_key, both, |pod, text| {
        text.contains("\"next\"") && !text.contains("previous_key") && !is_mounted(pod, PREVIOUS)
    })
    .await;
    let bao = alone.start(&alone.address(), &[]).unwrap();
    bao.until_unsealed(PATIENCE).await.unwrap();
    let kept = wait::until(PATIENCE, "what was written", async || bao.succeed(Method::GET, "/v1/kept/one", token, None).await);
    assert_eq!(kept.await.unwrap()["data"]["a"], "b");
    let old_key = team.get("secret/unseal-static-unseal-key").await.unwrap();
    assert!(old_key["data"]["key"].is_string(), "older snapshots need it");
}
