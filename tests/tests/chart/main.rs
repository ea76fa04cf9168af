//! The Helm chart with the real helm against a real API server. There is no kubelet, so nothing runs the Deployment: the operator is started as a process
//! with a token of the account that the chart makes for it, and may do exactly what the chart allows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "what accounts may do is told for whoever wants to read it")]

mod life;
mod manifest;
mod rights;
mod support;
mod templates;
mod values;
