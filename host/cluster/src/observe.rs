//! Step 1: which children of an inventory exist, under whom and how they fare. Only named gets, each as the account that is recorded with the child;
//! whole objects only where readiness or a component needs them, trimmed at once. Judging what was seen is the planner's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use banhbaoring_api::inventory::{ChildEntry, InventorySpec};
use banhbaoring_api::plugin::NamespacedName;
use banhbaoring_pipeline::contract::{HostIdentity, Json, ObjectReference, ReadinessState};
use banhbaoring_pipeline::graph::Graph;
use banhbaoring_pipeline::json::project;
use banhbaoring_pipeline::observation::{Observation, ObservedChild, Owner, Readiness};
use banhbaoring_pipeline::plan::field_manager;
use banhbaoring_pipeline::readiness::{needs_whole_object, readiness};
use futures::StreamExt as _;
use serde_json::Value;

use crate::apply::INTENT_ANNOTATION;
use crate::cluster::Cluster;
use crate::discovery::DiscoveryError;
use crate::inventory::{InventoryError, StoredInventory};
use crate::managed_fields::fields_hash;
use crate::request::{Answer, ApiError, Endpoint, Seen};
use crate::secret::material;

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
        let reference = ObjectReference::from(entry);
        // A Secret's value is never read to learn how it fares.
        let is_secret = reference.group().is_empty() && reference.kind == "Secret";
        let pointers = views.get(&(entry.api_version.clone(), entry.kind.clone())).filter(|pointers| !is_secret && !pointers.is_empty());
        let whole = !is_secret && (pointers.is_some() || needs_whole_object(&entry.api_version, &entry.kind));
        let endpoint = Endpoint::find(&self.clients, &self.discovery, Some(&entry.account()), &reference).await?;
        let Some(object) = endpoint.get(if whole { Answer::Whole } else { Answer::Metadata }).await? else {
            return Ok(None);
        };
        Ok(Some(trimmed(entry, owner_uid, &object, pointers, whole)))
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
            let reference = ObjectReference {
                api_version: "v1".to_owned(),
                kind: "Secret".to_owned(),
                namespace: Some(namespace.to_owned()),
                name: name.to_owned(),
            };
            let endpoint = Endpoint::find(&self.clients, &self.discovery, Some(account), &reference).await?;
            if let Some(secret) = endpoint.get(Answer::Whole).await? {
                let hashes = material::hashes_of(&secret);
                let hashes = hashes
                    .into_iter()
                    .map(|(key, hash)| if key.is_empty() { (name.to_owned(), hash) } else { (format!("{name}/{key}"), hash) });
                found.extend(hashes.filter(|(wanted_as, _)| wanted.contains(wanted_as)));
            }
        }
        Ok(found)
    }
}

fn trimmed(entry: &ChildEntry, owner_uid: &str, object: &Value, pointers: Option<&BTreeSet<String>>, whole: bool) -> ObservedChild {
    let seen = Seen::of(object);
    let readiness = if whole {
        readiness(object)
    } else if seen.deleting {
        state(ReadinessState::Progressing, "Terminating", "it is being deleted")
    } else {
        state(ReadinessState::Ready, "Exists", "")
    };
    // Of an object whose creation was only intended, the owner reference proves nothing, and a kept or foreign-namespace one has none: the token
    // tells whether it is the one that we made.
    let controller = match (&entry.uid, &entry.intent) {
        (None, Some(intent)) => {
            let token = seen.annotations.get(INTENT_ANNOTATION).and_then(Value::as_str);
            (token == Some(intent)).then(|| owner_uid.to_owned())
        }
        _ => seen.controller,
    };
    ObservedChild {
        reference: ObjectReference::from(entry),
        fields_hash: fields_hash(&seen.managed_fields, &field_manager(&entry.component), &entry.exclusive),
        uid: seen.uid,
        resource_version: seen.resource_version,
        controller,
        deleting: seen.deleting,
        readiness,
        fields: pointers.map_or_else(|| Json::Object(serde_json::Map::new()), |pointers| project(object, pointers)),
    }
}

fn state(state: ReadinessState, reason: &str, message: &str) -> Readiness {
    Readiness { state, reason: reason.to_owned(), message: message.to_owned() }
}
