use super::{Fleet, Rollout, WaitReason, decide};
use crate::live::{Leads, Node, Peer, Pod, Presence, Raft, Trouble};
use proptest::prelude::*;

fn node(ordinal: i32, revision: &str, is_up: bool) -> Node {
    let pod = Pod { uid: format!("u{ordinal}"), revision: Some(revision.to_owned()), ready: is_up, ..Pod::default() };
    Node { ordinal, name: format!("prod-{ordinal}"), pod: Presence::There(pod) }
}

fn peers(nodes: &[Node], leader: i32) -> Raft {
    let peer = |node: &Node| Peer { id: node.name.clone(), ordinal: Some(node.ordinal), leads: node.ordinal == leader, votes: true };
    Raft::Open(nodes.iter().map(peer).collect())
}

fn fleet<'a>(nodes: &'a [Node], raft: &'a Raft, leads: &'a Leads) -> Fleet<'a> {
    Fleet { nodes, current: "a", update: "b", raft: Some(raft), tolerance: Some(1), leads, is_initializing: false }
}

fn waits(decided: &Rollout) -> Option<(i32, WaitReason)> {
    match decided {
        Rollout::Waits(wait) => Some((wait.partition, wait.reason)),
        _ => None,
    }
}

#[test]
fn the_next_node_is_restarted_once_it_does_not_lead_and_another_does() {
    let nodes = [node(0, "a", true), node(1, "a", true), node(2, "a", true)];
    let raft = peers(&nodes, 2);
    let since = Leads::Since("t".to_owned());
    assert_eq!(decide(&fleet(&nodes, &raft, &since)), Rollout::StepsDown { ordinal: 2, since: "t".to_owned() });
    assert_eq!(waits(&decide(&fleet(&nodes, &raft, &Leads::No))), Some((3, WaitReason::Store)), "nobody else leads yet");
    assert_eq!(waits(&decide(&fleet(&nodes, &raft, &Leads::Unknown))), Some((3, WaitReason::Answers)));
    assert_eq!(waits(&decide(&fleet(&nodes, &raft, &Leads::Unreachable("x".to_owned())))), Some((3, WaitReason::Store)));
    let raft = peers(&nodes, 0);
    assert_eq!(decide(&fleet(&nodes, &raft, &Leads::No)), Rollout::Restarts { ordinal: 2 });
}

#[test]
fn nobody_goes_where_raft_could_not_lose_a_node_or_counts_somebody_less() {
    let nodes = [node(0, "a", true), node(1, "a", true), node(2, "a", true)];
    let raft = peers(&nodes, 0);
    for (tolerance, reason) in [(None, WaitReason::Answers), (Some(0), WaitReason::Store), (Some(-1), WaitReason::Store)] {
        let fleet = Fleet { tolerance, ..fleet(&nodes, &raft, &Leads::No) };
        assert_eq!(waits(&decide(&fleet)), Some((3, reason)), "{tolerance:?}");
    }
    let raft = peers(&nodes[..2], 0);
    assert_eq!(waits(&decide(&fleet(&nodes, &raft, &Leads::No))), Some((3, WaitReason::Other)));
    let passing = Raft::Closed { for_now: true, why: "x".to_owned() };
    assert_eq!(waits(&decide(&fleet(&nodes, &passing, &Leads::No))), Some((3, WaitReason::Store)));
    let closed = Raft::Closed { for_now: false, why: "x".to_owned() };
    assert_eq!(decide(&fleet(&nodes, &closed, &Leads::Unknown)), Rollout::Restarts { ordinal: 2 }, "there is nobody to ask");
}

#[test]
fn an_updated_node_that_is_not_up_stops_everything_and_a_template_of_its_own_frees_it() {
    let nodes = [node(0, "a", true), node(1, "a", true), node(2, "b", false)];
    let raft = peers(&nodes, 0);
    assert_eq!(waits(&decide(&fleet(&nodes, &raft, &Leads::No))), Some((2, WaitReason::Updated)));
    let back = Fleet { update: "a", ..fleet(&nodes, &raft, &Leads::No) };
    assert_eq!(decide(&back), Rollout::Restarts { ordinal: 2 });
}

#[test]
fn a_node_that_only_starts_is_left_alone_while_another_is_down() {
    let mut nodes = [node(0, "a", false), node(1, "a", true), node(2, "a", false)];
    let raft = peers(&nodes, 1);
    assert_eq!(waits(&decide(&fleet(&nodes, &raft, &Leads::No))), Some((3, WaitReason::Other)));
    let Presence::There(pod) = &mut nodes[2].pod else { panic!("there") };
    pod.trouble = Some(Trouble { is_lasting: true, message: "CrashLoopBackOff".to_owned() });
    assert_eq!(decide(&fleet(&nodes, &raft, &Leads::No)), Rollout::Restarts { ordinal: 2 });
}

#[test]
fn what_is_not_known_changes_nothing() {
    let mut nodes = [node(0, "a", true), node(1, "a", true), node(2, "a", true)];
    nodes[1].pod = Presence::Unknown;
    let raft = peers(&nodes, 0);
    let decided = decide(&fleet(&nodes, &raft, &Leads::No));
    assert_eq!((decided.clone(), decided.partition(3, Some(2)), decided.partition(3, None)), (Rollout::Unjudged, 2, 3));
}

#[test]
fn the_partition_stays_down_until_the_controller_has_seen_the_end() {
    let nodes = [node(0, "b", true), node(1, "b", true), node(2, "b", true)];
    let raft = peers(&nodes, 0);
    assert_eq!(waits(&decide(&fleet(&nodes, &raft, &Leads::No))), Some((0, WaitReason::Answers)));
    let done = Fleet { current: "b", ..fleet(&nodes, &raft, &Leads::No) };
    assert_eq!(decide(&done).partition(3, Some(0)), 3);
}

#[test]
fn a_store_is_not_cut_short_while_it_is_initialised() {
    let nodes = [node(0, "a", true)];
    let raft = Raft::Unknown;
    let busy = Fleet { is_initializing: true, raft: None, ..fleet(&nodes, &raft, &Leads::Unknown) };
    assert_eq!(waits(&decide(&busy)), Some((1, WaitReason::Other)));
    assert_eq!(decide(&Fleet { is_initializing: false, ..busy }), Rollout::Restarts { ordinal: 0 });
}

fn any_node(ordinal: i32) -> impl Strategy<Value = Node> {
    (0_u8..8, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(move |(kind, updated, up, lasting)| {
        let mut made = node(ordinal, if updated { "b" } else { "a" }, up);
        match (kind, &mut made.pod) {
            (0, pod) => *pod = Presence::Missing,
            (1, Presence::There(pod)) => pod.ending = true,
            (2, Presence::There(pod)) => (pod.sealed, pod.initialized) = (Some(true), Some(true)),
            (3, Presence::There(pod)) if !up => {
                pod.trouble = Some(Trouble { is_lasting: lasting, message: "x".to_owned() });
            }
            _ => {}
        }
        made
    })
}

fn any_fleet() -> impl Strategy<Value = (Vec<Node>, bool, Raft, Option<i64>, Leads)> {
    (1_usize..=7).prop_flat_map(|count| {
        let nodes: Vec<_> = (0..count).map(|ordinal| any_node(i32::try_from(ordinal).unwrap())).collect();
        let leads = prop_oneof![
            Just(Leads::Unknown),
            Just(Leads::No),
            Just(Leads::No),
            Just(Leads::Since("t".to_owned())),
            Just(Leads::Unreachable("x".to_owned()))
        ];
        (nodes, any::<bool>(), 0_u8..8, 0_i32..8, prop::option::of(0_i64..3), leads).prop_map(
            |(nodes, done, raft, leader, tolerance, leads)| {
                let raft = match raft {
                    0 => Raft::Unknown,
                    1 => Raft::Closed { for_now: true, why: "x".to_owned() },
                    2 => Raft::Closed { for_now: false, why: "x".to_owned() },
                    _ => peers(&nodes, leader),
                };
                (nodes, done, raft, tolerance, leads)
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn never_two_nodes_down_never_out_of_order_never_a_leader((nodes, done, raft, tolerance, leads) in any_fleet()) {
        let fleet = Fleet { tolerance, current: if done { "b" } else { "a" }, ..fleet(&nodes, &raft, &leads) };
        let decided = decide(&fleet);
        let count = i32::try_from(nodes.len()).unwrap();
        let partition = decided.partition(count, Some(count));
        prop_assert!((0..=count).contains(&partition));
        // What the controller may restart: of another revision, at or above the partition.
        let restarts: Vec<&Node> = nodes.iter().filter(|node| node.ordinal >= partition && !node.is_of("b") && node.pod.there().is_some()).collect();
        prop_assert!(restarts.len() <= 1, "one at a time: {restarts:?}");
        for node in restarts {
            prop_assert_eq!(&decided, &Rollout::Restarts { ordinal: node.ordinal });
            let higher = |other: &&Node| other.ordinal > node.ordinal;
            prop_assert!(nodes.iter().filter(higher).all(|other| other.is_of("b") && other.is_up()), "from the highest, each once the one above is up");
            if node.is_up() {
                prop_assert!(nodes.iter().all(|other| other.is_up()), "a second node down");
                if let (Raft::Open(peers), true) = (&raft, nodes.len() > 1) {
                    prop_assert!(leads == Leads::No && tolerance >= Some(1));
                    prop_assert!(peers.iter().any(|peer| peer.leads && peer.id != node.name));
                }
                let may_answer = matches!(raft, Raft::Unknown | Raft::Closed { for_now: true, .. });
                prop_assert!(nodes.len() == 1 || !may_answer, "who may answer soon is waited for");
            }
        }
    }
}
