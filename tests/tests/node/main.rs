//! The main job where pods really run: a cluster of one node, the operator as a process beside it, real OpenBao.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "how long a pod takes is told, not asserted")]

mod pods;
mod store;
mod support;
