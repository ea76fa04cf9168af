//! Calling cargo from a program that cargo runs.

use std::{env, path::PathBuf, process::Command};

use anyhow::{Context, Result};
use banhbaoring_testing::tools::workspace_root;
use serde_json::Value;

use crate::step;

/// The cargo that runs us, in the workspace.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace_root());
    // Cargo describes this package to us; build scripts that look at such variables would see another world on every call.
    for (name, _) in env::vars_os() {
        let told = name.to_string_lossy();
        if told.starts_with("CARGO_PKG_") || told.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// All tests of the workspace, if nothing else is said.
pub(crate) fn tests() -> Command {
    let mut command = command();
    command.args(["test", "--workspace", "--no-fail-fast"]);
    command
}

/// Where that cargo puts what it builds.
pub(crate) fn target_folder() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace_root().join("target"), PathBuf::from)
}

/// What cargo says of the members of this workspace.
///
/// # Errors
/// Cargo cannot read it, with what it wrote.
pub(crate) fn metadata() -> Result<Value> {
    let metadata = step::output(command().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    serde_json::from_str(&metadata).context("expected JSON from cargo metadata")
}
