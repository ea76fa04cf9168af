//! Whether the pinned compiler optimises a program of ours into one that still means the same.
//!
//! rustc 1.77 to 1.97 may reuse an argument that was moved into a closure and dropped there (rust-lang/rust#155241): in a release build of safe code
//! the heap was corrupted, in the operator's own crates too. Tests run without optimisation and cannot see it; what is shipped is optimised.

use std::process::Command;

use anyhow::{Context, Result, bail};
use banhbaoring_testing::tools::workspace_root;

const PROBE: &str = include_str!("compiler/probe.rs");

/// Compiles the probe as a release is compiled, and runs it.
///
/// # Errors
/// It does not compile, or does not do what it says.
pub(crate) fn check() -> Result<()> {
    let folder = workspace_root().join("target/compiler");
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let (source, program) = (folder.join("probe.rs"), folder.join("probe"));
    std::fs::write(&source, PROBE).with_context(|| format!("write {}", source.display()))?;
    let mut rustc = Command::new("rustc");
    rustc.current_dir(workspace_root()).args(["-O", "--edition", "2024", "-o"]).arg(&program).arg(&source);
    let compiled = rustc.status().context("start rustc")?;
    if !compiled.success() {
        bail!("rustc ended with {compiled}; what it wrote stands above");
    }
    let ran = Command::new(&program).output().with_context(|| format!("start {}", program.display()))?;
    let said = String::from_utf8_lossy(&ran.stdout);
    if !ran.status.success() || said.trim() != "3 3 3" {
        bail!(
            "expected a compiler that optimises without changing what a program does, found one that made `{}` ({}) of `3 3 3`; \
             pin another in rust-toolchain.toml (rust-lang/rust#155241)",
            said.trim(),
            ran.status
        );
    }
    Ok(())
}
