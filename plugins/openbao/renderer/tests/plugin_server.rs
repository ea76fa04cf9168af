//! A real plugin of OpenBao in the catalogue of a real `bao`: the binary as init containers bring it, the requests as the host would send them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod nodes;
mod support;

use std::fs;
use std::path::PathBuf;

use banhbaoring_testing::tools;
use banhbaoring_testing::wait;
use nodes::{PATIENCE, admin, authority, logged_in, node, send};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::rendered;
use support::world::World;

const PATH: &str = "/v1/sys/plugins/catalog/secret/greeter";

/// The binary, and its checksum.
fn greeter() -> (PathBuf, String) {
    let binary = tools::find("bao-greeter").unwrap();
    let digest = Sha256::digest(fs::read(&binary).unwrap());
    (binary, hex::encode(digest))
}

fn spec(sha256: &str, version: &str) -> String {
    let (binary, _) = greeter();
    json!({
        "replicas": 1,
        "pluginCatalog": [{
            "type": "secret", "name": "greeter", "version": version, "sha256": sha256, "command": "greeter-v1", "image": "greeter",
            "path": binary, "env": {"GREETING": "a b=c"},
        }],
    })
    .to_string()
}

/// What the node that leads is asked, and what it is told.
fn spoken(spec: &str) -> (String, String) {
    let mut world = World::calm("replicas: 1");
    world.spec = spec.to_owned();
    let response = world.until("told", |_, response| !response.actions.is_empty());
    let need = response.needs.iter().find(|need| need.id.starts_with("plugin-")).unwrap();
    (need.spec.clone(), response.actions[0].spec.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_plugin_is_brought_registered_and_serves_and_nothing_else_of_the_catalogue_is_open() {
    let (_, sha256) = greeter();
    let spec = spec(&sha256.to_uppercase(), "v1.0.0");
    let (question, registration) = spoken(&spec);
    let node = node(&rendered(&spec), &authority(), [4; 32], 0);
    node.run_init_containers().unwrap();
    let bao = node.start(&node.address(), &[]).unwrap();
    let admin = admin(&bao).await;
    let admin = Some(admin.as_str());

    assert_eq!(send(&bao, &question).await.0, 404, "it may be asked for before it is there");
    assert_eq!(send(&bao, &registration).await.0, 204);
    let (status, found) = send(&bao, &question).await;
    assert_eq!(
        (status, &found["/data/sha256"], &found["/data/command"], &found["/data/args"]),
        (200, &json!(sha256), &json!("greeter-v1"), &json!([]))
    );

    bao.succeed(Method::POST, "/v1/sys/mounts/hello", admin, Some(&json!({"type": "greeter"}))).await.unwrap();
    let greeting = bao.succeed(Method::GET, "/v1/hello/greeting", admin, None).await.unwrap();
    assert_eq!(greeting["data"], json!({"greeting": "hello", "variable": "a b=c"}));

    // Drift, and what puts it back.
    bao.succeed(Method::DELETE, &format!("{PATH}?version=v1.0.0"), admin, None).await.unwrap();
    assert_eq!(send(&bao, &question).await.0, 404);
    assert_eq!(send(&bao, &registration).await.0, 204);
    assert_eq!(send(&bao, &question).await.0, 200);

    let login = question.parse::<Value>().unwrap()["endpoint"]["credential"]["login"].clone();
    let token = logged_in(&bao, &login).await;
    let body = registration.parse::<Value>().unwrap()["body"].clone();
    for (method, path, body) in [
        (Method::GET, "/v1/sys/plugins/catalog/secret/other", None),
        (Method::PUT, "/v1/sys/plugins/catalog/secret/other", Some(&body)),
        (Method::PUT, "/v1/sys/plugins/catalog/auth/greeter", Some(&body)),
        (Method::DELETE, PATH, None),
        (Method::POST, "/v1/sys/mounts/other", Some(&json!({"type": "greeter"}))),
    ] {
        let answer = bao.send(method.clone(), path, Some(&token), body).await.unwrap();
        assert_eq!(answer.status.as_u16(), 403, "{method} {path}");
    }

    bao.server().start_again().unwrap();
    bao.until_unsealed(PATIENCE).await.unwrap();
    wait::until(PATIENCE, "the mount after a restart", async || {
        let greeting = bao.succeed(Method::GET, "/v1/hello/greeting", admin, None).await.map_err(|error| error.to_string())?;
        if greeting["data"]["greeting"] == "hello" { Ok(()) } else { Err(greeting.to_string()) }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_older_than_the_plugin_refuses_and_the_line_that_is_told_opens() {
    let (_, sha256) = greeter();
    let spec = spec(&sha256, "v2.0.0");
    let (question, registration) = spoken(&spec);
    let plain = "replicas: 1";
    let node = node(&rendered(plain), &authority(), [3; 32], 0);
    let bao = node.start(&node.address(), &[]).unwrap();
    let admin = admin(&bao).await;
    assert_eq!(send(&bao, &question).await.0, 403);
    assert_eq!(send(&bao, &registration).await.0, 403);

    // As the condition says: the whole policy as it would be written now.
    let mut world = World::calm(plain);
    world.spec = spec;
    world.unnamed.insert(PATH.to_owned());
    let told = |response: &banhbaoring_sdk::wit::Response| {
        response.conditions.iter().find(|condition| condition.reason == "PolicyMissing").map(|found| found.message.clone())
    };
    let response = world.until("told", |_, response| told(response).is_some());
    let message = told(&response).unwrap();
    let policy = message.split("printf '%s' '").nth(1).unwrap().split("' | bao policy write operator -").next().unwrap();
    bao.succeed(Method::PUT, "/v1/sys/policies/acl/operator", Some(&admin), Some(&json!({"policy": policy}))).await.unwrap();
    assert_eq!(send(&bao, &question).await.0, 404);
    // The catalogue of this node has no directory for plugins.
    let (status, said) = send(&bao, &registration).await;
    assert!(status >= 400 && said["/errors/0"].is_string(), "{status} {said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_the_plugin_denies_is_refused_and_the_refusal_says_so() {
    let (_, sha256) = greeter();
    let spec = spec(&sha256, "v2.0.0");
    let (_, registration) = spoken(&spec);
    let node = node(&rendered(&spec), &authority(), [3; 32], 0);
    node.run_init_containers().unwrap();
    let bao = node.start(&node.address(), &[]).unwrap();
    admin(&bao).await;
    let (status, said) = send(&bao, &registration).await;
    assert_eq!(status, 400);
    assert!(said["/errors/0"].as_str().unwrap().contains("reported version (v1.0.0) did not match requested version (v2.0.0)"), "{said:?}");
}

#[test]
fn a_node_with_another_binary_than_the_spec_says_does_not_start_and_says_which() {
    let (_, sha256) = greeter();
    let wrong = "0".repeat(64);
    let node = node(&rendered(&spec(&wrong, "v1.0.0")), &authority(), [4; 32], 0);
    let said = node.run_init_containers().unwrap_err().to_string();
    assert!(said.contains(&format!("plugin secret/greeter v1.0.0: expected sha256 {wrong}, found {sha256}")), "{said}");
    fs::remove_file(node.path("/bao/plugins/greeter-v1")).unwrap();
    let absent = spec(&wrong, "v1.0.0").replace("bao-greeter", "no-such-file");
    let node = nodes::node(&rendered(&absent), &authority(), [4; 32], 0);
    assert!(node.run_init_containers().unwrap_err().to_string().contains("plugin-0: "), "cp says what it misses");
}
