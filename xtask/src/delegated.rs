//! Commands whose work is done by programs of `tests/`: they need Kubernetes clients and real servers, which this package must not compile.

use std::{os::unix::process::CommandExt, process::Command, time::Duration};

use anyhow::{Context, Result, bail};

use crate::{cargo, plugins, progress, step, tools};

/// What compiling the binary and the demo usually takes from nothing on two cores.
const COMPILE: Duration = Duration::from_secs(600);

/// `cargo xtask demo`. Returns only where the demo cannot be started: this process becomes the demo, so that a Ctrl-C at the terminal ends when the
/// demo has cleared up and not before.
///
/// # Errors
/// Something cannot be built or started.
pub(crate) fn demo(node: bool) -> Result<()> {
    tools::run()?;
    plugins::run(&[], None)?;
    let mut demo = program("demo")?;
    demo.args(node.then_some("--node"));
    Err(demo.exec()).context("cannot start the demo")
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
    let folder = cargo::target_folder().join("release");
    let mut command = Command::new(folder.join("banhbaoring-bench"));
    finished("the benchmark", command.env("BANHBAORING_BINARY", folder.join("banhbaoring")).args(arguments))
}

/// `cargo xtask crds`.
///
/// # Errors
/// With `check`: some are stale.
pub(crate) fn crds(check: bool) -> Result<()> {
    finished("crds", program("crds")?.args(check.then_some("--check")))
}

/// `cargo xtask chart`: needs the components and the command line, which say what each plugin asks for.
///
/// # Errors
/// With `check`: some are stale.
pub(crate) fn chart(check: bool) -> Result<()> {
    finished("chart", program("chart")?.args(check.then_some("--check")))
}

/// One of this workspace's programs. All are built, the operator and what keeps nodes among them, because cargo compiles what they share in other features
/// for each selection of packages: chosen one by one, most of it was compiled three times.
fn program(name: &str) -> Result<Command> {
    let mut build = cargo::command();
    build.args(["build", "--workspace", "--bins"]);
    step::quietly("compiling the operator and the programs around it", COMPILE, None, &mut build)?;
    Ok(Command::new(cargo::target_folder().join("debug").join(name)))
}

fn finished(name: &str, command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {name}"))?;
    if status.success() {
        return Ok(());
    }
    progress::say("");
    bail!("{name} ended with {status}; why stands above")
}
