//! Where and of what was measured, and what the kernel says of a process.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};
use banhbaoring_testing::tools::workspace_root;
use serde::Serialize;

/// Linux counts CPU time for `/proc` in hundredths of a second on every architecture that we run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// The machine, the moment and the build.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    pub(crate) date: String,
    pub(crate) commit: String,
    pub(crate) profile: &'static str,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    pub(crate) load: String,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor =
            processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name.to_owned());
        let memory = field("/proc/meminfo", "MemTotal:").unwrap_or_default();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let (commit, changes) = (git(&["rev-parse", "--short=12", "HEAD"]), git(&["status", "--porcelain"]));
        Self {
            date: chrono::Utc::now().format("%Y-%m-%d %H:%M UTC").to_string(),
            commit: if changes.is_empty() { commit } else { format!("{commit} with changes") },
            profile: if cfg!(debug_assertions) { "dev" } else { "release" },
            processor: processor.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_gib: memory >> 20,
            kernel: format!("Linux {}", kernel.trim()),
            load: load.split_whitespace().next().unwrap_or_default().to_owned(),
        }
    }
}

fn git(arguments: &[&str]) -> String {
    let output = Command::new("git").args(arguments).current_dir(workspace_root()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// What a process holds and has used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reading {
    /// Resident, in KiB.
    pub(crate) resident: u64,
    /// Of that, memory of its own that is in no file.
    pub(crate) anonymous: u64,
    /// Of that, pages of files: the program itself.
    pub(crate) file: u64,
    /// The most that was ever resident.
    pub(crate) peak: u64,
    /// User and system time, in seconds.
    pub(crate) cpu: f64,
}

impl Reading {
    /// Of a process.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/status");
        let kib = |name: &str| field(&path, name).with_context(|| format!("{name} in {path}"));
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in brackets may hold anything; what follows it does not.
        let fields: Vec<&str> = stat.rsplit_once(')').context("stat")?.1.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
        Ok(Self {
            resident: kib("VmRSS:")?,
            anonymous: kib("RssAnon:")?,
            file: kib("RssFile:")?,
            peak: kib("VmHWM:")?,
            cpu: (ticks(11) + ticks(12)) / TICKS_PER_SECOND,
        })
    }

    pub(crate) fn told(&self) -> String {
        format!("{} ({} own, {} program)", mebibytes(self.resident), mebibytes(self.anonymous), mebibytes(self.file))
    }
}

/// `12.3 MiB` of KiB.
pub(crate) fn mebibytes(kib: u64) -> String {
    format!("{:.1} MiB", as_mebibytes(kib))
}

pub(crate) fn as_mebibytes(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// The number behind a name in a file of `/proc`.
fn field(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}
