//! What an owner writes about this seal.

use banhbaoring_sdk::seal::{CredentialsSecret, SecretSelector};
use schemars::JsonSchema;
use serde::Deserialize;

/// Config of the seal `transit`. One of `token` and `credentialsSecretRef` is needed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Address of the other server: `https://vault.example.com:8200`.
    #[schemars(length(min = 1, max = 2048))]
    pub address: String,
    /// Where its transit engine is mounted.
    #[serde(default = "default_mount_path")]
    #[schemars(length(min = 1, max = 512))]
    pub mount_path: String,
    /// The key.
    #[schemars(length(min = 1, max = 512))]
    pub key_name: String,
    /// Namespace of the engine on the other server.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Written before the ids of keys, to tell two transit seals apart during a migration.
    #[serde(default)]
    pub key_id_prefix: Option<String>,
    /// Do not renew the token.
    #[serde(default)]
    pub disable_renewal: bool,
    /// The token, a key of a Secret.
    #[serde(default)]
    pub token: Option<SecretSelector>,
    /// Secret with a key `token`, also mounted at `/etc/bao/seal-creds`.
    #[serde(default)]
    pub credentials_secret_ref: Option<CredentialsSecret>,
    /// Certificate authority of the other server in PEM, a key of a Secret.
    #[serde(default)]
    pub tls_ca_cert: Option<SecretSelector>,
    /// Client certificate for the other server.
    #[serde(default)]
    pub tls_client: Option<ClientCertificate>,
    /// Name that the other server's certificate must carry.
    #[serde(default)]
    pub tls_server_name: Option<String>,
    /// Do not check the other server's certificate. Never the default, and warned about.
    #[serde(default)]
    pub tls_skip_verify: bool,
}

/// A Secret of type `kubernetes.io/tls`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientCertificate {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
}

fn default_mount_path() -> String {
    "transit".to_owned()
}
