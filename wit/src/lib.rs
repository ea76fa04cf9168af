//! What crosses the plugin contract as JSON: the spec and the answer of every need, the spec and the result of every action, and the
//! spec of every generator, one Rust type each with the JSON Schema that is published beside the WIT (`v0.1/schemas/`).
//!
//! The records of the WIT itself live in the generated bindings of the SDK and of the sandbox, and grants in `banhbaoring-api`: not here.
//! Nothing here may depend on kube or on I/O, because guests carry this crate.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

pub mod action;
pub mod generator;
pub mod http;
pub mod need;
pub mod placeholder;
pub mod reference;
pub mod schema;

pub use placeholder::SecretHash;
pub use reference::{ObjectRef, SecretKeyRef};
pub use schema::{Published, schemas};
