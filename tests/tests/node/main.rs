//! The main job where pods really run: on a cluster of one node, the operator in its own container from its own chart, real OpenBao.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "how long a pod takes is told, not asserted")]

mod credentials;
mod day2;
mod deletion;
mod installed;
mod pods;
mod seals;
mod store;
mod strangers;
mod support;
mod writer;
