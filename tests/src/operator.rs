//! `banhbaoring run` as a process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, bail};
use banhbaoring_testing::scratch::Scratch;
use banhbaoring_testing::server::{Launch, Server};
use banhbaoring_testing::wait;
use serde_json::Value;

use crate::Banhbaoring;

/// Filter of log lines where nothing else is asked for.
const LOG: &str = "info,kube=warn";
/// Filter with which [`Operator::idle_reconciles`] can count.
pub const LOG_RECONCILES: &str = "info,kube=warn,banhbaoring_operator::owners::reconcile=debug";
/// What it logs of a reconcile that had nothing to tell.
const IDLE: [&str; 2] = ["nothing to tell", "nothing changed"];
/// What it logs of a reconcile that told nothing because its answers are on their way.
const KEPT_BACK: &str = "answers are on their way; what was told before stands";

/// How an operator is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its credentials.
    pub kubeconfig: PathBuf,
    /// Its own namespace: of the Lease and the inventories. Two operators with different ones know nothing of each other.
    pub namespace: String,
    /// Its name in the election.
    pub identity: String,
    /// Whether the API server asks it about writes.
    pub admission: bool,
}

/// A running operator. Killed when dropped.
#[derive(Debug)]
pub struct Operator {
    server: Server,
    scratch: Scratch,
    /// Where in the log the process that runs now begins.
    beginning: AtomicUsize,
}

impl Operator {
    /// Starts it; returns at once.
    ///
    /// # Errors
    /// The binary is not built.
    pub fn start(options: &Options) -> Result<Self> {
        Self::start_logging(options, LOG)
    }

    /// The same with another filter of log lines.
    ///
    /// # Errors
    /// The binary is not built.
    pub fn start_logging(options: &Options, filter: &str) -> Result<Self> {
        let scratch = Scratch::new("operator")?;
        let binary = Banhbaoring::find()?;
        let path = |name: &str| scratch.path().join(name).display().to_string();
        let mut arguments = vec![
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
        if options.admission {
            arguments.extend(["--admission-listen", "127.0.0.1:0"].map(str::to_owned));
        }
        let server = Launch::program("operator", binary.path(), scratch.path()).args(arguments).env("BANHBAORING_LOG", filter).start()?;
        Ok(Self { server, scratch, beginning: AtomicUsize::new(0) })
    }

    /// Kills it with SIGKILL if it runs, and starts it on the same data.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_again(&self) -> Result<()> {
        self.server.kill();
        self.beginning.store(self.server.log().len(), Ordering::Release);
        Ok(self.server.start_again()?)
    }

    /// What the process that runs now wrote.
    #[must_use]
    pub fn log(&self) -> String {
        let log = self.server.log();
        log.get(self.beginning.load(Ordering::Acquire)..).unwrap_or_default().to_owned()
    }

    /// Its process: to signal or kill it.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// For those who share it: nothing that they wait for would ever come.
    ///
    /// # Errors
    /// It has ended; the error has the end of its log.
    pub fn still_runs(&self) -> Result<()> {
        match self.server.exit_status() {
            Some(status) => {
                bail!("expected an operator that runs, found one that ended with {status}; its log ends so:\n{}", self.server.log_tail())
            }
            None => Ok(()),
        }
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
        self.until_logged("\"message\":\"leading\"").await
    }

    /// Waits until it has its plugins and leaves the lead to another.
    ///
    /// # Errors
    /// It did not in time; the error has its log.
    pub async fn until_standing_by(&self) -> Result<()> {
        self.until_logged("\"message\":\"standing by\"").await
    }

    async fn until_logged(&self, text: &str) -> Result<()> {
        let look = async || if self.log().contains(text) { Ok(()) } else { Err("a log without it") };
        Ok(self.server.until_ready(wait::PATIENCE, &format!("logging {text}"), look).await?)
    }

    /// How often each owner was reconciled by the process that runs now without anything to tell, by namespace and name. Needs
    /// [`LOG_RECONCILES`].
    #[must_use]
    pub fn idle_reconciles(&self) -> BTreeMap<(String, String), usize> {
        self.reconciles_that_said(&IDLE)
    }

    /// The same of reconciles whose answers were late, so that what was told before stands.
    #[must_use]
    pub fn kept_back_reconciles(&self) -> BTreeMap<(String, String), usize> {
        self.reconciles_that_said(&[KEPT_BACK])
    }

    fn reconciles_that_said(&self, messages: &[&str]) -> BTreeMap<(String, String), usize> {
        let mut counts = BTreeMap::new();
        for line in self.log().lines().filter(|line| messages.iter().any(|message| line.contains(message))) {
            let entry: Value = serde_json::from_str(line).unwrap_or_default();
            let text = |field: &str| entry["span"][field].as_str().unwrap_or_default().to_owned();
            if messages.iter().any(|message| entry["message"] == *message) {
                *counts.entry((text("cluster_namespace"), text("cluster_name"))).or_insert(0) += 1;
            }
        }
        counts
    }

    /// `http://127.0.0.1:<port>` of its metrics and health, from its log.
    ///
    /// # Errors
    /// It did not say so in time.
    pub async fn address(&self) -> Result<String> {
        let found = wait::until(wait::PATIENCE, "the operator to say where it listens", async || {
            let log = self.log();
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

    /// The value of a series on `/metrics`, named as it is written there; absent where it has none.
    ///
    /// # Errors
    /// It does not answer, or the value is not a number.
    pub async fn metric(&self, series: &str) -> Result<Option<f64>> {
        let text = self.get("/metrics").await?;
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map(|value| value.trim().parse().with_context(|| format!("{series} {value}"))).transpose()
    }
}
