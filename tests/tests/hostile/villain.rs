//! A puppet's plugin, published, signed and granted a little, and owners of it in a namespace of their own.

use std::time::Duration;

use banhbaoring_artifact::{Digest, SigningKey};
use banhbaoring_hostile::Puppet;
use banhbaoring_testing::wait;
use banhbaoring_tests::objects::{self, Wanted};
use banhbaoring_tests::{Repository, Stage};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DynamicObject};
use serde_json::{Value, json};

/// Longer than any step takes on a machine that is kept busy by loops.
const SOON: Duration = banhbaoring_testing::wait::PATIENCE;

pub struct Villain {
    pub stage: &'static Stage,
    pub name: String,
    pub group: String,
    kind: String,
    pub namespace: String,
    pub kube: kube::Client,
    key: SigningKey,
    repository: Repository,
    plugins: Api<DynamicObject>,
    owners: Api<DynamicObject>,
    maps: Api<ConfigMap>,
}

impl Villain {
    /// A plugin that is active, with a kind of its own.
    pub async fn active(name: &str) -> Self {
        let villain = Self::idle(name).await;
        villain.publish_and_activate().await;
        villain
    }

    /// Nothing is published yet.
    pub async fn idle(name: &str) -> Self {
        Self::of_kind(name, &format!("{name}.tests.banhbaoring.io"), "Villain").await
    }

    /// The kind may be there already: then these are further owners of it.
    pub async fn of_kind(name: &str, group: &str, kind: &str) -> Self {
        let stage = Stage::shared().await.unwrap();
        let kube = stage.cluster.client().await.unwrap();
        let namespace = stage.cluster.namespace(name).await.unwrap();
        Self {
            stage,
            name: name.to_owned(),
            group: group.to_owned(),
            kind: kind.to_owned(),
            key: SigningKey::generate(),
            repository: Repository::new(stage.publisher.registry.host(), format!("plugins/{name}")).unwrap(),
            plugins: Api::all_with(kube.clone(), &objects::plugins()),
            owners: Api::namespaced_with(kube.clone(), &namespace, &objects::resource(group, kind)),
            maps: Api::namespaced(kube.clone(), &namespace),
            namespace,
            kube,
        }
    }

    pub fn puppet(&self) -> Puppet {
        Puppet { name: self.name.clone(), group: self.group.clone(), kind: self.kind.clone(), ..Puppet::default() }
    }

    pub async fn publish_and_activate(&self) {
        self.publish(&self.puppet().component(), "good").await;
        self.until_plugin(&[("Ready", "True", "Active")]).await;
    }

    /// Pushes, signs, and lets the Plugin point to it. What a signature says is that somebody made it, not that it is good.
    pub async fn publish(&self, component: &[u8], tag: &str) -> Digest {
        let digest = self.repository.push(component, tag).await.unwrap();
        self.repository.sign(&digest, &self.key).await.unwrap();
        let url = format!("oci://{}/plugins/{}", self.stage.publisher.registry.host(), self.name);
        let oci = json!({"url": url, "ref": {"tag": tag}, "interval": "1h", "insecure": true});
        let verify = json!({"authorities": [{"name": "villains", "key": {"data": self.key.public_key_pem().unwrap()}}]});
        let plugin = self.stage.plugin(&self.name, &oci, &verify, &self.grants());
        objects::apply(&self.plugins, &plugin).await.unwrap();
        digest
    }

    /// Just enough for a pod with an account and a role of its own in the owner's namespace.
    fn grants(&self) -> Value {
        let verbs = json!(["get", "create", "patch", "delete"]);
        json!({
            "resources": [
                {"apiGroups": [""], "resources": ["configmaps", "pods", "serviceaccounts"], "verbs": verbs},
                {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": verbs},
            ],
            "pods": {"serviceAccounts": ["own"], "secretRefs": ["own"], "images": ["registry.example.com/*"]},
            "rbac": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
            "kinds": [format!("{}/{}", self.group, self.kind)],
        })
    }

    /// Merges something into the spec of the Plugin.
    pub async fn change_plugin(&self, spec: &Value) {
        objects::merge(&self.plugins, &self.name, &json!({ "spec": spec })).await.unwrap();
    }

    pub async fn until_plugin(&self, wanted: &[Wanted<'_>]) -> Value {
        self.explained(objects::until(&self.plugins, &self.name, SOON, wanted).await)
    }

    /// Applies an owner with this spec.
    pub async fn asks(&self, name: &str, spec: &Value) {
        let api_version = format!("{}/v1alpha1", self.group);
        let owner = json!({"apiVersion": api_version, "kind": self.kind, "metadata": {"name": name}, "spec": spec});
        objects::apply(&self.owners, &owner).await.unwrap();
    }

    /// Wakes an owner without changing what it asks for.
    pub async fn nudge(&self, name: &str, label: usize) {
        objects::merge(&self.owners, name, &json!({"metadata": {"labels": {"nudge": label.to_string()}}})).await.unwrap();
    }

    pub async fn until_owner(&self, name: &str, wanted: &[Wanted<'_>]) -> Value {
        self.explained(objects::until(&self.owners, name, SOON, wanted).await)
    }

    pub async fn until_ready(&self, name: &str) -> Value {
        self.until_owner(name, &[("Ready", "True", "AllComponentsHealthy")]).await
    }

    pub async fn child(&self, name: &str) -> Option<ConfigMap> {
        self.maps.get_opt(name).await.unwrap()
    }

    pub async fn until_child_says(&self, name: &str, text: &str) {
        let says = wait::until(SOON, format!("the child {name} to say {text}"), async || {
            let said = self.child(name).await.and_then(|child| child.data).and_then(|mut data| data.remove("text"));
            if said.as_deref() == Some(text) { Ok(()) } else { Err(format!("{said:?}")) }
        });
        self.explained(says.await.map_err(Into::into));
    }

    /// Owners with one child each, from before they turn hostile.
    pub async fn good_owners<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Vec<ConfigMap> {
        let names: Vec<&str> = names.into_iter().collect();
        for name in &names {
            self.asks(name, &json!({"objects": [config_map(name, "good")]})).await;
        }
        let mut children = Vec::new();
        for name in names {
            self.until_ready(name).await;
            children.push(self.child(name).await.unwrap());
        }
        children
    }

    fn explained<T>(&self, result: anyhow::Result<T>) -> T {
        result.unwrap_or_else(|error| panic!("{error}\n--- operator\n{}", self.stage.operator.server().log_tail()))
    }
}

pub fn config_map(name: &str, text: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"text": text}})
}
