//! The first initialisation of a store through the real operator, a real API server and a real `bao` behind each pod: by the node itself and by the operator,
//! undisturbed, and while everybody is killed. One platform serves all tests of this binary, one after the other: each has operators of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "what became of each kill is for the reader")]

mod captured;
mod kills;
mod support;
