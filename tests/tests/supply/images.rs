//! Images that owners run, seen through a plugin that asks: what a tag means now, and whether the right key or identity signed it. What a plugin makes
//! of the answer is its own.

use std::time::Duration;

use banhbaoring_artifact::{Digest, SigningKey};
use banhbaoring_testing::cosign::Cosign;
use banhbaoring_testing::sigstore::Sigstore;
use banhbaoring_testing::wait;
use banhbaoring_tests::{Repository, objects};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::stage;

/// A question that failed is asked again after 15 s, and the machine may be busy.
const SOON: Duration = banhbaoring_testing::wait::PATIENCE;

/// Owners that ask about images of one repository.
struct Images {
    repository: Repository,
    name: String,
    key: SigningKey,
    owners: Api<DynamicObject>,
    maps: Api<ConfigMap>,
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
                {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"], "relation": "referenced"},
                {"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": verbs},
                {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "list", "watch", "create"]},
                {"apiGroups": ["errands.tests.banhbaoring.io"], "resources": ["errands"], "verbs": ["get"], "relation": "referenced"}],
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
        let maps = Api::namespaced(kube.clone(), &namespace);
        let owners = Api::namespaced_with(kube, &namespace, &objects::resource("errands.tests.banhbaoring.io", "Errand"));
        Self { repository: Repository::new(&host, "images/store").unwrap(), name: format!("{host}/images/store"), key, owners, maps }
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

    fn keyless(&self, tag: &str, identity: Value) -> Value {
        json!({"reference": format!("{}:{tag}", self.name), "insecure": true, "verify": {"keyless": identity}})
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
async fn an_owner_is_told_what_a_tag_means_and_whether_the_right_key_or_identity_signed_it() {
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
    // Beyond the grants: refused as a whole, nothing of it is asked.
    let elsewhere = images.name.replace("/images/", "/plugins/");
    images.ask("beyond", json!({"reference": format!("{elsewhere}:v1"), "insecure": true})).await;
    objects::until(&images.owners, "beyond", SOON, &[("Reconciled", "False", "RegistryNotGranted")]).await.unwrap();

    tell_of_keyless_signatures(&images).await;
}

/// Of one test only: the plugin and its owners are the same for both.
async fn tell_of_keyless_signatures(images: &Images) {
    let (sigstore, cosign) = (Sigstore::start().await.unwrap(), Cosign::version3().await.unwrap());
    let digest = images.push("keyless", "keyless").await;
    cosign.sign_keyless(&sigstore, "releases@acme.example", &images.repository.reference(&digest)).await.unwrap();
    let by = |subject: &str| json!({"issuer": sigstore.issuer(), "subject": subject});
    let rooted = |subject: &str| {
        let mut identity = by(subject);
        identity["trustedRoot"] = json!({"configMap": {"configMap": "sigstore", "key": "trusted_root.json"}});
        images.keyless("keyless", identity)
    };
    images.ask("rootless", images.keyless("keyless", by("releases@acme.example"))).await;
    images.until_told("rootless", &["invalid", "trustedRoot"]).await;

    images.ask("keyless", rooted("releases@acme.example")).await;
    images.until_told("keyless", &["not-found", "ConfigMap sigstore"]).await;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sigstore"},
        "data": {"trusted_root.json": cosign.trusted_root(&sigstore).await.unwrap()}});
    images.maps.patch("sigstore", &PatchParams::apply("test"), &Patch::Apply(&map)).await.unwrap();
    images.until_told("keyless", &[&digest.to_string(), "releases@acme.example by http"]).await;
    images.ask("someone-else", rooted("mallory@acme.example")).await;
    images.until_told("someone-else", &["untrusted", "WrongIdentity"]).await;
    // Another Sigstore, which never saw it.
    let other = Sigstore::start().await.unwrap();
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sigstore"},
        "data": {"trusted_root.json": cosign.trusted_root(&other).await.unwrap()}});
    images.maps.patch("sigstore", &PatchParams::apply("test"), &Patch::Apply(&map)).await.unwrap();
    images.until_told("keyless", &["untrusted"]).await;
    // A Secret only where the grants let its pods use it.
    let mut secret = rooted("releases@acme.example");
    secret["verify"]["keyless"]["trustedRoot"] = json!({"secret": {"secret": "sigstore", "key": "trusted_root.json"}});
    images.ask("secret", secret).await;
    objects::until(&images.owners, "secret", SOON, &[("Reconciled", "False", "SecretNotGranted")]).await.unwrap();
}
