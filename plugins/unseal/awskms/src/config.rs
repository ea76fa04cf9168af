//! What an owner writes about this seal.

use banhbaoring_sdk::seal::{CredentialsSecret, KmsPluginConfig, SecretSelector};
use schemars::JsonSchema;
use serde::Deserialize;

/// Config of the seal `awskms`. Without credentials the platform gives them (a role for the service account, or the node's).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Id, ARN or alias of the key: `alias/banhbaoring-unseal`.
    #[schemars(length(min = 1, max = 2048))]
    pub key_id: String,
    /// Region of the key: `us-east-1`. Absent: from the pod's environment (set for roles of service accounts) or the node.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub region: Option<String>,
    /// Another endpoint of the key service, for a VPC or a partition.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Role that the service account takes (IRSA): `arn:aws:iam::111122223333:role/unseal`.
    #[serde(default)]
    pub role_arn: Option<String>,
    /// Explicit credentials.
    #[serde(default)]
    pub credentials: Option<Credentials>,
    /// Secret with a key `credentials` in the form of AWS's shared credentials file, mounted at `/etc/bao/seal-creds`.
    #[serde(default)]
    pub credentials_secret_ref: Option<CredentialsSecret>,
    /// The KMS plugin that OpenBao 2.7 and newer need.
    #[serde(default)]
    pub plugin: Option<KmsPluginConfig>,
}

/// Credentials of an IAM user, each a key of a Secret.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credentials {
    /// Access key id.
    pub access_key_id: SecretSelector,
    /// Secret access key.
    pub secret_access_key: SecretSelector,
    /// Session token of temporary credentials.
    #[serde(default)]
    pub session_token: Option<SecretSelector>,
}
