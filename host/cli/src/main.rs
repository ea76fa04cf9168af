//! The `banhbaoring` binary: parses arguments and hands over. Everything it can do lives in the crates above.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

mod args;
mod command;
mod error;
mod output;
mod sources;

use std::process::ExitCode;

use clap::Parser as _;

/// Two fifths of the operator's time went into glibc's allocator, and the image's musl has a slower one. Not mimalloc: it kept what hostile answers
/// took, and went on growing. `.cargo/config.toml` says how soon it gives memory back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    command::run(args::Args::parse()).unwrap_or_else(|error| output::fail(&error))
}
