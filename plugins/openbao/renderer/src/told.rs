//! What is being done to the nodes, in words: the status `operation` and the conditions `Upgrading` and `Scaling`. Nothing is decided here.

use banhbaoring_openbao_api::{OperationKind, OperationStatus};
use banhbaoring_sdk::Response;

use crate::access;
use crate::cluster::Cluster;
use crate::live::Live;
use crate::operation::{Operation, stuck};
use crate::rollout::{Rollout, WaitReason};
use crate::scale::Scale;

/// Nodes are brought to another template.
pub const UPGRADING: &str = "Upgrading";
/// Nodes are added or taken away.
pub const SCALING: &str = "Scaling";

/// The step in which a node is restarted.
pub const RESTARTING: &str = "Restarting";
/// The step in which a node was seen sealed once.
pub const SEALED: &str = "WaitingForUnseal";
/// A node that was restarted does not come up.
pub const STUCK: &str = "UpgradeStuck";
/// The step in which Raft is told to stop counting a node.
pub const REMOVING: &str = "RemovingPeer";
/// Nothing goes on until somebody does something.
pub const BLOCKED: &str = "ScaleDownBlocked";

const UPGRADE_RUNBOOK: &str = "docs/runbooks/upgrade-stuck.md";

/// What is under way.
pub fn operation(cluster: &Cluster, live: &Live, rollout: &Rollout, scale: &Scale) -> Option<OperationStatus> {
    let told = |kind, step: &str, ordinal: Option<i32>| {
        Some(OperationStatus { kind, step: step.to_owned(), node: ordinal.map(|ordinal| cluster.pod(ordinal)) })
    };
    if scale.acts() {
        return told(OperationKind::Scale, scale_step(scale), node_of(scale));
    }
    let node = match rollout {
        Rollout::UpToDate => {
            return if *scale == Scale::AsAsked { None } else { told(OperationKind::Scale, scale_step(scale), node_of(scale)) };
        }
        // What was under way goes on once it can be seen again.
        Rollout::Unjudged => return live.operation.clone(),
        Rollout::Begins => None,
        Rollout::Waits(wait) => wait.on,
        Rollout::StepsDown { ordinal, .. } | Rollout::Restarts { ordinal } => Some(*ordinal),
    };
    told(OperationKind::Upgrade, rollout_step(live, rollout), node)
}

fn rollout_step(live: &Live, rollout: &Rollout) -> &'static str {
    match rollout {
        Rollout::Unjudged => "NotSeen",
        Rollout::UpToDate => "UpToDate",
        Rollout::Begins => "Starting",
        Rollout::StepsDown { .. } => "SteppingDown",
        Rollout::Restarts { .. } => RESTARTING,
        Rollout::Waits(wait) => match wait.reason {
            WaitReason::Updated if stuck(live, rollout).is_some() => STUCK,
            WaitReason::Updated if live.nodes.iter().any(|node| Some(node.ordinal) == wait.on && node.is_sealed()) => SEALED,
            WaitReason::Updated => "WaitingForNode",
            WaitReason::Other => "WaitingForOthers",
            WaitReason::Answers => "Asking",
            WaitReason::Store => "WaitingForStore",
        },
    }
}

fn scale_step(scale: &Scale) -> &'static str {
    match scale {
        Scale::AsAsked => "AsAsked",
        Scale::Grows { .. } => "AddingNodes",
        Scale::Waits(_) => "Waiting",
        Scale::Blocked(_) => BLOCKED,
        Scale::StepsDown { .. } => "SteppingDown",
        Scale::Removes { .. } => REMOVING,
        Scale::Shrinks { .. } => "RemovingNode",
        Scale::Deletes { .. } => "DeletingVolumes",
        Scale::Forgets { .. } => "VolumesDeleted",
    }
}

fn node_of(scale: &Scale) -> Option<i32> {
    match scale {
        Scale::StepsDown { ordinal, .. }
        | Scale::Removes { ordinal }
        | Scale::Shrinks { to: ordinal }
        | Scale::Deletes { ordinal, .. }
        | Scale::Forgets { ordinal } => Some(*ordinal),
        Scale::AsAsked | Scale::Grows { .. } | Scale::Waits(_) | Scale::Blocked(_) => None,
    }
}

/// Reason and message of the state of the whole component while something is under way.
pub fn summary(cluster: &Cluster, live: &Live, operation: &Operation) -> Option<(&'static str, String)> {
    let told = operation.told.as_ref()?;
    match told.kind {
        OperationKind::Upgrade if operation.rollout == Rollout::Unjudged => {
            Some(("Upgrading", "the StatefulSet is not seen whole".to_owned()))
        }
        OperationKind::Upgrade if operation.stuck(live).is_some() => Some((STUCK, upgrading(cluster, live, operation))),
        OperationKind::Upgrade => Some(("Upgrading", upgrading(cluster, live, operation))),
        OperationKind::Scale if matches!(operation.scale, Scale::Blocked(_)) => Some((BLOCKED, scaling(cluster, operation))),
        OperationKind::Scale => Some(("Scaling", scaling(cluster, operation))),
    }
}

/// The two conditions.
pub fn conditions(response: Response, cluster: &Cluster, live: &Live, operation: &Operation) -> Response {
    let response = match &operation.rollout {
        Rollout::UpToDate => response.condition(UPGRADING, false, "UpToDate", ""),
        rollout => response.condition(UPGRADING, true, rollout_step(live, rollout), upgrading(cluster, live, operation)),
    };
    match &operation.scale {
        Scale::AsAsked => response.condition(SCALING, false, "AsAsked", ""),
        scale => response.condition(SCALING, true, scale_step(scale), scaling(cluster, operation)),
    }
}

fn upgrading(cluster: &Cluster, live: &Live, operation: &Operation) -> String {
    let done = |message: String| format!("{message}{}", lapsed(operation));
    match &operation.rollout {
        Rollout::UpToDate => String::new(),
        Rollout::Unjudged => "the StatefulSet's controller or a pod has not told yet; nothing is restarted".to_owned(),
        Rollout::Begins => "a new template is applied; nodes are restarted one at a time from the highest".to_owned(),
        Rollout::StepsDown { ordinal, .. } => done(format!("{} leads and gives that up before it restarts", cluster.pod(*ordinal))),
        Rollout::Restarts { ordinal } => format!("{} is restarted; all other nodes that are up stay up", cluster.pod(*ordinal)),
        Rollout::Waits(wait) => match operation.stuck(live) {
            Some(node) => format!(
                "{} was restarted and does not come up: {}. No other node is touched. Put back what was changed, the spec or a Secret that it names, \
                 or mend it: that node is then restarted first. `kubectl logs {} -n {} --previous` and `kubectl describe pod` say more; \
                 see {UPGRADE_RUNBOOK}",
                node.name,
                node.what_ails(),
                node.name,
                cluster.namespace
            ),
            None => format!("waiting: {}", wait.message),
        },
    }
}

fn scaling(cluster: &Cluster, operation: &Operation) -> String {
    let Cluster { spec, .. } = cluster;
    let message = match &operation.scale {
        Scale::AsAsked => String::new(),
        Scale::Grows { to } => format!("{to} nodes; new ones join by themselves"),
        Scale::Waits(why) => format!("{} nodes are asked for; waiting: {why}", spec.replicas),
        Scale::Blocked(why) => format!(
            "{} nodes are asked for, and the operator may not ask the store who Raft counts, nor take a node out of it ({why}). Nothing goes: Raft \
             would go on counting it. To let the operator in, {}",
            spec.replicas,
            access::by_hand(cluster)
        ),
        Scale::StepsDown { ordinal, .. } => format!("{} leads and gives that up before it goes", cluster.pod(*ordinal)),
        Scale::Removes { ordinal } => format!("Raft is told to stop counting {}", cluster.pod(*ordinal)),
        Scale::Shrinks { to } => format!("Raft does not count {} any more; its pod goes", cluster.pod(*to)),
        Scale::Deletes { ordinal, claims } => {
            let names: Vec<&str> = claims.iter().map(|(name, _)| name.as_str()).collect();
            format!("{} is gone; its volumes are deleted: {}", cluster.pod(*ordinal), names.join(", "))
        }
        Scale::Forgets { ordinal } => format!("nothing is left of {}", cluster.pod(*ordinal)),
    };
    format!("{message}{}", lapsed(operation))
}

fn lapsed(operation: &Operation) -> String {
    operation.lapsed.as_ref().map(|why| format!("; it did not work out and is tried again: {why}")).unwrap_or_default()
}
