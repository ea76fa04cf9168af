//! Commands whose work is done by programs of `tests/`: they need Kubernetes clients and real servers, which this package must not compile.

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result, bail};
use banhbaoring_testing::tools::workspace_root;

use crate::{cargo, plugins, progress, step, tools};

/// What compiling the binary and the demo usually takes from nothing on two cores.
const COMPILE: Duration = Duration::from_secs(600);

/// `cargo xtask demo`.
///
/// # Errors
/// Something cannot be built, or the demo failed; what it printed stands above.
pub(crate) fn demo() -> Result<()> {
    tools::run()?;
    plugins::run(&[], None)?;
    let mut build = cargo::command();
    build.args(["build", "--package", "banhbaoring-cli", "--package", "banhbaoring-tests"]);
    step::quietly("compiling the operator", COMPILE, None, &mut build)?;
    program("demo", &[])
}

/// `cargo xtask bench`: the one command that needs a second profile, because what a debug build takes says nothing.
///
/// # Errors
/// Something cannot be built, or the benchmark failed or, if asked for, a limit was not kept; what it printed stands above.
pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    tools::run()?;
    plugins::run(&[], None)?;
    let mut build = cargo::command();
    build.args(["build", "--release", "--package", "banhbaoring-cli", "--package", "banhbaoring-bench"]);
    step::quietly("compiling the operator and the benchmark in release mode", COMPILE, None, &mut build)?;
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace_root().join("target"), PathBuf::from).join("release");
    let mut command = Command::new(folder.join("banhbaoring-bench"));
    finished("the benchmark", command.env("BANHBAORING_BINARY", folder.join("banhbaoring")).args(arguments))
}

/// `cargo xtask crds`.
///
/// # Errors
/// With `check`: some are stale.
pub(crate) fn crds(check: bool) -> Result<()> {
    program("crds", if check { &["--check"] } else { &[] })
}

/// `cargo xtask chart`: needs the components and the command line, which say what each plugin asks for.
///
/// # Errors
/// With `check`: some are stale.
pub(crate) fn chart(check: bool) -> Result<()> {
    program("chart", if check { &["--check"] } else { &[] })
}

fn program(name: &str, arguments: &[&str]) -> Result<()> {
    let mut command = cargo::command();
    command.args(["run", "--quiet", "--package", "banhbaoring-tests", "--bin", name]);
    finished(name, command.arg("--").args(arguments))
}

fn finished(name: &str, command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {name}"))?;
    if status.success() {
        return Ok(());
    }
    progress::say("");
    bail!("{name} ended with {status}; why stands above")
}
