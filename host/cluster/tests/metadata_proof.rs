//! The proof that the planner rests on: whether anything differs can be told from `uid` and our own entry in `managedFields`. Whatever a newer API
//! server does differently shows here first.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use banhbaoring_cluster::managed_fields::fields_hash;
use banhbaoring_testing::wait::until;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use support::Fixture;

const MANAGER: &str = "banhbaoring/database";

struct Applied {
    uid: String,
    resource_version: String,
    hash: Option<String>,
    object: Value,
}

fn read(object: Value) -> Applied {
    let managed = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    Applied {
        uid: object["metadata"]["uid"].as_str().expect("a uid").into(),
        resource_version: object["metadata"]["resourceVersion"].as_str().expect("a version").into(),
        hash: fields_hash(&managed, MANAGER, &[]),
        object,
    }
}

async fn api(fixture: &Fixture, manifest: &Value) -> Api<DynamicObject> {
    let client = fixture.plane.client().await.expect("a client");
    let (group, version) =
        manifest["apiVersion"].as_str().unwrap().split_once('/').unwrap_or(("", manifest["apiVersion"].as_str().unwrap()));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, manifest["kind"].as_str().unwrap()));
    Api::namespaced_with(client, &fixture.namespace, &resource)
}

async fn apply(fixture: &Fixture, manifest: &Value) -> Applied {
    apply_as(fixture, manifest, MANAGER).await
}

async fn apply_as(fixture: &Fixture, manifest: &Value, manager: &str) -> Applied {
    let parameters = PatchParams::apply(manager).force().validation_strict();
    let name = manifest["metadata"]["name"].as_str().unwrap();
    let answer = api(fixture, manifest).await.patch(name, &parameters, &Patch::Apply(manifest)).await.expect("applied");
    read(serde_json::to_value(answer).expect("JSON"))
}

async fn now(fixture: &Fixture, manifest: &Value) -> Applied {
    let found = api(fixture, manifest).await.get(manifest["metadata"]["name"].as_str().unwrap()).await.expect("it is there");
    read(serde_json::to_value(found).expect("JSON"))
}

/// Entries carry whole seconds, so that a change within the second of the last one could hide.
async fn next_second() {
    let seconds = || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let before = seconds();
    until(Duration::from_secs(5), "the next second", async || if seconds() > before { Ok(()) } else { Err("the same") })
        .await
        .expect("time goes on");
}

fn deployment() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"a": "1"}},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}, "annotations": null},
            "spec": {"priorityClassName": "", "nodeSelector": {}, "volumes": [], "containers": [{"name": "c", "image": "registry.test/c:1",
                "env": [{"name": "A", "value": "1"}], "ports": [{"containerPort": 80}],
                "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}, "requests": {"cpu": "0.5"}}}]}}}})
}

async fn serve_defaulting_kind(fixture: &Fixture) {
    let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "defaulteds.proof.test"},
        "spec": {"group": "proof.test", "scope": "Namespaced", "names": {"kind": "Defaulted", "plural": "defaulteds"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "properties": {
                    "size": {"type": "integer", "default": 3},
                    "inner": {"type": "object", "default": {}, "properties": {"mode": {"type": "string", "default": "fast"}}},
                    "list": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "string"}, "weight": {"type": "integer", "default": 1}}}}}}}}}}]}});
    fixture.kubectl.apply(&crd.to_string()).await.expect("the kind");
    fixture.kubectl.run(&["wait", "--for=condition=Established", "--timeout=300s", "crd/defaulteds.proof.test"]).await.expect("served");
}

/// An admission policy of the cluster that changes a field that is ours and adds one that is not.
async fn mutate_config_maps(fixture: &Fixture) {
    let name = &fixture.namespace;
    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": name},
        "spec": {"matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}]},
            "matchConditions": [{"name": "mine", "expression": format!("object.metadata.namespace == '{name}' && object.metadata.name == 'mutated'")}],
            "failurePolicy": "Fail", "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression":
                "Object{metadata: Object.metadata{labels: {'injected': 'yes'}}, data: {'owned': 'mutated'}}"}}]}});
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name},
        "spec": {"policyName": name}});
    fixture.kubectl.apply(&format!("{policy}\n---\n{binding}")).await.expect("the policy");
    until(banhbaoring_testing::wait::PATIENCE, "the policy to be in force", async || {
        let probe = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mutated"}, "data": {"owned": "desired"}});
        let seen = fixture
            .kubectl
            .run_with_input(&["create", "--dry-run=server", "-o", "jsonpath={.data.owned}", "-f", "-"], &probe.to_string())
            .await;
        match seen {
            Ok(value) if value == "mutated" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .expect("in force");
}

#[tokio::test]
async fn applying_the_same_again_moves_neither_version_nor_hash() {
    let fixture = Fixture::new("proof").await;
    serve_defaulting_kind(&fixture).await;
    mutate_config_maps(&fixture).await;
    let limits = json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "limits"},
        "spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"memory": "64Mi"}}]}});
    fixture.kubectl.apply(&limits.to_string()).await.expect("limits");
    let objects = [
        deployment(),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "name": "http"}, {"port": 443, "name": "https", "targetPort": "tls"}]}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mutated"}, "data": {"owned": "desired", "other": "x"}}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "limited"}, "spec": {"containers": [{"name": "c", "image": "registry.test/c:1"}]}}),
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "text"}, "stringData": {"a": "plain"}}),
        json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}}),
        json!({"apiVersion": "proof.test/v1", "kind": "Defaulted", "metadata": {"name": "cr"}, "spec": {"list": [{"n": "a"}]}}),
    ];
    for manifest in objects {
        let first = apply(&fixture, &manifest).await;
        assert!(first.hash.is_some(), "{manifest}");
        next_second().await;
        // Controllers write status and finalizers meanwhile: between two of their writes the version must stand still.
        let again = until(banhbaoring_testing::wait::PATIENCE, format!("the version to stand still: {manifest}"), async || {
            let before = now(&fixture, &manifest).await;
            let again = apply(&fixture, &manifest).await;
            if before.resource_version == again.resource_version { Ok(again) } else { Err(again.resource_version) }
        })
        .await
        .expect("an apply of the same is no write");
        assert_eq!(first.hash, again.hash, "{manifest} -> {}", again.object["metadata"]["managedFields"]);
        assert_eq!(first.uid, again.uid);
    }
    let mutated = now(&fixture, &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mutated"}})).await;
    assert_eq!(mutated.object["data"]["owned"], "mutated", "the policy won, and no fight came of it");
}

#[tokio::test]
async fn every_foreign_change_of_an_owned_field_shows() {
    let fixture = Fixture::new("proof").await;
    let manifest = deployment();
    apply(&fixture, &manifest).await;
    let forced = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 9}}).to_string();
    let edits: &[(&str, &[&str], &str)] = &[
        ("merge patch", &["patch", "deployment", "web", "--type=merge", "-p", r#"{"spec":{"replicas":5}}"#], ""),
        ("strategic patch", &["set", "image", "deployment/web", "c=registry.test/evil:1"], ""),
        (
            "JSON patch",
            &["patch", "deployment", "web", "--type=json", "-p", r#"[{"op":"remove","path":"/spec/template/spec/containers/0/env"}]"#],
            "",
        ),
        ("scale", &["scale", "deployment", "web", "--replicas=7"], ""),
        ("label", &["label", "--overwrite", "deployment", "web", "a=2"], ""),
        ("label removed", &["label", "deployment", "web", "a-"], ""),
        ("forced apply", &["apply", "--server-side", "--force-conflicts", "--field-manager=other", "-f", "-"], &forced),
        ("managedFields cleared", &["patch", "deployment", "web", "--type=merge", "-p", r#"{"metadata":{"managedFields":[{}]}}"#], ""),
        (
            "our own name",
            &["patch", "deployment", "web", "--field-manager=banhbaoring/database", "--type=merge", "-p", r#"{"spec":{"replicas":4}}"#],
            "",
        ),
    ];
    for (edit, arguments, input) in edits {
        let before = apply(&fixture, &manifest).await;
        fixture.kubectl.run_with_input(arguments, input).await.expect(edit);
        let after = now(&fixture, &manifest).await;
        assert_ne!(before.hash, after.hash, "{edit}");
        let restored = apply(&fixture, &manifest).await;
        assert_eq!(restored.object["spec"]["replicas"], 2, "{edit}");
        assert_eq!(restored.object["metadata"]["labels"]["a"], "1", "{edit}");
    }

    let before = apply(&fixture, &manifest).await;
    let mut replaced = before.object.clone();
    replaced["spec"]["replicas"] = json!(3);
    replaced["metadata"].as_object_mut().unwrap().retain(|field, _| ["name", "namespace", "labels"].contains(&field.as_str()));
    fixture.kubectl.run_with_input(&["replace", "-f", "-"], &replaced.to_string()).await.expect("replaced");
    assert_ne!(before.hash, now(&fixture, &manifest).await.hash, "kubectl replace");

    let before = apply(&fixture, &manifest).await;
    fixture.kubectl.run(&["delete", "deployment", "web"]).await.expect("deleted");
    fixture.kubectl.run_with_input(&["create", "-f", "-"], &manifest.to_string()).await.expect("made by hand");
    let after = now(&fixture, &manifest).await;
    assert_ne!(before.uid, after.uid);
    assert_eq!(after.hash, None, "nothing of it is ours");
}

#[tokio::test]
async fn a_forged_apply_under_our_name_shows_from_the_next_second_on() {
    let fixture = Fixture::new("proof").await;
    let manifest = deployment();
    let before = apply(&fixture, &manifest).await;
    next_second().await;
    let mut forged = manifest.clone();
    forged["spec"]["replicas"] = json!(6);
    apply(&fixture, &forged).await;
    assert_ne!(before.hash, now(&fixture, &manifest).await.hash, "the same fields, another value: only `time` tells");
}

#[tokio::test]
async fn foreign_additions_and_status_do_not_show() {
    let fixture = Fixture::new("proof").await;
    let manifest = deployment();
    let before = apply(&fixture, &manifest).await;
    next_second().await;
    let extra = r#"{"spec":{"template":{"spec":{"containers":[{"name":"sidecar","image":"registry.test/s:1"}]}}}}"#;
    let additions: &[&[&str]] = &[
        &["label", "deployment", "web", "extra=1"],
        &["annotate", "deployment", "web", "extra=1"],
        &["patch", "deployment", "web", "-p", extra],
        &[
            "patch",
            "deployment",
            "web",
            "--subresource=status",
            "--type=merge",
            "-p",
            r#"{"status":{"readyReplicas":0,"collisionCount":1}}"#,
        ],
        &["patch", "deployment", "web", "--type=merge", "-p", r#"{"spec":{"replicas":2}}"#],
    ];
    for addition in additions {
        fixture.kubectl.run(addition).await.expect("added");
        assert_eq!(before.hash, now(&fixture, &manifest).await.hash, "{addition:?}");
    }
    let again = apply(&fixture, &manifest).await;
    assert_eq!(before.hash, again.hash);
    assert_eq!(again.object["spec"]["template"]["spec"]["containers"].as_array().unwrap().len(), 2, "what others added stays");
}

#[tokio::test]
async fn a_field_that_an_autoscaler_took_over_is_not_taken_back_by_an_apply_without_it() {
    let fixture = Fixture::new("proof").await;
    let mut manifest = deployment();
    manifest["spec"].as_object_mut().unwrap().remove("replicas");
    let before = apply(&fixture, &manifest).await;
    fixture.kubectl.run(&["scale", "deployment", "web", "--replicas=5"]).await.expect("scaled");
    assert_eq!(before.hash, now(&fixture, &manifest).await.hash);
    assert_eq!(apply(&fixture, &manifest).await.object["spec"]["replicas"], 5);
}

#[tokio::test]
async fn an_edit_and_its_exact_revert_still_cost_one_apply() {
    let fixture = Fixture::new("proof").await;
    let manifest = deployment();
    let before = apply(&fixture, &manifest).await;
    for replicas in [5, 2] {
        let patch = json!({"spec": {"replicas": replicas}}).to_string();
        fixture.kubectl.run(&["patch", "deployment", "web", "--type=merge", "-p", &patch]).await.expect("edited");
    }
    let after = now(&fixture, &manifest).await;
    assert_ne!(before.hash, after.hash, "the field is no longer ours, although its value is");
    let restored = apply(&fixture, &manifest).await;
    let settled = apply(&fixture, &manifest).await;
    assert_eq!(restored.hash, settled.hash);
}

#[tokio::test]
async fn a_creation_says_a_version_that_no_object_has() {
    let fixture = Fixture::new("proof").await;
    serve_defaulting_kind(&fixture).await;
    let objects = [
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new", "resourceVersion": "1"}, "data": {"a": "1"}}),
        deployment_with_version(),
        json!({"apiVersion": "proof.test/v1", "kind": "Defaulted", "metadata": {"name": "new", "resourceVersion": "1"}, "spec": {"size": 1}}),
    ];
    for manifest in objects {
        let created = apply(&fixture, &manifest).await;
        let managed = created.object["metadata"]["managedFields"].as_array().unwrap().clone();
        assert!(managed.iter().all(|entry| entry["manager"] != MANAGER || entry["operation"] == "Apply"), "{managed:?}");
        let parameters = PatchParams::apply(MANAGER).force().validation_strict();
        let name = manifest["metadata"]["name"].as_str().unwrap();
        let refused = api(&fixture, &manifest).await.patch(name, &parameters, &Patch::Apply(&manifest)).await;
        match refused {
            Err(kube::Error::Api(status)) => assert_eq!((status.code, status.reason.as_str()), (409, "Conflict")),
            other => panic!("expected a conflict, found {other:?}"),
        }
        let after = now(&fixture, &manifest).await;
        assert_eq!((after.uid, after.hash), (created.uid, created.hash), "it was not touched");
    }
}

fn deployment_with_version() -> Value {
    let mut manifest = deployment();
    manifest["metadata"]["resourceVersion"] = json!("1");
    manifest
}
