//! The comparison: permitted against inventory and observed metadata.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use banhbaoring_api::inventory::ChildEntry;
use serde_json::json;

use super::manifest::{complete, field_manager, fill_hashes, known_material};
use super::{Cause, ObjectWrite, Plan, PlanProblem, Prune, SecretWrite, Step, Waiting, Write};
use crate::admit::{Permitted, PermittedComponent, PermittedObject, PermittedSecret};
use crate::contract::{ApplyMode, GeneratedSecret, Json, ObjectReference, SecretClass};
use crate::json::{hash, remove_pointer};
use crate::observation::{Observation, ObservedChild};
use crate::plugins::ActivePlugin;

type Identity = (String, String, Option<String>, String);

/// What has to be sent so that the world is as permitted.
pub fn plan(permitted: &Permitted, observation: &Observation) -> Plan {
    let mut comparison = Comparison::new(observation);
    for component in permitted.components.iter().filter(|component| !observation.unobserved.contains_key(&component.component)) {
        comparison.component(component);
    }
    comparison.prune(permitted);
    comparison.plan
}

/// What has to be sent once an owner is gone or its components have finalised: everything that is not kept goes, last made first.
pub fn plan_removal(observation: &Observation) -> Plan {
    let mut comparison = Comparison { is_removal: true, ..Comparison::new(observation) };
    for entry in observation.inventory.children.iter().rev() {
        comparison.remove(entry);
    }
    comparison.plan
}

struct Comparison<'a> {
    observation: &'a Observation,
    entries: BTreeMap<Identity, &'a ChildEntry>,
    children: BTreeMap<Identity, &'a ObservedChild>,
    material: BTreeMap<String, String>,
    desired: BTreeSet<Identity>,
    /// Nobody desires anything any more.
    is_removal: bool,
    plan: Plan,
}

/// What is known of a child before anything is sent.
enum Known<'a> {
    /// Nothing, or it is gone.
    Absent(Cause),
    /// Ours and there.
    There(&'a ChildEntry, &'a ObservedChild),
    /// Ours, on its way out.
    Leaving,
}

impl<'a> Comparison<'a> {
    fn new(observation: &'a Observation) -> Self {
        let inventory = &observation.inventory;
        Self {
            observation,
            entries: inventory.children.iter().map(|entry| (ObjectReference::from(entry).identity(), entry)).collect(),
            children: observation.children.values().map(|child| (child.reference.identity(), child)).collect(),
            material: known_material(inventory, observation),
            desired: BTreeSet::new(),
            is_removal: false,
            plan: Plan::default(),
        }
    }

    fn component(&mut self, component: &PermittedComponent) {
        let before = self.plan.steps.len();
        // Secrets first: objects may carry their hashes, and pods that start without them only restart.
        for secret in &component.secrets {
            self.secret(&component.component, secret);
        }
        for object in &component.objects {
            self.object(component, object);
        }
        if self.plan.problems.iter().any(|problem| problem.component == component.component) {
            self.plan.steps.truncate(before);
        }
    }

    fn known(&self, reference: &ObjectReference) -> Known<'a> {
        let identity = reference.identity();
        let Some(entry) = self.entries.get(&identity).copied() else {
            return Known::Absent(Cause::Missing);
        };
        let Some(uid) = &entry.uid else {
            return Known::Absent(Cause::Interrupted);
        };
        match self.children.get(&identity).copied() {
            None => Known::Absent(Cause::Missing),
            Some(child) if child.uid != *uid => Known::Absent(Cause::Drifted),
            Some(child) if child.deleting => Known::Leaving,
            Some(child) => Known::There(entry, child),
        }
    }

    fn object(&mut self, component: &PermittedComponent, permitted: &PermittedObject) {
        let PermittedObject { reference, object } = permitted;
        self.desired.insert(reference.identity());
        // An object that is applied only where it exists is somebody else's: it is neither owned nor ever pruned.
        let keep = object.keep || object.mode == ApplyMode::IfExists;
        let mut manifest = complete(&object.manifest, reference, &self.observation.owner, &component.component, keep);
        let mut unknown = Vec::new();
        fill_hashes(&mut manifest, &self.material, &mut unknown);
        self.want_material(component, &unknown);
        if let Some(first) = unknown.first() {
            self.plan.waiting.push(Waiting {
                component: component.component.clone(),
                reference: reference.clone(),
                message: format!("the Secret and key `{first}` are not there yet; the object carries their hash"),
            });
            return;
        }
        let mut lasting = manifest.clone();
        for pointer in &object.create_only_fields {
            remove_pointer(&mut lasting, pointer);
        }
        let desired_hash = hash(&json!({"manifest": lasting, "exclusive": object.exclusive, "keep": keep}));
        let (cause, uid) = match (object.mode, self.known(reference)) {
            (_, Known::Leaving) => return self.wait_for_predecessor(&component.component, reference),
            (ApplyMode::CreateOnly, Known::There(..)) => return self.plan.unchanged.push(reference.clone()),
            (_, Known::There(entry, child)) => match difference(entry, child, &desired_hash) {
                None => return self.plan.unchanged.push(reference.clone()),
                Some(cause) => (cause, Some(child.uid.clone())),
            },
            (_, Known::Absent(cause)) => (cause, None),
        };
        let create = uid.is_none() && object.mode != ApplyMode::IfExists;
        let write = ObjectWrite {
            manifest: if create { manifest } else { lasting },
            manager: field_manager(&component.component),
            mode: object.mode,
            create,
            uid,
            desired_hash,
            exclusive: object.exclusive.clone(),
            create_only_fields: object.create_only_fields.clone(),
            recreate: object.recreate,
        };
        self.push(&component.component, &component.plugin, reference.clone(), cause, Write::Object(write), keep);
    }

    fn secret(&mut self, component: &str, permitted: &PermittedSecret) {
        let secret = &permitted.secret;
        let reference = ObjectReference {
            api_version: "v1".to_owned(),
            kind: "Secret".to_owned(),
            namespace: self.observation.owner.reference.namespace.clone(),
            name: secret.name.clone(),
        };
        self.desired.insert(reference.identity());
        for publication in &secret.publish {
            self.desired.insert(config_map(&reference, &publication.config_map).identity());
        }
        let manifest = complete(&secret_manifest(secret), &reference, &self.observation.owner, component, secret.keep);
        let desired_hash = hash(&json!({"manifest": manifest, "entries": secret.entries, "publish": secret.publish, "keep": secret.keep}));
        let (cause, uid) = match self.known(&reference) {
            Known::Leaving => return self.wait_for_predecessor(component, &reference),
            Known::There(entry, child) => {
                let difference = secret_difference(secret, entry, child, &desired_hash, self.observation.now);
                match difference.or_else(|| self.has_lost_publication(secret, &reference).then_some(Cause::Drifted)) {
                    None => return self.plan.unchanged.push(reference),
                    Some(cause) => (cause, Some(child.uid.clone())),
                }
            }
            Known::Absent(Cause::Missing | Cause::Drifted) if self.is_lost_identity(secret, &reference) => {
                return self.plan.problems.push(lost(component, reference));
            }
            Known::Absent(cause) => (cause, None),
        };
        let write =
            SecretWrite { secret: secret.clone(), manager: field_manager(component), manifest, create: uid.is_none(), uid, desired_hash };
        self.push(component, &permitted.plugin, reference, cause, Write::Secret(write), secret.keep);
    }

    /// A ConfigMap that it was published to is gone or was changed by somebody else.
    fn has_lost_publication(&self, secret: &GeneratedSecret, reference: &ObjectReference) -> bool {
        secret.publish.iter().map(|publication| config_map(reference, &publication.config_map)).any(|published| {
            self.entries.contains_key(&published.identity())
                && match self.known(&published) {
                    Known::Absent(_) => true,
                    Known::There(entry, child) => entry.fields_hash != child.fields_hash,
                    Known::Leaving => false,
                }
        })
    }

    /// It was made once and is gone: making another key would hide the loss and make what is sealed with the first unreadable.
    fn is_lost_identity(&self, secret: &GeneratedSecret, reference: &ObjectReference) -> bool {
        secret.class == SecretClass::Identity
            && secret.restore_from.is_none()
            && self.entries.get(&reference.identity()).is_some_and(|entry| entry.uid.is_some())
    }

    fn wait_for_predecessor(&mut self, component: &str, reference: &ObjectReference) {
        self.plan.waiting.push(Waiting {
            component: component.to_owned(),
            reference: reference.clone(),
            message: "it is being deleted; it is made again when it is gone".to_owned(),
        });
    }

    fn want_material(&mut self, component: &PermittedComponent, unknown: &[String]) {
        let generated: BTreeSet<&str> = component.secrets.iter().map(|secret| secret.secret.name.as_str()).collect();
        for wanted in unknown.iter().chain(self.observation.material.keys()) {
            let name = wanted.split('/').next().unwrap_or_default();
            if !generated.contains(name) {
                self.plan.wanted_material.insert(wanted.clone());
            }
        }
    }

    fn push(&mut self, component: &str, plugin: &Arc<ActivePlugin>, reference: ObjectReference, cause: Cause, write: Write, keep: bool) {
        self.plan.steps.push(Step {
            component: component.to_owned(),
            plugin: plugin.name.clone(),
            account: plugin.account.clone(),
            reference,
            cause,
            write,
            keep,
        });
    }

    fn prune(&mut self, permitted: &Permitted) {
        let settled = permitted.components.iter().filter(|component| !component.is_blocked);
        let answered: BTreeSet<&str> = settled.map(|component| component.component.as_str()).collect();
        for entry in self.observation.inventory.children.iter().rev() {
            let held = self.observation.unobserved.contains_key(&entry.component)
                || self.plan.problems.iter().any(|problem| problem.component == entry.component);
            if answered.contains(entry.component.as_str()) && !held && !self.desired.contains(&ObjectReference::from(entry).identity()) {
                self.remove(entry);
            }
        }
    }

    fn remove(&mut self, entry: &ChildEntry) {
        let reference = ObjectReference::from(entry);
        let child = self.children.get(&reference.identity()).copied();
        let ours = child.filter(|child| match &entry.uid {
            Some(uid) => child.uid == *uid,
            // An intent whose outcome is unknown: the owner reference with the owner's uid is what we would have written.
            None => child.controller.as_deref() == Some(self.observation.owner.reference.uid.as_str()),
        });
        match ours {
            Some(child) if !entry.keep && !child.deleting => self.plan.prune.push(Prune {
                component: entry.component.clone(),
                account: entry.account(),
                reference,
                uid: child.uid.clone(),
                resource_version: child.resource_version.clone(),
            }),
            Some(child) if !entry.keep && child.deleting => {
                self.plan.waiting.push(Waiting { component: entry.component.clone(), reference, message: "it is being deleted".to_owned() })
            }
            // It stays ours for as long as there is an owner: desired again, it is the one that is there, and its name is not taken.
            Some(_) if entry.keep && !self.is_removal => {}
            _ => self.plan.release.push(reference),
        }
    }
}

fn difference(entry: &ChildEntry, child: &ObservedChild, desired_hash: &str) -> Option<Cause> {
    if entry.desired_hash.as_deref() != Some(desired_hash) {
        Some(Cause::Changed)
    } else if entry.fields_hash != child.fields_hash {
        Some(Cause::Drifted)
    } else {
        None
    }
}

fn secret_difference(secret: &GeneratedSecret, entry: &ChildEntry, child: &ObservedChild, desired_hash: &str, now: u64) -> Option<Cause> {
    let due = entry.renew_at.is_some_and(|at| i64::try_from(now).is_ok_and(|now| now >= at));
    match secret.class {
        SecretClass::Renewable(_) if due => Some(Cause::Expiring),
        SecretClass::Renewable(_) => difference(entry, child, desired_hash),
        // Never overwritten, whoever changed it: only what is desired beside the material can change.
        SecretClass::Identity => (entry.desired_hash.as_deref() != Some(desired_hash)).then_some(Cause::Changed),
    }
}

fn lost(component: &str, reference: ObjectReference) -> PlanProblem {
    let name = reference.name.clone();
    PlanProblem {
        component: component.to_owned(),
        reference,
        reason: "IdentityLost",
        message: format!(
            "Secret {name} was made once and is gone or was replaced; it is not made anew, because what depends on it would be lost \
             silently. Put a copy of the original back under another name and name that in the spec as the Secret to restore from"
        ),
    }
}

fn secret_manifest(secret: &GeneratedSecret) -> Json {
    let labels: BTreeMap<&str, &str> = secret.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": secret.name, "labels": labels}})
}

fn config_map(secret: &ObjectReference, name: &str) -> ObjectReference {
    ObjectReference { kind: "ConfigMap".to_owned(), name: name.to_owned(), ..secret.clone() }
}
