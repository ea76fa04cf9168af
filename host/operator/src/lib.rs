//! The operator: controllers, plugin lifecycle, leader election, metrics and health, wired together. The only crate that knows all others;
//! decisions are the pipeline's, effects are the cluster's, calls are the sandbox's.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

pub mod active;
mod admission;
mod definitions;
mod fence;
mod health;
mod images;
mod leader;
mod lifecycle;
mod metrics;
mod owners;
mod run;
pub mod telemetry;

pub use admission::AdmissionOptions;
pub use run::{RunError, RunOptions, run};
