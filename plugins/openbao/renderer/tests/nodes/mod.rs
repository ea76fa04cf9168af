//! Real nodes from what is rendered: their files, the Secrets that the host would have made, and how a test gets in.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::time::Duration;

use banhbaoring_sdk::wit::Response;
use banhbaoring_testing::bao::{Bao, Pod};
use banhbaoring_testing::pki::Authority;
use banhbaoring_testing::wait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::support::{objects, template};

/// The first password of `admin`.
pub const PASSWORD: &str = "only-for-this-test";
/// The password of `operator`.
pub const OPERATOR_PASSWORD: &str = "only-for-the-operator-of-this-test";
/// Longest wait.
pub const PATIENCE: Duration = banhbaoring_testing::wait::PATIENCE;

/// A node with the certificate that the rendered Secret asks for, and an unseal key.
pub fn node(response: &Response, authority: &Authority, key: [u8; 32], ordinal: usize) -> Pod {
    let wanted = response.secrets.iter().find(|secret| secret.name == "prod-tls-server").unwrap();
    let spec: Value = serde_json::from_str(&wanted.entries[0].spec).unwrap();
    let names: Vec<&str> =
        ["dnsNames", "ipAddresses"].iter().flat_map(|kind| spec[*kind].as_array().unwrap()).map(|name| name.as_str().unwrap()).collect();
    let identity = authority.server(spec["commonName"].as_str().unwrap(), &names).unwrap();
    let files = json!({"tls.crt": identity.certificate, "tls.key": identity.key, "ca.crt": authority.certificate()});
    let mut there = vec![
        json!({"kind": "Secret", "metadata": {"name": "prod-tls-server"}, "stringData": files}),
        // Of the owner who brings a certificate of their own.
        json!({"kind": "Secret", "metadata": {"name": "mine"}, "stringData": files}),
        json!({"kind": "Secret", "metadata": {"name": "prod-unseal-key"}, "data": {"key": STANDARD.encode(key)}}),
        json!({"kind": "Secret", "metadata": {"name": "prod-admin"}, "stringData": {"username": "admin", "password": PASSWORD}}),
        json!({"kind": "Secret", "metadata": {"name": "prod-operator"}, "stringData": {"username": "operator", "password": OPERATOR_PASSWORD}}),
    ];
    there.extend(objects(response).into_iter().filter(|object| object["kind"] == "ConfigMap"));
    Pod::new(&template(response)["spec"], &format!("prod-{ordinal}"), "bao", &there).unwrap()
}

pub fn authority() -> Authority {
    Authority::new("OpenBao cluster prod").unwrap()
}

pub async fn until_voters(bao: &Bao, token: &str, wanted: &[&str]) {
    wait::until(PATIENCE, format!("the voters {wanted:?}"), async || {
        let answer = bao.succeed(Method::GET, "/v1/sys/storage/raft/configuration", Some(token), None).await;
        let servers = answer.map_err(|error| error.to_string())?["data"]["config"]["servers"].as_array().cloned().unwrap_or_default();
        let voters = servers.iter().filter(|server| server["voter"] == true);
        let mut voters: Vec<_> = voters.map(|server| server["node_id"].as_str().unwrap_or_default()).collect();
        voters.sort_unstable();
        if voters == wanted { Ok(()) } else { Err(format!("{servers:?}")) }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", bao.server().log_tail()));
}

/// A token of the user `admin`, once the first node has made it.
pub async fn admin(bao: &Bao) -> String {
    let body = json!({"password": PASSWORD});
    let logged_in = wait::until(PATIENCE, "the user admin", async || {
        let answer =
            bao.succeed(Method::POST, "/v1/auth/userpass/login/admin", None, Some(&body)).await.map_err(|error| error.to_string())?;
        answer["auth"]["client_token"].as_str().map(str::to_owned).ok_or_else(|| answer.to_string())
    });
    logged_in.await.unwrap_or_else(|error| panic!("{error}\n{}", bao.server().log_tail()))
}

/// Sends what a need or an action says, logging in as it says. Returns the status and what may be seen of the answer.
pub async fn send(bao: &Bao, spec: &str) -> (u16, Map<String, Value>) {
    let spec: Value = spec.parse().unwrap();
    let endpoint = &spec["endpoint"];
    let token = match &endpoint["credential"]["login"] {
        Value::Null => None,
        login => Some(logged_in(bao, login).await),
    };
    let method = Method::from_bytes(spec["method"].as_str().unwrap_or("GET").as_bytes()).unwrap();
    let query: Vec<String> =
        endpoint["query"].as_object().into_iter().flatten().map(|(name, value)| format!("{name}={}", value.as_str().unwrap())).collect();
    let path = format!("{}?{}", endpoint["path"].as_str().unwrap(), query.join("&"));
    let answer = bao.send(method, path.trim_end_matches('?'), token.as_deref(), spec.get("body")).await.unwrap();
    let exposed = endpoint["expose"].as_array().into_iter().flatten().map(|pointer| pointer.as_str().unwrap());
    let exposed = exposed.filter_map(|pointer| Some((pointer.to_owned(), answer.body.pointer(pointer)?.clone()))).collect();
    (answer.status.as_u16(), exposed)
}

/// A token of the user `operator`, as a request says how to get it.
pub async fn logged_in(bao: &Bao, login: &Value) -> String {
    assert_eq!(
        (login["inject"][0]["pointer"].as_str(), login["inject"][0]["from"]["secret"]["secret"].as_str()),
        (Some("/body/password"), Some("prod-operator"))
    );
    let mut body = login["body"].clone();
    body["password"] = OPERATOR_PASSWORD.into();
    // Between two leaders nobody is let in.
    let login_once = async || bao.succeed(Method::POST, login["path"].as_str().unwrap(), None, Some(&body)).await;
    let answer = wait::until(PATIENCE, "a login", login_once).await.unwrap();
    assert_eq!(answer.pointer(login["leasePointer"].as_str().unwrap()), Some(&json!(1200)), "{answer}");
    assert_eq!(answer["auth"]["token_policies"], json!(["operator"]), "not even the default policy");
    assert_eq!(answer["auth"]["token_type"], "batch");
    answer.pointer(login["tokenPointer"].as_str().unwrap()).unwrap().as_str().unwrap().to_owned()
}
