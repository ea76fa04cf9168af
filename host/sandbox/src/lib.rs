//! Runs plugins: components that import nothing, in a fresh instance per call, under limits of CPU, wall clock, memory and answer.
//!
//! What lives here: the engine and its limits, the cache of compiled code, the translation of every frozen WIT version into the
//! pipeline's contract types, and [`Modules`], through which the pipeline calls plugins. What must not: artifacts and signatures (what may
//! be compiled comes in as a [`TrustedComponent`]), grants, Kubernetes, generated bindings outside the module of their version.
//!
//! ```text
//! TrustedComponent → Sandbox::load → Module → describe | reconcile | render_seal
//!                                       └→ Modules (by plugin name and digest): the pipeline's `Render`
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

mod answer;
pub mod cache;
mod call;
mod complexity;
pub mod determinism;
mod engine;
mod error;
pub mod golden;
mod inspect;
mod limits;
mod load;
mod meter;
mod module;
mod modules;
mod v0_1;
mod version;

pub use cache::{CacheError, CacheKey, CacheStatistics, CodeCache};
pub use determinism::Checked;
pub use engine::{Allocation, EngineError, EngineSettings};
pub use error::CallError;
pub use limits::{CallLimits, LimitsError, ResponseLimits};
pub use load::{LoadError, Sandbox};
pub use module::{Module, TrustedComponent};
pub use modules::Modules;
pub use version::{ContractVersion, Interface};
