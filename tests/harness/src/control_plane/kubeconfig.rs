//! Kubeconfig files with everything inside. They are JSON, which every reader of kubeconfigs takes.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::pki::Identity;

/// For a user with a client certificate. `authority` is PEM.
pub(crate) fn with_certificate(server: &str, authority: &str, identity: &Identity) -> String {
    let user = json!({
        "client-certificate-data": STANDARD.encode(&identity.certificate),
        "client-key-data": STANDARD.encode(&identity.key),
    });
    file(server, authority, &user)
}

/// For a user with a bearer token. `authority` is PEM.
pub(super) fn with_token(server: &str, authority: &str, token: &str) -> String {
    file(server, authority, &json!({ "token": token }))
}

/// The PEM of a certificate's DER.
pub(super) fn certificate(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}

fn file(server: &str, authority: &str, user: &Value) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
        "clusters": [{ "name": "test", "cluster": { "server": server, "certificate-authority-data": STANDARD.encode(authority) } }],
        "users": [{ "name": "test", "user": user }],
    })
    .to_string()
}
