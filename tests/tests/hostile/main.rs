//! Hostile plugins through the operator as a process: each ends as a condition on its own Plugin or its own owner, with its own reason, and
//! fifty owners of a well-behaved plugin do not notice.
//!
//! What the sandbox and the checks of grants refuse in detail is tested in their crates; here that nothing of it reaches anybody else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and documents itself by its name"
)]

mod answers;
mod components;
mod crowd;
mod cuts;
mod descriptors;
mod grants;
mod reviews;
mod villain;
