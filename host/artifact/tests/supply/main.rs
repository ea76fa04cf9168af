//! The supply side against real registries and the real cosign: what is accepted, what is refused, and with which reason.
//!
//! Binaries come from `cargo xtask tools` (or `$BANHBAORING_TOOLS`); without them these tests fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and documents itself by its name"
)]

mod authentication;
mod copies;
mod failures;
mod keyless;
mod layouts;
mod publishing;
mod shapes;
mod signatures;
mod store;
mod support;
mod traps;
