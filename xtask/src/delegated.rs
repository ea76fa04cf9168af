//! Commands whose work is done by programs of `tests/`: they need Kubernetes clients and real servers, which this package must not compile.

use std::time::Duration;

use anyhow::{Context, Result, bail};

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

/// `cargo xtask crds`.
///
/// # Errors
/// With `check`: some are stale.
pub(crate) fn crds(check: bool) -> Result<()> {
    program("crds", if check { &["--check"] } else { &[] })
}

fn program(name: &str, arguments: &[&str]) -> Result<()> {
    let mut command = cargo::command();
    command.args(["run", "--quiet", "--package", "banhbaoring-tests", "--bin", name]);
    let status = command.arg("--").args(arguments).status().with_context(|| format!("cannot start the program {name}"))?;
    if status.success() {
        return Ok(());
    }
    progress::say("");
    bail!("{name} ended with {status}; why stands above")
}
