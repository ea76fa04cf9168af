//! The questions whose answers [`super::Live::read`] reads: named gets, and what the store is asked. No list, and nothing that is not needed now.

use std::collections::BTreeSet;

use banhbaoring_openbao_api::OperatorAccess;
use banhbaoring_sdk::Need;
use banhbaoring_sdk::contract::{ObjectRef, need};

use super::Live;
use super::node::{INIT_STATUSES, POD_FIELDS};
use crate::access;
use crate::cluster::{Cluster, DATA_CLAIM};
use crate::expansion;

/// Seconds between looks where nothing is done to the nodes.
const CALM: u32 = 30;
/// Seconds between looks while something is.
const QUICK: u32 = 5;

pub(super) const RAFT: &str = "raft";
pub(super) const TOLERANCE: &str = "tolerance";
/// The same once more: what two looks see of one question may be one answer.
pub(super) const RAFT_AGAIN: &str = "raft-again";
pub(super) const SET_MADE: &str = "set-made";
pub(super) const MADE: &str = "/metadata/creationTimestamp";
pub(super) const WHOSE: &str = "/metadata/annotations/openbao.org~1cluster-uid";
pub(super) const LABELS: &str = "/metadata/labels";
pub(super) const REQUESTED: &str = "/spec/resources/requests/storage";
pub(super) const CAPACITY: &str = "/status/capacity/storage";

/// What has to be looked at, and how closely.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attention {
    /// Something is done to the nodes.
    pub is_quick: bool,
    /// Whether the store lets the operator in at all is still to be seen.
    pub is_confirming: bool,
    /// Whose the volumes are is wanted.
    pub origin: bool,
    /// Who Raft counts is wanted.
    pub raft: bool,
    /// Nodes that are asked whether they lead, and with that how many may fail.
    pub leaders: BTreeSet<i32>,
    /// Nodes that were taken away, whose pods and claims are asked for.
    pub retired: BTreeSet<i32>,
}

impl Attention {
    /// Seconds between looks. An answer is asked for anew when its question changes, so what was known in calm times is not what a step rests on.
    pub fn seconds(&self) -> u32 {
        if self.is_quick { QUICK } else { CALM }
    }
}

/// The questions.
pub fn needs(cluster: &Cluster, live: &Live, attention: &Attention) -> Vec<Need> {
    let seconds = attention.seconds();
    let many = live.replicas().unwrap_or_default().max(live.wanted(cluster));
    let ordinals: BTreeSet<i32> = (0..many).chain(attention.retired.iter().copied()).collect();
    let object = |id: String, kind: &str, name: String, fields: &[&str]| {
        let reference = ObjectRef::new("v1", kind, name).in_namespace(cluster.namespace);
        Need::poll(id, seconds, &need::Object { reference }).project(fields.iter().copied())
    };
    let mut fields = POD_FIELDS.to_vec();
    if !cluster.spec.plugin_catalog.is_empty() {
        fields.push(INIT_STATUSES);
    }
    let mut needs: Vec<Need> = ordinals.into_iter().map(|ordinal| object(node(ordinal), "Pod", cluster.pod(ordinal), &fields)).collect();
    for name in attention.retired.iter().flat_map(|ordinal| cluster.claims(*ordinal)) {
        needs.push(object(claim(&name), "PersistentVolumeClaim", name, &[LABELS]));
    }
    for (name, _) in expansion::wanted(cluster, live) {
        needs.push(object(size(&name), "PersistentVolumeClaim", name, &[REQUESTED, CAPACITY]));
    }
    if attention.origin {
        let claim =
            |ordinal| object(made(ordinal), "PersistentVolumeClaim", format!("{DATA_CLAIM}-{}", cluster.pod(ordinal)), &[MADE, WHOSE]);
        needs.extend((0..many).map(claim));
        let reference = ObjectRef::new("apps/v1", "StatefulSet", cluster.name).in_namespace(cluster.namespace);
        needs.push(Need::poll(SET_MADE, seconds, &need::Object { reference }).project([MADE]));
    }
    if attention.raft {
        needs.push(access::ask_configuration(cluster, raft(live.told_access), seconds));
        if !attention.leaders.is_empty() {
            needs.push(access::ask_tolerance(cluster, TOLERANCE, seconds));
        }
        needs.extend(attention.leaders.iter().map(|ordinal| access::ask_leader(cluster, &leader(*ordinal), *ordinal, seconds)));
    }
    needs
}

/// A refusal counts once it was answered twice, so after the first it is another question.
pub(super) fn raft(told: Option<OperatorAccess>) -> &'static str {
    if told == Some(OperatorAccess::RefusedOnce) { RAFT_AGAIN } else { RAFT }
}

pub(super) fn made(ordinal: i32) -> String {
    format!("made-{ordinal}")
}

pub(super) fn node(ordinal: i32) -> String {
    format!("node-{ordinal}")
}

pub(super) fn leader(ordinal: i32) -> String {
    format!("leader-{ordinal}")
}

pub(super) fn size(claim: &str) -> String {
    format!("size-{claim}")
}

pub(super) fn claim(name: &str) -> String {
    format!("claim-{name}")
}
