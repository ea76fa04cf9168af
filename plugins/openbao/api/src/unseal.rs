//! Who unseals: the name of a provider and, beside it, what the provider reads.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::provider::ProviderFields;
use crate::schema;

/// Who unseals the nodes.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("self.type != 'awskms' || has(self.keyId)").message("awskms needs unseal.keyId (a key id, an ARN or alias/…)"),
    validation = Rule::new("!(self.type in ['gcpkms', 'gcpckms']) || (has(self.project) && has(self.location) && has(self.keyRing) && has(self.cryptoKey))").message("gcpkms needs unseal.project, unseal.location (global, europe-west4, …), unseal.keyRing and unseal.cryptoKey"),
    validation = Rule::new("!(self.type in ['azurekv', 'azurekeyvault']) || (has(self.tenantId) && has(self.vaultName) && has(self.keyName))").message("azurekv needs unseal.tenantId, unseal.vaultName and unseal.keyName"),
    validation = Rule::new("self.type != 'transit' || (has(self.address) && has(self.keyName) && (has(self.token) || has(self.credentialsSecretRef)))").message("transit needs unseal.address, unseal.keyName and unseal.token (or unseal.credentialsSecretRef)"),
    validation = Rule::new("self.type != 'static' || !(has(self.keyId) || has(self.region) || has(self.project) || has(self.tenantId) || has(self.vaultName) || has(self.keyName) || has(self.address) || has(self.token) || has(self.credentials) || has(self.credentialsSecretRef))").message("unseal.type is static, which is its default and reads no keyId, region, project, tenantId, vaultName, keyName, address, token or credentials: set unseal.type to the provider that is meant"),
    validation = Rule::new("self.type != 'static' || ((!has(self.currentKey) || has(self.currentKeyId)) && has(self.previousKey) == has(self.previousKeyId))").message("unseal.currentKey needs unseal.currentKeyId, and unseal.previousKey and unseal.previousKeyId come together"),
    validation = Rule::new("self.type != 'static' || !has(self.currentKey) || !has(self.restoreFrom)").message("unseal.currentKey is used where it lies, unseal.restoreFrom is copied once: give one of the two"),
    validation = Rule::new("!(self.type in ['awskms', 'gcpkms', 'gcpckms', 'azurekv', 'azurekeyvault', 'transit']) || [has(self.credentials), has(self.credentialsSecretRef), has(self.token), has(self.roleArn), has(self.serviceAccount), has(self.clientId)].filter(given, given).size() <= 1").message("give one kind of credentials, not several: unseal.credentials, unseal.credentialsSecretRef, or what the platform gives (roleArn for awskms, serviceAccount for gcpkms, clientId for azurekv); transit has unseal.token")
)]
#[serde(rename_all = "camelCase")]
pub struct UnsealSpec {
    /// The provider: `static`, `awskms`, `gcpkms` (also `gcpckms`), `azurekv`, `transit`, or what another plugin brings.
    #[serde(rename = "type", default = "default_type")]
    #[schemars(regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"), length(max = 63))]
    pub provider: String,
    /// What the provider reads.
    #[serde(flatten)]
    pub fields: ProviderFields,
}

impl Default for UnsealSpec {
    fn default() -> Self {
        Self { provider: default_type(), fields: ProviderFields::default() }
    }
}

/// One key of a Secret in the cluster's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// Name of the Secret.
    #[schemars(regex(pattern = schema::OBJECT_NAME), length(min = 1, max = 253))]
    pub secret_name: String,
    /// Key in its data.
    #[schemars(regex(pattern = schema::DATA_KEY), length(min = 1, max = 253))]
    pub key: String,
}

/// A Secret in the cluster's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretName {
    /// Name of the Secret.
    #[schemars(regex(pattern = schema::OBJECT_NAME), length(min = 1, max = 253))]
    pub name: String,
}

fn default_type() -> String {
    "static".to_owned()
}
