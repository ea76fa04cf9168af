//! Images that owners run, seen through a plugin that asks: what a tag means now, and whether the right key signed it. What a plugin makes of the
//! answer is its own.

use std::time::Duration;

use banhbaoring_artifact::{Digest, SigningKey};
use banhbaoring_testing::wait;
use banhbaoring_tests::{Repository, objects};
use kube::api::{Api, DynamicObject};
use serde_json::{Value, json};

use crate::stage;

/// A question that failed is asked again after 15 s, and the machine may be busy.
const SOON: Duration = Duration::from_secs(120);

/// Owners that ask about images of one repository.
struct Images {
    repository: Repository,
    name: String,
    key: SigningKey,
    owners: Api<DynamicObject>,
}

impl Images {
    async fn new() -> Self {
        let stage = stage().await;
        let host = stage.publisher.registry.host();
        let (plugins, key) = (Repository::new(&host, "plugins/errand").unwrap(), SigningKey::generate());
        let component = std::fs::read(banhbaoring_testing::guests::component("errand").unwrap()).unwrap();
        let digest = plugins.push(&component, "v1").await.unwrap();
        plugins.sign(&digest, &key).await.unwrap();
        let oci = json!({"url": format!("oci://{host}/plugins/errand"), "ref": {"tag": "v1"}, "interval": "1h", "insecure": true});
        let verify = json!({"authorities": [{"name": "tests", "key": {"data": key.public_key_pem().unwrap()}}]});
        let verbs = json!(["get", "list", "watch", "create", "patch", "delete"]);
        let grants = json!({
            "resources": [{"apiGroups": [""], "resources": ["serviceaccounts", "services"], "verbs": verbs},
                {"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": verbs}],
            "pods": {"serviceAccounts": ["own"], "images": ["registry.k8s.io/pause:3.10"]},
            "http": [{"service": "owned", "methods": ["GET", "PUT"], "paths": ["/v1/"]}],
            "images": [format!("{host}/images/")],
            "kinds": ["errands.tests.banhbaoring.io/Errand"],
        });
        let kube = stage.cluster.client().await.unwrap();
        let api = Api::all_with(kube.clone(), &objects::plugins());
        objects::apply(&api, &stage.plugin("errand", &oci, &verify, &grants)).await.unwrap();
        objects::until(&api, "errand", SOON, &[("Ready", "True", "Active")]).await.unwrap();
        let namespace = stage.cluster.namespace("images").await.unwrap();
        let owners = Api::namespaced_with(kube, &namespace, &objects::resource("errands.tests.banhbaoring.io", "Errand"));
        Self { repository: Repository::new(&host, "images/store").unwrap(), name: format!("{host}/images/store"), key, owners }
    }

    /// Any bytes will do: what a digest stands for is not read.
    async fn push(&self, content: &str, tag: &str) -> Digest {
        self.repository.push(content.as_bytes(), tag).await.unwrap()
    }

    async fn ask(&self, owner: &str, image: Value) {
        let manifest = json!({"apiVersion": "errands.tests.banhbaoring.io/v1alpha1", "kind": "Errand", "metadata": {"name": owner},
            "spec": {"image": image}});
        wait::until(SOON, "the definition of Errand", async || objects::apply(&self.owners, &manifest).await).await.unwrap();
    }

    fn signed(&self, tag: &str, key: &SigningKey) -> Value {
        json!({"reference": format!("{}:{tag}", self.name), "insecure": true, "verify": {"publicKey": key.public_key_pem().unwrap()}})
    }

    async fn until_told(&self, owner: &str, words: &[&str]) -> String {
        let found = wait::until(SOON, format!("{owner} to tell {words:?}"), async || {
            let object = self.owners.get(owner).await.map_err(|error| error.to_string())?;
            let told = object.data.pointer("/status/image").and_then(Value::as_str).unwrap_or_default().to_owned();
            if words.iter().all(|word| told.contains(word)) { Ok(told) } else { Err(told) }
        });
        found.await.unwrap()
    }
}

#[tokio::test]
async fn an_owner_is_told_what_a_tag_means_and_whether_the_right_key_signed_it() {
    let images = Images::new().await;
    let good = images.push("good", "good").await;
    images.repository.sign(&good, &images.key).await.unwrap();
    images.ask("good", images.signed("good", &images.key)).await;
    images.until_told("good", &[&good.to_string(), "key sha256:"]).await;

    images.ask("resolved", json!({"reference": format!("{}:good", images.name), "insecure": true})).await;
    let told = images.until_told("resolved", &[&good.to_string()]).await;
    assert!(!told.contains("key"), "nobody asked who signed it: {told}");

    images.push("unsigned", "unsigned").await;
    images.ask("unsigned", images.signed("unsigned", &images.key)).await;
    images.until_told("unsigned", &["untrusted", "Unsigned", "cosign sign"]).await;

    images.ask("wrong", images.signed("good", &SigningKey::generate())).await;
    images.until_told("wrong", &["untrusted", "WrongKey"]).await;

    // The signature of one image does not speak for the one that the tag points to later.
    images.repository.copy_tag("unsigned", "good").await.unwrap();
    images.until_told("good", &["untrusted", "Unsigned"]).await;
    let pinned = json!({"reference": format!("{}@{good}", images.name), "insecure": true, "verify": {"publicKey": images.key.public_key_pem().unwrap()}});
    images.ask("pinned", pinned).await;
    images.until_told("pinned", &[&good.to_string(), "key sha256:"]).await;

    images.ask("none", images.signed("nowhere", &images.key)).await;
    images.until_told("none", &["not-found"]).await;
    images.ask("tls", json!({"reference": format!("{}:good", images.name)})).await;
    images.until_told("tls", &["unavailable", "RegistryUnreachable"]).await;
    let keyless = json!({"keyless": {"issuer": "https://issuer.example", "subject": "somebody"}});
    images.ask("keyless", json!({"reference": format!("{}:good", images.name), "insecure": true, "verify": keyless})).await;
    images.until_told("keyless", &["unsupported"]).await;
    // Beyond the grants: refused as a whole, nothing of it is asked.
    let elsewhere = images.name.replace("/images/", "/plugins/");
    images.ask("beyond", json!({"reference": format!("{elsewhere}:v1"), "insecure": true})).await;
    objects::until(&images.owners, "beyond", SOON, &[("Reconciled", "False", "RegistryNotGranted")]).await.unwrap();
}
