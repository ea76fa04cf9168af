//! The kind `OpenBaoCluster` of `openbao.org/v1alpha1`: its Rust types, the schema and CEL rules that the API server checks, and its
//! printer columns. The same types make the CRD and are read by the renderer, natively and in WebAssembly.
//!
//! No rendering, no I/O and nothing about the host lives here.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]
#![allow(unreachable_pub, reason = "the derive of schemas repeats each struct where nobody can reach it")]

pub mod cluster;
pub mod image_verification;
pub mod initialization;
pub mod monitoring;
pub mod network;
pub mod plugin_catalog;
pub mod pod;
pub mod provider;
pub mod schema;
pub mod server;
pub mod status;
pub mod storage;
pub mod tls;
pub mod unseal;

pub use cluster::{OpenBaoCluster, OpenBaoClusterSpec, PluginPin};
pub use image_verification::{ImageStatus, ImageVerificationPolicy, ImageVerificationSpec, KeylessSpec, TrustedRootKey};
pub use initialization::{InitializationMode, InitializationOperation, InitializationRequest, InitializationSpec, RecoverySpec};
pub use monitoring::ServiceMonitorSpec;
pub use network::{NetworkPolicySpec, PublicServiceSpec, ServiceType};
pub use plugin_catalog::{CatalogPlugin, CatalogPluginType};
pub use pod::{PodSpec, ServiceAccountSpec};
pub use provider::ProviderFields;
pub use server::{AuditDevice, ListenerSpec, LogFormat, LogLevel, RaftSpec, TelemetrySpec, TlsVersion};
pub use status::{
    InitializationStatus, InitializationStep, NodeStatus, OpenBaoClusterStatus, OperationKind, OperationStatus, OperatorAccess,
    PluginState, PluginStatus,
};
pub use storage::{DeletionPolicy, StorageSpec};
pub use tls::{AcmeSpec, CertificateSpec, IssuerRef, TlsMode, TlsSpec};
pub use unseal::{SecretKey, SecretName, UnsealSpec};

/// The API group.
pub const GROUP: &str = "openbao.org";
/// The version of the group.
pub const VERSION: &str = "v1alpha1";
/// `group/Kind`, as component descriptors name it.
pub const GROUP_KIND: &str = "openbao.org/OpenBaoCluster";
/// Version of OpenBao where the spec names none.
pub const DEFAULT_OPENBAO_VERSION: &str = "2.4.0";
/// Longest name of a cluster: the longest DNS label made of it is `openbao-cluster-<name>`.
pub const MAX_NAME_LENGTH: usize = 46;

/// The text of [`crd`], made beforehand: a guest that makes it at run time carries the schemas of all Kubernetes types that are embedded,
/// which is most of its size. `tests/definition.rs` holds the two together.
pub const CRD_JSON: &str = include_str!("../crd.json");

/// The CustomResourceDefinition, made from the types.
pub fn crd() -> k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition {
    <OpenBaoCluster as kube::CustomResourceExt>::crd()
}
