//! What an owner writes about this seal.

use banhbaoring_sdk::seal::{CredentialsSecret, KmsPluginConfig, SecretSelector};
use schemars::JsonSchema;
use serde::Deserialize;

/// Config of the seal `gcpckms`. Without credentials the platform gives them (Workload Identity).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Project of the key.
    #[schemars(length(min = 1, max = 256))]
    pub project: String,
    /// Location of the key ring: `global`, `europe-west4`.
    #[schemars(length(min = 1, max = 64))]
    pub location: String,
    /// Key ring.
    #[schemars(length(min = 1, max = 63))]
    pub key_ring: String,
    /// Key in the ring.
    #[schemars(length(min = 1, max = 63))]
    pub crypto_key: String,
    /// Google service account that the pods' account acts as (Workload Identity): `unseal@my-project.iam.gserviceaccount.com`.
    #[serde(default)]
    pub service_account: Option<String>,
    /// Explicit credentials.
    #[serde(default)]
    pub credentials: Option<Credentials>,
    /// Secret with a key `credentials.json`, mounted at `/etc/bao/seal-creds`.
    #[serde(default)]
    pub credentials_secret_ref: Option<CredentialsSecret>,
    /// The KMS plugin that OpenBao 2.7 and newer need.
    #[serde(default)]
    pub plugin: Option<KmsPluginConfig>,
}

/// Credentials of a Google service account.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credentials {
    /// Its key as JSON.
    pub service_account_key: SecretSelector,
}
