//! Steps 1, 6 and 7 of a reconcile against a real cluster: observe, apply, prune, act; the inventory store, generated Secrets, and the clients that act as
//! a plugin's service account.
//!
//! ```text
//! observe   inventory → watches, else named gets, as the recorded accounts → metadata, readiness, fields asked for
//! apply     intents → inventory · writes · prune → what was learnt, for the caller to store
//! answer    a permitted need → its answer
//! act       a permitted action that is written down → what came of it
//! ```
//! What is decided here is only how a write is made safely; what is written was decided by `banhbaoring-pipeline`. No product is named here.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

pub mod act;
pub mod admission;
pub mod answer;
pub mod apply;
pub mod client;
mod cluster;
pub mod crd;
pub mod discovery;
pub mod exchange;
pub mod inventory;
pub mod managed_fields;
pub mod observe;
pub mod prune;
mod relation;
pub mod request;
pub mod run;
pub mod secret;
pub mod serving;
mod sighting;
pub mod version;
pub mod watch;

pub use apply::{Applied, ComponentApplied, Dependencies, Intended, StepOutcome};
pub use client::Clients;
pub use cluster::Cluster;
pub use discovery::{Discovery, ServedKind};
pub use inventory::{InventoryError, InventoryStore, Listed, StoredInventory};
pub use observe::{ObserveError, Observed, Views};
