//! Start and end of the process: loads plugins while standing by, leads when it is its turn, gives everything back when told to stop.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use banhbaoring_artifact::{ContentStore, SourceError};
use banhbaoring_cluster::{Clients, Cluster};
use banhbaoring_pipeline::contract::HostIdentity;
use banhbaoring_pipeline::memo::Memo;
use banhbaoring_sandbox::{CacheError, CacheKey, CodeCache, EngineError, EngineSettings, Sandbox};
use kube::Config;
use kube::runtime::events::{Recorder, Reporter};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::active::ActivePlugins;
use crate::admission::{Admission, AdmissionOptions, Parts};
use crate::definitions;
use crate::fence::Fence;
use crate::health::{self, Health};
use crate::images::Images;
use crate::leader::{Election, LeaderError};
use crate::lifecycle::{Lifecycle, LifecycleOptions};
use crate::metrics::Metrics;
use crate::owners::{self, Owners};

/// How long a start waits for plugins to be looked at: one whose registry does not end its answers must not keep the others from serving.
const FIRST_LOOK: std::time::Duration = std::time::Duration::from_secs(120);

/// Name of the Lease.
const LEASE: &str = "banhbaoring-operator";

/// How the operator is run.
pub struct RunOptions {
    /// The cluster.
    pub config: Config,
    /// The host's own namespace: inventories and the Lease live there.
    pub host_namespace: String,
    /// The host's own account.
    pub service_account: String,
    /// This replica's name in the election.
    pub identity: String,
    /// Address of metrics and health.
    pub listen: SocketAddr,
    /// Directory of verified artifacts and compiled code.
    pub data: PathBuf,
    /// File with the key that compiled code is authenticated with.
    pub cache_key: PathBuf,
    /// DNS domain of the cluster.
    pub cluster_domain: String,
    /// Plain http to any registry whose Plugin asks for it.
    pub allow_insecure_registries: bool,
    /// Owners of a kind that are reconciled at the same time.
    pub concurrency: u16,
    /// How the API server asks about writes; absent: it does not.
    pub admission: Option<AdmissionOptions>,
}

/// Why the operator could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No client.
    #[error("the cluster cannot be reached: {0}")]
    Client(#[from] banhbaoring_cluster::client::ClientError),
    /// No content store.
    #[error("the data directory cannot be used: {0}")]
    Store(#[from] SourceError),
    /// No cache.
    #[error("the cache of compiled code cannot be used: {0}")]
    Cache(#[from] CacheError),
    /// No key for the cache.
    #[error("the key of the cache of compiled code cannot be read from or made at {path} ({source}); name another place with --cache-key", path = path.display())]
    CacheKey {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The address is taken.
    #[error("{address} cannot be listened on: {source}; choose another with --listen or --admission-listen")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Signals cannot be handled.
    #[error("signals cannot be handled: {0}")]
    Signal(#[source] std::io::Error),
    /// It no longer leads: the process ends, so that nothing of it goes on.
    #[error(transparent)]
    Leader(#[from] LeaderError),
}

/// Runs until SIGTERM or SIGINT, or until this replica loses the lead.
///
/// # Errors
/// It could not start, or no longer leads.
pub async fn run(options: RunOptions) -> Result<(), RunError> {
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    // Not behind the fence: its own definitions and the Lease are what every replica may write.
    let host = Clients::connect(options.config.clone())?.host().clone();
    let fence = Fence::default();
    let guard = fence.clone();
    let clients = Clients::connect_guarded(options.config.clone(), move |request| Ok(guard.check(request)?))?;
    let cluster = Cluster::with_clients(clients, &options.host_namespace);
    let metrics = Arc::new(Metrics::default());
    let active = Arc::new(ActivePlugins::default());
    let health = Health::default();
    let listener = health::bind(options.listen).await.map_err(|source| RunError::Listen { address: options.listen, source })?;
    if let Ok(address) = listener.local_addr() {
        info!(%address, "metrics and health");
    }
    let server = tokio::spawn(health::serve(listener, metrics.clone(), health.clone(), stop.clone()));

    tokio::select! {
        () = definitions::keep(host.clone()) => {}
        () = stop.cancelled() => {}
    }
    let (leading, leads) = watch::channel(false);
    let (loaded, mut is_loaded) = watch::channel(false);
    let host_identity = HostIdentity {
        namespace: options.host_namespace.clone(),
        service_account: options.service_account.clone(),
        webhook_service: options.admission.as_ref().and_then(|admission| admission.service.clone()),
        ..HostIdentity::default()
    };
    let mut judging = None;
    let admission = match &options.admission {
        None => None,
        Some(wanted) => {
            let parts = Parts {
                cluster: cluster.clone(),
                active: active.clone(),
                metrics: metrics.clone(),
                host: host_identity.clone(),
                cluster_domain: options.cluster_domain.clone(),
            };
            let bound = Admission::bind(parts, wanted).await;
            let (admission, listener) = bound.map_err(|source| RunError::Listen { address: wanted.listen, source })?;
            judging = Some(tokio::spawn(admission.clone().run(listener, leads.clone(), stop.clone())));
            Some(admission)
        }
    };
    let lifecycle = tokio::spawn(Lifecycle::run(
        LifecycleOptions {
            cluster: cluster.clone(),
            store: ContentStore::open(options.data.join("artifacts"))?,
            sandbox: sandbox(&options)?,
            insecure_anywhere: options.allow_insecure_registries,
            admission,
        },
        active.clone(),
        metrics.clone(),
        leads,
        loaded,
        stop.clone(),
    ));
    let until_loaded = async {
        if tokio::time::timeout(FIRST_LOOK, is_loaded.wait_for(|loaded| *loaded)).await.is_err() {
            warn!(seconds = FIRST_LOOK.as_secs(), "not every plugin was looked at in time; going on with those that serve");
        }
        health.set_ready(true);
    };
    let mut election = Election::new(host.clone(), &options.host_namespace, LEASE, &options.identity, fence.clone());
    // Ready once loaded, leading or not; only who is loaded takes part in the election.
    tokio::select! {
        () = async { until_loaded.await; election.acquire().await; } => {}
        () = stop.cancelled() => return finish(server, lifecycle, judging).await,
    }
    leading.send_replace(true);
    metrics.leads(true);
    let reporter = Reporter { controller: "banhbaoring".to_owned(), instance: Some(options.identity.clone()) };
    let recorder = Recorder::new(cluster.clients.host().clone(), reporter);
    let owners = Arc::new(Owners::new(
        cluster,
        active,
        Arc::new(Memo::default()),
        metrics.clone(),
        recorder,
        host_identity,
        options.cluster_domain.clone(),
        options.concurrency,
        fence,
        Images { insecure_anywhere: options.allow_insecure_registries },
    ));
    let leading_ends = CancellationToken::new();
    let kinds = tokio::spawn(owners::run(owners, leading_ends.clone()));
    let lost = tokio::select! {
        lost = election.hold() => Some(lost),
        () = stop.cancelled() => None,
    };
    metrics.leads(false);
    match lost {
        // Another may lead already: nothing of this process may go on, not even what is under way.
        Some(lost) => Err(lost.into()),
        None => {
            leading_ends.cancel();
            if kinds.await.is_err() {
                warn!("the controllers did not end by themselves");
            }
            election.release().await;
            finish(server, lifecycle, judging).await
        }
    }
}

async fn finish(
    server: JoinHandle<std::io::Result<()>>,
    lifecycle: JoinHandle<()>,
    judging: Option<JoinHandle<()>>,
) -> Result<(), RunError> {
    let judging = async {
        match judging {
            Some(judging) => judging.await,
            None => Ok(()),
        }
    };
    let (server, lifecycle, judging) = tokio::join!(server, lifecycle, judging);
    if !matches!(server, Ok(Ok(()))) || lifecycle.is_err() || judging.is_err() {
        warn!("a part of the process did not end by itself");
    }
    info!("stopped");
    Ok(())
}

fn sandbox(options: &RunOptions) -> Result<Sandbox, RunError> {
    let key = cache_key(&options.cache_key).map_err(|source| RunError::CacheKey { path: options.cache_key.clone(), source })?;
    let cache = CodeCache::open(&options.data.join("compiled"), key)?;
    Ok(Sandbox::new(EngineSettings::default(), Some(cache))?)
}

/// The key, made at the first start. It lies outside the data directory: who can write compiled code must not be able to authenticate it.
fn cache_key(path: &Path) -> std::io::Result<CacheKey> {
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut key = [0_u8; 32];
    match std::fs::File::open(path) {
        Ok(mut file) => {
            file.read_exact(&mut key)?;
            return Ok(CacheKey::new(key));
        }
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    std::fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(&key)?;
    Ok(CacheKey::new(key))
}

fn stop_on_signal(stop: CancellationToken) -> Result<(), RunError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signal)?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("asked to stop");
        stop.cancel();
    });
    Ok(())
}
