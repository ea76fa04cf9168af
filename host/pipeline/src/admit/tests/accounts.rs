//! Accounts, Secrets and tokens that pods and other objects name.

use super::*;

#[test]
fn a_foreign_secret_is_refused_by_whichever_way_it_is_named() {
    let container = |field: &str, value: Json| pod_with(&format!("/containers/0/{field}"), value);
    let in_init = |value: Json| {
        let mut init = pod()["containers"][0].clone();
        init["env"] = value;
        pod_with("/initContainers", json!([init]))
    };
    let ways = vec![
        container("env", json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "foreign", "key": "k"}}}])),
        container("env", json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "foreign", "key": "k", "optional": true}}}])),
        container("envFrom", json!([{"secretRef": {"name": "foreign"}}])),
        in_init(json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "foreign", "key": "k"}}}])),
        pod_with("/volumes", json!([{"name": "x", "secret": {"secretName": "foreign"}}])),
        pod_with("/volumes", json!([{"name": "x", "projected": {"sources": [{"secret": {"name": "foreign"}}]}}])),
        pod_with(
            "/volumes",
            json!([{"name": "x", "projected": {"sources": [{"configMap": {"name": "c"}}, {"secret": {"name": "foreign"}}]}}]),
        ),
        pod_with("/imagePullSecrets", json!([{"name": "foreign"}])),
    ];
    for way in ways {
        refused(workload(way), Reason::SecretNotGranted, "foreign");
    }
    let account = with(account(), "/imagePullSecrets", json!([{"name": "foreign"}]));
    refused(response(vec![account]), Reason::SecretNotGranted, "foreign");
}

#[test]
fn a_foreign_secret_in_an_ingress_is_refused() {
    let mut grants = grants();
    grants.resources.push(
        serde_json::from_value(
            json!({"apiGroups": ["networking.k8s.io"], "resources": ["ingresses"], "verbs": ["get", "create", "patch", "delete"]}),
        )
        .unwrap(),
    );
    let ingress = |name: &str| {
        response(vec![
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "prod"}, "spec": {"tls": [{"secretName": name}]}}),
        ])
    };
    assert_eq!(refusal_under(grants.clone(), ingress("foreign")).unwrap().reason, "SecretNotGranted");
    assert_eq!(refusal_under(grants, ingress("from-spec")), None);
}

#[test]
fn own_secrets_are_what_the_owners_components_make_or_made() {
    let uses = |name: &str| workload(pod_with("/volumes", json!([{"name": "x", "secret": {"secretName": name}}])));
    allowed(Response { secrets: vec![generated("made-now")], ..uses("made-now") });
    let store = plugin("store", grants());
    let mut observation = observation();
    observation.inventory.children.push(recorded("Secret", "v1", "made-before", "gone"));
    observation.inventory.children.push(ChildEntry { uid: None, ..recorded("Secret", "v1", "intended", "gone") });
    let run = |name: &str| admit(&Desired { components: vec![rendered("server", &store, uses(name))] }, &observation).refused;
    assert!(run("made-before").is_empty());
    assert_eq!(run("intended")[0].reason, "SecretNotGranted", "an intent proves nothing");
}

/// A component that asks for `made`, and one that mounts the Secret `victim`.
fn asked_and_mounted(plugin: &Arc<ActivePlugin>, asked: Response) -> Vec<Rendered> {
    let uses = workload(pod_with("/volumes", json!([{"name": "x", "secret": {"secretName": "victim"}}])));
    vec![rendered("other", plugin, asked), rendered("server", plugin, uses)]
}

#[test]
fn what_another_component_only_asks_for_is_ones_own_only_behind_it() {
    let as_object = response(vec![json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "victim"}})]);
    for asked in [as_object, Response { secrets: vec![generated("victim")], ..response(vec![]) }] {
        let beside = plugin("store", grants());
        let refusals = permitted(asked_and_mounted(&beside, asked.clone())).refused;
        assert_eq!(refusals[0].reason, "SecretNotGranted", "the Secret may turn out to be somebody else's after the pod was made");
        let behind = comes_after(beside, "server", "other");
        assert_eq!(permitted(asked_and_mounted(&behind, asked.clone())).refused, vec![], "its failure holds the pod up");
        let mut unobserved = observation();
        unobserved.unobserved.insert("other".to_owned(), "forbidden".to_owned());
        let desired = Desired { components: asked_and_mounted(&behind, asked) };
        assert_eq!(admit(&desired, &unobserved).refused[0].reason, "SecretNotGranted", "nothing of it is sent, so nothing can fail");
    }
}

#[test]
fn a_secret_of_another_namespace_is_nobodys_own() {
    let mut grants = grants();
    grants.resources[0].namespaces = vec!["team-b".to_owned()];
    grants.resources[1].namespaces = vec!["owner".to_owned(), "team-b".to_owned()];
    let mut set = stateful_set(pod_with("/volumes", json!([{"name": "x", "secret": {"secretName": "from-spec"}}])));
    set["metadata"]["namespace"] = json!("team-b");
    let account = with(account(), "/metadata/namespace", json!("team-b"));
    let refusal = refusal_under(grants, response(vec![account, set])).unwrap();
    assert_eq!(refusal.reason, "SecretNotGranted", "the spec names a Secret of its own namespace: {}", refusal.message);
}

#[test]
fn an_earlier_component_hands_over_only_what_it_may_use_itself() {
    let mut consumer = grants();
    consumer.pods.as_mut().unwrap().secret_refs = vec!["input".to_owned()];
    let consumer = comes_after(plugin("consumer", consumer), "server", "other");
    let run = |producer: Grants| {
        let first = Response { outputs: json!({"credentials": "foreign"}), ..response(vec![]) };
        let second = workload(pod_with("/volumes", json!([{"name": "x", "secret": {"secretName": "foreign"}}])));
        permitted(vec![rendered("other", &plugin("producer", producer), first), rendered("server", &consumer, second)]).refused
    };
    assert_eq!(run(Grants::default())[0].reason, "SecretNotGranted");
    let may: Grants = serde_json::from_value(json!({"pods": {"secretRefs": ["foreign"]}})).unwrap();
    assert_eq!(run(may), vec![]);
}

#[test]
fn another_account_is_refused() {
    refused(workload(pod_with("/serviceAccountName", json!("admin"))), Reason::ServiceAccountNotGranted, "admin");
    refused(workload(pod_with("/serviceAccount", json!("admin"))), Reason::ServiceAccountNotGranted, "admin");
    refused(workload(pod_with("/serviceAccountName", Json::Null)), Reason::ServiceAccountNotGranted, "default");
    refused(workload(pod_with("/serviceAccountName", json!(7))), Reason::PodInvalid, "serviceAccountName");
    let mut by_name = grants();
    by_name.pods.as_mut().unwrap().service_accounts = vec!["default".to_owned()];
    assert_eq!(refusal_under(by_name, response(vec![stateful_set(pod_with("/serviceAccountName", Json::Null))])), None);
}

#[test]
fn the_default_account_cannot_be_made_ones_own() {
    let account = with(account(), "/metadata/name", json!("default"));
    refused(
        response(vec![account, stateful_set(pod_with("/serviceAccountName", json!("default")))]),
        Reason::ServiceAccountNotGranted,
        "default",
    );
}

#[test]
fn a_token_for_an_audience_that_was_not_granted_is_refused() {
    let token = |audience: Json| {
        workload(pod_with(
            "/volumes",
            json!([{"name": "x", "projected": {"sources": [{"serviceAccountToken": {"audience": audience, "path": "t"}}]}}]),
        ))
    };
    refused(token(json!("sts.amazonaws.com")), Reason::AudienceNotGranted, "sts.amazonaws.com");
    refused(token(json!(["store"])), Reason::PodInvalid, "audience");
    allowed(token(json!("store")));
}

#[test]
fn an_annotation_of_an_account_comes_from_the_spec_a_slot_or_a_grant() {
    let annotated = |key: &str, value: &str| response(vec![with(account(), "/metadata/annotations", json!({key: value}))]);
    refused(annotated("cloud.example/role", "admin"), Reason::AnnotationNotGranted, "accountAnnotations");
    allowed(annotated("cloud.example/role", "store"));
    let mut by_glob = grants();
    by_glob.pods.as_mut().unwrap().account_annotations = vec!["cloud.example/*".to_owned()];
    assert_eq!(refusal_under(by_glob, annotated("cloud.example/role", "admin")), None);
}

#[test]
fn an_account_that_is_only_changed_where_it_exists_is_not_made_ones_own() {
    let mut grants = grants();
    grants.resources[1].relation = Relation::Any;
    let mut answer =
        response(vec![with(account(), "/metadata/name", json!("admin")), stateful_set(pod_with("/serviceAccountName", json!("admin")))]);
    answer.objects[0].mode = ApplyMode::IfExists;
    assert_eq!(refusal_under(grants, answer).unwrap().reason, "ServiceAccountNotGranted");
}

#[test]
fn a_granted_name_may_hold_the_owners() {
    let mut grants = grants();
    grants.pods.as_mut().unwrap().secret_refs = vec!["{owner}-edge".to_owned()];
    let uses = |name: &str| workload(pod_with("/volumes", json!([{"name": "x", "secret": {"secretName": name}}])));
    assert_eq!(refusal_under(grants.clone(), uses("prod-edge")), None);
    for name in ["other-edge", "{owner}-edge", "prod"] {
        assert_eq!(refusal_under(grants.clone(), uses(name)).unwrap().reason, "SecretNotGranted", "{name}");
    }
}
