//! Grants that are taken back while the plugin serves: they are gone with the next answer, without a restart, and nothing that was made is lost.

use banhbaoring_hostile::Puppet;
use banhbaoring_tests::objects;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject};
use serde_json::{Value, json};

use crate::crowd::Crowd;
use crate::villain::{Villain, config_map};

fn on(resource: &str) -> Value {
    json!({"apiGroups": [""], "resources": [resource], "verbs": ["get", "create", "patch", "delete"]})
}

/// A plugin that says what it needs, so that less than that keeps its newest revision from becoming active; with an owner that has a child.
async fn active(name: &str) -> (Villain, ConfigMap) {
    let villain = Villain::idle(name).await;
    let puppet = Puppet { permissions: json!({"resources": [on("configmaps")]}), ..villain.puppet() };
    villain.publish(&puppet.component(), "good").await;
    villain.until_plugin(&[("Ready", "True", "Active")]).await;
    let child = villain.good_owners(["owner"]).await.remove(0);
    (villain, child)
}

/// The owner is told, asking for more does not help, and its child is what it was.
async fn is_refused(villain: &Villain, child: &ConfigMap) {
    let wanted = [("Ready", "False", "ResourceNotGranted"), ("Reconciled", "False", "ResourceNotGranted")];
    let owner = villain.until_owner("owner", &wanted).await;
    assert!(objects::message(&owner, "Ready").contains("resources: [configmaps]"), "{owner}");
    villain.asks("owner", &json!({"objects": [config_map("owner", "changed")]})).await;
    villain.until_owner("owner", &wanted).await;
    assert_eq!(villain.child("owner").await.as_ref(), Some(child));
}

#[tokio::test]
async fn a_grant_that_is_taken_back_is_gone_at_once_and_nothing_is_pruned() {
    let crowd = Crowd::shared().await;
    let (villain, child) = active("cut-short").await;
    villain.change_plugin(&json!({"grants": {"resources": [on("pods")]}})).await;
    villain.until_plugin(&[("PermissionsGranted", "False", "MissingGrant"), ("Ready", "True", "ServingPrevious")]).await;
    is_refused(&villain, &child).await;

    villain.change_plugin(&json!({"grants": {"resources": [on("configmaps")]}})).await;
    villain.until_plugin(&[("PermissionsGranted", "True", "Granted"), ("Ready", "True", "Active")]).await;
    villain.until_child_says("owner", "changed").await;
    villain.until_ready("owner").await;
    crowd.has_not_noticed().await;
}

#[tokio::test]
async fn a_ceiling_that_is_lowered_holds_at_once() {
    let crowd = Crowd::shared().await;
    let (villain, child) = active("under-a-ceiling").await;
    let policies = objects::resource("plugins.banhbaoring.io", "PluginPolicy");
    let policies = kube::core::ApiResource { plural: "pluginpolicies".to_owned(), ..policies };
    let policies: Api<DynamicObject> = Api::all_with(villain.kube.clone(), &policies);
    let policy = json!({
        "apiVersion": "plugins.banhbaoring.io/v1alpha1", "kind": "PluginPolicy", "metadata": {"name": villain.name},
        "spec": {"images": [format!("**/plugins/{}", villain.name)], "ceiling": {
            "resources": [on("pods")], "kinds": [format!("{}/Villain", villain.group)],
        }},
    });
    objects::apply(&policies, &policy).await.unwrap();
    villain.until_plugin(&[("PermissionsGranted", "False", "MissingGrant"), ("Ready", "True", "ServingPrevious")]).await;
    is_refused(&villain, &child).await;

    policies.delete(&villain.name, &DeleteParams::default()).await.unwrap();
    villain.until_plugin(&[("Ready", "True", "Active")]).await;
    villain.until_child_says("owner", "changed").await;
    crowd.has_not_noticed().await;
}

#[tokio::test]
async fn with_its_registry_gone_a_plugin_loses_grants_and_gets_none_that_are_meant_for_another() {
    let crowd = Crowd::shared().await;
    let (villain, child) = active("registry-gone").await;
    let nobody = json!({"oci": {"url": format!("oci://127.0.0.1:1/plugins/{}", villain.name)}});
    let wider = json!([on("configmaps"), on("services")]);
    villain.change_plugin(&json!({"source": nobody, "grants": {"resources": wider}})).await;
    villain.until_plugin(&[("Resolved", "False", "RegistryUnreachable"), ("Ready", "True", "ServingPrevious")]).await;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "more"}, "spec": {"ports": [{"port": 80}]}});
    villain.asks("greedy", &json!({"objects": [service]})).await;
    villain.until_owner("greedy", &[("Ready", "False", "ResourceNotGranted")]).await;
    villain.nudge("owner", 1).await;
    villain.until_ready("owner").await;

    villain.change_plugin(&json!({"grants": {"resources": [on("services")]}})).await;
    is_refused(&villain, &child).await;
    crowd.has_not_noticed().await;
}
