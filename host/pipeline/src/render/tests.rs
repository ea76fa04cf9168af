use banhbaoring_api::inventory::ChildEntry;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::contract::{AnswerOutcome, ChildView, ComponentDescriptor, Gate, Need, NeedMode, ReadinessState, Slot, State};
use crate::graph::compose;
use crate::plugins::PluginSet;
use crate::sample::{child, component, config_map, observation, owner, plugin, provider, response, scripted, seal, with_seals};

fn graph(observation: &Observation, components: Vec<ComponentDescriptor>) -> Graph {
    compose(&observation.owner, &PluginSet::from_iter([plugin("p", components)]))
}

fn outcome<'d>(desired: &'d Desired, component: &str) -> &'d Outcome {
    &desired.components.iter().find(|rendered| rendered.component == component).unwrap().outcome
}

fn answered(desired: &Desired, component: &str) -> bool {
    matches!(outcome(desired, component), Outcome::Answered(_))
}

#[test]
fn the_request_holds_what_the_owner_wrote_and_nothing_that_changes_by_itself() {
    let mut owner = owner(json!({"db": {"size": 1}, "web": {}}));
    owner.object["metadata"] = json!({
        "name": "one", "namespace": "team", "uid": "uid-1", "resourceVersion": "77", "generation": 4, "creationTimestamp": "2026-01-01T00:00:00Z",
        "managedFields": [{}], "finalizers": ["x/y"], "labels": {"a": "b"},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "mine": "1"},
    });
    owner.object["status"] = json!({"phase": "Running", "conditions": [1], "db": {"seen": 3, "web": {"w": 1}}, "web": {"w": 2}});
    let mut observation = observation(owner);
    observation.answers.insert(("db".into(), "q".into()), AnswerOutcome::Pending);
    observation.answers.insert(("dbx".into(), "q".into()), AnswerOutcome::Pending);
    let mut db = component("db", &[]);
    db.clock_seconds = Some(60);
    let mut below = component("web", &[]);
    below.status_path = "/db/web".to_owned();
    let renderer = scripted(|_| Ok(response(State::Ready)));
    render(&graph(&observation, vec![db, below]), &observation, &renderer);
    let request = &renderer.asked()[0];
    assert_eq!(
        request.owner,
        json!({
            "apiVersion": "example.org/v1", "kind": "Stack", "spec": {"db": {"size": 1}, "web": {}},
            "metadata": {"name": "one", "namespace": "team", "uid": "uid-1", "labels": {"a": "b"}, "annotations": {"mine": "1"}},
        })
    );
    assert_eq!((&request.config, &request.previous), (&json!({"size": 1}), &Some(json!({"seen": 3}))));
    assert_eq!(request.answers.iter().map(|answer| answer.id.as_str()).collect::<Vec<_>>(), ["q"]);
    assert_eq!(request.time, Some(1_000_007 / 60 * 60));
    assert_eq!(renderer.asked()[1].time, None);
    assert_eq!(renderer.asked()[1].previous, Some(json!({"w": 1})));
}

#[test]
fn a_fragment_at_the_top_of_the_status_comes_back_without_what_others_put_there() {
    let mut owner = owner(json!({}));
    owner.object["status"] = json!({"phase": "Running", "conditions": [1], "observedGeneration": 2, "components": [1], "web": {"w": 2}, "endpoint": "https://x"});
    let observation = observation(owner);
    let mut top = component("db", &[]);
    top.status_path = String::new();
    let renderer = scripted(|_| Ok(response(State::Ready)));
    render(&graph(&observation, vec![top, component("web", &[])]), &observation, &renderer);
    assert_eq!(renderer.asked()[0].previous, Some(json!({"endpoint": "https://x"})));
}

#[test]
fn a_component_sees_its_own_children_by_uid_and_of_their_fields_what_it_asked_for() {
    let mut observation = observation(owner(json!({})));
    let ready = Some(ReadinessState::Ready);
    child(&mut observation, "db", "Service", "b", ready, json!({}));
    child(&mut observation, "db", "ConfigMap", "c", ready, json!({"/data/x": 1, "/data/y": 2}));
    child(&mut observation, "db", "ConfigMap", "a", ready, json!({}));
    child(&mut observation, "web", "ConfigMap", "w", ready, json!({}));
    child(&mut observation, "db", "ConfigMap", "impostor", ready, json!({}));
    let impostor = observation.inventory.children.last_mut().unwrap();
    impostor.uid = Some("another uid".to_owned());
    let mut db = component("db", &[]);
    db.children.push(ChildView {
        api_version: "v1".into(),
        kind: "ConfigMap".into(),
        fields: vec!["/data/x".into(), "/data/absent".into()],
    });
    let renderer = scripted(|_| Ok(response(State::Ready)));
    render(&graph(&observation, vec![db]), &observation, &renderer);
    let seen: Vec<_> = renderer.asked()[0].children.iter().map(|child| (child.reference.name.clone(), child.fields.clone())).collect();
    assert_eq!(seen, [("a".to_owned(), json!({})), ("c".to_owned(), json!({"/data/x": 1})), ("b".to_owned(), json!({}))]);
}

#[test]
fn the_applied_gate_opens_when_everything_wanted_is_in_the_inventory() {
    let mut observation = observation(owner(json!({})));
    let components = || vec![component("db", &[]), component("web", &[("db", Gate::Applied)])];
    let renderer = scripted(|request| {
        let objects = if request.component == "db" { vec![config_map("a"), config_map("b")] } else { Vec::new() };
        Ok(Response { objects, ..response(State::Progressing) })
    });
    let waits = |observation: &Observation| {
        let desired = render(&graph(observation, components()), observation, &renderer);
        matches!(outcome(&desired, "web"), Outcome::Waiting(dependency) if dependency.component == "db")
    };
    assert!(waits(&observation));
    child(&mut observation, "db", "ConfigMap", "a", None, json!({}));
    assert!(waits(&observation));
    child(&mut observation, "db", "ConfigMap", "b", None, json!({}));
    assert!(!waits(&observation));
    observation.inventory.children[1].uid = None;
    assert!(waits(&observation), "an intent is no object");
    observation.inventory.children[1] =
        ChildEntry { component: "other".into(), uid: Some("x".into()), ..observation.inventory.children[1].clone() };
    assert!(waits(&observation), "what another component made does not count");
}

#[test]
fn the_ready_gate_asks_the_component_and_its_children() {
    let components = || vec![component("db", &[]), component("web", &[("db", Gate::Ready)])];
    let opens = |state: State, child_state: ReadinessState, deleting: bool| {
        let mut observation = observation(owner(json!({})));
        child(&mut observation, "db", "ConfigMap", "a", Some(child_state), json!({}));
        observation.children.values_mut().for_each(|child| child.deleting = deleting);
        let renderer = scripted(|_| Ok(Response { objects: vec![config_map("a")], ..response(state) }));
        answered(&render(&graph(&observation, components()), &observation, &renderer), "web")
    };
    assert!(opens(State::Ready, ReadinessState::Ready, false));
    assert!(!opens(State::Progressing, ReadinessState::Ready, false));
    assert!(!opens(State::Ready, ReadinessState::Progressing, false));
    assert!(!opens(State::Ready, ReadinessState::Ready, true));
}

#[test]
fn what_the_spec_switched_off_holds_nobody_up_except_for_its_outputs() {
    for (gate, open) in [(Gate::Applied, true), (Gate::Ready, true), (Gate::Outputs, false)] {
        let observation = observation(owner(json!({})));
        let renderer = scripted(|_| Ok(response(State::Disabled)));
        let desired = render(&graph(&observation, vec![component("db", &[]), component("web", &[("db", gate)])]), &observation, &renderer);
        assert_eq!(answered(&desired, "web"), open, "{gate:?}");
    }
}

#[test]
fn outputs_open_their_gate_and_become_inputs() {
    let observation = observation(owner(json!({})));
    let renderer = scripted(|request| {
        let outputs = if request.component == "db" { json!({"host": "db.team"}) } else { json!({}) };
        Ok(Response { outputs, ..response(State::Progressing) })
    });
    let after = [("db", Gate::Outputs), ("cache", Gate::Applied)];
    let desired = render(
        &graph(&observation, vec![component("cache", &[]), component("db", &[]), component("web", &after)]),
        &observation,
        &renderer,
    );
    assert!(answered(&desired, "web"));
    let inputs: Vec<_> = renderer.asked()[2].inputs.iter().map(|input| (input.component.clone(), input.outputs.clone())).collect();
    assert_eq!(inputs, [("cache".to_owned(), json!({})), ("db".to_owned(), json!({"host": "db.team"}))]);
}

#[test]
fn a_failure_concerns_the_component_and_those_that_wait_for_it_alone() {
    let observation = observation(owner(json!({})));
    let renderer = scripted(|request| match request.component.as_str() {
        "db" => Err(Failure { class: FailureClass::Plugin, reason: "Trap".into(), message: String::new(), field: None }),
        _ => Ok(response(State::Ready)),
    });
    let components = vec![component("db", &[]), component("web", &[("db", Gate::Applied)]), component("mail", &[])];
    let desired = render(&graph(&observation, components), &observation, &renderer);
    assert!(matches!(outcome(&desired, "db"), Outcome::Failed(failure) if failure.reason == "Trap"));
    assert!(matches!(outcome(&desired, "web"), Outcome::Waiting(_)));
    assert!(answered(&desired, "mail"));
}

#[test]
fn a_config_that_does_not_fit_names_its_field_and_is_never_asked_about() {
    let observation = observation(owner(json!({"db": {"replicas": "three"}})));
    let mut db = component("db", &[]);
    db.config_schema = Some(json!({"properties": {"replicas": {"type": "integer", "default": 3}, "tls": {"default": true}}}));
    let renderer = scripted(|_| Ok(response(State::Ready)));
    let desired = render(&graph(&observation, vec![db.clone()]), &observation, &renderer);
    let Outcome::Failed(failure) = outcome(&desired, "db") else { panic!("{desired:?}") };
    assert_eq!((failure.class, failure.reason.as_str()), (FailureClass::InvalidConfig, "ConfigInvalid"));
    assert_eq!(failure.field.as_deref(), Some("spec.db.replicas"));
    assert!(renderer.asked().is_empty());
    let observation = super::tests::observation(owner(json!({})));
    render(&graph(&observation, vec![db]), &observation, &renderer);
    assert_eq!(renderer.asked()[0].config, json!({"replicas": 3, "tls": true}));
}

#[test]
fn an_unusable_schema_is_the_plugins_failure() {
    let observation = observation(owner(json!({})));
    let mut db = component("db", &[]);
    db.config_schema = Some(json!({"$ref": "https://example.com/schema.json"}));
    let desired = render(&graph(&observation, vec![db]), &observation, &scripted(|_| Ok(response(State::Ready))));
    let Outcome::Failed(failure) = outcome(&desired, "db") else { panic!("{desired:?}") };
    assert_eq!((failure.class, failure.reason.as_str()), (FailureClass::Plugin, "SchemaReferenceNotAllowed"));
}

fn sealed(spec: Json, provider: ActivePlugin) -> (Observation, Graph) {
    let observation = observation(owner(spec));
    let mut store = component("store", &[]);
    store.slots.push(Slot {
        name: "seal".into(),
        interface_name: "unseal-provider".into(),
        selector: "/unseal/type".into(),
        config_path: "/unseal".into(),
        default_provider: None,
    });
    let graph = compose(&observation.owner, &PluginSet::from_iter([plugin("p", vec![store]), provider]));
    (observation, graph)
}

#[test]
fn a_provider_is_asked_before_its_component_with_its_own_part_of_the_config() {
    let mut kms = provider("kms", "awskms", &["aws"]);
    kms.config = json!({"endpoint": "x"});
    kms.descriptor.unseal_providers[0].config_schema = Some(json!({"properties": {"region": {"default": "eu"}}}));
    let (observation, graph) = sealed(json!({"store": {"version": "2.4.1", "unseal": {"type": "aws"}}}), kms);
    let renderer = with_seals(|_| Ok(response(State::Ready)), |_| seal());
    let desired = render(&graph, &observation, &renderer);
    let asked = renderer.seals_asked.lock().unwrap()[0].clone();
    assert_eq!((asked.config, asked.plugin_config), (json!({"type": "aws", "region": "eu"}), json!({"endpoint": "x"})));
    assert_eq!(asked.openbao_version, "2.4.1");
    assert_eq!((desired.components[0].slots[0].provider.as_str(), renderer.asked()[0].slots[0].provider.as_str()), ("awskms", "awskms"));
}

#[test]
fn a_provider_whose_config_does_not_fit_names_the_field_of_the_owner() {
    let mut kms = provider("kms", "awskms", &[]);
    kms.descriptor.unseal_providers[0].config_schema = Some(json!({"required": ["keyId"]}));
    let (observation, graph) = sealed(json!({"store": {"unseal": {"type": "awskms"}}}), kms);
    let renderer = scripted(|_| Ok(response(State::Ready)));
    let desired = render(&graph, &observation, &renderer);
    assert!(matches!(outcome(&desired, "store"), Outcome::Failed(failure) if failure.field.as_deref() == Some("spec.store.unseal.keyId")));
    assert!(renderer.asked().is_empty());
}

#[test]
fn a_seal_beyond_its_own_plugins_grants_never_reaches_the_component() {
    let (observation, graph) = sealed(json!({"store": {"unseal": {"type": "awskms"}}}), provider("kms", "awskms", &[]));
    let smuggled =
        |_: &SealRequest| Seal { service_account_annotations: vec![("eks.amazonaws.com/role-arn".into(), "arn:admin".into())], ..seal() };
    let renderer = with_seals(|_| Ok(response(State::Ready)), smuggled);
    let desired = render(&graph, &observation, &renderer);
    let Outcome::Refused(refusal) = outcome(&desired, "store") else { panic!("{desired:?}") };
    assert_eq!((refusal.component.as_str(), refusal.plugin.as_str()), ("store", "kms"));
    assert!(renderer.asked().is_empty());
}

#[test]
fn components_finalise_in_reverse_order_and_go_on_until_it_is_their_turn() {
    let mut observation = observation(owner(json!({})));
    observation.owner.deleting = true;
    let components = || vec![component("db", &[]), component("api", &[("db", Gate::Ready)]), component("web", &[("api", Gate::Ready)])];
    let run = |finalising: &'static [&'static str]| {
        let renderer = scripted(move |request| {
            // A careless plugin says so even when it was not asked.
            let finalized = finalising.contains(&request.component.as_str());
            Ok(Response { finalized, outputs: json!({"of": request.component}), ..response(State::Progressing) })
        });
        let desired = render(&graph(&observation, components()), &observation, &renderer);
        let told: Vec<_> = renderer.asked().iter().filter(|request| request.deleting).map(|request| request.component.clone()).collect();
        let done: Vec<_> = desired
            .components
            .iter()
            .filter(|rendered| matches!(&rendered.outcome, Outcome::Answered(response) if response.finalized))
            .map(|rendered| rendered.component.clone())
            .collect();
        assert!(renderer.asked().iter().filter(|request| request.component == "web").all(|request| request.inputs.len() == 1));
        (told, done)
    };
    assert_eq!(run(&["db", "api"]), (vec!["web".to_owned()], vec![]));
    assert_eq!(run(&["web"]), (vec!["web".to_owned(), "api".to_owned()], vec!["web".to_owned()]));
    let all = run(&["db", "api", "web"]);
    assert_eq!(all.0, ["web", "api", "db"]);
    assert_eq!(all.1, ["db", "api", "web"]);
}

#[test]
fn needs_without_an_answer_are_told_and_too_many_are_refused() {
    let need =
        |id: usize| Need { id: format!("n{id}"), kind: "object".into(), mode: NeedMode::Watch, project: Vec::new(), spec: json!({}) };
    let mut observation = observation(owner(json!({})));
    observation.answers.insert(("db".into(), "n0".into()), AnswerOutcome::Pending);
    let with = |count: usize| {
        let renderer = scripted(move |_| Ok(Response { needs: (0..count).map(need).collect(), ..response(State::Progressing) }));
        render(&graph(&observation, vec![component("db", &[])]), &observation, &renderer)
    };
    let desired = with(2);
    let new: Vec<_> = unanswered(&desired, &observation).iter().map(|new| (new.component, new.need.id.as_str())).collect();
    assert_eq!(new, [("db", "n1")]);
    assert!(answered(&with(MAX_NEEDS), "db"));
    assert!(matches!(outcome(&with(MAX_NEEDS + 1), "db"), Outcome::Failed(failure) if failure.reason == "TooManyNeeds"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_request_has_the_same_bytes_in_whatever_order_the_world_was_seen(
        order in Just((0..6_usize).collect::<Vec<_>>()).prop_shuffle(),
        reverse in any::<bool>(),
    ) {
        let bytes = |order: &[usize], reverse: bool| {
            let text = if reverse { r#"{"web":{"b":1,"a":2}}"# } else { r#"{"web":{"a":2,"b":1}}"# };
            let mut observation = observation(owner(serde_json::from_str(text).unwrap()));
            for &index in order {
                let kind = if index % 2 == 0 { "ConfigMap" } else { "Service" };
                child(&mut observation, "web", kind, &format!("n{index}"), Some(ReadinessState::Ready), json!({}));
                observation.answers.insert(("web".into(), format!("q{index}")), AnswerOutcome::Ok(json!({"i": index})));
            }
            let mut after = vec![("db", Gate::Applied), ("cache", Gate::Applied)];
            let mut components = vec![component("db", &[]), component("cache", &[])];
            if reverse {
                after.reverse();
                components.reverse();
            }
            let mut web = component("web", &after);
            web.after.push(web.after[0].clone());
            components.push(web);
            let renderer = scripted(|_| Ok(response(State::Ready)));
            render(&graph(&observation, components), &observation, &renderer);
            serde_json::to_vec(renderer.asked().last().unwrap()).unwrap()
        };
        prop_assert_eq!(bytes(&order, reverse), bytes(&[0, 1, 2, 3, 4, 5], false));
    }
}
