//! What the operator tells about a cluster. The host writes phase, conditions and components; the renderer tells the rest.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::image_verification::ImageStatus;
use crate::plugin_catalog::CatalogPluginType;
use crate::schema;
use crate::storage::DeletionPolicy;

/// The status of a cluster.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
// The host writes the whole of it: the API server need not keep who owns which of its fields.
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct OpenBaoClusterStatus {
    /// `Pending`, `Initializing`, `Running`, `Degraded`, `Failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The generation of the spec that this speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Conditions by type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = schema::without_descriptions)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The version that was rendered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The image that was verified; absent where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageStatus>,
    /// Nodes ready/desired, `3/3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<String>,
    /// Nodes that are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_nodes: Option<i32>,
    /// The pod that leads, as it tells itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// The cluster is initialised; absent while no node has told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialized: Option<bool>,
    /// The Secret with the first password of the user `admin`, where the first node initialises the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_secret: Option<String>,
    /// The Secret with the password of the user `operator`, by which nodes are asked and told things on day 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator_secret: Option<String>,
    /// How far the initialisation by the operator is, with `spec.initialization.mode: Captured`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialization: Option<InitializationStatus>,
    /// Whether the store ever let the operator in, where the operator or the first node makes its user; absent while it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator_access: Option<OperatorAccess>,
    /// What is being done to the nodes; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationStatus>,
    /// Pods that were taken away and whose volumes are still to be deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<String>,
    /// What would go with the cluster if it were deleted now, by its StatefulSet and ConfigMap: a changed `spec.deletionPolicy` has to reach them first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::deletion_policy")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// A node is sealed; absent while no node has told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<bool>,
    /// Each node as it tells itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub members: Vec<NodeStatus>,
    /// Each plugin of `spec.pluginCatalog`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into(), "name".into(), "version".into()]))]
    pub plugins: Vec<PluginStatus>,
    /// Where clients find what, by name: `api`, `active`, `caConfigMap`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoints: BTreeMap<String, String>,
    /// Each component: name, plugin, state, reason, message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::any_objects")]
    pub components: Vec<Value>,
}

/// A node as it labels its own pod, and what its pod and Raft say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// The pod.
    pub name: String,
    /// It leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// It is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<bool>,
    /// It is initialised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialized: Option<bool>,
    /// The version that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its pod is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// Its pod is of the newest revision of the StatefulSet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to_date: Option<bool>,
    /// Raft counts it; absent where the operator may not ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voter: Option<bool>,
}

/// How far the initialisation by the operator is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InitializationStatus {
    /// The step.
    pub step: InitializationStep,
    /// The uid of the first node's volume claim for which the store was asked to initialise itself; absent while it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<String>,
}

/// Steps of the initialisation by the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum InitializationStep {
    /// The first node does not answer yet.
    Waiting,
    /// The store is asked to initialise itself.
    Initializing,
    /// The answer is in the Secret.
    Captured,
    /// The answer was looked for once and not found.
    AnswerMissing,
    /// The store is initialised and the answer is not in the Secret: nobody gets in.
    AnswerLost,
    /// The answer is in the Secret, and the store is not initialised.
    DataLost,
    /// The first node was ended while it initialised the store, and cannot go on from there.
    Interrupted,
    /// The users are made with the root token.
    MakingUsers,
    /// The operator's user was let in; the root token is revoked.
    RevokingRootToken,
    /// The store does not take the root token of the Secret.
    RootTokenRefused,
    /// All is done.
    Done,
    /// Somebody else initialised the store; it is theirs.
    Foreign,
}

/// Whether the store lets the operator in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OperatorAccess {
    /// It is initialised, and nobody could ask yet.
    Unconfirmed,
    /// It did, at least once.
    Confirmed,
    /// It did not at the first look.
    RefusedOnce,
    /// It does not, and never did.
    Refused,
    /// It is older than this cluster, or was initialised by a version that did not ask: people use it, with the users that they have.
    NotExpected,
}

/// What is being done to the nodes. The next step is taken only where the step before stands here, so that nothing is done on the first look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperationStatus {
    /// What for.
    pub kind: OperationKind,
    /// How far: the reason of the condition `Upgrading` or `Scaling`.
    pub step: String,
    /// The pod that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// What nodes are touched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OperationKind {
    /// Another pod template: version, configuration, certificate.
    Upgrade,
    /// Another number of nodes.
    Scale,
}

/// A plugin of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginStatus {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: CatalogPluginType,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// How far it is.
    pub state: PluginState,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Of all that was registered: OpenBao does not show the environment, so a change of it is told by this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// How far a plugin of the catalogue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PluginState {
    /// The catalogue has it as the spec says.
    Registered,
    /// Not yet.
    Pending,
    /// Not until somebody does something.
    Failed,
}
