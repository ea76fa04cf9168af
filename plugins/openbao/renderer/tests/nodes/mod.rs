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
use serde_json::{Value, json};

use crate::support::{objects, template};

/// The first password of `admin`.
pub const PASSWORD: &str = "only-for-this-test";
/// The password of `operator`.
pub const OPERATOR_PASSWORD: &str = "only-for-the-operator-of-this-test";
/// Longest wait.
pub const PATIENCE: Duration = Duration::from_secs(90);

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
