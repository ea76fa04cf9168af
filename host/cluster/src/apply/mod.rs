//! Step 6: sends what the plan says, safely. The protocol:
//!
//! 1. The inventory gets the intents: every object that is about to be created, with a random token, in one write. What is not in the inventory
//!    is never created, so nothing can be lost track of: only an [`Intended`] plan can be sent.
//! 2. Steps are sent, component after component in graph order. Within a component Secrets go first, then definitions and what pods mount, then
//!    the rest; objects of one such wave go in parallel, so that one changed child does not wait for the others. A failure stops later waves of its
//!    component and the components that come after it, and nothing else.
//! 3. What is no longer desired is deleted ([`crate::prune`]), unless something of its component failed.
//! 4. The inventory has uids and hashes, also when a part failed. The caller writes it, together with what else a reconcile has to remember.
//!
//! A creation is a server-side apply whose body says `resourceVersion: "1"`. No object ever has that version, so it is made where there is none
//! and is a conflict where there is one: one request, no read, and our entry in `managedFields` is an `Apply` entry from the start (a `POST`
//! would leave an `Update` entry that a later apply cannot take fields from). A conflict is looked at once: it is ours when its annotation carries
//! the token of the intent, which only the inventory and we know, or has the uid that the inventory recorded. Labels, names and owner references
//! prove nothing. A write to an existing object says its uid, so that one which was replaced is a conflict and stays untouched.

mod exclusive;
mod ledger;
mod object;
mod outcome;

use std::collections::{BTreeMap, BTreeSet};

use banhbaoring_api::inventory::InventorySpec;
use banhbaoring_pipeline::contract::ObjectReference;
use banhbaoring_pipeline::graph::Graph;
use banhbaoring_pipeline::plan::{Plan, Step, Write};
use futures::StreamExt as _;

use crate::cluster::Cluster;
use crate::inventory::{InventoryError, StoredInventory};
use crate::observe::Views;

pub use ledger::token;
pub(crate) use ledger::{Ledger, published_to};
pub(crate) use object::{INTENT_ANNOTATION, claim, creation, mark, set_metadata};
pub use outcome::{Applied, ComponentApplied, StepError, StepOutcome, StepResult};
pub(crate) use outcome::{Done, Written};

/// Writes of one owner that are under way at a time.
const PARALLEL: usize = 8;

/// Component to the components that it comes after.
pub type Dependencies = BTreeMap<String, BTreeSet<String>>;

/// Who comes after whom in a graph, whatever the gate.
pub fn dependencies(graph: &Graph) -> Dependencies {
    let after = |node: &banhbaoring_pipeline::graph::Node| node.component.after.iter().map(|after| after.component.clone()).collect();
    graph.nodes.iter().map(|node| (node.component.name.clone(), after(node))).collect()
}

/// A plan whose creations the stored inventory knows of.
#[derive(Debug)]
pub struct Intended<'p> {
    plan: &'p Plan,
    ledger: Ledger,
    inventory: StoredInventory,
}

impl Intended<'_> {
    /// The inventory as it is stored now.
    pub fn inventory(&self) -> &InventorySpec {
        &self.inventory.spec
    }
}

impl Cluster {
    /// Writes down what a plan is about to create. `inventory` is as it was read for the observation that the plan was made from.
    ///
    /// # Errors
    /// The inventory could not be written: nothing may be sent.
    pub async fn intend<'p>(&self, plan: &'p Plan, mut inventory: StoredInventory) -> Result<Intended<'p>, InventoryError> {
        let mut ledger = Ledger::new(&inventory.spec);
        ledger.intend(plan);
        ledger.store_in(&mut inventory.spec);
        self.inventories.write(&mut inventory).await?;
        Ok(Intended { plan, ledger, inventory })
    }

    /// Sends a plan. What the API server answered is what is known of the children from then on, with the fields that `views` ask for, if they are
    /// followed by a watch already. The inventory in the answer has to be stored; until it is, what was created is found again by its intent.
    #[must_use = "the inventory in the answer has to be stored"]
    pub async fn apply(&self, intended: Intended<'_>, after: &Dependencies, views: &Views) -> Applied {
        let Intended { plan, mut ledger, inventory } = intended;
        let mut applied = Applied::new(inventory);
        // What watches tell of these from here on may be older than what is written now.
        let written = written(plan);
        self.watches.write(&written);
        for steps in plan.steps.chunk_by(|a, b| a.component == b.component) {
            let Some(first) = steps.first() else { continue };
            let held_up = after.get(&first.component).and_then(|after| after.iter().find(|other| applied.has_failed(other)));
            if let Some(other) = held_up {
                applied.skip(steps, &format!("component {other}, which it comes after, could not be applied"));
                continue;
            }
            self.apply_component(steps, views, &mut ledger, &mut applied).await;
        }
        self.prune(plan, &mut ledger, &mut applied).await;
        self.watches.written(&written).await;
        for reference in &plan.release {
            ledger.forget(reference);
        }
        ledger.store_in(&mut applied.inventory.spec);
        applied
    }

    async fn apply_component(&self, steps: &[Step], views: &Views, ledger: &mut Ledger, applied: &mut Applied) {
        let mut failed = false;
        for wave in waves(steps) {
            if failed {
                wave.into_iter().for_each(|step| applied.skip(std::slice::from_ref(step), "an earlier step of the component failed"));
                continue;
            }
            let before = &*ledger;
            // Made before the stream: a closure over borrowed steps inside of it would keep this future from being spawned.
            let sends: Vec<_> = wave.into_iter().map(|step| async move { (step, self.send(step, views, before).await) }).collect();
            let mut done = futures::stream::iter(sends).buffer_unordered(PARALLEL).collect::<Vec<_>>().await;
            done.sort_by(|(a, _), (b, _)| a.reference.cmp(&b.reference));
            for (step, result) in done {
                let error = match &result {
                    Ok(Done::Written(written)) => written.publish_failed.as_ref(),
                    Ok(Done::Absent | Done::Leaving) => None,
                    Err(error) => Some(error),
                };
                failed |= error.is_some();
                if let Some(error) = error {
                    tracing::warn!(component = step.component, object = %step.reference, reason = error.reason(), "a write was refused");
                }
                ledger.record(step, &result);
                if let Ok(Done::Written(written)) = &result {
                    self.learn(step, written, ledger, applied).await;
                }
                applied.record(step, result);
            }
        }
    }

    /// What was answered is what is there now.
    async fn learn(&self, step: &Step, written: &Written, ledger: &Ledger, applied: &mut Applied) {
        let Some((entry, sighting)) = ledger.entry(&step.reference).zip(written.sighting.as_ref()) else { return };
        self.watches.looked(entry, sighting).await;
        let child = sighting.clone().child(entry, &applied.inventory.spec.owner.uid);
        applied.children.insert(step.reference.clone(), child);
    }

    async fn send(&self, step: &Step, views: &Views, ledger: &Ledger) -> Result<Done, StepError> {
        match &step.write {
            Write::Object(write) => self.write_object(step, write, views, ledger).await,
            Write::Secret(write) => self.write_secret(step, write, ledger).await,
        }
    }
}

/// Everything that a plan may change, ConfigMaps that Secrets are published to included.
fn written(plan: &Plan) -> Vec<ObjectReference> {
    let mut written: Vec<ObjectReference> = plan.prune.iter().map(|prune| prune.reference.clone()).collect();
    for step in &plan.steps {
        if let Write::Secret(write) = &step.write {
            written.extend(write.secret.publish.iter().map(|publication| published_to(&step.reference, &publication.config_map)));
        }
        written.push(step.reference.clone());
    }
    written
}

const LAST_RANK: u8 = 2;

/// What is sent together. Secrets one after the other: a certificate is signed by the authority that was made and recorded before it.
fn waves(steps: &[Step]) -> Vec<Vec<&Step>> {
    let (secrets, objects): (Vec<&Step>, Vec<&Step>) = steps.iter().partition(|step| matches!(step.write, Write::Secret(_)));
    let mut waves: Vec<Vec<&Step>> = secrets.into_iter().map(|step| vec![step]).collect();
    waves.extend((0..=LAST_RANK).map(|rank| objects.iter().copied().filter(|step| rank_of(&step.reference) == rank).collect()));
    waves.retain(|wave: &Vec<&Step>| !wave.is_empty());
    waves
}

fn rank_of(reference: &ObjectReference) -> u8 {
    match (reference.group(), reference.kind.as_str()) {
        ("", "Namespace") | ("apiextensions.k8s.io", _) => 0,
        // A binding is refused while the role that it names is not there.
        ("", "Pod" | "ReplicationController") | ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => LAST_RANK,
        ("" | "rbac.authorization.k8s.io" | "networking.k8s.io" | "policy" | "storage.k8s.io" | "scheduling.k8s.io", _) => 1,
        _ => LAST_RANK,
    }
}
