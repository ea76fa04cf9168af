//! Every unseal provider through the whole way: the example is applied with kubectl, the operator asks the real provider plugin and makes the
//! objects, and a real `bao` starts from exactly those objects, as the kubelet would give them to it. One platform and one operator serve
//! all tests of this binary; each test has a namespace of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod clouds;
mod examples;
mod support;
mod unsealed;
