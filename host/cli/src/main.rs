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
/// took, and went on growing.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Both TLS backends are somewhere in the graph; exactly one may be the process's default.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        return output::fail(&error::CliError::Crypto);
    }
    match command::run(args::Args::parse()) {
        Ok(code) => code,
        Err(error) => output::fail(&error),
    }
}
