//! Looks at all that a cluster holds for an owner: objects of every kind that can be listed, by the label that the host puts on them, and the
//! inventory. What it means that something is there is for the tests to say.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use banhbaoring_api::inventory::{Inventory, InventorySpec};
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject};
use kube::discovery::{Discovery, Scope, verbs};
use kube::{Api, Client, ResourceExt as _};
use serde_json::Value;

/// Label with the uid of the owner.
pub const OWNER_LABEL: &str = "banhbaoring.io/owner-uid";

/// Kinds that kube-controller-manager makes of a Service, with the labels of that Service, and those that tell of the past.
const OF_OTHERS: [&str; 3] = ["Endpoints", "EndpointSlice", "Event"];

/// Objects by `Kind/name`.
pub type Objects = BTreeMap<String, Value>;

/// Every namespaced kind of a cluster, and where the host keeps its inventories.
#[derive(Clone)]
pub struct Survey {
    client: Client,
    kinds: Vec<ApiResource>,
    host_namespace: String,
}

impl Survey {
    /// Asks the API server what it serves.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn new(client: Client, host_namespace: &str) -> Result<Self> {
        let discovery = Discovery::new(client.clone()).run().await.context("ask what is served")?;
        let served = discovery.groups().flat_map(|group| group.recommended_resources());
        let kinds = served
            .filter(|(kind, can)| {
                can.scope == Scope::Namespaced && can.supports_operation(verbs::LIST) && !OF_OTHERS.contains(&kind.kind.as_str())
            })
            .map(|(kind, _)| kind)
            .collect();
        Ok(Self { client, kinds, host_namespace: host_namespace.to_owned() })
    }

    /// Everything in all namespaces that a selector matches.
    ///
    /// # Errors
    /// A kind cannot be listed.
    pub async fn everything(&self, selector: &str) -> Result<Vec<Value>> {
        self.list(None, selector).await
    }

    /// Everything in a namespace that says of itself that it belongs to the owner.
    ///
    /// # Errors
    /// A kind cannot be listed.
    pub async fn children(&self, namespace: &str, owner_uid: &str) -> Result<Objects> {
        let objects = self.list(Some(namespace), &format!("{OWNER_LABEL}={owner_uid}")).await?;
        Ok(objects.into_iter().map(|object| (name_of(&object), object)).collect())
    }

    /// What the host has recorded of an owner.
    ///
    /// # Errors
    /// Inventories cannot be listed.
    pub async fn inventory(&self, owner_uid: &str) -> Result<Option<Inventory>> {
        Ok(self.inventories().await?.into_iter().find(|inventory| inventory.spec.owner.uid == owner_uid))
    }

    /// All that the host has recorded.
    ///
    /// # Errors
    /// Inventories cannot be listed.
    pub async fn inventories(&self) -> Result<Vec<Inventory>> {
        let inventories: Api<Inventory> = Api::namespaced(self.client.clone(), &self.host_namespace);
        Ok(inventories.list(&ListParams::default()).await.context("list inventories")?.items)
    }

    async fn list(&self, namespace: Option<&str>, selector: &str) -> Result<Vec<Value>> {
        let parameters = ListParams::default().labels(selector);
        let lists = self.kinds.iter().map(|kind| self.list_kind(kind, namespace, &parameters));
        Ok(futures::future::try_join_all(lists).await?.into_iter().flatten().collect())
    }

    async fn list_kind(&self, kind: &ApiResource, namespace: Option<&str>, parameters: &ListParams) -> Result<Vec<Value>> {
        let api: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, kind),
            None => Api::all_with(self.client.clone(), kind),
        };
        let list = match api.list(parameters).await {
            Ok(list) => list,
            // Its definition is gone since it was discovered, and its objects with it.
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| format!("list {}", kind.plural)),
        };
        list.items
            .into_iter()
            .map(|object| {
                let mut value = serde_json::to_value(object)?;
                // Items of a list of a built-in kind do not say what they are.
                value["apiVersion"] = kind.api_version.clone().into();
                value["kind"] = kind.kind.clone().into();
                Ok(value)
            })
            .collect()
    }
}

/// `Kind/name`.
#[must_use]
pub fn name_of(object: &Value) -> String {
    format!("{}/{}", text(object, "/kind"), text(object, "/metadata/name"))
}

/// The string at a pointer; empty where there is none.
#[must_use]
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The uid of each.
#[must_use]
pub fn uids(objects: &Objects) -> BTreeMap<String, String> {
    each(objects, "/metadata/uid")
}

/// The resourceVersion of each.
#[must_use]
pub fn versions(objects: &Objects) -> BTreeMap<String, String> {
    each(objects, "/metadata/resourceVersion")
}

fn each(objects: &Objects, pointer: &str) -> BTreeMap<String, String> {
    objects.iter().map(|(name, object)| (name.clone(), text(object, pointer).to_owned())).collect()
}

/// The uids that an inventory holds, by `Kind/name`; `None` for what is only intended.
#[must_use]
pub fn recorded(inventory: &InventorySpec) -> BTreeMap<String, Option<String>> {
    inventory.children.iter().map(|child| (format!("{}/{}", child.kind, child.name), child.uid.clone())).collect()
}

/// The version that an inventory is stored in.
#[must_use]
pub fn version_of(inventory: &Inventory) -> String {
    inventory.resource_version().unwrap_or_default()
}
