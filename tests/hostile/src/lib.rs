//! Plugins that misbehave, made in memory: each is a small core module in text, the contract's metadata, and a lowering of static data.
//! They need no guest toolchain, so every crate's tests can have them, publish them, and ask of each owner how it shall be treated.
//!
//! What lives here: the bytes. What must not: the host, a cluster, expectations of what the host makes of them.
//!
//! The [`Puppet`] is a whole plugin whose behaviour is in its owner's spec (`spec.behaviour`, `spec.objects`); [`Broken`] are components
//! that go wrong before any function of theirs is called.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this crate is part of tests: a fixture that cannot be made is a failed test"
)]

mod broken;
mod contract;
mod library;
mod lower;
mod puppet;
mod review;

pub use broken::Broken;
pub use puppet::{BEHAVIOURS, Puppet, REVIEWS};
