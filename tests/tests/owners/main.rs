//! The first-party plugins in a real registry, the operator as a process, a real API server: what becomes of an `OpenBaoCluster` and of what
//! belongs to it. One platform and one operator serve all tests of this binary; each test has a namespace of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "what an image's verdict says is told for whoever wants to read it")]

mod drift;
mod files;
mod identity;
mod images;
mod life;
mod nodes;
mod pause;
mod refusals;
mod stillness;
mod strangers;
mod support;
mod volumes;
