//! Answers beyond the grants: whatever else is in them, nothing of them is applied. The account of these plugins may do everything, so it is
//! the host that refuses.

use banhbaoring_tests::objects;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use serde_json::{Value, json};

use crate::crowd::Crowd;
use crate::villain::{Villain, config_map};

fn account(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
}

/// A pod as it is granted.
fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
        "serviceAccountName": name,
        "securityContext": {"runAsNonRoot": true, "runAsUser": 100, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": "main", "image": "registry.example.com/main:1",
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
        }],
    }})
}

fn pod_with(name: &str, pointer: &str, value: Value) -> Vec<Value> {
    let mut pod = pod(name);
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    pod.pointer_mut(parent).unwrap()[key] = value;
    vec![account(name), pod]
}

fn rbac(kind: &str, name: &str, rest: Value) -> Vec<Value> {
    let mut object = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name}});
    object.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    vec![account(name), object]
}

/// Name of the owner, what it asks for beside a harmless ConfigMap, the reason and what the message must speak of.
fn table(elsewhere: &str) -> Vec<(&'static str, Vec<Value>, &'static str, String)> {
    let mut in_another = config_map("in-another-namespace", "hostile");
    in_another["metadata"]["namespace"] = json!(elsewhere);
    let secret = json!([{"name": "stolen", "secret": {"secretName": "of-somebody-else"}}]);
    let token_of_admin = json!({
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "binding", "namespace": elsewhere}],
    });
    let every_secret = json!({"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]});
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "citizens.crowd.tests.banhbaoring.io"}});
    let plugin = json!({"apiVersion": "plugins.banhbaoring.io/v1alpha1", "kind": "Plugin", "metadata": {"name": "crowd"}, "spec": {"suspend": true}});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "service"}, "spec": {"ports": [{"port": 80}]}});
    let row = |name, objects, reason, speaks_of: &str| (name, objects, reason, speaks_of.to_owned());
    vec![
        row("namespace", vec![in_another], "NamespaceNotGranted", elsewhere),
        row("resource", vec![service], "ResourceNotGranted", "resources: [services]"),
        row(
            "host-path",
            pod_with("host-path", "/spec/volumes", json!([{"name": "root", "hostPath": {"path": "/"}}])),
            "HostAccessNotGranted",
            "hostPath",
        ),
        row("host-network", pod_with("host-network", "/spec/hostNetwork", json!(true)), "HostAccessNotGranted", "hostNetwork"),
        row("secret", pod_with("secret", "/spec/volumes", secret), "SecretNotGranted", "of-somebody-else"),
        row("account", pod_with("account", "/spec/serviceAccountName", json!("default")), "ServiceAccountNotGranted", "default"),
        row(
            "image",
            pod_with("image", "/spec/containers/0/image", json!("evil.example.com/main:1")),
            "ImageNotGranted",
            "evil.example.com",
        ),
        row("role", rbac("Role", "role", every_secret), "RoleNotGranted", "secrets"),
        row("binding", rbac("RoleBinding", "binding", token_of_admin), "BindingNotGranted", "cluster-admin"),
        row("definition", vec![definition], "KindNotAllowed", "grants.kinds"),
        row("plugin", vec![plugin], "KindNotAllowed", "never rendered by a plugin"),
    ]
}

#[tokio::test]
async fn an_answer_beyond_the_grants_is_refused_as_a_whole() {
    let crowd = Crowd::shared().await;
    let villain = Villain::active("beyond-grants").await;
    let elsewhere = villain.stage.cluster.namespace("elsewhere").await.unwrap();
    let everything = ["get", "configmaps,pods,services,serviceaccounts,roles,rolebindings", "-o", "name"];
    let here = villain.stage.cluster.kubectl().unwrap().in_namespace(&villain.namespace);
    let there = here.in_namespace(&elsewhere);
    let untouched = there.run(&everything).await.unwrap();
    let table = table(&elsewhere);
    let children = villain.good_owners(table.iter().map(|row| row.0)).await;
    for ((name, objects, reason, speaks_of), child) in table.into_iter().zip(children) {
        let before = here.run(&everything).await.unwrap();
        let mut asked = vec![config_map(name, "hostile"), config_map(&format!("{name}-more"), "hostile")];
        asked.extend(objects);
        villain.asks(name, &json!({ "objects": asked })).await;
        let owner = villain.until_owner(name, &[("Ready", "False", reason), ("Reconciled", "False", reason)]).await;
        let told = objects::message(&owner, "Ready");
        assert!(told.contains(&speaks_of), "{name}: {told}");
        assert_eq!(here.run(&everything).await.unwrap(), before, "{name}");
        assert_eq!(villain.child(name).await, Some(child), "{name}");
    }
    assert_eq!(there.run(&everything).await.unwrap(), untouched);
    crowd.has_not_noticed().await;

    // The pod of the table without what makes it hostile is made, or the table would prove nothing.
    let good = Villain::of_kind(&villain.name, &villain.group, "Villain").await;
    good.asks("pod", &json!({"objects": [account("pod"), pod("pod")]})).await;
    good.until_owner("pod", &[("Reconciled", "True", "Reconciled")]).await;
    Api::<Pod>::namespaced(good.kube.clone(), &good.namespace).get("pod").await.unwrap();
}

#[tokio::test]
async fn what_another_owner_has_is_not_taken() {
    let crowd = Crowd::shared().await;
    let villain = Villain::active("name-thief").await;
    let child = villain.good_owners(["victim"]).await.remove(0);
    villain.asks("thief", &json!({"objects": [config_map("victim", "stolen")]})).await;
    villain.until_owner("thief", &[("Ready", "False", "NameTaken"), ("Reconciled", "False", "NameTaken")]).await;
    assert_eq!(villain.child("victim").await, Some(child));
    crowd.has_not_noticed().await;
}
