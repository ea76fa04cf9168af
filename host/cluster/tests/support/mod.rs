//! What the cluster tests share: a namespace of one's own with an owner, an account for the plugin, and plans made by hand.
#![allow(dead_code, unreachable_pub, reason = "every test binary is a crate of its own and uses its own part")]

pub mod asks;
pub mod store;

use std::collections::BTreeSet;

use banhbaoring_api::inventory::{ChildEntry, OwnerReference};
use banhbaoring_api::plugin::NamespacedName;
use banhbaoring_cluster::observe::Views;
use banhbaoring_cluster::{Applied, Clients, Cluster, Dependencies, InventoryError, StepOutcome, StoredInventory};
use banhbaoring_pipeline::contract::{ApplyMode, ObjectReference};
use banhbaoring_pipeline::observation::ObservedChild;
use banhbaoring_pipeline::plan::{Cause, ObjectWrite, Plan, Prune, Step, Write, field_manager};
use banhbaoring_testing::control_plane::ControlPlane;
use banhbaoring_testing::kubectl::Kubectl;
use serde_json::{Value, json};

/// One test's namespace.
pub struct Fixture {
    pub plane: &'static ControlPlane,
    pub kubectl: Kubectl,
    pub namespace: String,
    pub cluster: Cluster,
    pub account: NamespacedName,
    pub owner: OwnerReference,
}

pub const COMPONENT: &str = "database";

impl Fixture {
    pub async fn new(prefix: &str) -> Self {
        let plane = ControlPlane::shared().await.expect("a control plane");
        let namespace = plane.namespace(prefix).await.expect("a namespace");
        let kubectl = plane.kubectl().expect("kubectl").in_namespace(&namespace);
        install_inventories(plane, &kubectl).await;
        let manifests = format!(
            r"
apiVersion: v1
kind: ServiceAccount
metadata: {{name: plugin}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: plugin}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
subjects: [{{kind: ServiceAccount, name: plugin, namespace: {namespace}}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: owner}}
"
        );
        kubectl.apply(&manifests).await.expect("the owner");
        let uid = kubectl.run(&["get", "configmap", "owner", "-o", "jsonpath={.metadata.uid}"]).await.expect("its uid");
        // From the configuration, so that it knows where the API server is.
        banhbaoring_testing::http::install_tls_provider();
        let cluster = Cluster::with_clients(Clients::connect(plane.config()).expect("clients"), &namespace);
        let owner = OwnerReference {
            api_version: "v1".into(),
            kind: "ConfigMap".into(),
            namespace: Some(namespace.clone()),
            name: "owner".into(),
            uid,
        };
        let account = NamespacedName { namespace: namespace.clone(), name: "plugin".into() };
        Self { plane, kubectl, namespace, cluster, account, owner }
    }

    /// A second host process with nothing in memory.
    pub async fn restarted(&self) -> Cluster {
        Cluster::new(self.plane.client().await.expect("a client"), &self.namespace)
    }

    pub fn reference(&self, api_version: &str, kind: &str, name: &str) -> ObjectReference {
        ObjectReference { api_version: api_version.into(), kind: kind.into(), namespace: Some(self.namespace.clone()), name: name.into() }
    }

    pub fn config_map(&self, name: &str, value: &str) -> Value {
        self.completed(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": value}}))
    }

    /// As the planner completes a manifest.
    pub fn completed(&self, mut manifest: Value) -> Value {
        let metadata = &mut manifest["metadata"];
        metadata["namespace"] = json!(self.namespace);
        metadata["labels"] = json!({"app.kubernetes.io/managed-by": "banhbaoring", "banhbaoring.io/owner-uid": self.owner.uid,
            "banhbaoring.io/component": COMPONENT});
        metadata["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": self.owner.uid,
            "controller": true, "blockOwnerDeletion": false}]);
        manifest
    }

    pub fn write(&self, manifest: Value) -> ObjectWrite {
        ObjectWrite {
            desired_hash: banhbaoring_pipeline::json::hash(&manifest),
            manifest,
            manager: field_manager(COMPONENT),
            mode: ApplyMode::Apply,
            create: false,
            uid: None,
            exclusive: Vec::new(),
            create_only_fields: Vec::new(),
            recreate: None,
        }
    }

    pub fn step(&self, cause: Cause, write: ObjectWrite) -> Step {
        let text = |pointer: &str| write.manifest.pointer(pointer).and_then(Value::as_str).expect("a complete manifest").to_owned();
        Step {
            component: COMPONENT.into(),
            plugin: "plugin".into(),
            account: self.account.clone(),
            reference: self.reference(&text("/apiVersion"), &text("/kind"), &text("/metadata/name")),
            cause,
            write: Write::Object(write),
            keep: false,
        }
    }

    pub fn create(&self, manifest: Value) -> Step {
        self.step(Cause::Missing, ObjectWrite { create: true, ..self.write(manifest) })
    }

    pub fn update(&self, cause: Cause, manifest: Value, uid: &str) -> Step {
        self.step(cause, ObjectWrite { uid: Some(uid.into()), ..self.write(manifest) })
    }

    pub async fn inventory(&self) -> StoredInventory {
        self.cluster.inventories.read(&self.owner).await.expect("the inventory")
    }

    pub async fn apply(&self, steps: Vec<Step>) -> Applied {
        self.apply_plan(plan(steps, Vec::new())).await
    }

    pub async fn apply_plan(&self, plan: Plan) -> Applied {
        self.apply_after(plan, &Dependencies::new()).await
    }

    pub async fn apply_after(&self, plan: Plan, after: &Dependencies) -> Applied {
        apply(&self.cluster, &plan, after, self.inventory().await).await.expect("applied")
    }

    pub async fn observe(&self, reference: &ObjectReference) -> Option<ObservedChild> {
        let inventory = self.inventory().await;
        let observed = self.cluster.observe_children(&inventory.spec, &Views::new()).await;
        assert_eq!(observed.failures, []);
        observed.children.get(reference).cloned()
    }

    pub async fn entry(&self, name: &str) -> ChildEntry {
        self.find_entry(name).await.expect("an entry of that name")
    }

    pub async fn find_entry(&self, name: &str) -> Option<ChildEntry> {
        self.inventory().await.spec.children.into_iter().find(|entry| entry.name == name)
    }

    pub async fn get(&self, resource: &str, name: &str) -> Value {
        let text = self.kubectl.run(&["get", resource, name, "-o", "json", "--show-managed-fields"]).await.expect("it exists");
        serde_json::from_str(&text).expect("JSON")
    }

    pub async fn exists(&self, resource: &str, name: &str) -> bool {
        !self.kubectl.run(&["get", resource, name, "--ignore-not-found", "-o", "name"]).await.expect("kubectl get").is_empty()
    }

    pub fn prune(&self, child: &ObservedChild) -> Prune {
        Prune {
            component: COMPONENT.into(),
            account: self.account.clone(),
            reference: child.reference.clone(),
            uid: child.uid.clone(),
            resource_version: child.resource_version.clone(),
        }
    }
}

/// The whole of step 6, the inventory stored.
pub async fn apply(cluster: &Cluster, plan: &Plan, after: &Dependencies, inventory: StoredInventory) -> Result<Applied, InventoryError> {
    let intended = cluster.intend(plan, inventory).await?;
    let mut applied = cluster.apply(intended, after, &Views::new()).await;
    cluster.inventories.write(&mut applied.inventory).await?;
    Ok(applied)
}

pub fn plan(steps: Vec<Step>, prune: Vec<Prune>) -> Plan {
    let mut plan = Plan::default();
    plan.steps = steps;
    plan.prune = prune;
    plan
}

/// Outcomes of the one component, in order of their ending.
pub fn outcomes(applied: &Applied) -> Vec<StepOutcome> {
    applied.components.values().flat_map(|component| component.steps.iter().map(|step| step.outcome.clone())).collect()
}

/// The only step's uid.
pub fn written(applied: &Applied) -> String {
    match outcomes(applied).as_slice() {
        [StepOutcome::Written { uid, .. }] => uid.clone(),
        other => panic!("expected one written object, found {other:?}"),
    }
}

/// The only failure's reason.
pub fn refused(applied: &Applied) -> (String, String) {
    let failures: Vec<_> = applied.components.values().flat_map(|component| component.failures()).collect();
    match failures.as_slice() {
        [(_, error)] => (error.reason().to_owned(), error.to_string()),
        other => panic!("expected one failure, found {other:?}"),
    }
}

pub fn names(applied: &Applied) -> BTreeSet<String> {
    applied.inventory.spec.children.iter().map(|entry| entry.name.clone()).collect()
}

async fn install_inventories(plane: &ControlPlane, kubectl: &Kubectl) {
    let crds = banhbaoring_api::crds();
    let text = crds.iter().map(|crd| serde_json::to_string(crd).expect("JSON")).collect::<Vec<_>>().join("\n---\n");
    let _ = plane;
    kubectl.apply(&text).await.expect("the host's kinds");
    kubectl
        .run(&["wait", "--for=condition=Established", "--timeout=300s", "crd/inventories.plugins.banhbaoring.io"])
        .await
        .expect("inventories are served");
}
