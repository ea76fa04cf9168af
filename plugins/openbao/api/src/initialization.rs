//! How the store is initialised: once, and by whom.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schema;

/// The first initialisation. Nothing of it matters once the store is initialised.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.recovery) || (has(self.mode) && self.mode == 'Captured')").message("recovery keys are made with mode Captured alone"))]
#[x_kube(validation = Rule::new("!has(self.mode) || self.mode != 'Manual' || !has(self.requests) || size(self.requests) == 0").message("requests are sent by the first node when it initialises itself; with mode Manual nobody sends them"))]
#[x_kube(validation = Rule::new("!has(self.mode) || self.mode != 'Captured' || !has(self.requests) || size(self.requests) == 0").message("requests are sent by the first node when it initialises itself; with mode Captured send them yourself once the store runs"))]
pub struct InitializationSpec {
    /// Who initialises the store. Absent: the first node itself where the version can (2.4 and later), else you.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<InitializationMode>,
    /// The recovery keys that mode Captured asks for. Absent: five, of which three are needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<RecoverySpec>,
    /// What the first node does besides, in this order, with a token that nobody ever sees. Not for secrets: they would stand in a ConfigMap.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub requests: Vec<InitializationRequest>,
}

impl InitializationSpec {
    /// Nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Who initialises a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum InitializationMode {
    /// The first node, by itself: neither root token nor recovery keys ever leave it. The user `admin` of the auth method `userpass` has the password
    /// in the Secret `<name>-admin`.
    SelfInit,
    /// The operator: root token and recovery keys come into the Secret `<name>-init`, which nobody but you reads. With the root token it makes the same users
    /// as `SelfInit`, and revokes it. One node runs until that is done.
    Captured,
    /// You, with `POST /v1/sys/init`: its answer has the only root token and recovery keys.
    Manual,
}

/// How many recovery keys there are. They make another root token (`bao operator generate-root`); none of them unseals the store.
#[derive(KubeSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("self.threshold <= self.shares").message("threshold must not be more than shares"))]
#[x_kube(validation = Rule::new("self.shares == 1 || self.threshold > 1").message("threshold must be at least 2 where there is more than one share"))]
pub struct RecoverySpec {
    /// So many keys.
    #[schemars(range(min = 1, max = 32))]
    pub shares: i32,
    /// So many of them are needed.
    #[schemars(range(min = 1, max = 32))]
    pub threshold: i32,
}

impl Default for RecoverySpec {
    fn default() -> Self {
        Self { shares: 5, threshold: 3 }
    }
}

/// A request of the first node to itself.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InitializationRequest {
    /// For logs, unique.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9_-]*$"), length(min = 1, max = 63))]
    pub name: String,
    /// What is done.
    #[serde(default)]
    pub operation: InitializationOperation,
    /// Path of the API without `/v1/`.
    #[schemars(regex(pattern = r"^[^/\s][^\s]*$"), length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("!self.startsWith('v1/')").message("path is what stands after /v1/: leave v1/ out"))]
    pub path: String,
    /// Body of the request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::any_object")]
    pub data: BTreeMap<String, Value>,
    /// Go on where it fails. Otherwise the node ends, and what stands after it is never done.
    #[serde(default)]
    pub allow_failure: bool,
}

/// Operations of the API, as OpenBao's configuration names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InitializationOperation {
    /// POST or PUT of something new.
    Create,
    /// POST or PUT.
    #[default]
    Update,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}
