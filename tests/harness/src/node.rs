//! A real Kubernetes of one node on this machine: pods run, Services answer, names resolve, volumes are made, images are pulled.
//!
//! All of it lives in mount, process, network, host name and IPC namespaces of its own, and in control groups of its own. A keeper outside of them
//! ([`keeper`]) takes everything down when the owner is gone, however it ended. Several nodes can run at a time.
//!
//! What must not live here: anything about BanhBaoRing.

pub mod cgroups;
mod control;
mod dns;
mod images;
pub mod inside;
pub mod keeper;
mod namespaces;
pub mod slot;
mod worker;

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::api::{apps::v1::Deployment, core::v1};
use kube::{Api, Client};

use self::{control::Identities, namespaces::Namespaces, slot::Slot};
use crate::{
    Error, Result,
    control_plane::ControlPlane,
    kubectl::Kubectl,
    registry::{self, Registry},
    scratch::Scratch,
    server::{Launch, Server},
    tools, wait,
};

pub use self::images::Image;

/// The node's name in Kubernetes, and its host name.
pub const NODE_NAME: &str = "node";

// What the node's registry asks for.
const REGISTRY_USER: &str = "node";
const REGISTRY_PASSWORD: &str = "only for this test";

// An idle machine with two cores needs 10 s for all of it.
const SERVES: Duration = crate::wait::PATIENCE;

/// A cluster of one node. Everything of it is gone when this is dropped.
#[derive(Debug)]
pub struct Node {
    // The first to be dropped: with it the kernel kills every server at once.
    namespaces: Namespaces,
    cluster: ControlPlane,
    servers: Vec<(&'static str, Server)>,
    registry: Arc<Registry>,
    // Not before its keeper is gone.
    _scratch: Scratch,
}

/// Where the servers of one node are put.
struct Place<'a> {
    namespaces: &'a Namespaces,
    scratch: &'a Scratch,
}

impl Place<'_> {
    /// A tool, started inside.
    fn tool(&self, name: &str) -> Result<Launch> {
        Ok(self.namespaces.launch(name, &inside_path(name)?, self.scratch.path()))
    }

    fn file(&self, name: &str) -> String {
        self.scratch.path().join(name).display().to_string()
    }

    fn folder(&self, name: &str) -> Result<()> {
        let folder = self.scratch.path().join(name);
        fs::create_dir_all(&folder).map_err(Error::machine(format!("make {}", folder.display())))
    }
}

impl Node {
    /// Starts one and waits until its node and its DNS are ready.
    ///
    /// # Errors
    /// [`Error::NotRoot`] without the rights; [`Error::Tool`] when a binary is missing; [`Error::Node`] with the ends of the servers' logs when
    /// something does not come up.
    pub async fn start() -> Result<Self> {
        let scratch = Scratch::new("node")?;
        let namespaces = Namespaces::open(scratch.path())?;
        let place = Place { namespaces: &namespaces, scratch: &scratch };
        let slot = namespaces.slot();
        // As everywhere: over TLS, and not for everybody.
        let account = Some((REGISTRY_USER.to_owned(), REGISTRY_PASSWORD.to_owned()));
        let options = registry::Options { account, tls: true, listen: Some(slot.host()) };
        let registry = Arc::new(Registry::with(options).await?);
        let identities = Identities::make(&place)?;
        let mut servers = vec![
            ("etcd", control::etcd(&place)?),
            ("containerd", worker::containerd(&place, &registry)?),
            ("kube-apiserver", control::apiserver(&place)?),
        ];
        let (sandbox, resolver) = (Image::probe()?, Image::coredns()?);
        tokio::try_join!(sandbox.push(&registry, worker::SANDBOX_IMAGE), resolver.push(&registry, dns::IMAGE))?;
        let cluster = match finish(&place, &identities, &mut servers).await {
            Ok(cluster) => cluster,
            Err(error) => return Err(told(&error, &servers, &identities).await),
        };
        Ok(Self { namespaces, cluster, servers, registry, _scratch: scratch })
    }

    /// The cluster as its clients see it.
    #[must_use]
    pub fn cluster(&self) -> &ControlPlane {
        &self.cluster
    }

    /// The administrator's kubeconfig; credentials are inside the file.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        self.cluster.kubeconfig()
    }

    /// `kubectl` as the administrator.
    ///
    /// # Errors
    /// [`Error::Tool`] when it was not built.
    pub fn kubectl(&self) -> Result<Kubectl> {
        self.cluster.kubectl()
    }

    /// A new administrator's client.
    ///
    /// # Errors
    /// [`Error::Kubernetes`] when the configuration cannot be used.
    pub async fn client(&self) -> Result<Client> {
        self.cluster.client().await
    }

    /// The registry that it pulls from, whatever registry an image names. The node itself is known there; whoever runs in a pod
    /// reaches it too, trusts it by its authority and has to say who it is.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Makes an image available to pods under a reference, and returns the reference with the image's digest.
    ///
    /// # Errors
    /// When a file of it cannot be read, or [`Error::Http`] with the registry's refusal.
    pub async fn image(&self, reference: &str, image: &Image) -> Result<String> {
        image.push(&self.registry, reference).await
    }

    /// The machine's address as pods see it: a server of a test that listens there can be called by them.
    #[must_use]
    pub fn host(&self) -> Ipv4Addr {
        self.slot().host()
    }

    /// Its number among the nodes of this machine.
    #[must_use]
    pub fn slot(&self) -> Slot {
        self.namespaces.slot()
    }

    /// The first process of its namespaces, as the machine numbers it.
    #[must_use]
    pub fn first_process(&self) -> u32 {
        self.namespaces.first()
    }

    /// The process that takes everything down when the owner is gone.
    #[must_use]
    pub fn keeper(&self) -> u32 {
        self.namespaces.keeper()
    }

    /// The processes of a container as the machine numbers them: to look at, or to kill as the kernel does it for want of memory. `id` is what the
    /// pod's status says, `containerd://…`.
    ///
    /// # Errors
    /// [`Error::Node`] when no such container runs here.
    pub fn container(&self, id: &str) -> Result<Vec<u32>> {
        let folder = id.rsplit('/').next().unwrap_or(id);
        cgroups::members(&self.slot().control_group(), folder)
    }

    /// One of its servers (`kubelet`, `kube-apiserver`, …): to kill it and start it again.
    #[must_use]
    pub fn server(&self, name: &str) -> Option<&Server> {
        self.servers.iter().find(|(known, _)| *known == name).map(|(_, server)| server)
    }

    /// Takes it down and waits until nothing is left.
    ///
    /// # Errors
    /// What is left.
    pub fn stop(mut self) -> Result<()> {
        self.namespaces.close()
    }
}

async fn finish(place: &Place<'_>, identities: &Identities, servers: &mut Vec<(&'static str, Server)>) -> Result<ControlPlane> {
    let kubectl = Kubectl::new(&identities.admin)?;
    wait::until_decided(SERVES, "the API server to be ready", async || match ended(servers) {
        Some(name) => wait::Probe::Never(format!("{name} ended")),
        None => match kubectl.run(&["get", "--raw=/readyz"]).await {
            Ok(_) => wait::Probe::Ready(()),
            Err(error) => wait::Probe::NotYet(error.to_string()),
        },
    })
    .await?;
    servers.push(("kube-controller-manager", control::controller_manager(place, identities)?));
    servers.push(("kube-scheduler", control::scheduler(place, identities)?));
    servers.push(("kubelet", worker::kubelet(place, identities)?));
    servers.push(("kube-proxy", worker::proxy(place, identities)?));
    kubectl.apply(&dns::manifests(place.namespaces.slot()).to_string()).await?;
    let cluster = ControlPlane::connect(identities.admin.clone()).await?;
    let client = cluster.client().await?;
    let deployments = Api::<Deployment>::namespaced(client.clone(), dns::NAMESPACE);
    let nodes = Api::<v1::Node>::all(client);
    wait::until_decided(SERVES, "the node and its DNS to be ready", async || match ended(servers) {
        Some(name) => wait::Probe::Never(format!("{name} ended")),
        None => match ready(&nodes, &deployments).await {
            Ok(()) => wait::Probe::Ready(()),
            Err(saw) => wait::Probe::NotYet(saw),
        },
    })
    .await?;
    Ok(cluster)
}

async fn ready(nodes: &Api<v1::Node>, deployments: &Api<Deployment>) -> Result<(), String> {
    let node = nodes.get(NODE_NAME).await.map_err(|error| error.to_string())?;
    let conditions = node.status.and_then(|status| status.conditions).unwrap_or_default();
    if !conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True") {
        return Err(format!("conditions of the node: {conditions:?}"));
    }
    let status = deployments.get(dns::DEPLOYMENT).await.map_err(|error| error.to_string())?.status;
    match status.as_ref().and_then(|status| status.ready_replicas) {
        Some(1..) => Ok(()),
        _ => Err(format!("the node is ready, its DNS is not: {status:?}")),
    }
}

/// A tool at a path that is the same inside.
fn inside_path(tool: &str) -> Result<PathBuf> {
    let path = tools::find(tool)?;
    if path.starts_with("/tmp") {
        let what = format!("`{tool}` outside of /tmp, which is another folder inside a node");
        return Err(Error::Node { what, saw: path.display().to_string() });
    }
    Ok(path)
}

/// A server that ended: none of them does by itself.
fn ended(servers: &[(&'static str, Server)]) -> Option<&'static str> {
    servers.iter().find(|(_, server)| server.exit_status().is_some()).map(|(name, _)| *name)
}

/// The error with what may explain it: the logs of servers that ended, else what there is to see of the node and its pods, and the logs of all.
async fn told(error: &Error, servers: &[(&'static str, Server)], identities: &Identities) -> Error {
    let mut saw = error.to_string();
    let some_ended = ended(servers).is_some();
    if let (false, Ok(kubectl)) = (some_ended, Kubectl::new(&identities.admin)) {
        // Before the logs, of which whoever shows this may cut off the most.
        for things in ["pods", "nodes"] {
            let described = kubectl.run(&["describe", things, "--all-namespaces", "--request-timeout=5s"]).await;
            saw.push_str(&format!("\n--- its {things}:\n{}", described.unwrap_or_else(|error| error.to_string())));
        }
    }
    for (name, server) in servers {
        let state = server.exit_status().map_or_else(|| "runs".to_owned(), |status| format!("ended: {status}"));
        if some_ended == state.starts_with("ended") {
            saw.push_str(&format!("\n--- {name} ({state}), the end of its log:\n{}", server.log_tail()));
        }
    }
    Error::Node { what: "a cluster of one node to come up".into(), saw }
}

/// Runs a command of the machine to its end.
fn run(command: &mut Command) -> Result<()> {
    let line = || {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    };
    let line = line();
    let output = command.stdin(Stdio::null()).output().map_err(Error::machine(format!("start `{line}`")))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Error::Command { command: line, status: output.status.to_string(), stderr })
}
