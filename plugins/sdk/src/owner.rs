//! The owner of a component: its metadata, which every plugin needs, and a type for owners that have none of their own.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

/// Who the owner is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerMetadata {
    /// `openbao.org/v1alpha1`.
    pub api_version: String,
    /// `OpenBaoCluster`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Empty for a cluster-scoped owner.
    pub namespace: String,
    /// Its uid; empty where it is rendered from a file.
    pub uid: String,
    /// Its generation; 0 where it is rendered from a file.
    pub generation: i64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: String,
    kind: String,
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    uid: Option<String>,
    #[serde(default)]
    generation: Option<i64>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

impl OwnerMetadata {
    pub(crate) fn parse(text: &str) -> Result<Self, crate::Failure> {
        let Head { api_version, kind, metadata } = crate::parse::host("the owner", text)?;
        let Metadata { name, namespace, uid, generation, labels, annotations } = metadata;
        Ok(Self {
            api_version,
            kind,
            name,
            namespace: namespace.unwrap_or_default(),
            uid: uid.unwrap_or_default(),
            generation: generation.unwrap_or_default(),
            labels: labels.unwrap_or_default(),
            annotations: annotations.unwrap_or_default(),
        })
    }
}

/// An owner without a Rust type of its own.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct DynamicObject(
    /// The whole object.
    pub Value,
);

impl DynamicObject {
    /// What lies at a JSON pointer (`/spec/replicas`); null where nothing does.
    pub fn at(&self, pointer: &str) -> &Value {
        static NOTHING: Value = Value::Null;
        self.0.pointer(pointer).unwrap_or(&NOTHING)
    }

    /// The whole spec; an empty object where there is none.
    pub fn spec(&self) -> Value {
        self.0.get("spec").cloned().unwrap_or_else(|| json!({}))
    }
}
