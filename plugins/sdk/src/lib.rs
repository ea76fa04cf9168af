//! What the author of a Rust plugin depends on. A component is a struct and one function from a [`Context`] to a [`Response`]; an
//! unseal provider is a struct and one function from a [`SealContext`] to a [`Seal`]; an admission is a struct and one function from a
//! [`ReviewContext`] to a [`Verdict`]. [`export_plugin!`] makes a plugin of them.
//!
//! The same crate compiles natively, where tests call the functions directly or through [`testing`], and to WebAssembly.
//!
//! ```
//! use banhbaoring_sdk::prelude::*;
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! #[serde(rename_all = "camelCase")]
//! struct Config {
//!     greeting: String,
//! }
//!
//! struct Hello;
//!
//! impl Component for Hello {
//!     const NAME: &'static str = "hello";
//!     type Owner = DynamicObject;
//!     type Config = Config;
//!
//!     fn describe() -> ComponentDescriptor {
//!         ComponentDescriptor::at("").kind("example.org/Hello")
//!     }
//!
//!     fn reconcile(cx: &Context<Self>) -> Result<Response, Failure> {
//!         Ok(Response::ready().apply(&serde_json::json!({
//!             "apiVersion": "v1", "kind": "ConfigMap",
//!             "metadata": {"name": cx.name(), "namespace": cx.namespace()},
//!             "data": {"greeting": cx.config().greeting},
//!         })))
//!     }
//! }
//!
//! export_plugin!(name: "hello", summary: "Says hello", components: [Hello]);
//! # fn main() {}
//! ```
//!
//! Nothing here talks to a cluster, and no code here knows a product: kinds and renderers live in the plugins' own crates.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

pub mod admission;
pub mod answer;
pub mod bindings;
pub mod component;
pub mod context;
pub mod descriptor;
mod export;
pub mod failure;
pub mod json;
pub mod object;
pub mod owner;
mod parse;
pub mod platform;
pub mod plugin;
pub mod question;
pub mod response;
pub mod seal;
pub mod secret;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

/// The contract's types as they cross to the host.
pub use bindings::exports::banhbaoring::plugin::types as wit;

pub use admission::{Admission, ReviewContext, Verdict};
pub use answer::Answer;
pub use banhbaoring_contract as contract;
pub use component::Component;
pub use context::Context;
pub use descriptor::{KindSource, PluginDescriptor};
pub use object::Object;
pub use owner::{DynamicObject, OwnerMetadata};
pub use platform::PlatformExt;
pub use plugin::{Exported, Plugin};
pub use response::Response;
pub use seal::{SealContext, UnsealProvider};
pub use wit::{
    Action, AdmissionDescriptor, ComponentDescriptor, ConditionStatus, Criticality, Failure, FailureClass, Gate, GeneratedSecret, Need,
    Operation, Seal,
};

/// What most plugins import.
pub mod prelude {
    pub use crate::contract::{ObjectRef, SecretHash, SecretKeyRef, action, generator, need};
    pub use crate::{
        Action, Admission, AdmissionDescriptor, Answer, Component, ComponentDescriptor, ConditionStatus, Context, Criticality,
        DynamicObject, Failure, Gate, GeneratedSecret, KindSource, Need, Object, Operation, PlatformExt, Response, ReviewContext, Seal,
        SealContext, UnsealProvider, Verdict, export_plugin, wit,
    };
}
