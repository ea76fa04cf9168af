//! What a plugin says of itself that it may not say: kinds of others, kinds and permissions that nobody granted, two descriptions.

use banhbaoring_hostile::Puppet;
use banhbaoring_tests::objects;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::crowd::{self, Crowd};
use crate::villain::{Villain, config_map};

async fn refused(villain: &Villain, puppet: &Puppet, reason: &str) -> String {
    villain.publish(&puppet.component(), "hostile").await;
    let plugin = villain.until_plugin(&[("PermissionsGranted", "False", reason), ("Ready", "False", reason)]).await;
    assert!(plugin["status"]["active"].is_null(), "{plugin}");
    objects::message(&plugin, "PermissionsGranted")
}

#[tokio::test]
async fn the_kind_of_another_plugin_is_not_taken_over() {
    let crowd = Crowd::shared().await;
    // Even granted by name: it is another plugin's already.
    let villain = Villain::of_kind("kind-thief", crowd::GROUP, crowd::KIND).await;
    let told = refused(&villain, &villain.puppet(), "KindConflict").await;
    assert!(told.contains("brought by the plugin crowd"), "{told}");
    crowd.is_obeyed().await;
    crowd.has_not_noticed().await;
}

#[tokio::test]
async fn a_definition_that_somebody_else_installed_is_not_touched() {
    let crowd = Crowd::shared().await;
    let villain = Villain::idle("definition-thief").await;
    let stage = villain.stage;
    stage.cluster.kubectl().unwrap().apply(&villain.puppet().crd().to_string()).await.unwrap();
    let definitions: Api<CustomResourceDefinition> = Api::all(villain.kube.clone());
    let name = format!("villains.{}", villain.group);
    let established = ["wait", "--for=condition=Established", "--timeout=300s", &format!("crd/{name}")];
    stage.cluster.kubectl().unwrap().run(&established).await.unwrap();
    let before = definitions.get(&name).await.unwrap();
    let told = refused(&villain, &villain.puppet(), "KindConflict").await;
    assert!(told.contains(&name) && told.contains("was not installed for plugin definition-thief"), "{told}");
    let after = definitions.get(&name).await.unwrap();
    assert_eq!(after.resource_version(), before.resource_version());
    crowd.has_not_noticed().await;
}

#[tokio::test]
async fn kinds_and_permissions_that_nobody_granted_are_refused_before_anything_is_installed() {
    let crowd = Crowd::shared().await;
    let villain = Villain::idle("ungranted-kind").await;
    let other = Puppet { kind: "Ungranted".to_owned(), ..villain.puppet() };
    let told = refused(&villain, &other, "KindNotGranted").await;
    assert!(told.contains("ungranted-kind.tests.banhbaoring.io/Ungranted"), "{told}");
    let definitions: Api<CustomResourceDefinition> = Api::all(villain.kube.clone());
    assert!(definitions.get_opt(other.crd()["metadata"]["name"].as_str().unwrap()).await.unwrap().is_none());

    let villain = Villain::idle("ungranted-secrets").await;
    let secrets = json!({"resources": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"], "relation": "any"}]});
    let told = refused(&villain, &Puppet { permissions: secrets, ..villain.puppet() }, "MissingGrant").await;
    assert!(told.contains("secrets"), "{told}");

    let villain = Villain::idle("kind-of-kubernetes").await;
    let kubernetes = Puppet { group: "apps.k8s.io".to_owned(), ..villain.puppet() };
    refused(&villain, &kubernetes, "DescriptorInvalid").await;
    crowd.has_not_noticed().await;
}

/// Two descriptions that differ are refused (`DescriptorUnstable`, tested in the sandbox), but no guest can give them: one that looks at all
/// that could differ from call to call finds nothing that does.
#[tokio::test]
async fn a_plugin_that_tries_to_describe_itself_differently_has_one_description() {
    let crowd = Crowd::shared().await;
    let villain = Villain::idle("fickle").await;
    villain.publish(&Puppet { fickle: true, ..villain.puppet() }.component(), "fickle").await;
    villain.until_plugin(&[("Loaded", "True", "Loaded"), ("Ready", "True", "Active")]).await;
    villain.asks("owner", &json!({"objects": [config_map("owner", "good")]})).await;
    villain.until_ready("owner").await;
    crowd.has_not_noticed().await;
}
