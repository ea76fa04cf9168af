//! What a kubelet and OpenBao's own service registration do for the pods of an `OpenBaoCluster`, where neither runs: a real `bao` for each pod, at an address of
//! its own, started again when it ends; the pod's status and labels as they would be. Whoever deletes the pod and its claim gets a node with an empty volume.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use banhbaoring_testing::address::Address;
use banhbaoring_testing::bao::{Bao, Pod as Files};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// Between two looks at a pod.
const PERIOD: Duration = Duration::from_millis(150);
/// Until a container that ended is started again.
const BACK_OFF: Duration = Duration::from_millis(700);
/// Bytes of a log that the kubelet keeps.
const KEPT: usize = 2048;

/// Stands for the kubelet of one pod. Ends, and its node with it, when dropped.
pub struct Kubelet {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
    _address: Arc<Address>,
}

/// What the loop and whoever looks share.
struct Shared {
    namespace: String,
    pod: String,
    address: Arc<Address>,
    leader: Arc<Address>,
    node: Mutex<Option<Node>>,
}

/// A container that runs, or ran.
struct Node {
    bao: Arc<Bao>,
    /// Kept: its files go with it.
    _files: Files,
    pod: String,
    claim: String,
    restarts: u32,
    /// Where in the log the process that runs now begins.
    beginning: usize,
    terminated: Value,
}

impl Kubelet {
    /// Of the pod `<cluster>-<ordinal>`, which finds the others at `leader`.
    #[must_use]
    pub fn start(client: Client, namespace: &str, pod: &str, address: Arc<Address>, leader: Arc<Address>) -> Self {
        let node = Mutex::default();
        let shared = Arc::new(Shared { namespace: namespace.to_owned(), pod: pod.to_owned(), address: address.clone(), leader, node });
        let looking = shared.clone();
        let task = tokio::spawn(async move {
            loop {
                // A pod that changes meanwhile is looked at again.
                drop(looking.look(&client).await);
                tokio::time::sleep(PERIOD).await;
            }
        });
        Self { shared, task, _address: address }
    }

    /// The container's process, once it was started.
    #[must_use]
    pub fn bao(&self) -> Option<Arc<Bao>> {
        self.shared.lock().as_ref().map(|node| node.bao.clone())
    }

    /// How often the container was started again.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.shared.lock().as_ref().map_or(0, |node| node.restarts)
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(node) = self.shared.lock().take() {
            node.bao.server().kill();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Node>> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look(&self, client: &Client) -> Result<()> {
        let pods: Api<Pod> = Api::namespaced(client.clone(), &self.namespace);
        let Some(pod) = pods.get_opt(&self.pod).await? else {
            if let Some(node) = self.lock().as_ref() {
                node.bao.server().kill();
            }
            return Ok(());
        };
        let uid = pod.uid().unwrap_or_default();
        if self.lock().as_ref().is_none_or(|node| node.pod != uid) {
            self.run(client, &pod).await?;
        }
        let ended = self.lock().as_mut().and_then(Node::ended);
        if let Some(status) = ended {
            self.tell(&pods, &status, &json!({})).await?;
            tokio::time::sleep(BACK_OFF).await;
            if let Some(node) = self.lock().as_mut() {
                node.restarts += 1;
                node.beginning = node.bao.server().log().len();
                node.bao.server().start_again()?;
            }
        }
        let Some(bao) = self.lock().as_ref().map(|node| node.bao.clone()) else { return Ok(()) };
        let health = bao.send(Method::GET, "/v1/sys/health", None, None).await;
        let (labels, is_ready) = match &health {
            Ok(health) => {
                let flag = |field: &str| health.body[field] == true;
                // OpenBao starts with "false" and tells that there is a store once it has opened it, not before.
                let is_open = flag("initialized") && !flag("sealed");
                let is_active = is_open && !flag("standby");
                let labels = json!({
                    "openbao-initialized": is_open.to_string(),
                    "openbao-sealed": flag("sealed").to_string(),
                    "openbao-active": is_active.to_string(),
                    "openbao-version": "2.4.0",
                });
                (labels, matches!(health.status.as_u16(), 200 | 429 | 501))
            }
            Err(_) => (json!({}), false),
        };
        let status = self.lock().as_ref().map(|node| node.status(self.address.get().to_string(), is_ready)).unwrap_or_default();
        self.tell(&pods, &status, &labels).await
    }

    /// Starts what the pod says: with the volume of before if its claim is the same, else with an empty one.
    async fn run(&self, client: &Client, pod: &Pod) -> Result<()> {
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &self.namespace);
        let claim = claims.get(&format!("data-{}", self.pod)).await?;
        if claim.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        let claim = claim.uid().unwrap_or_default();
        let before = self.lock().take();
        if let Some(node) = &before {
            node.bao.server().kill();
        }
        let pod_uid = pod.uid().unwrap_or_default();
        let restarted = before.filter(|node| node.claim == claim);
        let node = match restarted {
            Some(node) => {
                node.bao.server().start_again()?;
                Node { pod: pod_uid, restarts: 0, beginning: node.bao.server().log().len(), terminated: Value::Null, ..node }
            }
            None => {
                let objects = self.mounted(client).await?;
                let spec = serde_json::to_value(&pod.spec)?;
                let files = Files::new(&spec, &self.pod, &self.namespace, &objects)?.at(self.address.get());
                let leader = format!("https://{}:8200", self.leader.get());
                let bao = Arc::new(files.start(&leader, &[])?);
                Node { bao, _files: files, pod: pod_uid, claim, restarts: 0, beginning: 0, terminated: Value::Null }
            }
        };
        *self.lock() = Some(node);
        Ok(())
    }

    async fn mounted(&self, client: &Client) -> Result<Vec<Value>> {
        let mut objects = Vec::new();
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &self.namespace);
        for secret in secrets.list(&ListParams::default()).await? {
            let mut value = serde_json::to_value(&secret)?;
            value["kind"] = "Secret".into();
            objects.push(value);
        }
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &self.namespace);
        for map in maps.list(&ListParams::default()).await? {
            let mut value = serde_json::to_value(&map)?;
            value["kind"] = "ConfigMap".into();
            objects.push(value);
        }
        Ok(objects)
    }

    async fn tell(&self, pods: &Api<Pod>, status: &Value, labels: &Value) -> Result<()> {
        let found = pods.get_opt(&self.pod).await?.context("the pod went away")?;
        let now = serde_json::to_value(&found)?;
        let is_told =
            |wanted: &Value, there: &Value| wanted.as_object().into_iter().flatten().all(|(key, value)| there.get(key) == Some(value));
        if !is_told(labels, &now["metadata"]["labels"]) {
            let patch = json!({"metadata": {"uid": found.uid(), "labels": labels}});
            pods.patch(&self.pod, &PatchParams::default(), &Patch::Merge(patch)).await?;
        }
        if !is_told(status, &now["status"]) {
            let patch = json!({"metadata": {"uid": found.uid()}, "status": status});
            pods.patch_status(&self.pod, &PatchParams::default(), &Patch::Merge(patch)).await?;
        }
        Ok(())
    }
}

impl Node {
    /// What is told of a container that ended since the last look.
    fn ended(&mut self) -> Option<Value> {
        let ended = self.bao.server().exit_status()?;
        let log = self.bao.server().log();
        let mut from = self.beginning.max(log.len().saturating_sub(KEPT));
        while !log.is_char_boundary(from) {
            from += 1;
        }
        let code = ended.code().unwrap_or(137);
        self.terminated = json!({"exitCode": code, "message": log.get(from..).unwrap_or_default()});
        let conditions = json!([{"type": "Ready", "status": "False"}]);
        let container = self.container(json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}), false);
        Some(json!({"conditions": conditions, "containerStatuses": [container]}))
    }

    fn status(&self, address: String, is_ready: bool) -> Value {
        let container = self.container(json!({"running": {}}), is_ready);
        json!({
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": if is_ready { "True" } else { "False" }}],
            "containerStatuses": [container],
        })
    }

    fn container(&self, state: Value, is_ready: bool) -> Value {
        let image = "openbao/openbao:2.4.0";
        let mut container = json!({
            "name": "openbao", "image": image, "imageID": "", "ready": is_ready, "restartCount": self.restarts, "state": state, "lastState": {},
        });
        if !self.terminated.is_null() {
            container["lastState"] = json!({"terminated": self.terminated});
        }
        container
    }
}
