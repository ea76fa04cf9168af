//! A real etcd, kube-apiserver and kube-controller-manager on free ports.
//!
//! [`ControlPlane::shared`] is the one that tests use: one set per process, or the one of the whole test run when [`KUBECONFIG_VARIABLE`]
//! names it; every test works in a namespace of its own. [`ControlPlane::start`] is for tests that stop, pause or configure a server.

pub(crate) mod kubeconfig;
mod servers;

use std::{
    env,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use k8s_openapi::{
    api::{
        authentication::v1::{TokenRequest, TokenRequestSpec},
        core::v1::{Namespace, ServiceAccount},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Config,
    api::PostParams,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::sync::OnceCell;

use crate::{Error, KUBECONFIG_VARIABLE, Result, http::install_tls_provider, kubectl::Kubectl, scratch::Scratch, server::Server, wait};

use self::servers::Servers;

const NAMESPACE_READY: Duration = crate::wait::PATIENCE;

/// What a control plane of one's own may have beyond the defaults.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// More arguments of kube-apiserver.
    pub apiserver_arguments: Vec<String>,
    /// Writes an audit log of every request at level Metadata; see [`ControlPlane::audit_log`].
    pub audit: bool,
    /// No controller-manager: nothing makes default service accounts, Pods of StatefulSets or deletes what a deleted owner left.
    pub without_controller_manager: bool,
}

/// A control plane: started by us and stopped on drop, or one that we are connected to.
#[derive(Debug)]
pub struct ControlPlane {
    config: Config,
    kubeconfig: PathBuf,
    // The servers before their folder: values are dropped in this order.
    servers: Option<Servers>,
    scratch: Scratch,
}

impl ControlPlane {
    /// The control plane of this process: the one that [`KUBECONFIG_VARIABLE`] names, else one that is started at the first call and stopped
    /// when the process ends.
    ///
    /// # Errors
    /// When it cannot be started or reached.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
        SHARED
            .get_or_try_init(|| async {
                match env::var_os(KUBECONFIG_VARIABLE).filter(|value| !value.is_empty()) {
                    Some(path) => Self::connect(PathBuf::from(path)).await,
                    None => Self::start(Options::default()).await,
                }
            })
            .await
    }

    /// Starts one and waits until it serves and the default ServiceAccount is there.
    ///
    /// # Errors
    /// [`Error::Tool`] when a binary is missing, [`Error::NotReady`] with the log of the server that did not come up.
    pub async fn start(options: Options) -> Result<Self> {
        let scratch = Scratch::new("control-plane")?;
        let servers = Servers::start(&scratch, &options).await?;
        let kubeconfig = servers.admin_kubeconfig().to_path_buf();
        let config = load(&kubeconfig).await?;
        let plane = Self { config, kubeconfig, servers: Some(servers), scratch };
        if !options.without_controller_manager {
            plane.until_service_account("default").await?;
        }
        Ok(plane)
    }

    /// Connects to one that runs.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read or the API server does not answer.
    pub async fn connect(kubeconfig: PathBuf) -> Result<Self> {
        let config = load(&kubeconfig).await?;
        let plane = Self { config, kubeconfig, servers: None, scratch: Scratch::new("kubeconfigs")? };
        plane.until_service_account("default").await?;
        Ok(plane)
    }

    /// The administrator's kubeconfig; credentials are inside the file.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The administrator's client configuration.
    #[must_use]
    pub fn config(&self) -> Config {
        self.config.clone()
    }

    /// A new administrator's client. Not shared, because a client dies with the runtime that made it, and every test has its own.
    ///
    /// # Errors
    /// [`Error::Kubernetes`] when the configuration cannot be used.
    pub async fn client(&self) -> Result<Client> {
        client(self.config.clone()).await
    }

    /// `kubectl` as the administrator.
    ///
    /// # Errors
    /// [`Error::Tool`] when it was not built.
    pub fn kubectl(&self) -> Result<Kubectl> {
        Kubectl::new(&self.kubeconfig)
    }

    /// Makes a namespace that no other test has, whose name begins with `prefix`, and waits for its default ServiceAccount.
    ///
    /// # Errors
    /// [`Error::Kubernetes`] or, when the account does not come, [`Error::TimedOut`].
    pub async fn namespace(&self, prefix: &str) -> Result<String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{prefix}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let namespace = Namespace { metadata: ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() }, ..Namespace::default() };
        Api::<Namespace>::all(self.client().await?)
            .create(&PostParams::default(), &namespace)
            .await
            .map_err(Error::kubernetes(format!("make the namespace {name}")))?;
        let unattended = self.servers.as_ref().is_some_and(|servers| servers.controller_manager.is_none());
        if !unattended {
            self.until_service_account(&name).await?;
        }
        Ok(name)
    }

    /// A kubeconfig with a token of the ServiceAccount (valid for an hour): what a process that runs as it may do.
    ///
    /// # Errors
    /// [`Error::Kubernetes`] when the account is not there.
    pub async fn kubeconfig_of(&self, namespace: &str, service_account: &str) -> Result<PathBuf> {
        let request = TokenRequest {
            spec: TokenRequestSpec { expiration_seconds: Some(3600), ..TokenRequestSpec::default() },
            ..TokenRequest::default()
        };
        let answer = Api::<ServiceAccount>::namespaced(self.client().await?, namespace)
            .create_token_request(service_account, &PostParams::default(), &request)
            .await
            .map_err(Error::kubernetes(format!("get a token of {namespace}/{service_account}")))?;
        let token = answer.status.map(|status| status.token).unwrap_or_default();
        let server = self.config.cluster_url.to_string();
        let authority = self.config.root_cert.iter().flatten().map(|der| kubeconfig::certificate(der)).collect::<String>();
        let content = kubeconfig::with_token(server.trim_end_matches('/'), &authority, &token);
        self.scratch.write(&format!("{namespace}-{service_account}.kubeconfig"), content)
    }

    /// A client that acts as the ServiceAccount.
    ///
    /// # Errors
    /// See [`ControlPlane::kubeconfig_of`].
    pub async fn client_of(&self, namespace: &str, service_account: &str) -> Result<Client> {
        let path = self.kubeconfig_of(namespace, service_account).await?;
        client(load(&path).await?).await
    }

    /// The API server's process, when it is ours: to kill, pause or start again. `None` when we are only connected.
    #[must_use]
    pub fn apiserver(&self) -> Option<&Server> {
        self.servers.as_ref().map(|servers| &servers.apiserver)
    }

    /// etcd's process, when it is ours.
    #[must_use]
    pub fn etcd(&self) -> Option<&Server> {
        self.servers.as_ref().map(|servers| &servers.etcd)
    }

    /// The controller-manager's process, when it is ours and runs.
    #[must_use]
    pub fn controller_manager(&self) -> Option<&Server> {
        self.servers.as_ref().and_then(|servers| servers.controller_manager.as_ref())
    }

    /// What the API server was asked so far, one JSON object a line; `None` without [`Options::audit`].
    #[must_use]
    pub fn audit_log(&self) -> Option<String> {
        let path = self.servers.as_ref()?.audit.as_ref()?;
        Some(std::fs::read_to_string(path).unwrap_or_default())
    }

    /// Waits until the API server says that it is ready; for use after it was started again.
    ///
    /// # Errors
    /// [`Error::TimedOut`] with its last answer.
    pub async fn until_ready(&self, deadline: Duration) -> Result<()> {
        let client = self.client().await?;
        wait::until(deadline, "the API server to be ready", || servers::readiness(&client)).await?;
        Ok(())
    }

    async fn until_service_account(&self, namespace: &str) -> Result<()> {
        let accounts = Api::<ServiceAccount>::namespaced(self.client().await?, namespace);
        wait::until(NAMESPACE_READY, format!("the default ServiceAccount of {namespace}"), || async {
            match accounts.get_opt("default").await {
                Ok(Some(_)) => Ok(()),
                Ok(None) => Err("none".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await?;
        Ok(())
    }
}

async fn client(config: Config) -> Result<Client> {
    install_tls_provider();
    Client::try_from(config).map_err(Error::kubernetes("make a client"))
}

async fn load(path: &Path) -> Result<Config> {
    let failed = |reason: String| Error::Kubeconfig { path: path.to_path_buf(), reason };
    let kubeconfig = Kubeconfig::read_from(path).map_err(|error| failed(error.to_string()))?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(|error| failed(error.to_string()))
}
