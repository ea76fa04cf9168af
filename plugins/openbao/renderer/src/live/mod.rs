//! What there is already: the StatefulSet as the host sees it, the nodes by their pods, Raft by what it answers, and what was told before. Reading only;
//! what follows from it is decided in [`crate::operation`] and told by [`crate::report`].

mod node;
mod origin;
mod questions;
mod raft;

use std::collections::{BTreeMap, BTreeSet};

use banhbaoring_openbao_api::{DeletionPolicy, InitializationStatus, InitializationStep, OperationStatus, OperatorAccess};
use banhbaoring_sdk::context::Child;
use banhbaoring_sdk::contract::need::{self, ObjectView};
use banhbaoring_sdk::wit::ReadinessState;
use banhbaoring_sdk::{Context, Failure};
use serde_json::Value;

use crate::captured::{self, requests};
use crate::cluster::{CLUSTER_LABEL, Cluster, DATA_CLAIM};
use crate::component::OpenBao;
use crate::initialization::is_by_itself;
use crate::{deletion, expansion};

pub use node::{CUT_SHORT, Node, Pod, Presence, Trouble, is_cut_short};
pub use origin::{MADE_FOR, Origin};
pub use questions::{Attention, needs};
pub use raft::{Leads, Peer, Raft, refuses_login};

/// Annotation of the StatefulSet with the hash of the template that was rendered.
pub const TEMPLATE_HASH: &str = "openbao.org/template-hash";

/// The image that the StatefulSet has: OpenBao's container is the first.
pub const IMAGE: &str = "/spec/template/spec/containers/0/image";

/// Fields of the StatefulSet that the host is asked for.
pub const STATEFUL_SET_FIELDS: [&str; 11] = [
    "/metadata/annotations/openbao.org~1template-hash",
    "/metadata/generation",
    deletion::WHEN_DELETED,
    "/spec/replicas",
    IMAGE,
    "/spec/updateStrategy/rollingUpdate/partition",
    "/spec/volumeClaimTemplates",
    "/status/currentRevision",
    "/status/observedGeneration",
    "/status/readyReplicas",
    "/status/updateRevision",
];

/// What there is.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// The StatefulSet, once it is there.
    pub stateful_set: Option<Child>,
    /// The Certificate of cert-manager, once it is there.
    pub certificate: Option<Child>,
    /// The nodes that the StatefulSet has, or is about to have, by ordinal.
    pub nodes: Vec<Node>,
    /// Nodes that were taken away and whose volumes are not yet.
    pub retired: Vec<Node>,
    /// Claims of those, by name.
    pub claims: BTreeMap<String, Presence<Claim>>,
    /// Claims whose size is not that of their template, by name.
    pub sized: BTreeMap<String, Presence<ClaimSize>>,
    /// Who Raft counts.
    pub raft: Raft,
    /// How many voters may fail.
    pub tolerance: Option<i64>,
    /// Nodes that were asked whether they lead, by ordinal.
    pub leads: BTreeMap<i32, Leads>,
    /// What was under way at the last look.
    pub operation: Option<OperationStatus>,
    /// How far the initialisation by the operator was at the last look.
    pub told_initialization: Option<InitializationStatus>,
    /// The operator initialises the store, and is not done.
    pub is_opening: bool,
    /// Whether the first node says that it is initialised, where the operator asks it.
    pub first_says: Option<bool>,
    /// Whether the store ever let the operator in, as it was told.
    pub told_access: Option<OperatorAccess>,
    /// The answer to the operator's login was a refusal.
    pub is_refused: bool,
    /// A node's volume was kept from a cluster before. Absent: not known.
    pub is_taken_over: Option<bool>,
    /// The Secret with the answer to an initialisation by the operator is there.
    pub has_init: bool,
    /// What would go with the cluster if it were deleted now.
    pub deletion_policy: Option<DeletionPolicy>,
    /// Somebody scaled a store that lets nobody in to no nodes, as it is told to whoever begins it again; its volumes are not gone yet.
    pub is_put_down: bool,
    /// The annotation [`MADE_FOR`] of the claims of data: what their template says, which cannot change, or the owner's uid where there is none yet.
    pub made_for: Option<String>,
    sizes: BTreeMap<String, String>,
    /// What was told before: labels go with their pods.
    told_initialized: bool,
    /// The Secret with the first password of `admin` is there.
    has_admin: bool,
    told_admin: bool,
    has_operator: bool,
    told_operator: bool,
}

/// A volume claim of a node that was taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// This incarnation of it.
    pub uid: String,
    /// The StatefulSet of this cluster made it.
    pub is_ours: bool,
}

/// How large a claim is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimSize {
    /// This incarnation of it.
    pub uid: String,
    /// What it asks for, a quantity.
    pub requested: String,
    /// What it has, a quantity; empty before it is bound.
    pub capacity: String,
}

/// What this component wrote into the status.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Told {
    initialized: Option<bool>,
    admin_secret: Option<String>,
    operator_secret: Option<String>,
    // Not its own type: a step that another version wrote must not make the rest forgotten.
    operation: Option<Value>,
    initialization: Option<Value>,
    operator_access: Option<Value>,
    retired: Vec<String>,
}

impl Live {
    /// Reads a request.
    pub fn read(cx: &Context<OpenBao>, cluster: &Cluster) -> Result<Self, Failure> {
        let told = cx.previous::<Told>().unwrap_or_default();
        let told_initialization: Option<InitializationStatus> = told.initialization.and_then(|told| serde_json::from_value(told).ok());
        let told_access = match told.operator_access {
            Some(access) => serde_json::from_value(access).ok(),
            None => (told.initialized == Some(true)).then_some(OperatorAccess::NotExpected),
        };
        let is_opening = captured::is_asked_for(cluster)
            && match &told_initialization {
                Some(told) => !matches!(told.step, InitializationStep::Done | InitializationStep::Foreign),
                // A store that was initialised otherwise is not the operator's to initialise, least of all when its data is lost.
                None => told.initialized != Some(true),
            };
        let raft = cx.answer::<need::Http>(questions::raft(told_access))?;
        let mut live = Self {
            stateful_set: cx.child("StatefulSet", cluster.name).cloned(),
            certificate: cx.child("Certificate", &cluster.edge_certificate()).cloned(),
            is_refused: raft::refuses_login(&raft),
            raft: Raft::read(raft, cluster),
            tolerance: raft::tolerance(cx.answer::<need::Http>(questions::TOLERANCE)?),
            operation: told.operation.and_then(|operation| serde_json::from_value(operation).ok()),
            // Until the operator is done, a store that goes again is one that nobody ever got into; the Secret tells.
            told_initialized: told.initialized == Some(true) && !is_opening,
            first_says: is_opening.then(|| first_says(cx)).transpose()?.flatten(),
            told_initialization,
            is_opening,
            told_access,
            deletion_policy: deletion::in_force(cx, cluster),
            has_init: cx.child("Secret", &cluster.init_secret()).is_some(),
            has_admin: cx.child("Secret", &cluster.admin_secret()).is_some(),
            told_admin: told.admin_secret.is_some(),
            has_operator: cx.child("Secret", &cluster.operator_secret()).is_some(),
            told_operator: told.operator_secret.is_some(),
            ..Self::default()
        };
        live.sizes = live.stateful_set.as_ref().map(|child| sizes(child.field("/spec/volumeClaimTemplates"))).unwrap_or_default();
        live.made_for = match &live.stateful_set {
            Some(child) => made_for(child.field("/spec/volumeClaimTemplates")),
            None => Some(cx.uid()).filter(|uid| !uid.is_empty()).map(ToOwned::to_owned),
        };
        let many = live.replicas().unwrap_or_default().max(live.wanted(cluster));
        let volumes = origin::read(cx, many)?;
        live.is_taken_over = origin::is_taken_over(cx, &volumes)?;
        let read = |ordinal| {
            let pod = Presence::of(cx.answer::<need::Object>(&questions::node(ordinal))?, Pod::read);
            Ok::<_, Failure>(Node { ordinal, name: cluster.pod(ordinal), pod })
        };
        live.is_put_down = live.replicas() == Some(0) && told_access == Some(OperatorAccess::Refused) && is_by_itself(cluster)?;
        if live.is_put_down && volumes.iter().all(Presence::is_missing) {
            let pods: Vec<Node> = (0..many).map(read).collect::<Result<_, _>>()?;
            if pods.iter().all(|node| node.pod.is_missing()) {
                live.forget_store();
            }
        }
        live.nodes = (0..live.replicas().unwrap_or(live.wanted(cluster))).map(read).collect::<Result<_, _>>()?;
        let retired: BTreeSet<i32> = told.retired.iter().filter_map(|name| cluster.ordinal(name)).collect();
        live.retired = retired.into_iter().map(read).collect::<Result<_, _>>()?;
        for claim in live.retired.iter().flat_map(|node| cluster.claims(node.ordinal)) {
            let answer = cx.answer::<need::Object>(&questions::claim(&claim))?;
            live.claims.insert(claim, Presence::of(answer, |view| Claim::read(view, cluster)));
        }
        let sized: Vec<String> = expansion::wanted(cluster, &live).into_iter().map(|(claim, _)| claim).collect();
        for claim in sized {
            let answer = cx.answer::<need::Object>(&questions::size(&claim))?;
            live.sized.insert(claim, Presence::of(answer, ClaimSize::read));
        }
        for node in &live.nodes {
            live.leads.insert(node.ordinal, Leads::read(cx.answer::<need::Http>(&questions::leader(node.ordinal))?));
        }
        Ok(live)
    }

    /// The nodes are gone, and their volumes: what begins now is another store. Nothing less proves it, because a node that begins a store beside one that others
    /// hold hides it. The status forgets it with this look, so that the first node finds its requests however long it takes to start.
    fn forget_store(&mut self) {
        self.is_put_down = false;
        self.told_initialized = false;
        self.told_access = None;
        self.is_refused = false;
        self.raft = Raft::Unknown;
    }

    /// Size in the template of a claim that is there.
    pub fn claim_size(&self, name: &str) -> Option<&str> {
        self.sizes.get(name).map(String::as_str)
    }

    /// So many nodes are wanted: one until the operator has initialised the store, or there would be some that could begin a store of their own.
    pub fn wanted(&self, cluster: &Cluster) -> i32 {
        if self.is_opening { self.replicas().unwrap_or(1).min(cluster.spec.replicas) } else { cluster.spec.replicas }
    }

    /// The first node's pod.
    pub fn first_uid(&self) -> Option<&str> {
        self.nodes.first()?.pod.there().map(|pod| pod.uid.as_str())
    }

    /// Replicas of the StatefulSet as it is.
    pub fn replicas(&self) -> Option<i32> {
        self.stateful_set.as_ref().map(|_| self.number("/spec/replicas").unwrap_or(1))
    }

    /// The partition as it is.
    pub fn partition(&self) -> Option<i32> {
        self.number("/spec/updateStrategy/rollingUpdate/partition")
    }

    /// The template's revisions, the one before and the one that pods are brought to, where the StatefulSet's controller has seen its newest form.
    pub fn revisions(&self) -> Option<(&str, &str)> {
        let child = self.stateful_set.as_ref()?;
        let has_seen = self.number("/status/observedGeneration") >= self.number("/metadata/generation");
        let text = |pointer| child.field(pointer).as_str();
        let revisions = (text("/status/currentRevision")?, text("/status/updateRevision")?);
        has_seen.then_some(revisions)
    }

    /// The hash of the template as it was rendered last.
    pub fn template_hash(&self) -> Option<&str> {
        self.stateful_set.as_ref()?.field(STATEFUL_SET_FIELDS[0]).as_str()
    }

    /// Nodes that are ready.
    pub fn ready_nodes(&self) -> i32 {
        self.number("/status/readyReplicas").unwrap_or(0)
    }

    /// The nodes are there, up to date and ready.
    pub fn is_ready(&self) -> bool {
        self.stateful_set.as_ref().is_some_and(|child| child.readiness == ReadinessState::Ready)
    }

    /// Whether any of the nodes that told is.
    pub fn initialized(&self) -> Option<bool> {
        let mut told = self.pods().filter_map(|(_, pod)| pod.initialized).peekable();
        told.peek()?;
        Some(told.any(|initialized| initialized))
    }

    /// The store is initialised, or was: what was told once is not forgotten with the pods.
    pub fn was_initialized(&self) -> bool {
        self.told_initialized || self.first_says.or_else(|| self.initialized()) == Some(true)
    }

    /// The Secret with the first password of `admin` is asked for: while it is there, and before the store is initialised. Whoever deletes it later meant
    /// it; one that goes earlier is let go first, because what is asked for and lost is not made anew.
    pub fn wants_admin(&self) -> bool {
        self.has_admin || !((self.was_initialized() && !self.is_opening) || self.told_admin)
    }

    /// The Secret with the password of `operator` is asked for always. One that was lost is let go first, and then made anew: whoever administers the
    /// store can give the user the new password, and nothing is sealed with the old one.
    pub fn wants_operator(&self) -> bool {
        self.has_operator || !self.told_operator
    }

    /// The store was initialised, and every node that is wanted says that it is not: their volumes are not those of before. One that is silent, sealed or away
    /// may have the store.
    pub fn has_lost_data(&self, cluster: &Cluster) -> bool {
        let are_all = i32::try_from(self.nodes.len()).is_ok_and(|many| many > 0 && many >= self.wanted(cluster));
        // Where nobody ever got in there is nothing to lose, and what is told then is how it begins again.
        self.told_initialized && !self.is_shut() && are_all && self.nodes.iter().all(Node::is_empty)
    }

    /// The store never let the operator in, where it was asked.
    pub fn is_shut(&self) -> bool {
        self.access(false) == Some(OperatorAccess::Refused)
    }

    /// Whether it is still to be seen that the store lets the operator in.
    pub fn is_unconfirmed(access: Option<OperatorAccess>) -> bool {
        !matches!(access, Some(OperatorAccess::Confirmed | OperatorAccess::NotExpected))
    }

    /// Whether the store ever let the operator in, with what is known now. A refusal counts from the second answer on: between the first initialisation and the
    /// making of the users there is a moment.
    pub fn access(&self, was_let_in: bool) -> Option<OperatorAccess> {
        match (&self.raft, self.told_access) {
            _ if was_let_in => Some(OperatorAccess::Confirmed),
            (Raft::Open(_), _) | (_, Some(OperatorAccess::Confirmed)) => Some(OperatorAccess::Confirmed),
            _ if self.is_taken_over == Some(true) => Some(OperatorAccess::NotExpected),
            (_, Some(OperatorAccess::NotExpected)) => Some(OperatorAccess::NotExpected),
            (_, None | Some(OperatorAccess::Unconfirmed)) if self.is_refused => Some(OperatorAccess::RefusedOnce),
            // Who says that there is nothing to lose has to know whose volumes they are.
            (_, told) if self.is_refused && self.is_taken_over.is_none() => told,
            (_, Some(_)) if self.is_refused => Some(OperatorAccess::Refused),
            // Said from the first status on that says initialised: a store without it is older than the question.
            (_, told) => told.or_else(|| self.was_initialized().then_some(OperatorAccess::Unconfirmed)),
        }
    }

    /// The first node was ended while it initialised the store, before there was one.
    pub fn is_cut_short(&self) -> bool {
        let first = self.nodes.first().and_then(|node| node.pod.there());
        !self.was_initialized() && first.is_some_and(|pod| pod.is_cut_short && !pod.ready)
    }

    /// A node that told is sealed.
    pub fn sealed(&self) -> Option<bool> {
        let mut told = self.pods().filter_map(|(_, pod)| pod.sealed).peekable();
        told.peek()?;
        Some(told.any(|sealed| sealed))
    }

    /// The pod that leads.
    pub fn leader(&self) -> Option<&str> {
        self.pods().find(|(_, pod)| pod.active == Some(true)).map(|(node, _)| node.name.as_str())
    }

    /// This incarnation of the pod that leads.
    pub fn leader_uid(&self) -> Option<&str> {
        self.pods().find(|(_, pod)| pod.active == Some(true)).map(|(_, pod)| pod.uid.as_str())
    }

    /// The nodes whose pods are there.
    pub fn pods(&self) -> impl Iterator<Item = (&Node, &Pod)> {
        self.nodes.iter().filter_map(|node| Some((node, node.pod.there()?)))
    }

    fn number(&self, pointer: &str) -> Option<i32> {
        let number = self.stateful_set.as_ref().and_then(|child| child.field(pointer).as_i64());
        number.and_then(|number| i32::try_from(number).ok())
    }
}

impl Claim {
    /// The controller gives claims the labels of the StatefulSet's selector.
    fn read(view: &ObjectView, cluster: &Cluster) -> Self {
        let labels = view.value.get(questions::LABELS).unwrap_or(&Value::Null);
        let is_ours = cluster.selector().iter().all(|(key, value)| labels[key] == value.as_str()) && labels.get(CLUSTER_LABEL).is_some();
        Self { uid: view.uid.clone(), is_ours }
    }
}

impl ClaimSize {
    fn read(view: &ObjectView) -> Self {
        let text = |pointer: &str| view.value.get(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { uid: view.uid.clone(), requested: text(questions::REQUESTED), capacity: text(questions::CAPACITY) }
    }
}

fn first_says(cx: &Context<OpenBao>) -> Result<Option<bool>, Failure> {
    let answer = cx.answer::<need::Http>(requests::FIRST_INIT)?.known().filter(|answer| answer.status == 200);
    Ok(answer.and_then(|answer| answer.exposed.get(requests::IS_INITIALIZED)?.as_bool()))
}

fn made_for(templates: &Value) -> Option<String> {
    let data = templates.as_array()?.iter().find(|template| template.pointer("/metadata/name") == Some(&DATA_CLAIM.into()))?;
    Some(data.pointer("/metadata/annotations")?.get(MADE_FOR)?.as_str()?.to_owned())
}

fn sizes(templates: &Value) -> BTreeMap<String, String> {
    let read = |template: &Value| {
        let name = template.pointer("/metadata/name")?.as_str()?;
        let size = template.pointer("/spec/resources/requests/storage")?.as_str()?;
        Some((name.to_owned(), size.to_owned()))
    };
    templates.as_array().map(|templates| templates.iter().filter_map(read).collect()).unwrap_or_default()
}
