use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::contract::{Gate, Slot};
use crate::sample::{component, owner, plugin, provider};

fn names(graph: &Graph) -> Vec<&str> {
    graph.nodes.iter().map(|node| node.component.name.as_str()).collect()
}

fn reasons(graph: &Graph) -> Vec<(&str, &str)> {
    graph.problems.iter().map(|problem| (problem.component.as_deref().unwrap_or("-"), problem.reason)).collect()
}

fn set(plugins: Vec<ActivePlugin>) -> PluginSet {
    plugins.into_iter().collect()
}

fn store() -> ComponentDescriptor {
    let mut store = component("store", &[]);
    store.slots.push(Slot {
        name: "seal".to_owned(),
        interface_name: "unseal-provider".to_owned(),
        selector: "/unseal/type".to_owned(),
        config_path: "/unseal".to_owned(),
        default_provider: None,
    });
    store
}

#[test]
fn every_component_comes_after_what_it_waits_for_and_ties_go_by_name() {
    let plugins = set(vec![
        plugin(
            "b",
            vec![
                component("cache", &[("certificates", Gate::Applied)]),
                component("web", &[("cache", Gate::Ready), ("api", Gate::Outputs)]),
            ],
        ),
        plugin("a", vec![component("certificates", &[]), component("api", &[("certificates", Gate::Applied)]), component("backup", &[])]),
    ]);
    let graph = compose(&owner(json!({})), &plugins);
    assert_eq!(names(&graph), ["backup", "certificates", "api", "cache", "web"]);
    assert!(graph.problems.is_empty());
}

#[test]
fn components_of_other_kinds_and_of_plugins_for_other_namespaces_do_not_take_part() {
    let mut foreign = component("other", &[]);
    foreign.kind = "other.org/Stack".to_owned();
    let mut elsewhere = plugin("elsewhere", vec![component("web", &[])]);
    elsewhere.allowed_namespaces = vec!["other".to_owned()];
    let mut here = plugin("here", vec![component("api", &[]), foreign]);
    here.allowed_namespaces = vec!["team".to_owned()];
    assert_eq!(names(&compose(&owner(json!({})), &set(vec![elsewhere, here]))), ["api"]);
}

#[test]
fn two_providers_of_a_component_need_a_pin() {
    let plugins = set(vec![plugin("p1", vec![component("db", &[])]), plugin("p2", vec![component("db", &[]), component("x", &[])])]);
    let graph = compose(&owner(json!({})), &plugins);
    assert_eq!((names(&graph), reasons(&graph)), (vec!["x"], vec![("db", "ComponentAmbiguous")]));
    assert!(graph.problems[0].message.contains("p1, p2"));
    let pinned = compose(&owner(json!({"plugins": [{"component": "db", "plugin": "p2"}]})), &plugins);
    assert_eq!(names(&pinned), ["db", "x"]);
    assert_eq!(pinned.nodes[0].plugin.name, "p2");
    assert!(pinned.problems.is_empty());
}

#[test]
fn a_pin_that_nobody_answers_is_told_with_its_place() {
    let mut barred = plugin("barred", vec![component("db", &[])]);
    barred.allowed_namespaces = vec!["other".to_owned()];
    let plugins = set(vec![plugin("p1", vec![component("db", &[])]), barred]);
    for (pinned, found) in [("absent", "no active plugin"), ("barred", "may not serve this namespace")] {
        let graph = compose(&owner(json!({"plugins": [{"component": "db", "plugin": pinned}]})), &plugins);
        assert_eq!((names(&graph), reasons(&graph)), (vec![], vec![("db", "PinInvalid")]));
        assert_eq!(graph.problems[0].field.as_deref(), Some("spec.plugins[0].plugin"));
        assert!(graph.problems[0].message.contains(found), "{}", graph.problems[0].message);
    }
    let malformed = compose(&owner(json!({"plugins": [7, {"component": "db", "plugin": "p1"}]})), &plugins);
    assert_eq!((names(&malformed), reasons(&malformed)), (vec!["db"], vec![("-", "PinInvalid")]));
}

#[test]
fn a_cycle_is_named_and_leaves_the_rest_going() {
    let plugins = set(vec![plugin(
        "p",
        vec![
            component("a", &[("c", Gate::Ready)]),
            component("b", &[("a", Gate::Ready)]),
            component("c", &[("b", Gate::Ready)]),
            component("d", &[("a", Gate::Applied)]),
            component("e", &[]),
            component("self", &[("self", Gate::Ready)]),
        ],
    )]);
    let graph = compose(&owner(json!({})), &plugins);
    assert_eq!(names(&graph), ["e"]);
    let expected = [
        ("a", "DependencyCycle"),
        ("b", "DependencyCycle"),
        ("c", "DependencyCycle"),
        ("d", "DependencyMissing"),
        ("self", "DependencyCycle"),
    ];
    assert_eq!(reasons(&graph), expected);
    assert!(graph.problems[0].message.contains("a, b, c, a"), "{}", graph.problems[0].message);
}

#[test]
fn a_missing_dependency_leaves_out_what_waits_for_it_however_far_away() {
    let plugins =
        set(vec![plugin("p", vec![component("a", &[("db", Gate::Ready)]), component("b", &[("a", Gate::Applied)]), component("c", &[])])]);
    let graph = compose(&owner(json!({})), &plugins);
    assert_eq!((names(&graph), reasons(&graph)), (vec!["c"], vec![("a", "DependencyMissing"), ("b", "DependencyMissing")]));
    assert!(graph.problems[0].message.contains("no active plugin that serves it"));
    assert!(graph.problems[1].message.contains("left out"));
}

#[test]
fn a_slot_is_filled_by_name_alias_or_default() {
    let mut with_default = store();
    with_default.slots[0].default_provider = Some("static".to_owned());
    let providers = vec![provider("gcp", "gcpkms", &["gcpckms"]), provider("static-key", "static", &[])];
    let plugins = set([vec![plugin("p", vec![with_default])], providers.clone()].concat());
    for (spec, expected) in [
        (json!({"store": {"unseal": {"type": "gcpkms"}}}), ("gcpkms", "gcp")),
        (json!({"store": {"unseal": {"type": "gcpckms"}}}), ("gcpkms", "gcp")),
        (json!({}), ("static", "static-key")),
    ] {
        let graph = compose(&owner(spec), &plugins);
        let slot = &graph.nodes[0].slots[0];
        assert_eq!((slot.provider.as_str(), slot.plugin.name.as_str()), expected);
    }
    let mut described = store();
    described.config_schema = Some(json!({"properties": {"unseal": {"default": {"type": "static"}}}}));
    let graph = compose(&owner(json!({})), &set([vec![plugin("p", vec![described])], providers].concat()));
    assert_eq!(graph.nodes[0].slots[0].provider, "static");
    let graph = compose(&owner(json!({})), &set(vec![plugin("p", vec![store()])]));
    assert!(graph.nodes[0].slots.is_empty());
}

#[test]
fn a_provider_that_cannot_be_chosen_names_the_field_of_the_owner() {
    let mut barred = provider("barred", "secretkms", &[]);
    barred.allowed_namespaces = vec!["other".to_owned()];
    let plugins = set(vec![
        plugin("p", vec![store(), component("after", &[("store", Gate::Ready)])]),
        provider("one", "twice", &[]),
        provider("two", "other", &["twice"]),
        barred,
    ]);
    for (selected, reason, told) in [
        (json!("none-such"), "ProviderUnknown", "other, twice"),
        (json!("secretkms"), "ProviderUnknown", "plugin barred may not serve this namespace"),
        (json!("twice"), "ProviderAmbiguous", "one, two"),
        (json!(["twice"]), "ProviderInvalid", "write a string"),
    ] {
        let graph = compose(&owner(json!({"store": {"unseal": {"type": selected}}})), &plugins);
        assert!(names(&graph).is_empty());
        let problem = graph.problems.iter().find(|problem| problem.component.as_deref() == Some("store")).unwrap();
        assert_eq!((problem.reason, problem.field.as_deref()), (reason, Some("spec.store.unseal.type")));
        assert!(problem.message.contains(told), "{}", problem.message);
        assert!(graph.problems.iter().any(|problem| problem.component.as_deref() == Some("after")));
    }
}

#[test]
fn a_slot_of_an_unknown_interface_is_refused() {
    let mut store = store();
    store.slots[0].interface_name = "teleporter".to_owned();
    assert_eq!(reasons(&compose(&owner(json!({})), &set(vec![plugin("p", vec![store])]))), [("store", "SlotUnsupported")]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_graph_does_not_depend_on_the_order_of_plugins_or_components(
        edges in prop::collection::vec((0..8_usize, 0..8_usize), 0..12),
        owners in prop::collection::vec(0..3_usize, 8),
        shuffled in Just((0..8_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let build = |order: &[usize], reverse: bool| {
            let mut plugins: Vec<_> = (0..3).map(|index| plugin(&format!("p{index}"), Vec::new())).collect();
            for &index in order {
                let mut described = component(&format!("c{index}"), &[]);
                described.after = edges.iter().filter(|(from, _)| *from == index)
                    .map(|(_, to)| crate::contract::Dependency { component: format!("c{to}"), gate: Gate::Applied }).collect();
                plugins[owners[index]].descriptor.components.push(described);
            }
            if reverse { plugins.reverse(); }
            compose(&owner(json!({})), &plugins.into_iter().collect())
        };
        let (one, other) = (build(&(0..8).collect::<Vec<_>>(), false), build(&shuffled, true));
        prop_assert_eq!(names(&one), names(&other));
        prop_assert_eq!(&one.problems, &other.problems);
        prop_assert_eq!(one.nodes.len() + one.problems.len(), 8, "each is either in or told");
        for (at, node) in one.nodes.iter().enumerate() {
            for dependency in &node.component.after {
                prop_assert!(one.nodes[..at].iter().any(|before| before.component.name == dependency.component));
            }
        }
    }
}
