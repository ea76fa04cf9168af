//! The resources of the host itself, group `plugins.banhbaoring.io/v1alpha1`: [`Plugin`], [`PluginPolicy`] and [`Inventory`].
//!
//! Types, schemas, CEL rules and the names of conditions and reasons live here. No I/O, no client, no knowledge of any product.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

pub mod condition;
pub mod grants;
pub mod inventory;
pub mod plugin;
pub mod policy;

pub use condition::{Condition, ConditionStatus};
pub use grants::Grants;
pub use inventory::{Inventory, InventorySpec};
pub use plugin::{Plugin, PluginSpec, PluginStatus};
pub use policy::{PluginPolicy, PluginPolicySpec};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;

/// API group of the host's own resources.
pub const GROUP: &str = "plugins.banhbaoring.io";
/// Its only version so far.
pub const VERSION: &str = "v1alpha1";

/// The definitions of all kinds of this crate, in the order in which they are printed.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![Plugin::crd(), PluginPolicy::crd(), Inventory::crd()]
}
