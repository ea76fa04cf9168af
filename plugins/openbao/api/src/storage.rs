//! Volumes: how large, of which class, and what becomes of them.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// One volume per node.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("has(self.storageClass) == has(oldSelf.storageClass) && (!has(self.storageClass) || self.storageClass == oldSelf.storageClass)")
        .message("storageClass is immutable: a volume cannot move to another class; restore a snapshot into a new cluster instead")
)]
#[serde(rename_all = "camelCase")]
pub struct StorageSpec {
    /// Size, a Kubernetes quantity: `10Gi`. It may grow, never shrink.
    #[serde(default = "default_size")]
    #[schemars(regex(pattern = r"^[0-9]{1,15}(\.[0-9]{1,9})?(Ki|Mi|Gi|Ti|Pi|Ei|k|M|G|T|P|E)?$"), length(max = 32))]
    #[x_kube(
        validation = Rule::new("isQuantity(self) && quantity(self).compareTo(quantity('1Mi')) >= 0").message("size must be a quantity of at least 1Mi, such as 10Gi"),
        validation = Rule::new("!isQuantity(self) || !isQuantity(oldSelf) || quantity(self).compareTo(quantity(oldSelf)) >= 0").message("size cannot shrink: a volume cannot be made smaller; restore a snapshot into a new cluster instead")
    )]
    pub size: String,
    /// Storage class. Absent: the cluster's default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::OBJECT_NAME), length(min = 1, max = 253))]
    pub storage_class: Option<String>,
}

impl Default for StorageSpec {
    fn default() -> Self {
        Self { size: default_size(), storage_class: None }
    }
}

fn default_size() -> String {
    "10Gi".to_owned()
}

/// What becomes of the data when the cluster is deleted.
// Ordered by how much goes: the greatest of several is the one that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Volumes and keys stay.
    #[default]
    Retain,
    /// Volumes go, keys stay.
    DeletePVCs,
    /// Volumes and the certificate authority go. The unseal key stays all the same: a snapshot may need it.
    DeleteAll,
}
