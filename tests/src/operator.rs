//! `banhbaoring run` as a process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use banhbaoring_testing::scratch::Scratch;
use banhbaoring_testing::server::{Launch, Server};
use banhbaoring_testing::wait;

use crate::Banhbaoring;

/// How an operator is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its credentials.
    pub kubeconfig: PathBuf,
    /// Its own namespace: of the Lease and the inventories. Two operators with different ones know nothing of each other.
    pub namespace: String,
    /// Its name in the election.
    pub identity: String,
}

/// A running operator. Killed when dropped.
#[derive(Debug)]
pub struct Operator {
    server: Server,
    scratch: Scratch,
}

impl Operator {
    /// Starts it; returns at once.
    ///
    /// # Errors
    /// The binary is not built.
    pub fn start(options: &Options) -> Result<Self> {
        let scratch = Scratch::new("operator")?;
        let binary = Banhbaoring::find()?;
        let path = |name: &str| scratch.path().join(name).display().to_string();
        let arguments = vec![
            "run".to_owned(),
            "--kubeconfig".to_owned(),
            options.kubeconfig.display().to_string(),
            "--host-namespace".to_owned(),
            options.namespace.clone(),
            "--identity".to_owned(),
            options.identity.clone(),
            "--listen".to_owned(),
            "127.0.0.1:0".to_owned(),
            "--data".to_owned(),
            path("data"),
            "--cache-key".to_owned(),
            path("cache.key"),
        ];
        let server =
            Launch::program("operator", binary.path(), scratch.path()).args(arguments).env("BANHBAORING_LOG", "info,kube=warn").start()?;
        Ok(Self { server, scratch })
    }

    /// Its process: to kill it, or to start it again on the same data.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Where its data is.
    #[must_use]
    pub fn data(&self) -> &Path {
        self.scratch.path()
    }

    /// Waits until it leads.
    ///
    /// # Errors
    /// It did not in time; the error has its log.
    pub async fn until_leading(&self) -> Result<()> {
        Ok(self.server.until_logged(Duration::from_secs(60), "\"leading\"").await?)
    }

    /// `http://127.0.0.1:<port>` of its metrics and health, from its log.
    ///
    /// # Errors
    /// It did not say so in time.
    pub async fn address(&self) -> Result<String> {
        let found = wait::until(Duration::from_secs(30), "the operator to say where it listens", async || {
            let log = self.server.log();
            let line = log.lines().rev().find(|line| line.contains("metrics and health")).map(str::to_owned);
            let line = line.ok_or_else(|| self.server.log_tail())?;
            let entry: serde_json::Value = serde_json::from_str(&line).map_err(|error| format!("{error}: {line}"))?;
            entry["address"].as_str().map(|address| format!("http://{address}")).ok_or(line)
        })
        .await?;
        Ok(found)
    }

    /// The body of `path` on its HTTP server.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn get(&self, path: &str) -> Result<String> {
        let url = format!("{}{path}", self.address().await?);
        let answer = reqwest::get(&url).await.with_context(|| format!("GET {url}"))?;
        Ok(answer.text().await?)
    }
}
