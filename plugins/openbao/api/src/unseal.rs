//! Who unseals: the name of a provider and, beside it, what the provider reads. The fields of the first-party providers are typed, so
//! that the API server refuses wrong ones; fields of other providers pass unseen and are checked by their own plugin.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who unseals the nodes.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("self.type != 'awskms' || has(self.keyId)").message("awskms needs unseal.keyId (a key id, an ARN or alias/…)"),
    validation = Rule::new("!(self.type in ['gcpkms', 'gcpckms']) || (has(self.project) && has(self.keyRing) && has(self.cryptoKey))").message("gcpkms needs unseal.project, unseal.keyRing and unseal.cryptoKey"),
    validation = Rule::new("!(self.type in ['azurekv', 'azurekeyvault']) || (has(self.tenantId) && has(self.vaultName) && has(self.keyName))").message("azurekv needs unseal.tenantId, unseal.vaultName and unseal.keyName"),
    validation = Rule::new("self.type != 'transit' || (has(self.address) && has(self.keyName) && (has(self.token) || has(self.credentialsSecretRef)))").message("transit needs unseal.address, unseal.keyName and unseal.token (or unseal.credentialsSecretRef)"),
    validation = Rule::new("self.type == oldSelf.type").message("unseal.type is immutable: what is sealed by one provider is not unsealed by another")
)]
#[serde(rename_all = "camelCase")]
pub struct UnsealSpec {
    /// The provider: `static`, `awskms`, `gcpkms` (also `gcpckms`), `azurekv`, `transit`, or what another plugin brings.
    #[serde(rename = "type", default = "default_type")]
    #[schemars(regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"), length(max = 63))]
    pub provider: String,

    /// awskms: the key; an id, an ARN or `alias/…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub key_id: Option<String>,
    /// awskms: the region. Absent: from the pod's environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub region: Option<String>,
    /// awskms: another endpoint than Amazon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^https?://"), length(max = 2048))]
    pub endpoint: Option<String>,

    /// gcpkms: the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub project: Option<String>,
    /// gcpkms: the location of the key ring, `global`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub location: Option<String>,
    /// gcpkms: the key ring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub key_ring: Option<String>,
    /// gcpkms: the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub crypto_key: Option<String>,

    /// azurekv: the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub tenant_id: Option<String>,
    /// azurekv: the vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 127))]
    pub vault_name: Option<String>,

    /// azurekv and transit: the key's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub key_name: Option<String>,

    /// transit: the other OpenBao, `https://bao.example.com:8200`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^https?://"), length(max = 2048))]
    pub address: Option<String>,
    /// transit: where its engine is mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub mount_path: Option<String>,
    /// transit: the token for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretKey>,

    /// Credentials by name, each a key of a Secret (`accessKeyId`, `clientSecret`, `serviceAccountKey`, …). Absent: what the platform
    /// gives to the pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub credentials: BTreeMap<String, SecretKey>,
    /// A Secret that holds the provider's credentials under the names that the provider documents; mounted at `/etc/bao/seal-creds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<SecretName>,

    /// What other fields a provider reads.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl Default for UnsealSpec {
    fn default() -> Self {
        Self {
            provider: default_type(),
            key_id: None,
            region: None,
            endpoint: None,
            project: None,
            location: None,
            key_ring: None,
            crypto_key: None,
            tenant_id: None,
            vault_name: None,
            key_name: None,
            address: None,
            mount_path: None,
            token: None,
            credentials: BTreeMap::new(),
            credentials_secret_ref: None,
            other: BTreeMap::new(),
        }
    }
}

/// One key of a Secret in the cluster's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
    /// Key in its data.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// A Secret in the cluster's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretName {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

fn default_type() -> String {
    "static".to_owned()
}
