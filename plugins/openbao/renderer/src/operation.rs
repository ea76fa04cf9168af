//! What is done to the nodes with this look: the decisions of [`crate::rollout`] and [`crate::scale`] brought together, and turned into replicas, partition,
//! actions and questions. What is told of it is [`crate::report`]'s.
//!
//! Both touch nodes, and never both at once: a restart that began is seen through first, then nodes are taken away, then others restart. And nothing is touched
//! on the first look: it says in the status what is to be done and asks closely; what follows rests on those answers.

use std::collections::{BTreeMap, BTreeSet};

use banhbaoring_openbao_api::{OperationKind, OperationStatus, OperatorAccess};
use banhbaoring_sdk::contract::{ObjectRef, action};
use banhbaoring_sdk::{Action, Failure};

use crate::cluster::Cluster;
use crate::initialization::{is_by_itself, makes_users};
use crate::live::{Attention, Leads, Live, Node, Raft};
use crate::report::words;
use crate::rollout::{self, Rollout, WaitReason};
use crate::scale::{self, Scale};
use crate::{access, told};

/// What came of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Not run yet, or it happened: keep asking, so that it is not run twice.
    Stands,
    /// It did not happen, or nobody knows: ask no longer, so that it can be asked for again.
    Lapsed(String),
}

/// What became of an action, by its id.
pub type Fates<'a> = &'a dyn Fn(&str) -> Result<Fate, Failure>;

/// What is done to the nodes.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Replicas of the StatefulSet.
    pub replicas: i32,
    /// Its partition.
    pub partition: i32,
    /// Side effects.
    pub actions: Vec<Action>,
    /// What has to be looked at.
    pub attention: Attention,
    /// What is under way.
    pub told: Option<OperationStatus>,
    /// Nodes whose volumes are still to be deleted.
    pub retired: BTreeSet<i32>,
    /// The decision on the template.
    pub rollout: Rollout,
    /// The decision on the number.
    pub scale: Scale,
    /// An action that did not work out.
    pub lapsed: Option<String>,
}

/// Decides. `template` is the hash of the template that is rendered.
pub fn decide(cluster: &Cluster, live: &Live, template: &str, requests: Fates, deletions: Fates) -> Result<Operation, Failure> {
    let desired = live.wanted(cluster);
    let now = live.replicas().unwrap_or(desired);
    let may_ask = live.wants_operator() && live.was_initialized() && !live.is_opening;
    // Between two passwords nobody can be asked, which is no reason to go on without asking.
    let raft = live.was_initialized().then_some(if may_ask { &live.raft } else { &Raft::Unknown });
    let by_itself = makes_users(cluster, live)?;

    let rollout = rollout_of(live, template, raft, by_itself);
    let scale = if live.stateful_set.is_some() { scale_of(cluster, live, raft) } else { Scale::AsAsked };
    let (rollout, scale) = one_at_a_time(live, rollout, scale);

    let told = told::operation(cluster, live, &rollout, &scale);
    let mut retired: BTreeSet<i32> = live.retired.iter().map(|node| node.ordinal).collect();
    match scale {
        // Remembered before anything is taken away, and until nothing is left.
        Scale::StepsDown { ordinal, .. } | Scale::Removes { ordinal } | Scale::Shrinks { to: ordinal } => drop(retired.insert(ordinal)),
        Scale::Forgets { ordinal } => drop(retired.remove(&ordinal)),
        _ => {}
    }
    // One that stays after all keeps its volumes, if Raft was not told to forget it.
    let was_told =
        |name: &str| live.operation.as_ref().is_some_and(|told| told.step == told::REMOVING && told.node.as_deref() == Some(name));
    let stays = |name: &str| live.raft.peer(name).is_some() && !was_told(name);
    retired.retain(|ordinal| *ordinal >= desired || *ordinal >= now || !stays(&cluster.pod(*ordinal)));

    let replicas = scale.replicas(now);
    let mut attention = attention(live, desired.max(now), told.is_some(), may_ask, by_itself, &rollout, &scale, &retired, desired);
    // Also before there is a store: beside a volume that was kept the first node must not begin another.
    attention.origin |= live.is_put_down || (live.stateful_set.is_some() && is_by_itself(cluster)? && !live.was_initialized());
    let (actions, lapsed) = actions(cluster, live, &rollout, &scale, requests, deletions)?;
    Ok(Operation {
        replicas,
        partition: rollout.partition(replicas, live.partition()),
        actions,
        attention,
        told,
        retired,
        rollout,
        scale,
        lapsed,
    })
}

fn rollout_of(live: &Live, template: &str, raft: Option<&Raft>, by_itself: bool) -> Rollout {
    if live.stateful_set.is_none() {
        return Rollout::UpToDate;
    }
    if live.template_hash() != Some(template) {
        return Rollout::Begins;
    }
    let Some((current, update)) = live.revisions() else { return Rollout::Unjudged };
    let first_waits = live.nodes.first().and_then(|node| node.pod.there()).is_some_and(|pod| pod.initialized == Some(false));
    rollout::decide(&rollout::Fleet {
        nodes: &live.nodes,
        current,
        update,
        raft,
        tolerance: live.tolerance,
        leads: leads(live, rollout::next(&live.nodes, current, update)),
        is_initializing: by_itself && !live.was_initialized() && first_waits,
    })
}

fn scale_of(cluster: &Cluster, live: &Live, raft: Option<&Raft>) -> Scale {
    let desired = live.wanted(cluster);
    let last = scale::next(&live.nodes, desired, &live.retired);
    if live.is_put_down {
        return Scale::Waits(words::put_down(cluster));
    }
    if last.is_some() && !live.was_initialized() {
        return Scale::Waits("the store has to be initialised first".to_owned());
    }
    let mut claims = BTreeMap::new();
    for node in &live.retired {
        for name in cluster.claims(node.ordinal) {
            let presence = live.claims.get(&name).cloned().unwrap_or_default();
            claims.insert(name, (node.ordinal, presence));
        }
    }
    scale::decide(&scale::Fleet { nodes: &live.nodes, desired, retired: &live.retired, claims: &claims, raft, leads: leads(live, last) })
}

fn leads<'a>(live: &'a Live, node: Option<&Node>) -> &'a Leads {
    node.and_then(|node| live.leads.get(&node.ordinal)).unwrap_or(&Leads::Unknown)
}

fn one_at_a_time(live: &Live, rollout: Rollout, scale: Scale) -> (Rollout, Scale) {
    let restarting = live.operation.as_ref().filter(|told| told.step == told::RESTARTING).and_then(|told| told.node.as_deref());
    let is_same = |ordinal: &i32| live.nodes.iter().any(|node| node.ordinal == *ordinal && Some(node.name.as_str()) == restarting);
    // Between the word and the deed a pod looks as well as ever.
    let in_flight = matches!(&rollout, Rollout::Restarts { ordinal } if is_same(ordinal));
    // What is blocked is looked at rarely, so what frees it is a first look too.
    let is_first_look = live.operation.as_ref().is_none_or(|told| told.step == told::BLOCKED);
    let (rollout, scale) = match (in_flight, scale.acts()) {
        (true, true) => (rollout, Scale::Waits("a node is being restarted".to_owned())),
        (false, true) => (rollout.held("the number of nodes changes first"), scale),
        (_, false) => (rollout, scale),
    };
    if !is_first_look {
        return (rollout, scale);
    }
    let scale = if scale.acts() { Scale::Waits("looking closely first".to_owned()) } else { scale };
    (rollout.held("looking closely first"), scale)
}

#[allow(clippy::too_many_arguments, reason = "each is one fact, and a type for them would be used here alone")]
fn attention(
    live: &Live,
    many: i32,
    is_under_way: bool,
    may_ask: bool,
    by_itself: bool,
    rollout: &Rollout,
    scale: &Scale,
    retired: &BTreeSet<i32>,
    desired: i32,
) -> Attention {
    let is_calm = *rollout == Rollout::UpToDate && matches!(scale, Scale::AsAsked | Scale::Blocked(_));
    let leaders = || {
        let next = live.revisions().and_then(|(current, update)| rollout::next(&live.nodes, current, update));
        let last = scale::next(&live.nodes, desired, &live.retired);
        next.into_iter().chain(last).filter(|node| node.is_up()).map(|node| node.ordinal).collect()
    };
    // One login tells whether the users were made; a node that is alone has nobody to be asked about after that.
    let is_unconfirmed = by_itself && Live::is_unconfirmed(live.told_access);
    let raft = may_ask && (many > 1 || !retired.is_empty() || is_unconfirmed) && (by_itself || is_under_way);
    let is_confirming =
        raft && by_itself && matches!(live.told_access, None | Some(OperatorAccess::Unconfirmed | OperatorAccess::RefusedOnce));
    Attention {
        is_quick: (is_under_way && !is_calm) || is_confirming,
        is_confirming,
        origin: is_confirming,
        raft,
        leaders: if is_under_way && !matches!(live.raft, Raft::Closed { .. }) { leaders() } else { BTreeSet::new() },
        retired: retired.clone(),
    }
}

fn actions(
    cluster: &Cluster,
    live: &Live,
    rollout: &Rollout,
    scale: &Scale,
    requests: Fates,
    deletions: Fates,
) -> Result<(Vec<Action>, Option<String>), Failure> {
    let incarnation = |ordinal: i32| {
        let node = live.nodes.iter().chain(&live.retired).find(|node| node.ordinal == ordinal);
        node.and_then(|node| node.pod.there()).map_or("gone", |pod| pod.uid.as_str()).to_owned()
    };
    let step_down = |ordinal: i32, since: &str| {
        // Each time of leading once: one that leads again later is told again.
        let since: String = since.chars().filter(char::is_ascii_digit).collect();
        let id = format!("step-down-{}-{since}", incarnation(ordinal));
        let action = access::step_down(cluster, &id, ordinal);
        (id, action)
    };
    let (asked, fates) = match (scale, rollout) {
        (Scale::StepsDown { ordinal, since }, _) | (_, Rollout::StepsDown { ordinal, since }) => {
            (vec![step_down(*ordinal, since)], requests)
        }
        (Scale::Removes { ordinal }, _) => {
            let id = format!("remove-peer-{}-{}", cluster.pod(*ordinal), incarnation(*ordinal));
            let action = access::remove_peer(cluster, &id, &cluster.pod(*ordinal));
            (vec![(id, action)], requests)
        }
        (Scale::Deletes { claims, .. }, _) => {
            let delete = |(name, uid): &(String, String)| {
                let target = ObjectRef::new("v1", "PersistentVolumeClaim", name).in_namespace(cluster.namespace);
                let spec =
                    action::Delete { target, uid: uid.clone(), resource_version: None, propagation: action::Propagation::Background };
                let id = format!("delete-{name}-{uid}");
                let action = Action::new(&id, &spec);
                (id, action)
            };
            (claims.iter().map(delete).collect(), deletions)
        }
        _ => (Vec::new(), requests),
    };
    let mut actions = Vec::new();
    let mut lapsed = None;
    for (id, action) in asked {
        match fates(&id)? {
            Fate::Stands => actions.push(action),
            Fate::Lapsed(why) => lapsed = Some(why),
        }
    }
    Ok((actions, lapsed))
}

impl Operation {
    /// The upgrade waits for a node that was restarted and will not come up by waiting.
    pub fn stuck<'a>(&self, live: &'a Live) -> Option<&'a Node> {
        stuck(live, &self.rollout)
    }
}

/// See [`Operation::stuck`]. A node is sealed for a moment after each start, so that counts from the second look on.
pub(crate) fn stuck<'a>(live: &'a Live, rollout: &Rollout) -> Option<&'a Node> {
    let Rollout::Waits(wait) = rollout else { return None };
    let node = live.nodes.iter().find(|node| Some(node.ordinal) == wait.on).filter(|_| wait.reason == WaitReason::Updated)?;
    let before = live.operation.as_ref().filter(|told| told.kind == OperationKind::Upgrade && told.node.as_deref() == Some(&node.name));
    let was_sealed = before.is_some_and(|told| told.step == told::SEALED || told.step == told::STUCK);
    (node.ails_for_long() || (node.is_sealed() && was_sealed)).then_some(node)
}
