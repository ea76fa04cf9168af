//! The `banhbaoring` binary as a person at a terminal calls it.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use banhbaoring_testing::tools::workspace_root;
use tokio::process::Command;

/// The built binary.
#[derive(Debug, Clone)]
pub struct Banhbaoring {
    path: PathBuf,
}

/// What a call printed.
#[derive(Debug, Clone)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Exit code; -1 after a signal.
    pub code: i32,
}

impl Banhbaoring {
    /// Finds it: `BANHBAORING_BINARY`, else as `cargo build -p banhbaoring-cli` leaves it.
    ///
    /// # Errors
    /// It was not built.
    pub fn find() -> Result<Self> {
        let path = std::env::var_os("BANHBAORING_BINARY").map_or_else(|| workspace_root().join("target/debug/banhbaoring"), PathBuf::from);
        if !path.is_file() {
            bail!("expected the binary at {}; run `cargo build -p banhbaoring-cli`", path.display());
        }
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Calls it, whatever comes of it.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn call(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Output> {
        let output = Command::new(&self.path)
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("start {}", self.path.display()))?;
        Ok(Output {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or(-1),
        })
    }

    /// Calls it; its standard output.
    ///
    /// # Errors
    /// It failed; the error has what it said.
    pub async fn succeed(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<String> {
        let output = self.call(arguments, environment).await?;
        if output.code != 0 {
            bail!("banhbaoring {} ended with {}: {}{}", arguments.join(" "), output.code, output.stdout, output.stderr);
        }
        Ok(output.stdout)
    }
}
