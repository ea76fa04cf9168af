//! `Inventory`: the truth about what belongs to an owner. One object per owner in the host's namespace, written by the host alone.
//!
//! The types here are all that says what is in it. To the API server its spec is one opaque value: each owner has two writes of some kilobytes when its
//! objects are made, and pruning, validating and tracking their fields was an eighth of what the API server did for a new owner (`cargo xtask bench`).

use std::borrow::Cow;
use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::plugin::NamespacedName;

/// What belongs to one owner.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "plugins.banhbaoring.io",
    version = "v1alpha1",
    kind = "Inventory",
    plural = "inventories",
    namespaced,
    category = "banhbaoring",
    derive = "PartialEq",
    derive = "Default",
    doc = "What belongs to one owner. Written by the host alone; do not edit.",
    printcolumn = r#"{"name":"Owner","type":"string","jsonPath":".spec.owner.kind"}"#,
    printcolumn = r#"{"name":"Namespace","type":"string","jsonPath":".spec.owner.namespace"}"#,
    printcolumn = r#"{"name":"Name","type":"string","jsonPath":".spec.owner.name"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct InventorySpec {
    /// Whose.
    pub owner: OwnerReference,
    /// Every object that this owner's components made, or are about to make.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<ChildEntry>,
    /// Random, hex: salts the hashes of Secret values in `material`, so that nobody who sees such a hash in a pod template can guess the
    /// value from it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub salt: String,
    /// Told events: key to its last fingerprint, so that an event is told once.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub events: BTreeMap<String, String>,
    /// Side effects that its components ask for: each is written down before it is sent, and what came of it afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub journal: Vec<JournalEntry>,
    /// Jobs that were run for it, or are about to be: one per key, for as long as the owner is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunEntry>,
}

impl JsonSchema for InventorySpec {
    fn schema_name() -> Cow<'static, str> {
        "InventorySpec".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The objects that its components made, the actions and Jobs that they asked for, the events that were told.",
            "type": "object",
            "x-kubernetes-map-type": "atomic",
            "x-kubernetes-preserve-unknown-fields": true,
        })
    }
}

/// One Job that runs once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunEntry {
    /// Names the run within the owner.
    pub key: String,
    /// Name of the Job, in the owner's namespace.
    pub job: String,
    /// The component that asked for it.
    pub component: String,
    /// The account under which it is made.
    pub account: String,
    /// Random. The Job carries it as an annotation, which proves that it was made for this entry and not by somebody else.
    pub token: String,
    /// Since when there may be a Job that the host has not seen yet, in seconds since 1970. Absent once none was certainly made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// Of the Job. Absent until it is known to have been made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Absent until it ended. Holds when the Job is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<RunOutcome>,
}

/// How a run ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunOutcome {
    /// In one word.
    pub result: RunResult,
    /// Of its container, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// What its container left as its termination message; of a run without one, why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Whether a run did what it was to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunResult {
    /// Its container ended with 0.
    Succeeded,
    /// Any other exit code, the deadline, or it vanished.
    #[default]
    Failed,
}

/// One side effect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JournalEntry {
    /// The component that asks for it.
    pub component: String,
    /// Its id within the component.
    pub id: String,
    /// When it was about to be sent the last time, in seconds since 1970.
    pub at: i64,
    /// How often it was about to be sent.
    pub attempts: u32,
    /// However often it is sent it happens once, so that nobody has to look into an interrupted one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeatable: bool,
    /// Absent from before it is sent until it is known what came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<JournalOutcome>,
}

/// What came of a side effect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JournalOutcome {
    /// In one word.
    pub result: JournalResult,
    /// Of `Ok`: what its component was told, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Of `Error`: class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Of `Error`: for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How a side effect ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum JournalResult {
    /// It was done.
    Ok,
    /// It was not.
    Error,
    /// The host ended, or lost the connection, before it was known.
    #[default]
    Unknown,
}

/// The owner, with the uid that tells it from a later one of the same name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnerReference {
    /// `group/version`.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Absent for cluster-scoped owners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
}

/// One object of an owner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChildEntry {
    /// `group/version` as last applied.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Absent for cluster-scoped children.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// The component that made it.
    pub component: String,
    /// The account under which it was made: reads and deletes after the plugin is gone use it.
    pub account: String,
    /// Absent while it is only intended: the creation was about to be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Random token of the creation that is about to be sent. The object carries it as an annotation, which proves after a crash that it was
    /// made by that creation and not by somebody else. Absent once the uid is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// Hash of what was desired when it was last applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_hash: Option<String>,
    /// Hash of our entry in its managedFields after that apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields_hash: Option<String>,
    /// Pointers below which foreign fields are drift too, as last applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclusive: Vec<String>,
    /// Of generated Secrets: salted SHA-256 of each value by key, set whenever the host makes one. Fills `$(hash:secret/key)`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub material: BTreeMap<String, String>,
    /// Of renewable Secrets: when the material is due, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_at: Option<i64>,
    /// Stays when the owner goes or no longer desires it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep: bool,
}

impl ChildEntry {
    /// The account that it was made under.
    pub fn account(&self) -> NamespacedName {
        let (namespace, name) = self.account.split_once('/').unwrap_or(("", &self.account));
        NamespacedName { namespace: namespace.to_owned(), name: name.to_owned() }
    }
}
