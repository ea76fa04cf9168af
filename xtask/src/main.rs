//! `cargo xtask`: the project's own commands. This file reads the command line; each command is a module.
//!
//! What must not live here: anything that a user of BanhBaoRing needs. That is the `banhbaoring` command.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

mod cargo;
mod compiler;
mod debian;
mod delegated;
mod fuzz;
mod guest;
mod guest_toolchain;
mod lanes;
mod plugins;
mod progress;
mod step;
mod test;
mod tools;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build and install the servers and tools that tests and demo run (once; about 30 minutes on two cores).
    Tools,
    /// Build the first-party plugins to components.
    Plugins {
        /// Only these, by the name after `banhbaoring-plugin-`.
        #[arg(long, value_name = "NAME")]
        only: Vec<String>,
        /// Where the components go.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Show the main job on this machine: signed plugins turn resources into running trees, on real servers.
    Demo {
        /// With pods that run: on a cluster of one node, the operator in containers from its chart, until a key is pressed. Needs root.
        #[arg(long)]
        node: bool,
    },
    /// Measure what `design/performance.md` promises, in release mode, and write target/bench/report.{json,html}.
    Bench {
        /// Handed to the benchmark: --quick, --owners N, --only process|owners|memory, --strict.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Write the definitions of every kind to crds/.
    Crds {
        /// Only say which are stale.
        #[arg(long)]
        check: bool,
    },
    /// Write what the Helm chart has from plugins and definitions, and the manifest rendered from it; after `plugins` and `cargo build`.
    Chart {
        /// Only say which are stale.
        #[arg(long)]
        check: bool,
    },
    /// Throw bytes of outsiders at whatever reads or writes them: every target of `fuzz/` for a while.
    Fuzz {
        /// How long each target is run.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
        /// Only these targets, by the name of their file.
        #[arg(long, value_name = "TARGET")]
        only: Vec<String>,
    },
    /// Check and test everything: tools, format, lints, plugins, all tests.
    Test {
        /// Handed to `cargo test`.
        #[arg(last = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Tools => tools::run(),
        Command::Plugins { only, out } => plugins::run(&only, out),
        Command::Demo { node } => delegated::demo(node),
        Command::Bench { arguments } => delegated::bench(&arguments),
        Command::Crds { check } => delegated::crds(check),
        Command::Chart { check } => delegated::chart(check),
        Command::Fuzz { seconds, only } => fuzz::run(&only, seconds),
        Command::Test { arguments } => test::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
