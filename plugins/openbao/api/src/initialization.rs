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
#[x_kube(validation = Rule::new("!has(self.mode) || self.mode != 'Manual' || !has(self.requests) || size(self.requests) == 0").message("requests are sent by the first node when it initialises itself; with mode Manual nobody sends them"))]
pub struct InitializationSpec {
    /// Who initialises the store. Absent: the first node itself where the version can (2.4 and later), else you.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<InitializationMode>,
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
    /// You, with `POST /v1/sys/init`: its answer has the only root token and recovery keys.
    Manual,
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
