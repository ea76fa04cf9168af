//! `cargo xtask fuzz`: bytes of outsiders against whatever reads or writes them, each target of `fuzz/targets` for a while.
//!
//! The fuzzer is compiled into every target by the compiler of this workspace with the flags of `fuzz/.cargo/config.toml`: no other compiler and no
//! `cargo fuzz` is needed. What a target looks at and what must hold is said there, not here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use banhbaoring_testing::tools::workspace_root;

use crate::{cargo, progress, step};

/// What compiling the targets usually takes from nothing on two cores.
const COMPILE: Duration = Duration::from_secs(900);
/// An input that takes longer than this is a finding too.
const SLOWEST: u32 = 10;
const MEBIBYTES: u32 = 2_048;
const SHOWN_LINES: usize = 40;

/// Runs all targets, or those of the names, for so many seconds each.
///
/// # Errors
/// A name is unknown, a target cannot be built, or one found something: with the file that makes it happen again.
pub(crate) fn run(only: &[String], seconds: u32) -> Result<()> {
    let folder = workspace_root().join("fuzz");
    let targets = chosen(targets(&folder)?, only)?;
    let mut build = command(&folder, "build");
    step::quietly("compiling the fuzz targets", COMPILE, None, &mut build)?;
    let mut found = Vec::new();
    for target in targets {
        match fuzz(&folder, &target, seconds) {
            Ok(told) => progress::say(&format!("{target}: {told}")),
            Err(error) => {
                progress::say(&format!("{target}: {error:#}"));
                found.push(target);
            }
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    bail!(
        "{} found something, told above: make a failing test of it, mend it, and see with `cargo xtask fuzz {}` that it is gone",
        found.join(", "),
        found.iter().map(|target| format!("--only {target}")).collect::<Vec<_>>().join(" ")
    )
}

/// The names of all targets, sorted.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let folder = folder.join("targets");
    let files = fs::read_dir(&folder).with_context(|| format!("cannot read {}; is the checkout complete?", folder.display()))?;
    let files = files.map(|file| Ok(file?.path())).collect::<Result<Vec<PathBuf>>>()?;
    let sources = files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut names: Vec<String> = sources.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect();
    names.sort();
    Ok(names)
}

fn chosen(all: Vec<String>, only: &[String]) -> Result<Vec<String>> {
    if let Some(unknown) = only.iter().find(|name| !all.contains(name)) {
        bail!("expected --only to name one of {}, found {unknown}", all.join(", "));
    }
    Ok(all.into_iter().filter(|name| only.is_empty() || only.contains(name)).collect())
}

/// A cargo in the workspace of the targets, which has a target directory of its own.
fn command(folder: &Path, subcommand: &str) -> Command {
    let mut command = cargo::command();
    command.current_dir(folder).arg(subcommand).args(["--release", "--target-dir"]).arg(folder.join("target"));
    command
}

/// Returns how much was tried.
fn fuzz(folder: &Path, target: &str, seconds: u32) -> Result<String> {
    let [corpus, seeds, artifacts] = ["corpus", "seeds", "artifacts"].map(|name| folder.join(name).join(target));
    for made in [&corpus, &artifacts] {
        fs::create_dir_all(made).with_context(|| format!("cannot make {}", made.display()))?;
    }
    let mut command = command(folder, "run");
    command.args(["--quiet", "--bin", target, "--"]);
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-timeout={SLOWEST}")).arg(format!("-rss_limit_mb={MEBIBYTES}"));
    command.arg(format!("-artifact_prefix={}/", artifacts.display())).arg(corpus);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    let output = command.output().with_context(|| format!("cannot start {target}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().collect();
    if !output.status.success() {
        bail!("{}\n{}", output.status, lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default().join("\n"));
    }
    Ok(lines.iter().rfind(|line| line.starts_with("Done ")).copied().unwrap_or("ended without saying how much it tried").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_compiled_and_every_program_has_its_target() {
        let folder = workspace_root().join("fuzz");
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let mut compiled: Vec<&str> =
            manifest.lines().filter_map(|line| line.strip_prefix("path = \"targets/")?.strip_suffix(".rs\"")).collect();
        compiled.sort_unstable();
        assert_eq!(targets(&folder).unwrap(), compiled);
        assert!(chosen(targets(&folder).unwrap(), &["no such target".to_owned()]).is_err());
    }
}
