//! `cargo xtask test`: everything that we promise, in stages, each with its time.
//!
//! One profile and one target folder for all of it. One control plane serves all test binaries; each test has a namespace of its own.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use banhbaoring_testing::KUBECONFIG_VARIABLE;

use crate::{cargo, compiler, delegated, lanes, plugins, progress, tools};

/// Runs all stages up to the first that fails; `arguments` go to `cargo test`.
///
/// # Errors
/// The first stage that failed.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut times = Times::default();
    let result = stages(&mut times, arguments);
    times.show();
    result
}

fn stages(times: &mut Times, arguments: &[String]) -> Result<()> {
    times.stage("tools", tools::run)?;
    times.stage("compiler", compiler::check)?;
    times.stage("format", || shown(cargo::command().args(["fmt", "--all", "--check"])))?;
    times.stage("lints", || shown(cargo::command().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])))?;
    times.stage("definitions", || delegated::crds(true))?;
    times.stage("plugins", || plugins::run(&[], None))?;
    times.stage("chart", || delegated::chart(true))?;
    times.stage("compile", || shown(cargo::command().args(["test", "--workspace", "--no-run"])))?;
    let plane = times.stage("control plane", ControlPlane::start)?;
    times.stage("tests", || {
        let prepare = |command: &mut Command| {
            // Most tests wait for servers most of the time; two at once would leave the machine idle for half of the run.
            command.env("RUST_TEST_THREADS", std::env::var("RUST_TEST_THREADS").unwrap_or_else(|_| "4".to_owned()));
            command.env(KUBECONFIG_VARIABLE, &plane.kubeconfig);
        };
        if arguments.is_empty() {
            return lanes::run(prepare);
        }
        let mut command = cargo::tests();
        command.args(arguments);
        prepare(&mut command);
        shown(&mut command)
    })?;
    times.stage("stop", || plane.stop())
}

/// Runs a command whose output is for the reader.
fn shown(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if status.success() {
        return Ok(());
    }
    bail!("cargo ended with {status}; what it wrote stands above")
}

/// How long each stage took, in their order.
#[derive(Default)]
struct Times {
    stages: Vec<(&'static str, Duration, bool)>,
}

impl Times {
    fn stage<T>(&mut self, name: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        progress::say(&format!("\n── {name}"));
        let start = Instant::now();
        let result = work();
        self.stages.push((name, start.elapsed(), result.is_ok()));
        result.with_context(|| format!("stage {name}"))
    }

    fn show(&self) {
        progress::say("");
        for (name, time, passed) in &self.stages {
            let mark = if *passed { "✓" } else { "✗" };
            progress::say(&format!("{mark} {name:<14} {:>12}", progress::spoken(*time)));
        }
        let total = self.stages.iter().map(|(_, time, _)| *time).sum();
        progress::say(&format!("  {:<14} {:>12}", "all", progress::spoken(total)));
    }
}

/// The control plane of the whole run, in a process that stops it when our end of the pipe closes: also when we are killed.
struct ControlPlane {
    process: Child,
    pipe: Option<ChildStdin>,
    kubeconfig: PathBuf,
}

impl ControlPlane {
    fn start() -> Result<Self> {
        let mut process = Command::new(cargo::target_folder().join("debug/control-plane"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start target/debug/control-plane, which the stage before built")?;
        let pipe = process.stdin.take();
        let mut line = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let plane = Self { process, pipe, kubeconfig: PathBuf::from(line.trim()) };
        if line.is_empty() {
            bail!("expected the path of a kubeconfig, found the end of the control plane; why stands above");
        }
        progress::say(&format!("KUBECONFIG={}", plane.kubeconfig.display()));
        Ok(plane)
    }

    fn stop(mut self) -> Result<()> {
        self.close()
    }

    fn close(&mut self) -> Result<()> {
        drop(self.pipe.take());
        let status = self.process.wait()?;
        if status.success() { Ok(()) } else { bail!("the control plane ended with {status}") }
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // A failure before this point is the one to tell.
        let _ = self.close();
    }
}
