//! The real `helm`, as a platform team runs it, and where the chart is.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use banhbaoring_testing::scratch::Scratch;
use banhbaoring_testing::tools::{self, workspace_root};
use serde::Deserialize as _;
use serde_json::Value;
use tokio::process::Command;

/// The chart of this checkout.
#[must_use]
pub fn chart() -> PathBuf {
    workspace_root().join("charts/operator")
}

/// `helm` with a home of its own.
#[derive(Debug)]
pub struct Helm {
    program: PathBuf,
    kubeconfig: Option<PathBuf>,
    home: Scratch,
}

impl Helm {
    /// With a cluster, or without one for what needs none.
    ///
    /// # Errors
    /// It was not built.
    pub fn new(kubeconfig: Option<&Path>) -> Result<Self> {
        Ok(Self { program: tools::find("helm")?, kubeconfig: kubeconfig.map(Path::to_owned), home: Scratch::new("helm")? })
    }

    /// Runs it; its standard output.
    ///
    /// # Errors
    /// It failed; the error has what it said.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().env("HOME", self.home.path()).stdin(Stdio::null()).kill_on_drop(true);
        if let Some(kubeconfig) = &self.kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        let output = command.output().await.with_context(|| format!("start {}", self.program.display()))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if !output.status.success() {
            bail!("helm {} ended with {}: {}{}", arguments.join(" "), output.status, text(&output.stdout), text(&output.stderr));
        }
        Ok(text(&output.stdout))
    }
}

/// The documents of a YAML stream, without empty ones.
///
/// # Errors
/// It is not YAML.
pub fn documents(text: &str) -> Result<Vec<Value>> {
    let documents = serde_yaml::Deserializer::from_str(text).map(Value::deserialize).collect::<Result<Vec<_>, _>>()?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}
