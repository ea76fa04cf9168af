//! What there is already: the StatefulSet as the host sees it, and the nodes as OpenBao labels their pods. Reading only; what follows
//! from it is [`crate::report`]'s.

use std::collections::BTreeMap;

use banhbaoring_openbao_api::NodeStatus;
use banhbaoring_sdk::context::Child;
use banhbaoring_sdk::contract::{ObjectRef, need};
use banhbaoring_sdk::wit::ReadinessState;
use banhbaoring_sdk::{Context, Failure, Need};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::component::OpenBao;

/// Fields of the StatefulSet that the host is asked for.
pub const STATEFUL_SET_FIELDS: [&str; 6] = [
    "/spec/replicas",
    "/spec/volumeClaimTemplates",
    "/status/currentRevision",
    "/status/readyReplicas",
    "/status/updateRevision",
    "/status/updatedReplicas",
];

/// Labels that OpenBao's service registration puts on its own pod, as pointers.
const POD_LABELS: [&str; 4] = [
    "/metadata/labels/openbao-active",
    "/metadata/labels/openbao-initialized",
    "/metadata/labels/openbao-sealed",
    "/metadata/labels/openbao-version",
];

/// Seconds between looks at the pods' labels.
const LOOK: u32 = 30;

/// What there is.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// The StatefulSet, once it is there.
    pub stateful_set: Option<Child>,
    /// The Certificate of cert-manager, once it is there.
    pub certificate: Option<Child>,
    /// The pods that are there, by ordinal.
    pub nodes: Vec<NodeStatus>,
    claims: BTreeMap<String, String>,
    /// What was told before: labels go with their pods.
    told_initialized: bool,
    /// The Secret with the first password of `admin` is there.
    has_admin: bool,
    told_admin: bool,
}

/// What this component wrote into the status.
#[derive(Debug, Default, serde::Deserialize)]
struct Told {
    #[serde(default)]
    initialized: Option<bool>,
    #[serde(default, rename = "adminSecret")]
    admin_secret: Option<String>,
}

impl Live {
    /// Reads a request.
    pub fn read(cx: &Context<OpenBao>, cluster: &Cluster) -> Result<Self, Failure> {
        let stateful_set = cx.child("StatefulSet", cluster.name).cloned();
        let claims = stateful_set.as_ref().map(|child| claims(child.field("/spec/volumeClaimTemplates"))).unwrap_or_default();
        let mut nodes = Vec::new();
        for ordinal in 0..cluster.spec.replicas {
            if let Some(view) = cx.answer::<need::Object>(&need_id(ordinal))?.known() {
                nodes.push(node(cluster.pod(ordinal), &view.value));
            }
        }
        let certificate = cx.child("Certificate", &cluster.edge_certificate()).cloned();
        let told = cx.previous::<Told>().unwrap_or_default();
        Ok(Self {
            stateful_set,
            certificate,
            nodes,
            claims,
            told_initialized: told.initialized == Some(true),
            has_admin: cx.child("Secret", &cluster.admin_secret()).is_some(),
            told_admin: told.admin_secret.is_some(),
        })
    }

    /// Size in the template of a claim that is there.
    pub fn claim_size(&self, name: &str) -> Option<&str> {
        self.claims.get(name).map(String::as_str)
    }

    /// Nodes that are ready.
    pub fn ready_nodes(&self) -> i32 {
        self.number("/status/readyReplicas")
    }

    /// The nodes are there, up to date and ready.
    pub fn is_ready(&self) -> bool {
        self.stateful_set.as_ref().is_some_and(|child| child.readiness == ReadinessState::Ready)
    }

    /// All nodes that told agree on this.
    pub fn initialized(&self) -> Option<bool> {
        let mut told = self.nodes.iter().filter_map(|node| node.initialized).peekable();
        told.peek()?;
        Some(told.any(|initialized| initialized))
    }

    /// The store is initialised, or was: what was told once is not forgotten with the pods.
    pub fn was_initialized(&self) -> bool {
        self.told_initialized || self.initialized() == Some(true)
    }

    /// The Secret with the first password of `admin` is asked for: while it is there, and before the store is initialised. Whoever deletes it later meant
    /// it; one that goes earlier is let go first, because what is asked for and lost is not made anew.
    pub fn wants_admin(&self) -> bool {
        self.has_admin || !(self.was_initialized() || self.told_admin)
    }

    /// The store was initialised, and all nodes that tell say that it is not: their volumes are not those of before.
    pub fn has_lost_data(&self) -> bool {
        self.told_initialized && self.initialized() == Some(false)
    }

    /// A node that told is sealed.
    pub fn sealed(&self) -> Option<bool> {
        let mut told = self.nodes.iter().filter_map(|node| node.sealed).peekable();
        told.peek()?;
        Some(told.any(|sealed| sealed))
    }

    /// The pod that leads.
    pub fn leader(&self) -> Option<&str> {
        self.nodes.iter().find(|node| node.active == Some(true)).map(|node| node.name.as_str())
    }

    fn number(&self, pointer: &str) -> i32 {
        let number = self.stateful_set.as_ref().and_then(|child| child.field(pointer).as_i64());
        number.and_then(|number| i32::try_from(number).ok()).unwrap_or(0)
    }
}

/// The questions whose answers [`Live::read`] reads: named gets, one per node, and no list.
pub fn needs(cluster: &Cluster) -> Vec<Need> {
    (0..cluster.spec.replicas)
        .map(|ordinal| {
            let reference = ObjectRef::new("v1", "Pod", cluster.pod(ordinal)).in_namespace(cluster.namespace);
            Need::poll(need_id(ordinal), LOOK, &need::Object { reference }).project(POD_LABELS)
        })
        .collect()
}

fn need_id(ordinal: i32) -> String {
    format!("node-{ordinal}")
}

fn claims(templates: &Value) -> BTreeMap<String, String> {
    let read = |template: &Value| {
        let name = template.pointer("/metadata/name")?.as_str()?;
        let size = template.pointer("/spec/resources/requests/storage")?.as_str()?;
        Some((name.to_owned(), size.to_owned()))
    };
    templates.as_array().map(|templates| templates.iter().filter_map(read).collect()).unwrap_or_default()
}

fn node(name: String, labels: &Value) -> NodeStatus {
    let text = |label: usize| POD_LABELS.get(label).and_then(|pointer| labels.get(pointer)).and_then(Value::as_str);
    let flag = |label| text(label).and_then(|text| text.parse().ok());
    NodeStatus { name, active: flag(0), initialized: flag(1), sealed: flag(2), version: text(3).map(ToOwned::to_owned) }
}
