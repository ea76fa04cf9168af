//! Which node is brought to a new revision next, and what has to be so before: a pure function of what is there. How a partition is applied and what is told
//! are [`crate::operation`]'s.
//!
//! ```text
//! template differs ──▶ Begins: partition = replicas, nobody is touched
//!        │
//!        ▼
//! highest node of another revision ──no──▶ UpToDate: partition = replicas
//!        │
//!        ├─ a node above it is not up ─────▶ Waits: partition = next + 1      (a revision that does not come up stops here)
//!        ├─ it is down, and stays so ──────▶ Restarts: partition = next       (nothing is lost; so a way back is open)
//!        ├─ any other node is not well ────▶ Waits
//!        ├─ it leads ──────────────────────▶ StepsDown, until another node leads
//!        └─ else ──────────────────────────▶ Restarts: partition = next
//! ```
//!
//! Nodes above the partition are made anew of the new revision, nodes below of the old one. So while something waits, a pod that is evicted comes back as
//! what it was. In calm times the partition is the number of replicas, and a template that changes, whoever changes it, moves nobody by itself.
//!
//! Not covered: a certificate that is renewed while a node is down changes the template at a partition that is low already, and the controller then restarts the
//! highest node as well. The hash is the host's alone, as it has to be, so the host would have to hold it still meanwhile.
//!
//! The way back from a revision that does not come up: the old template is the revision that the nodes below still have; the highest node that differs is the
//! one that failed, it is down, and so it is the one that restarts.

use crate::live::{Leads, Node, Raft};

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Fleet<'a> {
    /// All nodes of the StatefulSet, by ordinal.
    pub nodes: &'a [Node],
    /// The revision that nodes below the partition are made of.
    pub current: &'a str,
    /// The revision that nodes are brought to.
    pub update: &'a str,
    /// Raft's peers; absent where nobody can be asked yet or none is needed.
    pub raft: Option<&'a Raft>,
    /// How many voters may fail.
    pub tolerance: Option<i64>,
    /// What the next node says of its leading.
    pub leads: &'a Leads,
    /// The first node initialises the store at this moment.
    pub is_initializing: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rollout {
    /// Too little is known: everything stays as it is.
    Unjudged,
    /// All nodes are of the newest revision.
    UpToDate,
    /// A new template is applied with this look.
    Begins,
    /// The next node is not touched yet.
    Waits(Wait),
    /// The next node leads, and gives that up.
    StepsDown {
        /// Its ordinal.
        ordinal: i32,
        /// Since when it leads.
        since: String,
    },
    /// The next node is restarted.
    Restarts {
        /// Its ordinal.
        ordinal: i32,
    },
}

/// Why the next node is not touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The partition meanwhile.
    pub partition: i32,
    /// The node that is waited for.
    pub on: Option<i32>,
    /// What for.
    pub reason: WaitReason,
    /// For people.
    pub message: String,
}

/// What an upgrade waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// A node that was restarted is not up.
    Updated,
    /// A node that was not touched is not up, or not a voter.
    Other,
    /// Questions are not answered yet.
    Answers,
    /// The store cannot be asked for the moment, nobody leads, or Raft could not lose a node.
    Store,
}

/// The highest node that is not of the revision that nodes are brought to. One that is not there counts where it could come back as another.
pub fn next<'a>(nodes: &'a [Node], current: &str, update: &str) -> Option<&'a Node> {
    nodes.iter().rev().find(|node| !node.is_of(update) && (node.pod.there().is_some() || current != update))
}

/// Decides.
pub fn decide(fleet: &Fleet) -> Rollout {
    let Fleet { nodes, current, update, .. } = *fleet;
    if nodes.iter().any(|node| node.pod.is_unknown()) {
        return Rollout::Unjudged;
    }
    let Some(next) = next(nodes, current, update) else {
        let last = nodes.iter().find(|node| !node.is_up());
        return match last.filter(|_| current != update) {
            Some(last) => waits(0, Some(last), WaitReason::Updated, last.what_ails()),
            // The controller has not said yet that it is done; until then a pod would come back as of before.
            None if current != update => waits(0, None, WaitReason::Answers, "the StatefulSet has to tell that all are updated".to_owned()),
            None => Rollout::UpToDate,
        };
    };
    let held = next.ordinal + 1;
    let down = |node: &&Node| !node.is_up();
    if let Some(updated) = nodes.iter().rev().filter(|node| node.ordinal > next.ordinal).find(down) {
        return waits(held, Some(updated), WaitReason::Updated, updated.what_ails());
    }
    let other = nodes.iter().filter(|node| node.ordinal != next.ordinal).find(down);
    // One that is just starting may be up, and needed, when it is restarted.
    let stays_down = next.pod.there().is_none_or(|pod| pod.ending) || next.ails_for_long() || next.is_sealed();
    if !next.is_up() && (stays_down || other.is_none()) {
        return Rollout::Restarts { ordinal: next.ordinal };
    }
    if let Some(other) = other {
        return waits(held, Some(other), WaitReason::Other, other.what_ails());
    }
    if fleet.is_initializing && next.ordinal == 0 {
        return waits(held, Some(next), WaitReason::Other, "it initialises the store, which must not be cut short".to_owned());
    }
    if nodes.len() == 1 {
        return Rollout::Restarts { ordinal: next.ordinal };
    }
    with_raft(fleet, next, held)
}

fn with_raft(fleet: &Fleet, next: &Node, held: i32) -> Rollout {
    let ask = |what: &str| waits(held, Some(next), WaitReason::Answers, format!("asking {what}"));
    let store = |message: String| waits(held, Some(next), WaitReason::Store, message);
    let peers = match fleet.raft {
        // Nobody can be told to step down. OpenBao hands the lead over by itself when it is told to end.
        None | Some(Raft::Closed { for_now: false, .. }) => return Rollout::Restarts { ordinal: next.ordinal },
        Some(Raft::Unknown) => return ask("who Raft counts"),
        Some(Raft::Closed { for_now: true, why }) => return store(format!("the store cannot be asked who leads: {why}")),
        Some(Raft::Open(peers)) => peers,
    };
    let votes = |node: &&Node| peers.iter().any(|peer| peer.id == node.name && peer.votes);
    if let Some(mute) = fleet.nodes.iter().find(|node| !votes(node)) {
        return waits(held, Some(mute), WaitReason::Other, "it is up and no voter of Raft yet".to_owned());
    }
    match fleet.tolerance {
        None => return ask("how many nodes Raft can lose"),
        Some(tolerance) if tolerance < 1 => {
            return store("Raft could not lose a node now: one is behind, or a peer that is gone still counts".to_owned());
        }
        Some(_) => {}
    }
    match fleet.leads {
        Leads::Unknown => ask("who leads"),
        Leads::Unreachable(why) => store(format!("{} does not say whether it leads: {why}", next.name)),
        Leads::Since(since) => Rollout::StepsDown { ordinal: next.ordinal, since: since.clone() },
        Leads::No if peers.iter().any(|peer| peer.leads && peer.id != next.name) => Rollout::Restarts { ordinal: next.ordinal },
        Leads::No => store("no other node leads yet".to_owned()),
    }
}

fn waits(partition: i32, on: Option<&Node>, reason: WaitReason, ails: String) -> Rollout {
    let message = match on {
        Some(node) if reason != WaitReason::Store => format!("{}: {ails}", node.name),
        Some(_) | None => ails,
    };
    Rollout::Waits(Wait { partition, on: on.map(|node| node.ordinal), reason, message })
}

impl Rollout {
    /// The partition that this asks for, where the StatefulSet has so many replicas and this partition now.
    pub fn partition(&self, replicas: i32, now: Option<i32>) -> i32 {
        match self {
            Self::Unjudged => now.unwrap_or(replicas),
            Self::UpToDate | Self::Begins => replicas,
            Self::Waits(wait) => wait.partition,
            Self::StepsDown { ordinal, .. } => ordinal + 1,
            Self::Restarts { ordinal } => *ordinal,
        }
    }

    /// The same with hands off: no node is restarted that is not restarted yet.
    #[must_use]
    pub fn held(self, why: &str) -> Self {
        match self {
            Self::StepsDown { ordinal, .. } | Self::Restarts { ordinal } => {
                Self::Waits(Wait { partition: ordinal + 1, on: Some(ordinal), reason: WaitReason::Answers, message: why.to_owned() })
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests;
