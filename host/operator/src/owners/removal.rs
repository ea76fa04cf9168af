//! The end of an owner: its finalizer while it goes, and after it is gone whatever garbage collection does not take (objects in other
//! namespaces, cluster-scoped ones) and its inventory. What is kept stays.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use banhbaoring_api::inventory::{InventorySpec, OwnerReference};
use banhbaoring_cluster::{InventoryError, Listed, StoredInventory};
use banhbaoring_pipeline::contract::{Finalizer, FinalizerTimeout};
use banhbaoring_pipeline::observation::{Observation, Owner};
use banhbaoring_pipeline::plan::plan_removal;
use banhbaoring_pipeline::render::{Desired, Outcome};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tracing::{info, warn};

use super::effects::now;
use super::reconcile::{Decided, ReconcileError};
use super::{OwnerKind, Owners};

/// Attempts to remove what is left of an owner before it is left to the next start.
const ATTEMPTS: u32 = 20;
/// Wait between them.
const WAIT: Duration = Duration::from_secs(3);

impl Owners {
    /// Makes sure that the owner cannot go before its components have finalised.
    pub(super) async fn hold(&self, kind: &OwnerKind, owner: &Owner, finalizer: &Finalizer) -> Result<(), ReconcileError> {
        let mut finalizers = finalizers(owner);
        if finalizers.contains(&finalizer.name) {
            return Ok(());
        }
        finalizers.push(finalizer.name.clone());
        self.write_finalizers(kind, owner, &finalizers).await
    }

    /// Lets the owner go once every component has finalised, or the time limit has passed and the kind says so.
    pub(super) async fn let_go(&self, kind: &OwnerKind, decided: &Decided, finalizer: &Finalizer) -> Result<(), ReconcileError> {
        let owner = &decided.observation.owner;
        let mut finalizers = finalizers(owner);
        if !finalizers.contains(&finalizer.name) {
            return Ok(());
        }
        let finalised = is_finalised(&decided.desired, &decided.observation.inventory);
        let overdue = finalizer.on_timeout == FinalizerTimeout::Force && is_overdue(owner, finalizer.timeout_seconds);
        if !finalised && !overdue {
            return Ok(());
        }
        if !finalised {
            warn!(finalizer = %finalizer.name, "its components did not finalise in time; it goes all the same");
        }
        finalizers.retain(|name| *name != finalizer.name);
        self.write_finalizers(kind, owner, &finalizers).await
    }

    async fn write_finalizers(&self, kind: &OwnerKind, owner: &Owner, finalizers: &[String]) -> Result<(), ReconcileError> {
        let resource_version = owner.object.pointer("/metadata/resourceVersion");
        let patch = json!({"metadata": {"finalizers": finalizers, "resourceVersion": resource_version}});
        let api = self.api(kind, &owner.reference)?;
        match api.patch(&owner.reference.name, &PatchParams::default(), &Patch::Merge(&patch)).await {
            // Gone, or changed meanwhile: the change itself brings it back here.
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
            outcome => outcome.map(|_| ()).map_err(|error| ReconcileError::Report(Box::new(error))),
        }
    }

    /// An owner was seen to go.
    pub(super) async fn remove(self: Arc<Self>, kind: Arc<OwnerKind>, owner: OwnerReference) {
        if let Some(memory) = self.memories.forget(&owner.uid) {
            self.metrics.forget(owner.namespace.as_deref().unwrap_or_default(), &owner.name, &owner.kind, &memory.components);
        }
        self.cluster.watches.forget(&owner.uid);
        self.answers.forget(&owner.uid).await;
        self.acts.forget(&owner.uid);
        self.runs.forget(&owner.uid);
        match self.cluster.inventories.read(&owner).await {
            Ok(inventory) if inventory.resource_version.is_some() => self.remove_children(&kind, inventory).await,
            Ok(_) => {}
            Err(error) => warn!(%error, owner = %owner.name, "what is left of an owner is removed at the next start"),
        }
    }

    /// Inventories of owners that went while nobody looked.
    pub(super) async fn sweep(self: Arc<Self>, kind: Arc<OwnerKind>, there: BTreeSet<String>) {
        match self.cluster.inventories.list().await {
            Ok(Listed { inventories, .. }) => {
                let gone = |inventory: &StoredInventory| !there.contains(&inventory.spec.owner.uid);
                for inventory in inventories.into_iter().filter(|inventory| is_of(&kind, inventory) && gone(inventory)) {
                    self.memories.forget(&inventory.spec.owner.uid);
                    self.remove_children(&kind, inventory).await;
                }
            }
            Err(error) => warn!(%error, "inventories were not swept"),
        }
    }

    /// Reads the inventories of all owners of a kind at once, before the first of them is looked at.
    pub(super) async fn remember(&self, kind: &OwnerKind) {
        match self.cluster.inventories.list().await {
            Ok(Listed { mut inventories, malformed }) => {
                malformed.iter().for_each(|error| warn!(%error, "an inventory is left out"));
                inventories.retain(|inventory| is_of(kind, inventory));
                self.memories.begin(&kind.name, inventories, malformed.is_empty());
            }
            Err(error) => warn!(%error, kind = %kind.name, "inventories are read one by one"),
        }
    }

    async fn remove_children(&self, kind: &OwnerKind, mut inventory: StoredInventory) {
        let owner = inventory.spec.owner.clone();
        match self.is_gone(kind, &owner).await {
            Ok(true) => {}
            Ok(false) => return warn!(owner = %owner.name, "it is still there; nothing of it is removed"),
            Err(error) => return warn!(%error, owner = %owner.name, "whether it is gone is not known; nothing of it is removed"),
        }
        for _ in 0..ATTEMPTS {
            let observed = self.cluster.observe_children(&inventory.spec, &Default::default()).await;
            let observation = Observation {
                owner: Owner { reference: owner.clone(), deleting: true, ..Owner::default() },
                inventory: inventory.spec.clone(),
                children: observed.children,
                unobserved: observed.failures.iter().map(|failure| (failure.component.clone(), failure.to_string())).collect(),
                now: now(),
                ..Observation::default()
            };
            let plan = plan_removal(&observation);
            let done = plan.prune.is_empty() && plan.waiting.is_empty() && observation.unobserved.is_empty();
            if done {
                match self.cluster.inventories.delete(&inventory).await {
                    Ok(()) => return info!(owner = %owner.name, kind = %owner.kind, "nothing is left of it but what it keeps"),
                    Err(error) => return warn!(%error, "an inventory was not deleted; it is swept at the next start"),
                }
            }
            let applied = async {
                let intended = self.cluster.intend(&plan, inventory).await?;
                let mut applied = self.cluster.apply(intended, &Default::default(), &Default::default()).await;
                self.cluster.inventories.write(&mut applied.inventory).await?;
                Ok::<_, InventoryError>(applied.inventory)
            };
            match applied.await {
                Ok(stored) => inventory = stored,
                Err(error) => return warn!(%error, owner = %owner.name, "what is left of it is removed at the next start"),
            }
            tokio::time::sleep(WAIT).await;
        }
        warn!(owner = %owner.name, "some of its objects are still being deleted; looked at again at the next start");
    }

    async fn is_gone(&self, kind: &OwnerKind, owner: &OwnerReference) -> Result<bool, ReconcileError> {
        let found = self.api(kind, owner)?.get_metadata_opt(&owner.name).await.map_err(|error| ReconcileError::Report(Box::new(error)))?;
        Ok(found.is_none_or(|object| object.metadata.uid.as_deref() != Some(&owner.uid)))
    }
}

/// Whether every component has finalised, or has nothing that could be left behind. One whose plugin does not serve any more has not: only the time
/// limit speaks for it.
fn is_finalised(desired: &Desired, inventory: &InventorySpec) -> bool {
    let finalised: BTreeSet<&str> = desired
        .components
        .iter()
        .filter(|rendered| matches!(&rendered.outcome, Outcome::Answered(response) if response.finalized))
        .map(|rendered| rendered.component.as_str())
        .collect();
    let answered = desired.components.iter().filter(|rendered| matches!(rendered.outcome, Outcome::Answered(_)));
    answered.map(|rendered| rendered.component.as_str()).all(|component| finalised.contains(component))
        && inventory.children.iter().all(|entry| finalised.contains(entry.component.as_str()))
}

fn is_of(kind: &OwnerKind, inventory: &StoredInventory) -> bool {
    let owner = &inventory.spec.owner;
    owner.kind == kind.resource.kind && group(&owner.api_version) == kind.resource.group
}

fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

fn finalizers(owner: &Owner) -> Vec<String> {
    owner.object.pointer("/metadata/finalizers").and_then(|list| serde_json::from_value(list.clone()).ok()).unwrap_or_default()
}

fn is_overdue(owner: &Owner, seconds: u32) -> bool {
    let since = owner.object.pointer("/metadata/deletionTimestamp").and_then(|time| time.as_str());
    let since =
        since.and_then(|time| chrono::DateTime::parse_from_rfc3339(time).ok()).and_then(|time| u64::try_from(time.timestamp()).ok());
    since.is_some_and(|since| now() > since + u64::from(seconds))
}
