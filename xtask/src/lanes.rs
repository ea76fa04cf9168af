//! All tests: in two lanes beside each other, then those that fill the machine by themselves. One after the other they leave two cores idle for a quarter
//! of the run.

use std::{
    fs::File,
    io,
    path::PathBuf,
    process::{Child, Command},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{cargo, progress};

/// Binaries of one lane. The other has all else, and takes about as long: in both, most of the time is spent on waiting for elections, leases and timeouts.
const BESIDE: [&str; 4] = ["chart", "initialisation", "seals", "supply"];
/// Binaries that are run when nothing else is: 31 tests against one API server, and a node with its containers, whose probes have the timeouts of production.
const ALONE: [&str; 2] = ["owners", "node"];
/// What the first lane writes, until it is shown.
const LOG: &str = "tests-beside.log";

/// Runs every test; `prepare` gives each command what all tests need.
///
/// # Errors
/// Tests failed, in one lane or both; what they wrote stands above.
pub(crate) fn run(prepare: impl Fn(&mut Command)) -> Result<()> {
    let names = test_targets(&cargo::metadata()?);
    if let Some(gone) = BESIDE.iter().chain(&ALONE).find(|known| !names.iter().any(|name| name == *known)) {
        bail!("expected a test binary {gone}, found none of that name: mend the names in xtask/src/lanes.rs");
    }
    let others = names.iter().map(String::as_str).filter(|name| !BESIDE.contains(name) && !ALONE.contains(name));

    progress::say(&format!("{} run beside the others; what they write is shown when both are through", BESIDE.join(", ")));
    let mut beside = Lane::start(&mut tests(&prepare, &[], BESIDE))?;
    let here = passed(&mut tests(&prepare, &["--lib", "--bins"], others))?;
    let documents = passed(&mut tests(&prepare, &["--doc"], []))?;
    let there = beside.show()?;
    let last = passed(&mut tests(&prepare, &[], ALONE))?;
    if here && documents && there && last {
        return Ok(());
    }
    bail!("tests failed; what they wrote stands above")
}

/// The names of all integration tests, each once.
fn test_targets(metadata: &Value) -> Vec<String> {
    let targets =
        metadata["packages"].as_array().into_iter().flatten().flat_map(|package| package["targets"].as_array().into_iter().flatten());
    let tests = targets.filter(|target| target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "test")));
    let mut names: Vec<String> = tests.filter_map(|target| target["name"].as_str().map(str::to_owned)).collect();
    names.sort();
    names.dedup();
    names
}

/// Targets of these kinds, and the integration tests of these names. With the whole workspace selected, features are those of the compile stage, so nothing
/// is compiled again.
fn tests<'a>(prepare: &impl Fn(&mut Command), kinds: &[&str], names: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = cargo::tests();
    command.args(kinds).args(names.into_iter().flat_map(|name| ["--test", name]));
    prepare(&mut command);
    command
}

fn passed(command: &mut Command) -> Result<bool> {
    Ok(command.status().context("cannot start cargo test")?.success())
}

/// Tests whose output waits in a file.
struct Lane {
    process: Child,
    log: PathBuf,
}

impl Lane {
    fn start(command: &mut Command) -> Result<Self> {
        let path = cargo::target_folder().join(LOG);
        let log = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let process = command.stdout(log.try_clone()?).stderr(log).spawn().context("cannot start cargo test")?;
        Ok(Self { process, log: path })
    }

    /// Waits for the end and shows what was written; whether all passed.
    fn show(&mut self) -> Result<bool> {
        let passed = self.process.wait()?.success();
        io::copy(&mut File::open(&self.log)?, &mut io::stderr())?;
        Ok(passed)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn integration_tests_are_told_from_other_targets_and_named_once() {
        let of = |names: &[(&str, &str)]| json!({"targets": names.iter().map(|(kind, name)| json!({"kind": [kind], "name": name})).collect::<Vec<_>>()});
        let metadata =
            json!({"packages": [of(&[("lib", "a"), ("test", "goldens")]), of(&[("test", "owners"), ("test", "goldens"), ("bin", "b")])]});
        assert_eq!(test_targets(&metadata), ["goldens", "owners"]);
    }
}
