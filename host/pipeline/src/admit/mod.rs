//! Step 4: checks everything asked for against the grants of the plugin that asks. A component's answer is permitted wholly or not at
//! all. Pure.
//!
//! Each dimension has its module: `resources` (verbs, relations, namespaces), `objects` (form and metadata), `pods` (what pods may be and
//! reach), `rbac`, `typed` (Services, accounts, volumes), `generated` (Secrets that the host makes), `needs`, `actions`, `http`, `answer`
//! (status, conditions, events, metrics), `seal` (answers of providers), `claims` (one object, one component), `review` (questions of a plugin that judges
//! a write).

mod actions;
mod answer;
mod asker;
mod claims;
mod generated;
mod http;
mod images;
mod naming;
mod needs;
mod objects;
mod pods;
mod rbac;
mod refusal;
mod resources;
mod review;
mod seal;
pub(crate) mod syntax;
#[cfg(test)]
mod tests;
mod typed;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use banhbaoring_contract::http::{Capture, Endpoint, Method};
use banhbaoring_contract::{action, need};

use crate::contract::{Action, ComponentDescriptor, GeneratedSecret, Json, Need, Object, ObjectReference, State};
use crate::observation::Observation;
use crate::plugins::ActivePlugin;
use crate::render::{Desired, Outcome, Rendered};

use asker::{Asker, Earlier, Own};
use claims::{Claims, Written};
use naming::SpecNames;
use refusal::Findings;

pub(crate) use images::is_prefix as is_reference_prefix;
pub(crate) use needs::reads_secret;
pub(crate) use rbac::within as rule_is_granted;
pub use refusal::Reason;
pub(crate) use refusal::{flow, shown};
pub(crate) use resources::relation_name;
pub use review::admit_review;
pub use seal::admit_seal;

/// What may be done. Only [`admit`] makes it.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Permitted {
    /// In graph order; components that were refused, failed or wait are not in it.
    pub components: Vec<PermittedComponent>,
    /// Components of whose answer some part is not granted.
    pub refused: Vec<Refusal>,
}

/// What one component may do.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PermittedComponent {
    /// Name.
    pub component: String,
    /// Who serves it.
    pub plugin: Arc<ActivePlugin>,
    /// Its objects, references completed (namespace filled in).
    pub objects: Vec<PermittedObject>,
    /// Its Secrets and those of its slots.
    pub secrets: Vec<PermittedSecret>,
    /// Its questions.
    pub needs: Vec<PermittedNeed>,
    /// Its side effects.
    pub actions: Vec<PermittedAction>,
    /// It waits for somebody: what it does not ask for now, it still wants.
    pub is_blocked: bool,
}

/// An object that may be applied.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PermittedObject {
    /// Which.
    pub reference: ObjectReference,
    /// As the plugin gave it, namespace filled in.
    pub object: Object,
}

/// A Secret that may be made, under the account of the plugin that asked (a slot's provider has its own).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PermittedSecret {
    /// Whose grants allow it.
    pub plugin: Arc<ActivePlugin>,
    /// What to make.
    pub secret: GeneratedSecret,
}

/// A need that may be asked.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PermittedNeed {
    /// The need.
    pub need: Need,
    /// What exactly may be asked.
    pub scope: NeedScope,
}

/// What exactly a need may ask.
#[derive(Debug, Clone, PartialEq)]
pub enum NeedScope {
    /// This one object.
    Object(ObjectReference, Whose),
    /// Objects of the kind.
    Objects {
        /// In these namespaces; empty for a cluster-scoped kind.
        namespaces: Vec<String>,
        /// Which of them.
        whose: Whose,
    },
    /// This one request.
    Http(Box<PermittedRequest>),
    /// What this image is now, and who signed it.
    Image(Box<need::Image>),
    /// What a component of this owner publishes.
    Outputs(ObjectReference, Whose, String),
    /// How the run of this key fares, which is this Job.
    Job(ObjectReference, String),
    /// What its spec says: `git` within its grants.
    Other,
    /// Never asked: answered by the error class `unsupported` with this message.
    Unsupported(String),
}

/// Of which objects an answer may speak. Whoever answers filters by it, and only by what is recorded: that a component describes an object
/// of some name does not make an object that has the name already its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Any.
    Any,
    /// Those that the inventory records, by uid, and those of these names.
    Known(BTreeSet<String>),
    /// What Kubernetes made for this StatefulSet, if the inventory records it: its pods and the claims of their volumes.
    OfStatefulSet(ObjectReference),
}

/// An HTTP request that may be sent: its destination, method and path are granted, and so is every Secret that it takes from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PermittedRequest {
    /// Where and how.
    pub endpoint: Endpoint,
    /// Method.
    pub method: Method,
    /// JSON body before injection; null: none.
    pub body: Json,
    /// Parts of the answer that go to Secrets unseen.
    pub capture: Vec<Capture>,
}

/// An action that may be run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PermittedAction {
    /// The action.
    pub action: Action,
    /// What exactly may be done.
    pub scope: ActionScope,
}

/// What exactly an action may do.
#[derive(Debug, Clone, PartialEq)]
pub enum ActionScope {
    /// Send this one request.
    Http(Box<PermittedRequest>),
    /// Own these fields of this object, or give them back.
    Patch(ObjectReference, action::Patch, Whose),
    /// Make the owner the controller of this object.
    Adopt(ObjectReference, action::Adopt, Whose),
    /// Delete this object.
    Delete(ObjectReference, action::Delete, Whose),
    /// Take a finalizer off this object.
    RemoveFinalizer(ObjectReference, action::RemoveFinalizer, Whose),
    /// Run this once for its key, as this Job.
    Run(ObjectReference, Box<action::Run>),
    /// Never run: answered by the error class `unsupported` with this message.
    Unsupported(String),
}

/// Why a component's answer was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which component; empty for the answer of a provider.
    pub component: String,
    /// Whose grants lack something: the component's plugin or a slot provider's.
    pub plugin: String,
    /// CamelCase, bounded: a [`Reason`].
    pub reason: String,
    /// The object that it is about.
    pub subject: Option<ObjectReference>,
    /// Asked, granted, what to add to the Plugin's grants.
    pub message: String,
}

/// Checks every answer against the grants of its plugin and those of its slots against their own. Components that failed or wait are in
/// neither list.
pub fn admit(desired: &Desired, observation: &Observation) -> Permitted {
    let mut pass = Pass {
        observation,
        spec: SpecNames::of(&observation.owner),
        claims: Claims::of(desired, observation),
        plugins: desired.components.iter().map(|rendered| rendered.plugin.as_ref()).collect(),
        recorded: Own::recorded(&observation.inventory),
        earlier: BTreeMap::new(),
    };
    let mut permitted = Permitted::default();
    for rendered in &desired.components {
        match pass.component(rendered) {
            None => {}
            Some(Ok(component)) => permitted.components.push(component),
            Some(Err(refusal)) => permitted.refused.push(refusal),
        }
    }
    permitted
}

/// One pass over the components of an owner, in graph order.
struct Pass<'a> {
    observation: &'a Observation,
    spec: SpecNames,
    claims: Claims,
    plugins: Vec<&'a ActivePlugin>,
    /// What the owner's components have made.
    recorded: Own,
    /// Components that were permitted before, by name.
    earlier: BTreeMap<&'a str, Earlier<'a>>,
}

impl<'a> Pass<'a> {
    fn component(&mut self, rendered: &'a Rendered) -> Option<Result<PermittedComponent, Refusal>> {
        let Outcome::Answered(response) = &rendered.outcome else { return None };
        for slot in &rendered.slots {
            if let Err(refusal) = admit_seal(&slot.plugin, &self.observation.owner, &slot.seal) {
                return Some(Err(Refusal { component: rendered.component.clone(), ..refusal }));
            }
        }
        let namespace = self.observation.owner.reference.namespace.as_deref();
        let written = claims::written(rendered, namespace, &self.observation.kinds);
        let answer: Own = written.iter().filter(|one| one.made).map(|one| one.reference.identity()).collect();
        let kind = self.observation.owner.kind();
        let earlier = self.inputs(rendered, &kind);
        // What another component only asks for may turn out to be somebody else's. Where that one comes first, its failure holds this one up;
        // one that is not sent at all holds up nobody.
        let sent = earlier.iter().filter(|earlier| !self.observation.unobserved.contains_key(earlier.component));
        let own = sent.fold(self.recorded.union(&answer), |own, earlier| own.union(&earlier.answer));
        let seals = || rendered.slots.iter().map(|slot| slot.seal.as_ref());
        let asker = Asker {
            plugin: &rendered.plugin,
            owner: &self.observation.owner,
            kinds: &self.observation.kinds,
            own: &own,
            answer: &answer,
            spec: &self.spec,
            slot_secrets: seals()
                .flat_map(|seal| {
                    let used = seal::secrets_of(seal).into_iter().map(|(_, name)| name.to_owned());
                    used.chain(seal.secrets.iter().map(|secret| secret.name.clone())).collect::<Vec<_>>()
                })
                .collect(),
            slot_annotations: seals().flat_map(|seal| seal.service_account_annotations.iter().cloned()).collect(),
            slot_audiences: seals().flat_map(seal::audiences_of).map(ToOwned::to_owned).collect(),
            earlier: &earlier,
        };
        let mut findings = Findings::default();
        self.twice(&mut findings, &rendered.component, &written);
        let declared = answer::Declared::of(&rendered.plugin, &rendered.component, &kind, &self.plugins);
        answer::check(&mut findings, response, &declared);
        let mut objects = Vec::new();
        for object in &response.objects {
            match objects::resolve(&object.manifest, namespace, &self.observation.kinds) {
                Ok((reference, info)) => {
                    objects::check(&asker, &mut findings, object, &reference, &info);
                    objects.push(PermittedObject { object: objects::completed(object, &reference), reference });
                }
                Err((reason, message)) => findings.add(reason, None, message),
            }
        }
        response.secrets.iter().for_each(|secret| generated::check(&asker, &mut findings, secret));
        let needs = needs::check(&asker, &mut findings, &response.needs);
        let actions = actions::check(&asker, &mut findings, &response.actions);
        if let Some(refusal) = findings.refusal(&rendered.component, &rendered.plugin.name) {
            return Some(Err(refusal));
        }
        let of_slots = rendered.slots.iter().flat_map(|slot| slot.seal.secrets.iter().map(|secret| (&slot.plugin, secret)));
        let secrets = response.secrets.iter().map(|secret| (&rendered.plugin, secret)).chain(of_slots);
        let permitted = PermittedComponent {
            component: rendered.component.clone(),
            plugin: Arc::clone(&rendered.plugin),
            objects,
            secrets: secrets.map(|(plugin, secret)| PermittedSecret { plugin: Arc::clone(plugin), secret: secret.clone() }).collect(),
            needs,
            actions,
            is_blocked: response.state == State::Blocked,
        };
        self.earlier.insert(&rendered.component, Earlier::of(rendered, &response.outputs, answer));
        Some(Ok(permitted))
    }

    /// The components whose outputs this one is given: those that it says it comes after.
    fn inputs(&self, rendered: &Rendered, kind: &str) -> Vec<&Earlier<'_>> {
        let descriptor = described(&rendered.plugin, &rendered.component, kind);
        let after = descriptor.map(|descriptor| descriptor.after.as_slice()).unwrap_or_default();
        let mut names: Vec<&str> = after.iter().map(|dependency| dependency.component.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().filter_map(|name| self.earlier.get(name)).collect()
    }

    fn twice(&self, findings: &mut Findings, component: &str, written: &[Written]) {
        let mut seen = BTreeSet::new();
        for Written { reference, .. } in written {
            if !seen.insert(reference.identity()) {
                let message = format!("{reference} is asked for twice by the component {component}; one object has one description");
                findings.add(Reason::ObjectClaimedTwice, Some(reference), message);
            }
            if let Some(holder) = self.claims.other(reference, component) {
                let message =
                    format!("{reference} is asked for by the component {component} and belongs to the component {holder}; rename one");
                findings.add(Reason::ObjectClaimedTwice, Some(reference), message);
            }
        }
    }
}

/// What a plugin says of its component of a kind, `group/Kind`.
fn described<'a>(plugin: &'a ActivePlugin, component: &str, kind: &str) -> Option<&'a ComponentDescriptor> {
    plugin.descriptor.components.iter().find(|known| known.name == component && known.kind == kind)
}
