//! Which component an object belongs to, where several want it.

use std::collections::BTreeMap;

use banhbaoring_api::inventory::InventorySpec;

use super::asker::Identity;
use super::{generated, objects};
use crate::contract::{ApplyMode, ObjectReference};
use crate::kinds::{KindTable, group_of};
use crate::observation::Observation;
use crate::render::{Desired, Outcome, Rendered};

/// An object that an answer writes.
pub(super) struct Written {
    pub(super) reference: ObjectReference,
    /// Whether the answer makes it: what is only changed where it exists stays somebody else's.
    pub(super) made: bool,
}

/// All objects that one answer writes, in its order: objects, Secrets of the component and of its slots, ConfigMaps of publications.
/// What is malformed is left out; it is refused elsewhere.
pub(super) fn written(rendered: &Rendered, namespace: Option<&str>, kinds: &KindTable) -> Vec<Written> {
    let Outcome::Answered(response) = &rendered.outcome else { return Vec::new() };
    let objects = response.objects.iter().filter_map(|object| {
        let (reference, _) = objects::resolve(&object.manifest, namespace, kinds).ok()?;
        Some(Written { reference, made: object.mode != ApplyMode::IfExists })
    });
    let mut written: Vec<Written> = objects.collect();
    let mut maps = Vec::new();
    for secret in response.secrets.iter().chain(rendered.slots.iter().flat_map(|slot| &slot.seal.secrets)) {
        written.push(Written { reference: generated::reference(secret, namespace), made: true });
        // Several Secrets may be published into one ConfigMap.
        for map in generated::publications(secret, namespace) {
            if !maps.contains(&map) {
                maps.push(map);
            }
        }
    }
    written.extend(maps.into_iter().map(|reference| Written { reference, made: true }));
    written
}

/// Who has which object.
#[derive(Debug, Default)]
pub(super) struct Claims {
    holders: BTreeMap<Identity, String>,
}

impl Claims {
    /// The component that made an object keeps it, also while it fails or waits: nobody takes it over by asking. Of what is new, the
    /// first in graph order.
    pub(super) fn of(desired: &Desired, observation: &Observation) -> Self {
        let namespace = observation.owner.reference.namespace.as_deref();
        let mut wanted: BTreeMap<Identity, Vec<&str>> = BTreeMap::new();
        for rendered in &desired.components {
            for one in written(rendered, namespace, &observation.kinds) {
                wanted.entry(one.reference.identity()).or_default().push(&rendered.component);
            }
        }
        let recorded = recorded(&observation.inventory);
        let holders = wanted
            .into_iter()
            .filter_map(|(identity, components)| {
                let before = recorded.get(&identity).filter(|component| {
                    desired.components.iter().any(|rendered| {
                        rendered.component == **component
                            && (components.contains(component) || !matches!(rendered.outcome, Outcome::Answered(_)))
                    })
                });
                let holder = before.copied().or_else(|| components.first().copied())?;
                Some((identity, holder.to_owned()))
            })
            .collect();
        Self { holders }
    }

    /// The component that has it, unless it is `component`.
    pub(super) fn other(&self, reference: &ObjectReference, component: &str) -> Option<&str> {
        self.holders.get(&reference.identity()).map(String::as_str).filter(|holder| *holder != component)
    }
}

fn recorded(inventory: &InventorySpec) -> BTreeMap<Identity, &str> {
    let made = inventory.children.iter().filter(|entry| entry.uid.is_some());
    made.map(|entry| {
        let identity = (group_of(&entry.api_version).to_owned(), entry.kind.clone(), entry.namespace.clone(), entry.name.clone());
        (identity, entry.component.as_str())
    })
    .collect()
}
