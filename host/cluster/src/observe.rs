//! Step 1: which children of an inventory exist, under whom and how they fare. What a watch keeps current is not asked; else named gets, each as the
//! account that is recorded with the child; whole objects only where readiness or a component needs them, trimmed at once. Judging what was
//! seen is the planner's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use banhbaoring_api::inventory::{ChildEntry, InventorySpec};
use banhbaoring_api::plugin::NamespacedName;
use banhbaoring_contract::http::TrustRoot;
use banhbaoring_pipeline::contract::{HostIdentity, ObjectReference};
use banhbaoring_pipeline::graph::Graph;
use banhbaoring_pipeline::observation::{Observation, ObservedChild, Owner};
use futures::StreamExt as _;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::discovery::DiscoveryError;
use crate::inventory::{InventoryError, StoredInventory};
use crate::request::{Answer, ApiError, Endpoint};
use crate::secret::material;
use crate::sighting::{Sight, Sighting};

/// Gets of one owner that are under way at a time.
const PARALLEL: usize = 8;

/// Fields that components asked for, by api version and kind.
pub type Views = BTreeMap<(String, String), BTreeSet<String>>;

/// What the components of a graph asked to see of their children.
pub fn views(graph: &Graph) -> Views {
    let mut views = Views::new();
    for view in graph.nodes.iter().flat_map(|node| &node.component.children) {
        views.entry((view.api_version.clone(), view.kind.clone())).or_default().extend(view.fields.iter().cloned());
    }
    views
}

/// What was seen of the children of one owner.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// Those that exist.
    pub children: BTreeMap<ObjectReference, ObservedChild>,
    /// Those of which nothing is known. Their component must not be planned: what is not known is not absent.
    pub failures: Vec<ObserveFailure>,
}

/// A child of which nothing is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reference} of component {component} could not be observed: {error}")]
pub struct ObserveFailure {
    /// The component that made it.
    pub component: String,
    /// Which.
    pub reference: ObjectReference,
    /// Why; names account and verb where it is forbidden.
    pub error: ApiError,
}

impl Observed {
    /// Components of whose children something is not known, and why, as an [`Observation`] has it.
    pub fn unobserved(&self) -> BTreeMap<String, String> {
        let mut unobserved = BTreeMap::new();
        for failure in &self.failures {
            unobserved.entry(failure.component.clone()).or_insert_with(|| failure.to_string());
        }
        unobserved
    }
}

/// Why nothing can be said of an owner.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// Its inventory cannot be read.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// It is not known what the cluster serves.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
}

impl Cluster {
    /// Step 1 for one owner: its inventory, its children and the cluster. Answers, results and material are the caller's to add.
    ///
    /// # Errors
    /// The inventory or the list of served APIs cannot be read. A child that cannot be is in `unobserved`.
    pub async fn observe(
        &self,
        owner: Owner,
        views: &Views,
        cluster_domain: &str,
        host: &HostIdentity,
    ) -> Result<(StoredInventory, Observation), ObserveError> {
        let platform = self.discovery.platform(cluster_domain, host).await?;
        let inventory = self.inventories.read(&owner.reference).await?;
        let observed = self.observe_children(&inventory.spec, views).await;
        let observation = Observation {
            owner,
            inventory: inventory.spec.clone(),
            unobserved: observed.unobserved(),
            children: observed.children,
            platform,
            kinds: self.discovery.kinds(),
            now: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            ..Observation::default()
        };
        Ok((inventory, observation))
    }

    /// What exists of the children in `inventory`, intended ones included.
    pub async fn observe_children(&self, inventory: &InventorySpec, views: &Views) -> Observed {
        let mut observed = Observed::default();
        let gets: Vec<_> = inventory
            .children
            .iter()
            .map(|entry| async move { (entry, self.observe_child(entry, &inventory.owner.uid, views).await) })
            .collect();
        let mut answers = futures::stream::iter(gets).buffer_unordered(PARALLEL);
        while let Some((entry, answer)) = answers.next().await {
            let reference = ObjectReference::from(entry);
            match answer {
                Ok(Some(child)) => {
                    observed.children.insert(reference, child);
                }
                // A kind that is no longer served has no objects.
                Ok(None) | Err(ApiError::NotServed { .. }) => {}
                Err(error) => observed.failures.push(ObserveFailure { component: entry.component.clone(), reference, error }),
            }
        }
        observed
    }

    async fn observe_child(&self, entry: &ChildEntry, owner_uid: &str, views: &Views) -> Result<Option<ObservedChild>, ApiError> {
        let sight = Sight::of(&entry.api_version, &entry.kind, views);
        if let Some(known) = self.watches.sighting(entry, &sight) {
            return Ok(Some(known.child(entry, owner_uid)));
        }
        let reference = ObjectReference::from(entry);
        let endpoint = Endpoint::find(&self.clients, &self.discovery, Some(&entry.account()), &reference).await?;
        let Some(object) = endpoint.get(sight.answer()).await? else {
            return Ok(None);
        };
        let sighting = Sighting::of(&object, &sight, &entry.exclusive);
        self.watches.looked(entry, &sighting).await;
        Ok(Some(sighting.child(entry, owner_uid)))
    }

    /// Salted hashes of values of Secrets that the host did not make: `wanted` holds `secret/key`, or `secret` for all of it. What is not there is
    /// not in the answer.
    ///
    /// # Errors
    /// The account may not read the Secret, or the API server does not answer.
    pub async fn observe_material(
        &self,
        account: &NamespacedName,
        namespace: &str,
        wanted: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, String>, ApiError> {
        let names: BTreeSet<&str> = wanted.iter().map(|wanted| wanted.split('/').next().unwrap_or_default()).collect();
        let mut found = BTreeMap::new();
        for name in names {
            if let Some(secret) = self.secret(account, namespace, name).await? {
                let hashes = material::hashes_of(&secret);
                let hashes = hashes
                    .into_iter()
                    .map(|(key, hash)| if key.is_empty() { (name.to_owned(), hash) } else { (format!("{name}/{key}"), hash) });
                found.extend(hashes.filter(|(wanted_as, _)| wanted.contains(wanted_as)));
            }
        }
        Ok(found)
    }

    /// Decoded values of a Secret by key, read as the account; `None` where there is none. For the host's own use: no plugin is ever given one.
    ///
    /// # Errors
    /// The account may not read it, or the API server does not answer.
    pub async fn secret_values(
        &self,
        account: &NamespacedName,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, Vec<u8>>>, ApiError> {
        Ok(self.secret(account, namespace, name).await?.as_ref().map(material::values_of))
    }

    /// What a trust root holds, read as the account from the owner's namespace; `None` where there is no such object or key.
    ///
    /// # Errors
    /// The account may not read it, or the API server does not answer.
    pub async fn trust_root(&self, account: &NamespacedName, namespace: &str, root: &TrustRoot) -> Result<Option<Vec<u8>>, ApiError> {
        match root {
            TrustRoot::Secret(from) => {
                Ok(self.secret_values(account, namespace, &from.secret).await?.and_then(|mut values| values.remove(&from.key)))
            }
            TrustRoot::ConfigMap(from) => {
                let found = self.core_object(account, "ConfigMap", namespace, &from.config_map).await?;
                let value = found.as_ref().and_then(|object| object.get("data")?.get(&from.key)).and_then(Value::as_str);
                Ok(value.map(|text| text.as_bytes().to_vec()))
            }
        }
    }

    async fn secret(&self, account: &NamespacedName, namespace: &str, name: &str) -> Result<Option<Value>, ApiError> {
        self.core_object(account, "Secret", namespace, name).await
    }

    async fn core_object(&self, account: &NamespacedName, kind: &str, namespace: &str, name: &str) -> Result<Option<Value>, ApiError> {
        let reference = ObjectReference {
            api_version: "v1".to_owned(),
            kind: kind.to_owned(),
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        };
        Endpoint::find(&self.clients, &self.discovery, Some(account), &reference).await?.get(Answer::Whole).await
    }
}
