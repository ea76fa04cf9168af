//! Observe, apply and prune against a real API server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod actions;
mod apply;
mod crash;
mod exchange;
mod inventory;
mod kinds;
mod needs;
mod ownership;
mod prune;
mod runs;
mod secrets;
mod serving;
mod watches;
