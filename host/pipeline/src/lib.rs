//! The pure middle of a reconcile: steps 2–5 and 8 of `design/architecture.md`. No tokio, no client, no clock, no randomness: data in,
//! data out, so that the same code serves the operator, `render` and `plan`.
//!
//! ```text
//! observe (cluster) → Observation
//! compose  → Graph        which plugin serves which component, in which order     graph
//! render   → Desired      what the components ask for                             render
//! admit    → Permitted    what their plugins' grants allow                        admit
//! plan     → Plan         what differs from what is there                         plan
//! apply (cluster) → Applied
//! act (cluster)   → Results
//! report   → Report       status, phase, conditions, events                       report
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

pub mod admit;
pub mod config;
pub mod contract;
pub mod describe;
pub mod fragment;
pub mod glob;
pub mod graph;
pub mod journal;
pub mod json;
pub mod kinds;
pub mod memo;
pub mod observation;
pub mod plan;
pub mod plugins;
pub mod readiness;
pub mod render;
pub mod report;
pub mod review;
pub mod runs;
#[cfg(test)]
mod sample;

pub use admit::{Permitted, admit};
pub use graph::{Graph, compose};
pub use observation::Observation;
pub use plan::{Plan, plan};
pub use plugins::{ActivePlugin, PluginSet};
pub use render::{Desired, Render, render};
pub use report::{Report, report};
