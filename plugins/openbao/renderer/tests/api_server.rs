//! A real API server takes everything that is rendered, and its Pod Security admission takes the pods as `restricted`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use banhbaoring_openbao_api::GROUP_KIND;
use banhbaoring_plugin_openbao::Exports;
use banhbaoring_sdk::wit::Response;
use banhbaoring_sdk::{Plugin, testing};
use banhbaoring_testing::control_plane::ControlPlane;
use banhbaoring_testing::wait;
use serde_json::{Value, json};
use support::{example, objects, owner, render, request, seals, template};

async fn restricted(prefix: &str) -> (&'static ControlPlane, String) {
    let plane = ControlPlane::shared().await.unwrap();
    let namespace = plane.namespace(prefix).await.unwrap();
    let label = format!("--overwrite namespace {namespace} pod-security.kubernetes.io/enforce=restricted");
    let mut arguments = vec!["label"];
    arguments.extend(label.split(' '));
    plane.kubectl().unwrap().run(&arguments).await.unwrap();
    (plane, namespace)
}

fn placed(mut object: Value, namespace: &str) -> Value {
    object["metadata"]["namespace"] = namespace.into();
    if let Some(subjects) = object.get_mut("subjects").and_then(Value::as_array_mut) {
        subjects[0]["namespace"] = namespace.into();
    }
    object
}

fn responses() -> Vec<(String, Response)> {
    let mut all = Vec::new();
    for (name, seal) in [
        ("minimal", seals::generated_key("minimal")),
        ("production", seals::awskms()),
        ("unseal-static", seals::generated_key("unseal-static")),
        ("unseal-awskms", seals::awskms()),
        ("unseal-gcpkms", seals::gcpckms()),
        ("unseal-azurekv", seals::azurekeyvault()),
        ("unseal-transit", seals::transit()),
        ("plugin-catalog", seals::generated_key("plugin-catalog")),
    ] {
        all.push((name.to_owned(), render(&request(&example(name), Some(seal))).unwrap()));
    }
    let seal = seals::from_plugin(seals::awskms());
    all.push(("plugin".to_owned(), render(&request(&owner("version: 2.7.0"), Some(seal))).unwrap()));
    for tls in ["{mode: Secret, secretName: mine}", "{mode: ACME, dnsNames: [a.example.com], acme: {caConfigMap: ca}}"] {
        let spec = format!("{{tls: {tls}, auditStorage: {{size: 1Gi}}, networkPolicy: {{ingressFrom: [{{podSelector: {{}}}}]}}}}");
        all.push((tls.to_owned(), render(&request(&owner(&spec), Some(seals::generated_key("prod")))).unwrap()));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_passes_a_strict_dry_run_and_every_pod_is_restricted() {
    let (plane, namespace) = restricted("openbao-dry-run").await;
    let kubectl = plane.kubectl().unwrap().in_namespace(&namespace);
    for (name, response) in responses() {
        let mut items: Vec<Value> = objects(&response)
            .into_iter()
            // Of cert-manager's kind there is no definition here.
            .filter(|object| object["kind"] != "Certificate")
            .map(|object| placed(object, &namespace))
            .collect();
        let mut pod = template(&response);
        pod["apiVersion"] = "v1".into();
        pod["kind"] = "Pod".into();
        pod["metadata"]["name"] = "node".into();
        // What the StatefulSet's controller would add, and the account that exists here.
        pod["spec"]["volumes"]
            .as_array_mut()
            .unwrap()
            .extend([json!({"name": "data", "emptyDir": {}}), json!({"name": "audit", "emptyDir": {}})]);
        pod["spec"]["serviceAccountName"] = "default".into();
        pod["spec"].as_object_mut().unwrap().remove("priorityClassName");
        items.push(placed(pod, &namespace));
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
        let told = kubectl
            .run_with_input(
                &["apply", "--server-side", "--dry-run=server", "--validate=strict", "--field-manager=banhbaoring/openbao", "-f", "-"],
                &list,
            )
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!told.contains("Warning"), "{name}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_judges_deletions_by_itself_as_the_review_does() {
    let plane = ControlPlane::shared().await.unwrap();
    let namespace = plane.namespace("openbao-deletions").await.unwrap();
    let kubectl = plane.kubectl().unwrap().in_namespace(&namespace);
    let apply = async |object: Value| kubectl.run_with_input(&["apply", "--server-side", "-f", "-"], &object.to_string()).await.unwrap();
    // A kind of the same shape, so that nobody else's clusters are judged; whatever a later version may store.
    let (group, free) = ("deletions.example.org", json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}));
    apply(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": format!("clusters.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": {"plural": "clusters", "kind": "Cluster"}, "versions": [{
            "name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": free, "status": free}}}}]},
    }))
    .await;
    kubectl.run(&["wait", "--for=condition=Established", "--timeout=300s", &format!("crd/clusters.{group}")]).await.unwrap();
    let rules = &Exports::describe().admissions[0].validations;
    let validations: Vec<Value> = rules.iter().map(|rule| json!({"expression": rule.expression, "message": rule.message})).collect();
    let (policy, api) = (format!("deletions.{group}"), "admissionregistration.k8s.io/v1");
    apply(json!({
        "apiVersion": api, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": policy}, "spec": {
            "failurePolicy": "Fail", "validations": validations,
            "matchConstraints": {"resourceRules": [{"apiGroups": [group], "apiVersions": ["*"], "resources": ["clusters"], "operations": ["CREATE", "UPDATE", "DELETE"]}]}},
    }))
    .await;
    apply(json!({
        "apiVersion": api, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": policy},
        "spec": {"policyName": policy, "validationActions": ["Deny"]},
    }))
    .await;
    let policies = [None, Some("Retain"), Some("DeletePVCs"), Some("DeleteAll"), Some("Later")];
    let mut clusters = vec![
        json!({}),
        json!({"spec": {}}),
        json!({"status": {"deletionPolicy": "DeleteAll"}}),
        json!({"spec": {"deletionProtection": true}}),
    ];
    for (spec, status) in policies.iter().flat_map(|spec| policies.iter().map(move |status| (spec, status))) {
        let told = |policy: &Option<&str>| policy.map_or_else(|| json!({}), |policy| json!({"deletionPolicy": policy}));
        clusters.push(json!({"spec": told(spec), "status": told(status)}));
    }
    let mut items = Vec::new();
    for (index, cluster) in clusters.iter_mut().enumerate() {
        cluster["apiVersion"] = format!("{group}/v1").into();
        cluster["kind"] = "Cluster".into();
        cluster["metadata"] = json!({"name": format!("a-{index}")});
        items.push(cluster.clone());
    }
    apply(json!({"apiVersion": "v1", "kind": "List", "items": items})).await;
    let delete = async |name: &str| {
        kubectl.run(&["delete", "--dry-run=server", &format!("cluster.{group}/{name}")]).await.map_err(|error| error.to_string())
    };
    // A policy is not known at once.
    wait::until(wait::PATIENCE, "the policy", async || match delete("a-3").await {
        Err(_) => Ok(()),
        Ok(told) => Err(told),
    })
    .await
    .unwrap();
    for cluster in &clusters {
        let reviewed = Exports::review(testing::review_request(GROUP_KIND, Some(cluster), None)).unwrap();
        let told = delete(cluster["metadata"]["name"].as_str().unwrap()).await;
        assert_eq!(told.is_ok(), reviewed.allowed, "{cluster}: {told:?}");
        if let (Err(told), Some((field, _))) = (told, reviewed.message.split_once(':')) {
            assert!(told.contains(&format!("{field}: expected")), "{told}");
        }
    }
    let leftovers = [
        format!("validatingadmissionpolicybinding/{policy}"),
        format!("validatingadmissionpolicy/{policy}"),
        format!("crd/clusters.{group}"),
    ];
    for leftover in &leftovers {
        kubectl.run(&["delete", "--wait=false", leftover]).await.unwrap();
    }
}
