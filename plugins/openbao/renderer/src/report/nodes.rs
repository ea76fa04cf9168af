//! What is told of the nodes together: each of them, whether enough of them are up, and whether the operator may ask them.

use banhbaoring_openbao_api::{NodeStatus, OperatorAccess};
use banhbaoring_sdk::{ConditionStatus, Response};

use crate::access;
use crate::cluster::Cluster;
use crate::live::{Live, Node, Raft};
use crate::operation::Operation;

use super::words;

/// A majority of the nodes is up.
pub const HAS_QUORUM: &str = "HasQuorum";
/// The store lets the operator in.
pub const OPERATOR_ACCESS: &str = "OperatorAccess";

/// Reason where there is no majority.
pub const QUORUM_LOST: &str = "QuorumLost";

const QUORUM_RUNBOOK: &str = "docs/runbooks/quorum-lost.md";

/// Each node whose pod is there.
pub fn members(live: &Live) -> Vec<NodeStatus> {
    let revision = live.revisions().map(|(_, update)| update);
    let member = |node: &Node| {
        let pod = node.pod.there()?;
        Some(NodeStatus {
            name: node.name.clone(),
            active: pod.active,
            sealed: pod.sealed,
            initialized: pod.initialized,
            version: pod.version.clone(),
            ready: Some(pod.is_ready()),
            up_to_date: revision.map(|revision| node.is_of(revision)),
            voter: matches!(live.raft, Raft::Open(_)).then(|| live.raft.peer(&node.name).is_some_and(|peer| peer.votes)),
        })
    };
    live.nodes.iter().filter_map(member).collect()
}

/// Names of nodes that are known not to be ready. The StatefulSet counts its pods a moment later.
pub fn not_ready(live: &Live) -> Vec<&str> {
    let starts = |node: &&Node| node.pod.is_missing() || node.pod.there().is_some_and(|pod| !pod.is_ready());
    live.nodes.iter().filter(starts).map(|node| node.name.as_str()).collect()
}

/// It can vote, as far as it tells. One with an empty volume is up and well while it waits to be let in, and where nobody leads, nobody lets it in.
fn counts(live: &Live, node: &Node) -> bool {
    node.is_up() && (live.leader().is_some() || !node.is_empty())
}

/// Nodes that are not up, where they are so many that the rest is no majority.
pub fn quorum_lost(live: &Live) -> Option<Vec<&Node>> {
    if !live.was_initialized() || live.nodes.iter().any(|node| node.pod.is_unknown()) {
        return None;
    }
    let down: Vec<&Node> = live.nodes.iter().filter(|node| !counts(live, node)).collect();
    (!live.nodes.is_empty() && (live.nodes.len() - down.len()) * 2 <= live.nodes.len()).then_some(down)
}

/// What to do about it.
pub fn quorum_message(live: &Live, down: &[&Node]) -> String {
    let ails = |node: &Node| {
        if node.is_up() { "its volume is empty, and nobody leads who could let it in".to_owned() } else { node.what_ails() }
    };
    let each: Vec<String> = down.iter().map(|node| format!("{} ({})", node.name, ails(node))).collect();
    format!(
        "{} of {} nodes are up, and Raft needs {}. Not up: {}. No node that is up is touched. Nodes that come back with their volumes mend it; \
         where volumes are lost for good, see {QUORUM_RUNBOOK}",
        live.nodes.len() - down.len(),
        live.nodes.len(),
        live.nodes.len() / 2 + 1,
        each.join(", ")
    )
}

pub(super) fn conditions(response: Response, cluster: &Cluster, live: &Live, operation: &Operation) -> Response {
    let unknown = ConditionStatus::Unknown;
    let response = match quorum_lost(live) {
        Some(down) => response.condition(HAS_QUORUM, false, QUORUM_LOST, quorum_message(live, &down)),
        None if !live.was_initialized() => response.condition(HAS_QUORUM, unknown, "NotInitialized", "there is no store yet"),
        None if live.nodes.iter().any(|node| node.pod.is_unknown()) => {
            response.condition(HAS_QUORUM, unknown, "NotTold", "not every pod was seen yet")
        }
        None => {
            let down: Vec<&str> = live.nodes.iter().filter(|node| !counts(live, node)).map(|node| node.name.as_str()).collect();
            if down.is_empty() {
                response.condition(HAS_QUORUM, true, "AllNodes", "all nodes are up")
            } else {
                response.condition(HAS_QUORUM, true, "Majority", format!("a majority of the nodes is up; not up: {}", down.join(", ")))
            }
        }
    };
    let is_confirmed = live.told_access == Some(OperatorAccess::Confirmed);
    let never = live.is_shut().then(|| words::never_let_in(cluster, live));
    let (status, reason, message) = match &live.raft {
        Raft::Open(_) => (ConditionStatus::Yes, "LoggedIn", format!("as the user {} of userpass", access::OPERATOR)),
        _ if !live.was_initialized() => (unknown, "NotInitialized", "there is no store yet".to_owned()),
        _ if live.is_opening => (unknown, "NotMade", "its user is being made".to_owned()),
        _ if !operation.attention.raft && is_confirmed => {
            (ConditionStatus::Yes, "LoggedInBefore", format!("as the user {} of userpass; nothing has to be asked now", access::OPERATOR))
        }
        _ if !operation.attention.raft => (unknown, "NotNeeded", "nothing has to be asked of the store".to_owned()),
        _ if let Some(message) = never => (ConditionStatus::No, "Refused", message),
        Raft::Unknown => (unknown, "NotTold", "the store has not answered yet".to_owned()),
        Raft::Closed { for_now: true, why } => (unknown, "OutOfReach", format!("asked again soon: {why}")),
        Raft::Closed { for_now: false, why } if live.told_access.is_none() && operation.attention.is_confirming => {
            (unknown, "NotTold", format!("asked once more: {why}"))
        }
        Raft::Closed { for_now: false, why } => (
            ConditionStatus::No,
            "Refused",
            format!(
                "{why}. Nodes are upgraded without telling the one that leads to step down, and none is taken away. To let the operator in, {}",
                access::by_hand(cluster)
            ),
        ),
    };
    response.condition(OPERATOR_ACCESS, status, reason, message)
}
