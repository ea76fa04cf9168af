//! The inventory's entries while a plan is sent: what was known before, what is intended, what was learnt. Pure.

use std::collections::HashMap;

use banhbaoring_api::inventory::{ChildEntry, InventorySpec};
use banhbaoring_api::plugin::NamespacedName;
use banhbaoring_pipeline::contract::ObjectReference;
use banhbaoring_pipeline::plan::{Plan, Step, Write};
use rand::RngCore as _;

use super::{Done, StepError, Written};

type Identity = (String, String, Option<String>, String);

/// Entries in the order of their making, findable by what they speak of whatever its version.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    entries: Vec<Option<ChildEntry>>,
    at: HashMap<Identity, usize>,
    /// Uids that entries had before they became intents in this pass.
    before: HashMap<Identity, String>,
}

impl Ledger {
    pub(crate) fn new(inventory: &InventorySpec) -> Self {
        let at = inventory.children.iter().enumerate().map(|(at, entry)| (ObjectReference::from(entry).identity(), at)).collect();
        Self { entries: inventory.children.iter().cloned().map(Some).collect(), at, before: HashMap::new() }
    }

    pub(crate) fn entry(&self, reference: &ObjectReference) -> Option<&ChildEntry> {
        self.at.get(&reference.identity()).and_then(|at| self.entries.get(*at)).and_then(Option::as_ref)
    }

    /// The uid that the inventory had recorded for it, also if it has become an intent in this pass.
    pub(crate) fn recorded_uid(&self, reference: &ObjectReference) -> Option<&str> {
        self.before.get(&reference.identity()).map(String::as_str).or_else(|| self.entry(reference)?.uid.as_deref())
    }

    /// The token of the creation that is under way.
    pub(crate) fn intent(&self, reference: &ObjectReference) -> Option<&str> {
        self.entry(reference)?.intent.as_deref()
    }

    /// Enters everything that the plan is about to create. An intent that is there already keeps its token: it may have been carried out.
    pub(crate) fn intend(&mut self, plan: &Plan) {
        for step in &plan.steps {
            match &step.write {
                Write::Object(write) if write.create => self.intend_one(step, &step.reference),
                Write::Object(_) => {}
                Write::Secret(write) => {
                    if write.create {
                        self.intend_one(step, &step.reference);
                    }
                    for publication in &write.secret.publish {
                        let config_map = published_to(&step.reference, &publication.config_map);
                        if self.entry(&config_map).is_none_or(|entry| entry.uid.is_none()) {
                            self.intend_one(step, &config_map);
                        }
                    }
                }
            }
        }
    }

    fn intend_one(&mut self, step: &Step, reference: &ObjectReference) {
        let identity = reference.identity();
        let entry = self.entry_mut(step, reference);
        entry.account = account_text(&step.account);
        entry.component.clone_from(&step.component);
        entry.keep = step.keep;
        let previous = entry.uid.take();
        if previous.is_some() || entry.intent.is_none() {
            entry.intent = Some(token());
        }
        entry.desired_hash = None;
        entry.fields_hash = None;
        if let Some(previous) = previous {
            self.before.insert(identity, previous);
        }
    }

    fn entry_mut(&mut self, step: &Step, reference: &ObjectReference) -> &mut ChildEntry {
        let identity = reference.identity();
        let at = *self.at.entry(identity).or_insert_with(|| {
            self.entries.push(None);
            self.entries.len() - 1
        });
        self.entries[at].get_or_insert_with(|| ChildEntry {
            api_version: reference.api_version.clone(),
            kind: reference.kind.clone(),
            namespace: reference.namespace.clone(),
            name: reference.name.clone(),
            component: step.component.clone(),
            account: account_text(&step.account),
            keep: step.keep,
            ..ChildEntry::default()
        })
    }

    /// What a step taught.
    pub(crate) fn record(&mut self, step: &Step, result: &Result<Done, StepError>) {
        match result {
            Ok(Done::Written(written)) => {
                let (desired_hash, exclusive) = match &step.write {
                    Write::Object(write) => (&write.desired_hash, write.exclusive.as_slice()),
                    Write::Secret(write) => (&write.desired_hash, &[][..]),
                };
                // Without the hash of what is desired the planner sends it again.
                let desired_hash = written.publish_failed.is_none().then_some(desired_hash.as_str());
                self.learn(step, &step.reference, written, desired_hash, exclusive);
                for (config_map, written) in &written.published {
                    self.learn(step, config_map, written, desired_hash, &[]);
                }
            }
            // Deleted to be made again: an intent with a token of its own.
            Ok(Done::Leaving) => self.intend_one(step, &step.reference),
            Ok(Done::Absent) | Err(_) => {}
        }
    }

    fn learn(&mut self, step: &Step, reference: &ObjectReference, written: &Written, desired_hash: Option<&str>, exclusive: &[String]) {
        let entry = self.entry_mut(step, reference);
        entry.api_version.clone_from(&reference.api_version);
        entry.component.clone_from(&step.component);
        entry.account = account_text(&step.account);
        entry.uid = Some(written.uid.clone());
        entry.intent = None;
        entry.desired_hash = desired_hash.map(ToOwned::to_owned);
        entry.fields_hash.clone_from(&written.fields_hash);
        entry.exclusive = exclusive.to_vec();
        entry.keep = step.keep;
        if let Some(material) = &written.material {
            entry.material.clone_from(material);
            entry.renew_at = written.renew_at;
        }
    }

    /// It is gone, or no longer ours to look after.
    pub(crate) fn forget(&mut self, reference: &ObjectReference) {
        if let Some(at) = self.at.remove(&reference.identity())
            && let Some(entry) = self.entries.get_mut(at)
        {
            *entry = None;
        }
    }

    pub(crate) fn store_in(&self, inventory: &mut InventorySpec) {
        inventory.children = self.entries.iter().flatten().cloned().collect();
    }
}

/// The ConfigMap that a Secret's public part is copied to.
pub(crate) fn published_to(secret: &ObjectReference, config_map: &str) -> ObjectReference {
    ObjectReference { kind: "ConfigMap".to_owned(), name: config_map.to_owned(), ..secret.clone() }
}

fn account_text(account: &NamespacedName) -> String {
    format!("{}/{}", account.namespace, account.name)
}

/// A random token, in hex.
pub fn token() -> String {
    let mut bytes = [0_u8; 16];
    rand::rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}
