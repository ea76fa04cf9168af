//! `cargo xtask tools`: builds and installs what the tests run, once, into the cache.
//!
//! What is built stands in `banhbaoring_testing::tools`; here stands how. Every tool is made in a folder beside its place and moved there when it
//! is whole, so an interrupted build is never found.

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use banhbaoring_testing::tools::{self, GO_MODULES, GoModule, NODE_PACKAGES, PYTHON_ENVIRONMENTS, PythonEnvironment};

use crate::{debian, guest_toolchain, progress, step};

/// Builds and installs everything that is not there.
///
/// # Errors
/// When a prerequisite is missing, with the command that mends it; when a build fails, with the end of its output.
pub(crate) fn run() -> Result<()> {
    let cache = tools::cache()?.join("tools");
    fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let lock = File::create(cache.join("lock")).with_context(|| format!("cannot write to {}", cache.display()))?;
    if lock.try_lock().is_err() {
        progress::say("waiting for another `cargo xtask tools`");
        lock.lock()?;
    }
    let mut there = Vec::new();
    let mut to_build = Vec::new();
    for module in GO_MODULES {
        let place = module.location()?;
        if module.binaries.iter().all(|binary| place.join(binary.name).is_file()) {
            there.push(module.about);
        } else {
            to_build.push((module, place));
        }
    }
    let total: u64 = to_build.iter().map(|(module, _)| module.usual_seconds).sum();
    if !to_build.is_empty() {
        need_go()?;
        let usual = progress::spoken(Duration::from_secs(total));
        progress::say(&format!(
            "{} of {} servers to build, usually {usual} on two cores when nothing is cached",
            to_build.len(),
            GO_MODULES.len()
        ));
    }
    for (module, place) in to_build {
        debian::ensure(module.packages, &format!("to build {}", module.about))?;
        build(module, &place)?;
    }
    for python in PYTHON_ENVIRONMENTS {
        let place = python.location()?;
        if python.commands.iter().all(|command| place.join("bin").join(command).is_file()) {
            there.push(python.about);
        } else {
            install(python, &place)?;
        }
    }
    if !step::on_path("setpriv") {
        debian::ensure(&["util-linux"], "to stop servers together with the test that started them")?;
    }
    if !step::on_path("make") {
        debian::ensure(&["make"], "to compile the operator's allocator")?;
    }
    debian::ensure(NODE_PACKAGES, "to run a node with its pods")?;
    let toolchain = guest_toolchain::ensure()?;
    progress::say(&format!("there already: {}", if there.is_empty() { "nothing".to_owned() } else { there.join(", ") }));
    progress::say(&format!("plugins are built with {}", toolchain.about()));
    progress::say(&format!("all tools are in {}", cache.display()));
    Ok(())
}

fn need_go() -> Result<()> {
    if step::on_path("go") {
        return Ok(());
    }
    bail!(
        "expected `go` (1.26 or later) on the PATH, found none: the servers are built from Go modules; install it from https://go.dev/dl/ (tar -C /usr/local -xzf go1.26*.tar.gz; export PATH=/usr/local/go/bin:$PATH)"
    )
}

fn build(module: &GoModule, place: &Path) -> Result<()> {
    let unfinished = unfinished(place)?;
    for binary in module.binaries {
        let mut command = Command::new("go");
        command
            .current_dir(tools::definition(module.folder))
            .env("GOWORK", "off")
            .envs(module.environment.iter().copied())
            .args(["build", "-ldflags", module.ldflags, "-o"])
            .arg(unfinished.join(binary.name))
            .arg(binary.package);
        // The first binary of a module pays for the packages that they share.
        let first = module.binaries.first().is_some_and(|first| first.name == binary.name);
        let usual = Duration::from_secs(if first { module.usual_seconds } else { module.usual_seconds.min(60) });
        let about = if module.binaries.len() == 1 { format!("building {}", module.about) } else { format!("building {}", binary.name) };
        step::quietly(&about, usual, None, &mut command)?;
    }
    finish(&unfinished, place)
}

fn install(python: &PythonEnvironment, place: &Path) -> Result<()> {
    if !step::on_path("python3") {
        debian::ensure(&["python3", "python3-venv"], &format!("for {}", python.about))?;
    }
    // Debian splits the module that makes environments with pip from the interpreter.
    if step::output(Command::new("python3").args(["-c", "import ensurepip, venv"])).is_err() {
        debian::ensure(&["python3-venv"], &format!("for {}", python.about))?;
    }
    // Not beside its place: scripts of an environment carry its absolute path. Its commands appear last, so half of one is not taken for a whole.
    if place.exists() {
        fs::remove_dir_all(place).with_context(|| format!("cannot remove {}", place.display()))?;
    }
    let requirements = tools::definition(python.folder).join("requirements.txt");
    let result =
        step::quietly("making a Python environment", Duration::from_secs(6), None, Command::new("python3").args(["-m", "venv"]).arg(place))
            .and_then(|()| {
                let mut command = Command::new(place.join("bin/pip"));
                // Every version is in the file, so nothing is left to resolve.
                command.args(["install", "--no-deps", "--disable-pip-version-check", "-r"]).arg(&requirements);
                step::quietly(&format!("installing {}", python.about), Duration::from_secs(python.usual_seconds), None, &mut command)
            });
    if result.is_err() {
        let _ = fs::remove_dir_all(place);
    }
    result
}

fn unfinished(place: &Path) -> Result<PathBuf> {
    let mut name = OsString::from(place.file_name().context("a tool's place has a name")?);
    name.push(format!(".unfinished-{}", std::process::id()));
    let unfinished = place.with_file_name(name);
    fs::create_dir_all(&unfinished).with_context(|| format!("cannot make {}", unfinished.display()))?;
    Ok(unfinished)
}

fn finish(unfinished: &Path, place: &Path) -> Result<()> {
    if place.exists() {
        fs::remove_dir_all(place).with_context(|| format!("cannot remove {}", place.display()))?;
    }
    fs::rename(unfinished, place).with_context(|| format!("cannot move {} to {}", unfinished.display(), place.display()))
}
