//! How the number of nodes comes to be the one that is asked for: a pure function of what is there. Growing needs nothing, new nodes join by themselves.
//! Shrinking goes one node at a time, from the highest:
//!
//! ```text
//! all that stay are up and voters ─▶ it leads? StepsDown ─▶ Raft counts it? Removes ─▶ Shrinks: its pod goes ─▶ Deletes its claims
//! ```
//!
//! Raft goes on counting a node until it is told otherwise, so a pod that goes first costs the quorum a vote. The claims go last: on a real bao 2.4.0 a
//! removed peer that starts again with its old data takes itself for a member, joins nobody, leads nothing and says that it is ready; with an empty volume
//! the same node joins. A claim is deleted only where Raft was seen without its node, and never because a StatefulSet has fewer replicas than it had:
//! somebody may have scaled it by hand.

use std::collections::BTreeMap;

use crate::live::{Claim, Leads, Node, Peer, Presence, Raft};

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Fleet<'a> {
    /// All nodes of the StatefulSet, by ordinal.
    pub nodes: &'a [Node],
    /// As many nodes are asked for.
    pub desired: i32,
    /// Nodes that were taken away and have volumes, by ordinal.
    pub retired: &'a [Node],
    /// Claims of those with their nodes' ordinals, by name.
    pub claims: &'a BTreeMap<String, (i32, Presence<Claim>)>,
    /// Raft's peers; absent where nobody can be asked.
    pub raft: Option<&'a Raft>,
    /// What the highest node says of its leading.
    pub leads: &'a Leads,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scale {
    /// There are as many as asked for, and nothing is left of others.
    AsAsked,
    /// More nodes.
    Grows {
        /// So many.
        to: i32,
    },
    /// Nothing yet.
    Waits(String),
    /// Nothing until somebody does something.
    Blocked(String),
    /// The node that goes leads, and gives that up.
    StepsDown {
        /// Its ordinal.
        ordinal: i32,
        /// Since when it leads.
        since: String,
    },
    /// Raft stops counting a node.
    Removes {
        /// Its ordinal.
        ordinal: i32,
    },
    /// The highest node's pod goes.
    Shrinks {
        /// So many stay.
        to: i32,
    },
    /// Claims of a node that went.
    Deletes {
        /// Its ordinal.
        ordinal: i32,
        /// Names and uids.
        claims: Vec<(String, String)>,
    },
    /// Nothing is left of that node.
    Forgets {
        /// Its ordinal.
        ordinal: i32,
    },
}

/// The node that goes next: the highest, where it is one too many, or was taken out of Raft before somebody wanted it back.
pub fn next<'a>(nodes: &'a [Node], desired: i32, retired: &[Node]) -> Option<&'a Node> {
    let is_retired = |node: &Node| retired.iter().any(|other| other.ordinal == node.ordinal);
    nodes.last().filter(|node| node.ordinal > 0 && (node.ordinal >= desired || is_retired(node)))
}

/// Decides.
pub fn decide(fleet: &Fleet) -> Scale {
    // Before it grows: one that was taken out of Raft must not get nodes above it.
    if let Some(last) = next(fleet.nodes, fleet.desired, fleet.retired) {
        return shrink(fleet, last);
    }
    let there = i32::try_from(fleet.nodes.len()).unwrap_or(i32::MAX);
    let lowest = fleet.retired.iter().map(|node| node.ordinal).filter(|ordinal| (there..fleet.desired).contains(ordinal)).min();
    // A node that is to come back must not find the volume of the one that went.
    let wanted = lowest.unwrap_or(fleet.desired);
    if there < wanted { Scale::Grows { to: wanted } } else { clean(fleet, there) }
}

fn shrink(fleet: &Fleet, last: &Node) -> Scale {
    let staying = fleet.nodes.get(..fleet.nodes.len() - 1).unwrap_or_default();
    let peers = match peers(fleet, staying) {
        Ok(peers) => peers,
        Err(scale) => return scale,
    };
    // One that was forgotten longer ago still counts, and counts against those that stay.
    if let Some(ordinal) = leftover(fleet, peers, last.ordinal) {
        return Scale::Removes { ordinal };
    }
    let Some(peer) = peers.iter().find(|peer| peer.id == last.name) else {
        return Scale::Shrinks { to: last.ordinal };
    };
    if last.ordinal < fleet.desired {
        return Scale::Waits(format!("{} stays after all", last.name));
    }
    match fleet.leads {
        Leads::Since(since) => return Scale::StepsDown { ordinal: last.ordinal, since: since.clone() },
        Leads::Unknown if last.is_up() => return Scale::Waits(format!("asking whether {} leads", last.name)),
        // One that is down does not answer, and does not lead for long.
        Leads::Unknown | Leads::Unreachable(_) | Leads::No => {}
    }
    if peer.leads || !peers.iter().any(|peer| peer.leads) {
        return Scale::Waits(format!("{} goes once another node leads", last.name));
    }
    Scale::Removes { ordinal: last.ordinal }
}

fn clean(fleet: &Fleet, there: i32) -> Scale {
    let leftover = fleet.raft.map(|raft| if let Raft::Open(peers) = raft { leftover(fleet, peers, there - 1) } else { None });
    let Some(node) = fleet.retired.iter().rev().find(|node| node.ordinal >= there) else {
        return match leftover.flatten() {
            // Nobody remembers that node, and Raft still counts it.
            Some(ordinal) => match peers(fleet, fleet.nodes) {
                Ok(_) => Scale::Removes { ordinal },
                Err(scale) => scale,
            },
            None => Scale::AsAsked,
        };
    };
    let peers = match peers(fleet, fleet.nodes) {
        Ok(peers) => peers,
        Err(scale) => return scale,
    };
    if peers.iter().any(|peer| peer.id == node.name) {
        return Scale::Removes { ordinal: node.ordinal };
    }
    if !node.pod.is_missing() {
        return Scale::Waits(format!("{} has to end before its volumes go", node.name));
    }
    let claims: Vec<_> = fleet.claims.iter().filter(|(_, (ordinal, _))| *ordinal == node.ordinal).collect();
    if claims.iter().any(|(_, (_, claim))| claim.is_unknown()) {
        return Scale::Waits(format!("asking for the volumes of {}", node.name));
    }
    let ours = claims.into_iter().filter_map(|(name, (_, claim))| {
        let claim = claim.there().filter(|claim| claim.is_ours)?;
        Some((name.clone(), claim.uid.clone()))
    });
    let ours: Vec<_> = ours.collect();
    if ours.is_empty() { Scale::Forgets { ordinal: node.ordinal } } else { Scale::Deletes { ordinal: node.ordinal, claims: ours } }
}

/// Raft's peers, if all nodes that stay are up and vote.
fn peers<'a>(fleet: &Fleet<'a>, staying: &[Node]) -> Result<&'a [Peer], Scale> {
    if let Some(sick) = staying.iter().find(|node| !node.is_up()) {
        return Err(Scale::Waits(format!("every node that stays has to be well first; {}: {}", sick.name, sick.what_ails())));
    }
    let peers = match fleet.raft {
        None => return Err(Scale::Blocked("nobody can be asked who Raft counts".to_owned())),
        Some(Raft::Unknown) => return Err(Scale::Waits("asking who Raft counts".to_owned())),
        Some(Raft::Closed { for_now: true, why }) => return Err(Scale::Waits(format!("the store cannot be asked who Raft counts: {why}"))),
        Some(Raft::Closed { for_now: false, why }) => return Err(Scale::Blocked(why.clone())),
        Some(Raft::Open(peers)) => peers,
    };
    let votes = |node: &&Node| peers.iter().any(|peer| peer.id == node.name && peer.votes);
    match staying.iter().find(|node| !votes(node)) {
        Some(mute) => Err(Scale::Waits(format!("every node that stays has to vote first; {} does not yet", mute.name))),
        None => Ok(peers),
    }
}

/// A peer of this cluster above the nodes that are there, which nobody asked for.
fn leftover(fleet: &Fleet, peers: &[Peer], highest: i32) -> Option<i32> {
    let beyond = highest.max(fleet.desired - 1);
    peers.iter().filter_map(|peer| peer.ordinal).filter(|ordinal| *ordinal > beyond).max()
}

impl Scale {
    /// Replicas that this asks for, where there are so many now.
    pub fn replicas(&self, now: i32) -> i32 {
        match self {
            Self::Grows { to } | Self::Shrinks { to } => *to,
            _ => now,
        }
    }

    /// Nodes or their volumes are touched, so nobody else may touch a node.
    pub fn acts(&self) -> bool {
        matches!(self, Self::StepsDown { .. } | Self::Removes { .. } | Self::Shrinks { .. } | Self::Deletes { .. })
    }
}

#[cfg(test)]
mod tests;
