//! Objects: namespaces, metadata, forms, kinds, who has what.

use super::*;

fn service(pointer: &str, value: Json) -> Response {
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "prod"}, "spec": {}});
    response(vec![with(service, pointer, value)])
}

#[test]
fn an_object_in_another_namespace_is_refused() {
    let refusal = refused(service("/metadata/namespace", json!("team-b")), Reason::NamespaceNotGranted, "team-b");
    assert!(refusal.message.contains("namespaces: [team-b]"), "the line to add is told: {}", refusal.message);
    assert_eq!(refusal.subject.unwrap().namespace.as_deref(), Some("team-b"));
}

#[test]
fn another_namespace_can_be_granted_by_name_only() {
    let named = |namespaces: Json| {
        let mut grants = grants();
        grants.resources[1].namespaces = serde_json::from_value(namespaces).unwrap();
        refusal_under(grants, service("/metadata/namespace", json!("team-b")))
    };
    assert!(named(json!(["team-b"])).is_none());
    for wildcard in [json!(["*"]), json!(["team-*"]), json!([""]), json!(["owner"])] {
        assert!(named(wildcard).is_some());
    }
}

#[test]
fn a_wildcard_in_a_resource_grant_grants_nothing() {
    let all: Grants =
        serde_json::from_value(json!({"resources": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"], "relation": "any"}]}))
            .unwrap();
    assert_eq!(refusal_under(all, service("/spec/type", json!("ClusterIP"))).unwrap().reason, "ResourceNotGranted");
}

#[test]
fn a_cluster_scoped_object_needs_its_own_grant() {
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "prod"}, "rules": []});
    refused(response(vec![role]), Reason::ResourceNotGranted, "clusterroles");
    for (api_version, kind) in [
        ("v1", "Namespace"),
        ("v1", "Node"),
        ("v1", "PersistentVolume"),
        ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
        ("apiregistration.k8s.io/v1", "APIService"),
        ("storage.k8s.io/v1", "CSIDriver"),
    ] {
        refused(
            response(vec![json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}})]),
            Reason::ResourceNotGranted,
            kind,
        );
    }
}

#[test]
fn somebody_elses_definition_and_the_hosts_resources_are_never_rendered() {
    let generous: Grants = serde_json::from_value(json!({"resources": [
        {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["get", "create", "patch", "delete"], "relation": "any"},
        {"apiGroups": ["plugins.banhbaoring.io"], "resources": ["plugins"], "verbs": ["get", "create", "patch", "delete"], "relation": "any"},
        {"apiGroups": ["shop.example.com"], "resources": ["stores"], "verbs": ["get", "create", "patch", "delete"], "relation": "any"},
    ]}))
    .unwrap();
    for (api_version, kind, name) in [
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "certificates.cert-manager.io"),
        ("plugins.banhbaoring.io/v1alpha1", "Plugin", "mine"),
        ("shop.example.com/v1", "Store", "prod"),
    ] {
        let answer = response(vec![json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}})]);
        assert_eq!(refusal_under(generous.clone(), answer).unwrap().reason, "KindNotAllowed", "{kind}");
    }
}

#[test]
fn a_kind_that_nobody_serves_is_refused() {
    refused(
        response(vec![json!({"apiVersion": "v1", "kind": "List", "metadata": {"name": "x"}, "items": []})]),
        Reason::KindUnknown,
        "List",
    );
    refused(
        response(vec![json!({"apiVersion": "apps/v2", "kind": "Deployment", "metadata": {"name": "x"}})]),
        Reason::KindUnknown,
        "apps/v2",
    );
    refused(
        response(vec![json!({"apiVersion": "extensions/v1beta1", "kind": "Ingress", "metadata": {"name": "x"}})]),
        Reason::KindUnknown,
        "Ingress",
    );
}

#[test]
fn metadata_that_only_the_host_or_the_server_writes_is_refused() {
    for (field, value) in [
        ("ownerReferences", json!([{"uid": "x"}])),
        ("finalizers", json!(["x/y"])),
        ("managedFields", json!([])),
        ("resourceVersion", json!("1")),
        ("uid", json!("1")),
        ("generateName", json!("x-")),
        ("deletionTimestamp", json!("2020-01-01T00:00:00Z")),
        ("somethingNew", json!(1)),
    ] {
        refused(service(&format!("/metadata/{field}"), value), Reason::MetadataNotAllowed, field);
    }
    refused(service("/status", json!({"loadBalancer": {"ingress": []}})), Reason::MetadataNotAllowed, "status");
}

#[test]
fn look_alike_labels_of_the_host_are_refused() {
    for key in ["banhbaoring.io/owner-uid", "banhbaoring.io/component", "plugins.banhbaoring.io/x"] {
        refused(service("/metadata/labels", json!({key: "1"})), Reason::MetadataNotAllowed, key);
        refused(service("/metadata/annotations", json!({key: "1"})), Reason::MetadataNotAllowed, key);
        let mut set = stateful_set(pod());
        set["spec"]["template"]["metadata"]["labels"] = json!({key: "1"});
        refused(response(vec![account(), set]), Reason::MetadataNotAllowed, key);
    }
}

#[test]
fn a_name_that_the_server_would_not_take_is_refused() {
    for name in [json!(""), json!("Prod"), json!("a/b"), json!("../x"), json!("a".repeat(254)), json!(7), Json::Null] {
        refused(service("/metadata/name", name), Reason::ObjectInvalid, "name");
    }
    for manifest in
        [json!(null), json!([]), json!("x"), json!({}), json!({"apiVersion": "v1"}), json!({"apiVersion": "v1", "kind": "Service"})]
    {
        refused(response(vec![manifest]), Reason::ObjectInvalid, "without");
    }
}

#[test]
fn two_components_that_want_one_object_are_told_of_each_other() {
    let store = plugin("store", grants());
    let permitted = permitted(vec![
        rendered("server", &store, service("/spec/type", json!("ClusterIP"))),
        rendered("other", &store, service("/spec/type", json!("NodePort"))),
    ]);
    assert_eq!(permitted.components[0].component, "server");
    let refusal = &permitted.refused[0];
    assert_eq!((refusal.component.as_str(), refusal.reason.as_str()), ("other", "ObjectClaimedTwice"));
    assert!(refusal.message.contains("other") && refusal.message.contains("server"), "{}", refusal.message);
}

#[test]
fn an_object_cannot_be_taken_over_from_the_component_that_made_it() {
    let store = plugin("store", grants());
    let mut observation = observation();
    observation.inventory.children.push(recorded("Service", "v1", "prod", "other"));
    let thief = rendered("server", &store, service("/spec/type", json!("ClusterIP")));
    let waiting = Rendered {
        outcome: Outcome::Waiting(crate::contract::Dependency { component: "x".to_owned(), gate: crate::contract::Gate::Ready }),
        ..rendered("other", &store, response(vec![]))
    };
    let kept = admit(&Desired { components: vec![thief.clone(), waiting] }, &observation);
    assert_eq!(kept.refused[0].reason, "ObjectClaimedTwice", "its maker only waits");
    let given_up = admit(&Desired { components: vec![thief, rendered("other", &store, response(vec![]))] }, &observation);
    assert_eq!(given_up.refused, vec![], "its maker answered and no longer wants it");
}

#[test]
fn one_component_cannot_ask_for_an_object_twice() {
    let twice = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "prod"}});
    refused(response(vec![twice.clone(), twice]), Reason::ObjectClaimedTwice, "twice");
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "prod-key"}, "data": {}});
    let answer = Response { secrets: vec![generated("prod-key")], ..response(vec![secret]) };
    refused(answer, Reason::ObjectClaimedTwice, "prod-key");
}

#[test]
fn an_external_name_service_is_refused_whatever_is_granted() {
    refused(
        service("/spec", json!({"type": "ExternalName", "externalName": "169.254.169.254"})),
        Reason::ServiceNotAllowed,
        "ExternalName",
    );
    refused(service("/spec/externalName", json!("evil.test")), Reason::ServiceNotAllowed, "ExternalName");
    refused(service("/spec/externalIPs", json!(["10.0.0.1"])), Reason::ServiceNotAllowed, "externalIPs");
    refused(service("/spec/type", json!("Future")), Reason::ServiceNotAllowed, "ExternalName");
    allowed(service("/spec/type", json!("LoadBalancer")));
}

#[test]
fn a_secret_that_a_controller_fills_with_a_token_is_refused() {
    for kind in ["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"] {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "annotations": {"kubernetes.io/service-account.name": "admin"}}, "type": kind});
        refused(response(vec![secret]), Reason::KindNotAllowed, "credential");
    }
}

#[test]
fn pointers_stay_within_what_the_renderer_writes() {
    for pointer in ["", "/metadata", "/metadata/finalizers", "/metadata/ownerReferences/0", "/status", "spec", "/kind", "/~2"] {
        let mut answer = service("/spec/type", json!("ClusterIP"));
        answer.objects[0].exclusive = vec![pointer.to_owned()];
        refused(answer, Reason::ObjectInvalid, "exclusive");
    }
    let mut answer = service("/spec/type", json!("ClusterIP"));
    answer.objects[0].create_only_fields = vec!["/spec/ports".to_owned(), "/metadata/annotations/a~1b".to_owned()];
    allowed(answer);
}

#[test]
fn what_exists_before_needs_the_relation_that_it_has() {
    let gateway = |name: &str, relation: &str| {
        let grants: Grants = serde_json::from_value(json!({"resources": [
            {"apiGroups": [""], "resources": ["services"], "verbs": ["get", "patch"], "relation": relation}]}))
        .unwrap();
        let mut answer = response(vec![json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}})]);
        answer.objects[0].mode = ApplyMode::IfExists;
        refusal_under(grants, answer).is_none()
    };
    assert!(gateway("edge", "referenced") && gateway("strange", "any"));
    assert!(!gateway("strange", "referenced") && !gateway("edge", "owned"));
}
