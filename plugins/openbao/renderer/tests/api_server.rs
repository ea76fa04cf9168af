//! A real API server takes everything that is rendered, and its Pod Security admission takes the pods as `restricted`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use banhbaoring_sdk::wit::Response;
use banhbaoring_testing::control_plane::ControlPlane;
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
