use std::collections::BTreeMap;

use super::{Fleet, Scale, decide};
use crate::live::{Claim, Leads, Node, Peer, Pod, Presence, Raft};

fn node(ordinal: i32) -> Node {
    let pod = Pod { uid: format!("u{ordinal}"), ready: true, ..Pod::default() };
    Node { ordinal, name: format!("prod-{ordinal}"), pod: Presence::There(pod) }
}

fn gone(ordinal: i32) -> Node {
    Node { pod: Presence::Missing, ..node(ordinal) }
}

fn raft(ordinals: &[i32], leader: i32) -> Raft {
    let peer = |ordinal: &i32| Peer { id: format!("prod-{ordinal}"), ordinal: Some(*ordinal), leads: *ordinal == leader, votes: true };
    Raft::Open(ordinals.iter().map(peer).collect())
}

struct Case {
    nodes: Vec<Node>,
    desired: i32,
    retired: Vec<Node>,
    claims: BTreeMap<String, (i32, Presence<Claim>)>,
    raft: Option<Raft>,
    leads: Leads,
}

impl Case {
    fn of(there: i32, desired: i32, raft: Raft) -> Self {
        let nodes = (0..there).map(node).collect();
        Self { nodes, desired, retired: Vec::new(), claims: BTreeMap::new(), raft: Some(raft), leads: Leads::No }
    }

    fn claim(mut self, ordinal: i32, claim: Presence<Claim>) -> Self {
        self.claims.insert(format!("data-prod-{ordinal}"), (ordinal, claim));
        self
    }

    fn retired(mut self, node: Node) -> Self {
        self.retired.push(node);
        self
    }

    fn decide(&self) -> Scale {
        let Self { nodes, desired, retired, claims, raft, leads } = self;
        decide(&Fleet { nodes, desired: *desired, retired, claims, raft: raft.as_ref(), leads })
    }
}

fn ours(uid: &str) -> Presence<Claim> {
    Presence::There(Claim { uid: uid.to_owned(), is_ours: true })
}

fn is_waiting(scale: &Scale) -> bool {
    matches!(scale, Scale::Waits(_))
}

#[test]
fn raft_lets_a_node_go_before_its_pod_goes_and_it_leads_no_more() {
    let mut case = Case::of(5, 3, raft(&[0, 1, 2, 3, 4], 4));
    case.leads = Leads::Since("t".to_owned());
    assert_eq!(case.decide(), Scale::StepsDown { ordinal: 4, since: "t".to_owned() });
    case.leads = Leads::No;
    assert!(is_waiting(&case.decide()), "Raft says that it leads still");
    case.raft = Some(raft(&[0, 1, 2, 3, 4], 0));
    assert_eq!(case.decide(), Scale::Removes { ordinal: 4 });
    case.leads = Leads::Unknown;
    assert!(is_waiting(&case.decide()));
    case.nodes[4] = gone(4);
    assert_eq!(case.decide(), Scale::Removes { ordinal: 4 }, "one that is down for good can go");
    case.raft = Some(raft(&[0, 1, 2, 3], 0));
    assert_eq!(case.decide(), Scale::Shrinks { to: 4 });
}

#[test]
fn nothing_goes_while_one_that_stays_is_not_well_or_raft_cannot_be_asked() {
    let mut case = Case::of(5, 3, raft(&[0, 1, 2, 3, 4], 0));
    case.nodes[1] = gone(1);
    assert!(is_waiting(&case.decide()));
    let case = Case::of(5, 3, raft(&[0, 2, 3, 4], 0));
    assert!(is_waiting(&case.decide()), "one that stays does not vote");
    for (raft, is_blocked) in [
        (Some(Raft::Unknown), false),
        (Some(Raft::Closed { for_now: true, why: "x".to_owned() }), false),
        (Some(Raft::Closed { for_now: false, why: "x".to_owned() }), true),
        (None, true),
    ] {
        let case = Case { raft: raft.clone(), ..Case::of(5, 3, Raft::Unknown) };
        assert_eq!(matches!(case.decide(), Scale::Blocked(_)), is_blocked, "{raft:?}");
        assert!(!case.decide().acts());
        let cleaning = Case { raft, ..Case::of(3, 3, Raft::Unknown) }.retired(gone(4)).claim(4, ours("c"));
        assert!(!cleaning.decide().acts(), "and no volume");
    }
}

#[test]
fn a_volume_goes_only_after_its_pod_and_its_vote_and_only_one_of_ours() {
    let all = raft(&[0, 1, 2], 0);
    let case = |node: Node, claim: Presence<Claim>, raft: &Raft| Case::of(3, 3, raft.clone()).retired(node).claim(4, claim).decide();
    assert_eq!(case(gone(4), ours("c"), &all), Scale::Deletes { ordinal: 4, claims: vec![("data-prod-4".to_owned(), "c".to_owned())] });
    assert!(is_waiting(&case(node(4), ours("c"), &all)), "its pod is there");
    assert!(is_waiting(&case(gone(4), Presence::Unknown, &all)));
    assert_eq!(case(gone(4), ours("c"), &raft(&[0, 1, 2, 4], 0)), Scale::Removes { ordinal: 4 }, "it joined again");
    assert_eq!(case(gone(4), Presence::Missing, &all), Scale::Forgets { ordinal: 4 });
    let foreign = Presence::There(Claim { uid: "c".to_owned(), is_ours: false });
    assert_eq!(case(gone(4), foreign, &all), Scale::Forgets { ordinal: 4 }, "somebody else's");
    let mut sick = Case::of(3, 3, all).retired(gone(4)).claim(4, ours("c"));
    sick.nodes[0] = gone(0);
    assert!(is_waiting(&sick.decide()));
}

#[test]
fn fewer_replicas_by_somebodys_hand_are_made_more_again_and_nothing_else() {
    for there in 0..3 {
        let case = Case::of(there, 3, raft(&[0, 1, 2], 0)).claim(2, ours("c"));
        assert_eq!(case.decide(), Scale::Grows { to: 3 });
    }
    let case = Case::of(0, 3, raft(&[0, 1, 2], 0)).retired(gone(4)).claim(4, ours("c"));
    assert_eq!(case.decide(), Scale::Grows { to: 3 });
}

#[test]
fn a_node_that_is_to_come_back_waits_for_its_old_volume_to_go() {
    let case = Case::of(3, 5, raft(&[0, 1, 2], 0)).retired(gone(3)).claim(3, ours("c"));
    assert_eq!(case.decide(), Scale::Deletes { ordinal: 3, claims: vec![("data-prod-3".to_owned(), "c".to_owned())] });
    let case = Case::of(3, 5, raft(&[0, 1, 2], 0)).retired(gone(4)).claim(4, ours("c"));
    assert_eq!(case.decide(), Scale::Grows { to: 4 }, "up to the one with the old volume");
    let case = Case::of(5, 5, raft(&[0, 1, 2, 3], 0)).retired(node(4));
    assert_eq!(case.decide(), Scale::Shrinks { to: 4 }, "Raft has let it go, so it cannot stay");
    let case = Case::of(5, 5, raft(&[0, 1, 2, 3, 4], 0)).retired(node(4));
    assert!(is_waiting(&case.decide()), "Raft has not, so it stays");
}

#[test]
fn a_peer_that_nobody_remembers_is_removed_first() {
    assert_eq!(Case::of(3, 3, raft(&[0, 1, 2, 5], 0)).decide(), Scale::Removes { ordinal: 5 });
    assert_eq!(Case::of(4, 3, raft(&[0, 1, 2, 3, 6], 0)).decide(), Scale::Removes { ordinal: 6 });
    let mut foreign = raft(&[0, 1, 2], 0);
    if let Raft::Open(peers) = &mut foreign {
        peers.push(Peer { id: "guest".to_owned(), ordinal: None, leads: false, votes: true });
    }
    assert_eq!(Case::of(3, 3, foreign).decide(), Scale::AsAsked, "one that is not named as ours is left alone");
}
