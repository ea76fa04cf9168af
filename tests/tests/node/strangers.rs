//! Whose plugins a release runs, in the containers of the release.

use banhbaoring_testing::guests;
use banhbaoring_tests::objects::{self, condition};
use banhbaoring_tests::release::{NAMESPACE, PULL_SECRET};
use banhbaoring_tests::team::PATIENCE;
use banhbaoring_tests::{Publisher, world};
use kube::Api;
use kube::api::DynamicObject;
use serde_json::json;

use crate::support::platform;

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_of_the_same_registry_that_another_key_signed_is_refused_although_its_own_resource_accepts_that_key() {
    let platform = platform().await;
    let registry = platform.release.node.registry();
    let stranger = Publisher::on(registry.clone()).unwrap();
    stranger.push(&guests::component("unseal-static").unwrap(), "stranger", world::TAG).await.unwrap();
    stranger.sign("stranger", world::TAG).await.unwrap();
    let key = std::fs::read_to_string(stranger.public_key()).unwrap();
    let plugin = json!({
        "apiVersion": "plugins.banhbaoring.io/v1alpha1", "kind": "Plugin", "metadata": {"name": "stranger"},
        "spec": {
            "source": {"oci": {
                "url": format!("oci://{}/plugins/stranger", registry.host()), "ref": {"tag": world::TAG},
                "pullSecretRef": {"namespace": NAMESPACE, "name": PULL_SECRET},
            }},
            "verify": {"mode": "enforce", "authorities": [{"name": "stranger", "key": {"data": key}}]},
            "serviceAccountRef": {"namespace": NAMESPACE, "name": "plugin-unseal-static"},
        },
    });
    let plugins: Api<DynamicObject> = Api::all_with(platform.release.node.client().await.unwrap(), &objects::plugins());
    objects::apply(&plugins, &plugin).await.unwrap();
    let wanted = [("Verified", "False", "WrongKey"), ("Ready", "False", "WrongKey")];
    let refused = match objects::until(&plugins, "stranger", PATIENCE, &wanted).await {
        Ok(refused) => refused,
        Err(error) => panic!("{error:#}\n{}", platform.release.sight().await),
    };
    let told = objects::message(&refused, "Verified");
    assert!(told.contains("PluginPolicy/banhbaoring-release"), "{told}");
    assert_eq!(condition(&refused, "Resolved").map(|resolved| &resolved["status"]), Some(&json!("True")), "{refused}");
    assert!(refused["status"]["active"].is_null(), "{refused}");
    plugins.delete("stranger", &kube::api::DeleteParams::default()).await.unwrap();
}
