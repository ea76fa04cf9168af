//! What an owner writes about this seal.

use banhbaoring_sdk::seal::{CredentialsSecret, KmsPluginConfig, SecretSelector};
use schemars::JsonSchema;
use serde::Deserialize;

/// Config of the seal `azurekeyvault`. Without credentials the platform gives them (the node's managed identity).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Tenant of the vault.
    #[schemars(length(min = 1, max = 64))]
    pub tenant_id: String,
    /// Name of the vault.
    #[schemars(length(min = 1, max = 127))]
    pub vault_name: String,
    /// Name of the key in the vault.
    #[schemars(length(min = 1, max = 127))]
    pub key_name: String,
    /// Azure environment: `AzurePublicCloud`, `AzureUSGovernmentCloud`, `AzureChinaCloud`.
    #[serde(default)]
    pub environment: Option<String>,
    /// Suffix of the vault's DNS name: `vault.azure.net`, `managedhsm.azure.net`.
    #[serde(default)]
    pub resource: Option<String>,
    /// Identity that the pods' account takes (workload identity).
    #[serde(default)]
    pub client_id: Option<String>,
    /// Explicit credentials.
    #[serde(default)]
    pub credentials: Option<Credentials>,
    /// Secret with the keys `client-id` and `client-secret`, also mounted at `/etc/bao/seal-creds`.
    #[serde(default)]
    pub credentials_secret_ref: Option<CredentialsSecret>,
    /// The KMS plugin that OpenBao 2.7 and newer need.
    #[serde(default)]
    pub plugin: Option<KmsPluginConfig>,
}

/// Credentials of an application, each a key of a Secret.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credentials {
    /// Client id.
    pub client_id: SecretSelector,
    /// Client secret.
    pub client_secret: SecretSelector,
}
