//! One plugin with a repository, a key, a kind and an owner of its own, so that tests do not meet.

use std::time::Duration;

use banhbaoring_artifact::{Digest, SigningKey};
use banhbaoring_hostile::Puppet;
use banhbaoring_testing::wait;
use banhbaoring_tests::objects::{self, Wanted};
use banhbaoring_tests::{Repository, Stage};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

/// Longer than any step takes on a busy machine.
pub const SOON: Duration = banhbaoring_testing::wait::PATIENCE;

pub struct Case<'s> {
    stage: &'s Stage,
    /// Of the plugin, its component and its repository.
    pub name: String,
    pub key: SigningKey,
    pub repository: Repository,
    /// `spec.source.oci` of the Plugin, without `ref`.
    pub oci: Value,
    /// `spec.verify` of the Plugin.
    pub verify: Value,
    /// `spec.suspend` of the Plugin.
    pub suspend: bool,
    pub kube: kube::Client,
    plugins: Api<DynamicObject>,
    owners: Api<DynamicObject>,
    maps: Api<ConfigMap>,
}

impl<'s> Case<'s> {
    /// A case whose artifacts lie in the stage's own registry.
    pub async fn new(stage: &'s Stage, name: &str) -> Self {
        Self::on(stage, name, &stage.publisher.registry.host()).await
    }

    /// A case whose artifacts lie in this registry.
    pub async fn on(stage: &'s Stage, name: &str, registry: &str) -> Self {
        let kube = stage.cluster.client().await.unwrap();
        let namespace = stage.cluster.namespace(name).await.unwrap();
        let key = SigningKey::generate();
        let verify = trusting(&key.public_key_pem().unwrap());
        let path = format!("plugins/{name}");
        Self {
            stage,
            name: name.to_owned(),
            key,
            repository: Repository::new(registry, &path).unwrap(),
            oci: json!({"url": format!("oci://{registry}/{path}"), "interval": "1s", "insecure": true}),
            verify,
            suspend: false,
            plugins: Api::all_with(kube.clone(), &objects::plugins()),
            owners: Api::namespaced_with(kube.clone(), &namespace, &objects::resource(&group(name), "Puppet")),
            maps: Api::namespaced(kube.clone(), &namespace),
            kube,
        }
    }

    pub fn component(&self, version: &str) -> Vec<u8> {
        let (name, version) = (self.name.clone(), version.to_owned());
        Puppet { group: group(&name), name, version, ..Puppet::default() }.component()
    }

    /// Publishes a version under a tag of the same name.
    pub async fn push(&self, version: &str) -> Digest {
        self.repository.push(&self.component(version), version).await.unwrap()
    }

    /// Publishes a version and signs it with the key that is trusted.
    pub async fn push_signed(&self, version: &str) -> Digest {
        let digest = self.push(version).await;
        self.repository.sign(&digest, &self.key).await.unwrap();
        digest
    }

    /// Applies the Plugin with this tag.
    pub async fn apply(&self, tag: &str) {
        let mut oci = self.oci.clone();
        oci["ref"] = json!({ "tag": tag });
        let grants = json!({
            "resources": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch", "delete"]}],
            "kinds": [format!("{}/Puppet", group(&self.name))],
        });
        let mut plugin = self.stage.plugin(&self.name, &oci, &self.verify, &grants);
        plugin["spec"]["suspend"] = json!(self.suspend);
        objects::apply(&self.plugins, &plugin).await.unwrap();
    }

    /// Writes the Secret that the Plugin, from its next `apply` on, pulls with.
    pub async fn pull_with(&mut self, registry: &str, user: &str, password: &str) {
        let namespace = &self.stage.installation.namespace;
        let auths = json!({"auths": {registry: {"username": user, "password": password}}});
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": self.name}, "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": auths.to_string()},
        });
        let secrets = Api::<Secret>::namespaced(self.kube.clone(), namespace);
        secrets.patch(&self.name, &PatchParams::apply("test").force(), &Patch::Apply(&secret)).await.unwrap();
        self.oci["pullSecretRef"] = json!({"namespace": namespace, "name": self.name});
    }

    /// Waits until the Plugin has these conditions.
    pub async fn until(&self, wanted: &[Wanted<'_>]) -> Value {
        match objects::until(&self.plugins, &self.name, SOON, wanted).await {
            Ok(plugin) => plugin,
            Err(error) => panic!("{error}\n--- operator\n{}", self.stage.operator.server().log_tail()),
        }
    }

    /// Waits until this digest is active and every condition says so, and sees its owner served.
    pub async fn until_active(&self, digest: &Digest) -> Value {
        let granted = ("PermissionsGranted", "True", "Granted");
        let passed = [("Resolved", "True", "Resolved"), ("Verified", "True", "SignatureVerified"), ("Loaded", "True", "Loaded"), granted];
        let deadline = wait::until(SOON, format!("{digest} to be active"), async || {
            let plugin = self.until(&[&passed[..], &[("Ready", "True", "Active")]].concat()).await;
            if plugin["status"]["active"]["digest"] == digest.to_string() { Ok(plugin) } else { Err(plugin["status"].to_string()) }
        });
        let plugin = deadline.await.unwrap();
        self.serves(&format!("by {digest}")).await;
        plugin
    }

    /// Publishes version 1.0.0, signed, and waits until it serves.
    pub async fn first_version(&self) -> Digest {
        let digest = self.push_signed("1.0.0").await;
        self.apply("1.0.0").await;
        self.until_active(&digest).await;
        digest
    }

    /// Waits until the step is refused for the reason, and sees the active version go on serving.
    pub async fn until_refused(&self, step: &str, reason: &str, active: &Digest) -> Value {
        let plugin = self.until(&[(step, "False", reason), ("Ready", "True", "ServingPrevious")]).await;
        let told = objects::message(&plugin, "Ready");
        assert!(told.contains("keeps serving") && told.contains(&active.to_string()), "{told}");
        assert!(told.contains(&objects::message(&plugin, step)), "{told}");
        self.serves(&format!("although {reason}")).await;
        self.is_active(active).await;
        plugin
    }

    /// What the status says of the version that serves.
    pub async fn is_active(&self, digest: &Digest) {
        let plugin = serde_json::to_value(self.plugins.get(&self.name).await.unwrap()).unwrap();
        assert_eq!(plugin["status"]["active"]["digest"], digest.to_string(), "{plugin}");
    }

    /// Changes the owner's spec and waits until its child has followed: some version of the plugin is at work.
    pub async fn serves(&self, text: &str) {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "child"}, "data": {"text": text}});
        let owner = json!({
            "apiVersion": format!("{}/v1alpha1", group(&self.name)), "kind": "Puppet", "metadata": {"name": "owner"},
            "spec": {"objects": [object]},
        });
        objects::apply(&self.owners, &owner).await.unwrap();
        let followed = wait::until(SOON, format!("the child to say {text:?}"), async || {
            let child = self.maps.get_opt("child").await.map_err(|error| error.to_string())?;
            let said = child.and_then(|child| child.data).and_then(|mut data| data.remove("text"));
            if said.as_deref() == Some(text) { Ok(()) } else { Err(format!("{said:?}")) }
        });
        if let Err(error) = followed.await {
            panic!("{error}\n--- operator\n{}", self.stage.operator.server().log_tail());
        }
    }
}

/// `spec.verify` that demands a signature of this key.
pub fn trusting(pem: &str) -> Value {
    json!({"mode": "enforce", "authorities": [{"name": "platform-team", "key": {"data": pem}}]})
}

fn group(name: &str) -> String {
    format!("{name}.tests.banhbaoring.io")
}
