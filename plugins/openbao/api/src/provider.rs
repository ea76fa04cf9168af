//! What unseal providers read, beside their name. The fields of the first-party providers are typed, so that the API server refuses wrong ones
//! and `kubectl explain` knows them; fields of other providers pass unseen and are checked by their own plugin. What a field does is the
//! provider's affair.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schema;
use crate::unseal::{SecretKey, SecretName};

/// What unseal providers read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderFields {
    /// static: a key of your own instead of the generated one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_key: Option<SecretKey>,
    /// static: what the current key is called; never call another key the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::WORD), length(min = 1, max = 253))]
    pub current_key_id: Option<String>,
    /// static: the key before, during a rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_key: Option<SecretKey>,
    /// static: what the key before was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::WORD), length(min = 1, max = 253))]
    pub previous_key_id: Option<String>,
    /// static: the Secret from which the generated one is copied when it is made: the way to bring a cluster back from a backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::OBJECT_NAME), length(min = 1, max = 253))]
    pub restore_from: Option<String>,

    /// awskms: the key; an id, an ARN or `alias/…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::WORD), length(min = 1, max = 2048))]
    pub key_id: Option<String>,
    /// awskms: the region. Absent: from the pod's environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::WORD), length(min = 1, max = 64))]
    pub region: Option<String>,
    /// awskms: another endpoint than Amazon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::URL), length(max = 2048))]
    pub endpoint: Option<String>,
    /// awskms: the role that the service account takes (IRSA).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^arn:\S+$"), length(max = 2048))]
    pub role_arn: Option<String>,

    /// gcpkms: the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::WORD), length(min = 1, max = 256))]
    pub project: Option<String>,
    /// gcpkms: the location of the key ring, `global`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::WORD), length(min = 1, max = 64))]
    pub location: Option<String>,
    /// gcpkms: the key ring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::WORD), length(min = 1, max = 63))]
    pub key_ring: Option<String>,
    /// gcpkms: the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::WORD), length(min = 1, max = 63))]
    pub crypto_key: Option<String>,
    /// gcpkms: the Google service account that the pods' account acts as (Workload Identity).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::WORD), length(min = 1, max = 320))]
    pub service_account: Option<String>,

    /// azurekv: the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::WORD), length(min = 1, max = 64))]
    pub tenant_id: Option<String>,
    /// azurekv: the vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::WORD), length(min = 1, max = 127))]
    pub vault_name: Option<String>,
    /// azurekv: Azure's environment, `AzureUSGovernmentCloud`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::WORD), length(min = 1, max = 64))]
    pub environment: Option<String>,
    /// azurekv: suffix of the vault's DNS name, `managedhsm.azure.net`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::WORD), length(min = 1, max = 253))]
    pub resource: Option<String>,
    /// azurekv: the identity that the pods' account takes (workload identity).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::WORD), length(min = 1, max = 64))]
    pub client_id: Option<String>,

    /// azurekv and transit: the key's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::WORD), length(min = 1, max = 512))]
    pub key_name: Option<String>,

    /// transit: the other OpenBao, `https://bao.example.com:8200`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::URL), length(max = 2048))]
    pub address: Option<String>,
    /// transit: where its engine is mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::WORD), length(min = 1, max = 512))]
    pub mount_path: Option<String>,
    /// transit: the token for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretKey>,
    /// transit: namespace of the engine on the other server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::WORD), length(min = 1, max = 512))]
    pub namespace: Option<String>,
    /// transit: written before the ids of keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::WORD), length(min = 1, max = 253))]
    pub key_id_prefix: Option<String>,
    /// transit: do not renew the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable_renewal: Option<bool>,
    /// transit: certificate authority of the other server in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_ca_cert: Option<SecretKey>,
    /// transit: client certificate for the other server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_client: Option<ClientCertificate>,
    /// transit: name that the other server's certificate must carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::WORD), length(min = 1, max = 253))]
    pub tls_server_name: Option<String>,
    /// transit: do not check the other server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_skip_verify: Option<bool>,

    /// Credentials by name, each a key of a Secret (`accessKeyId`, `clientSecret`, `serviceAccountKey`, …). Absent: what the platform
    /// gives to the pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub credentials: BTreeMap<String, SecretKey>,
    /// A Secret that holds the provider's credentials under the names that the provider documents; mounted at `/etc/bao/seal-creds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<SecretName>,
    /// awskms, gcpkms, azurekv: the KMS plugin that OpenBao 2.7 and newer need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<KmsPlugin>,

    /// What other fields a provider reads.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// A Secret of type `kubernetes.io/tls`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientCertificate {
    /// Its name.
    #[schemars(regex(pattern = schema::OBJECT_NAME), length(min = 1, max = 253))]
    pub secret_name: String,
}

/// Where a KMS plugin comes from: an image or a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KmsPlugin {
    /// OCI image that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::WORD), length(min = 1, max = 512))]
    pub image: Option<String>,
    /// Binary in OpenBao's plugin directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::WORD), length(min = 1, max = 253))]
    pub command: Option<String>,
    /// Its version.
    #[schemars(regex(pattern = schema::WORD), length(min = 1, max = 64))]
    pub version: String,
    /// SHA-256 of the binary, 64 hexadecimal characters.
    #[schemars(regex(pattern = r"^[0-9a-fA-F]{64}$"))]
    pub sha256: String,
    /// Name of the binary within the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::WORD), length(min = 1, max = 253))]
    pub binary_name: Option<String>,
    /// Its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub args: Vec<String>,
    /// Its environment. Not for credentials: it is written into the configuration.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}
