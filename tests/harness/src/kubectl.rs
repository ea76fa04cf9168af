//! The real `kubectl`, as a user runs it.

use std::path::PathBuf;
use std::process::{Output, Stdio};

use tokio::{io::AsyncWriteExt, process::Command};

use crate::{Error, Result, tools};

/// `kubectl` with a kubeconfig and, when set, a namespace.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    namespace: Option<String>,
}

impl Kubectl {
    /// With the given kubeconfig.
    ///
    /// # Errors
    /// [`Error::Tool`] when it was not built.
    pub fn new(kubeconfig: impl Into<PathBuf>) -> Result<Self> {
        Ok(Self { program: tools::find("kubectl")?, kubeconfig: kubeconfig.into(), namespace: None })
    }

    /// The same with `--namespace`.
    #[must_use]
    pub fn in_namespace(&self, namespace: impl Into<String>) -> Self {
        Self { namespace: Some(namespace.into()), ..self.clone() }
    }

    /// Runs it and returns what it wrote to standard output.
    ///
    /// # Errors
    /// [`Error::Command`] with what it wrote to standard error.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        self.run_with_input(arguments, "").await
    }

    /// Server-side applies YAML or JSON.
    ///
    /// # Errors
    /// [`Error::Command`] with the API server's refusal.
    pub async fn apply(&self, manifests: &str) -> Result<String> {
        self.run_with_input(&["apply", "--server-side", "-f", "-"], manifests).await
    }

    /// Server-side applies YAML or JSON and returns the warnings that came with it.
    ///
    /// # Errors
    /// [`Error::Command`] with the API server's refusal.
    pub async fn apply_for_warnings(&self, manifests: &str) -> Result<String> {
        let output = self.output(&["apply", "--server-side", "-f", "-"], manifests).await?;
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Runs it with text at standard input.
    ///
    /// # Errors
    /// [`Error::Command`] with what it wrote to standard error.
    pub async fn run_with_input(&self, arguments: &[&str], input: &str) -> Result<String> {
        let output = self.output(arguments, input).await?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    async fn output(&self, arguments: &[&str], input: &str) -> Result<Output> {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        if let Some(namespace) = &self.namespace {
            command.args(["--namespace", namespace]);
        }
        let mut child = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::machine(format!("start {}", self.program.display())))?;
        let pipe = child.stdin.take();
        let write = async {
            if let Some(mut pipe) = pipe {
                // It may refuse its arguments before it reads: the exit status tells.
                let _ = pipe.write_all(input.as_bytes()).await;
            }
        };
        let ((), output) = tokio::join!(write, child.wait_with_output());
        let output = output.map_err(Error::machine("wait for kubectl"))?;
        if output.status.success() {
            return Ok(output);
        }
        Err(Error::Command {
            command: format!("kubectl {}", arguments.join(" ")),
            status: output.status.to_string(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}
