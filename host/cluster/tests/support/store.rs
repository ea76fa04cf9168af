//! A StatefulSet with one pod that says it runs here, behind Services of the owner's: what a request of a plugin may reach.

use std::net::IpAddr;

use banhbaoring_api::inventory::InventorySpec;
use banhbaoring_pipeline::ActivePlugin;
use banhbaoring_testing::http_server::own_address;
use banhbaoring_testing::wait;
use serde_json::{Value, json};

use super::asks::plugin;
use super::{Fixture, outcomes};

/// The owner's store.
pub struct Store {
    pub fixture: Fixture,
    pub inventory: InventorySpec,
    pub plugin: ActivePlugin,
}

impl Store {
    /// Its Service `store` leads from port 80 to `port` of its pod `store-0`, which has this machine's own address.
    pub async fn new(port: u16) -> Self {
        let fixture = Fixture::new("store").await;
        let pod = json!({"metadata": {"labels": {"app": "store"}}, "spec": {"containers": [
            {"name": "store", "image": "registry.invalid/store:1", "ports": [{"name": "api", "containerPort": port}]}]}});
        let claim = json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
        let stateful_set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "store"},
            "spec": {"replicas": 1, "serviceName": "store", "selector": {"matchLabels": {"app": "store"}}, "template": pod, "volumeClaimTemplates": [claim]}});
        let service = |name: &str, spec: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec});
        let ports = json!([{"name": "api", "port": 80, "targetPort": "api"}]);
        let manifests = [
            stateful_set,
            service("store", json!({"clusterIP": "None", "publishNotReadyAddresses": true, "selector": {"app": "store"}, "ports": ports})),
            service("ready", json!({"selector": {"app": "store"}, "ports": ports})),
            service("bare", json!({"ports": ports})),
            service("away", json!({"type": "ExternalName", "externalName": "kubernetes.default.svc.cluster.local", "ports": ports})),
        ];
        let applied = fixture.apply(manifests.map(|manifest| fixture.create(fixture.completed(manifest))).into()).await;
        assert_eq!(outcomes(&applied).len(), 5);
        let inventory = fixture.inventory().await.spec;
        let grants = json!({
            "http": [{"service": "owned", "methods": ["GET", "PUT", "POST"], "paths": ["/v1/"]},
                {"host": own_address().unwrap().to_string(), "methods": ["GET"], "paths": ["/"]}, {"host": "127.0.0.1", "methods": ["GET"], "paths": ["/"]}],
            "resources": [{"apiGroups": ["", "apps"], "resources": ["services", "pods", "configmaps", "secrets", "persistentvolumeclaims", "deployments"],
                "verbs": ["get", "list", "create", "patch", "delete"]}],
            "pods": {"secretRefs": ["own", "access"]},
            "audiences": ["store", "https://kubernetes.default.svc"],
        });
        let store = Self { plugin: plugin(&fixture, grants), fixture, inventory };
        let found = wait::until(wait::PATIENCE, "the controller makes the pod", || async {
            if store.fixture.exists("pod", "store-0").await { Ok(()) } else { Err("there is none") }
        });
        found.await.expect("a controller manager runs");
        store.place("store-0", own_address().unwrap(), true).await;
        store
    }

    /// The pod says that it runs at an address.
    pub async fn place(&self, pod: &str, address: IpAddr, is_ready: bool) {
        let ready = if is_ready { "True" } else { "False" };
        let status = json!({"status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "hostIP": "198.51.100.1",
            "conditions": [{"type": "Ready", "status": ready}]}});
        let patch = status.to_string();
        self.fixture.kubectl.run(&["patch", "pod", pod, "--subresource=status", "--type=merge", "-p", &patch]).await.expect("its status");
    }

    /// A Secret of somebody else's in the owner's namespace, which a grant names.
    pub async fn access(&self, password: &str) {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "access"}, "stringData": {"password": password}});
        self.fixture.kubectl.apply(&secret.to_string()).await.expect("a Secret");
    }
}

/// A request to the store, in plain text.
pub fn endpoint(path: &str, more: Value) -> Value {
    let mut endpoint = json!({"destination": {"service": {"name": "store", "port": 80}}, "scheme": "http", "path": path});
    if let (Some(all), Value::Object(more)) = (endpoint.as_object_mut(), more) {
        all.extend(more);
    }
    endpoint
}
