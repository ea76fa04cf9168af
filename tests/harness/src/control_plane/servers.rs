//! Starting the three servers of a control plane in their order, with their keys and their flags.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use kube::Client;

use crate::{
    Result,
    http::Http,
    pki::{Authority, Keys},
    ports::Port,
    scratch::Scratch,
    server::{Launch, Server},
};

use super::{Options, client, kubeconfig, load};

// A loaded machine with two cores needs 15 s at worst; an idle one 3 s.
const SERVES: Duration = crate::wait::PATIENCE;
const SERVICE_RANGE: &str = "10.96.0.0/16";
const FIRST_SERVICE: &str = "10.96.0.1";

/// The running servers; dropped in the order of the fields, clients before what they talk to.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) controller_manager: Option<Server>,
    pub(super) apiserver: Server,
    pub(super) etcd: Server,
    pub(super) audit: Option<PathBuf>,
    admin: PathBuf,
    _ports: Vec<Port>,
}

impl Servers {
    pub(super) async fn start(scratch: &Scratch, options: &Options) -> Result<Self> {
        let (peer, store, secure, manager) = (Port::take()?, Port::take()?, Port::take()?, Port::take()?);
        let etcd = start_etcd(scratch, &store, &peer)?;
        let authority = Authority::new("test-authority")?;
        let server = format!("https://{}", secure.address());
        let write_kubeconfig = |file: &str, user: &str, group: Option<&str>| -> Result<PathBuf> {
            scratch.write(file, kubeconfig::with_certificate(&server, authority.certificate(), &authority.client(user, group)?))
        };
        let admin = write_kubeconfig("admin.kubeconfig", "admin", Some("system:masters"))?;
        let manager_config = write_kubeconfig("controller-manager.kubeconfig", "system:kube-controller-manager", None)?;
        scratch.write("ca.crt", authority.certificate())?;
        scratch.write("ca.key", authority.key())?;
        let accounts = Keys::new()?;
        scratch.write("accounts.key", &accounts.private)?;
        scratch.write("accounts.pub", &accounts.public)?;

        let base = format!("http://{}", store.address());
        let http = Http::new(base.as_str(), None)?;
        etcd.until_ready(SERVES, "serving", || async { http.succeed(reqwest::Method::GET, "/readyz", &[], None).await.map(drop) }).await?;

        let audit = options.audit.then(|| scratch.path().join("audit.log"));
        let apiserver = start_apiserver(scratch, &authority, &secure, &base, audit.as_deref(), options)?;
        let asking = client(load(&admin).await?).await?;
        apiserver.until_ready(SERVES, "ready (/readyz)", || readiness(&asking)).await?;

        // It gives up when it meets no API server.
        let controller_manager =
            if options.without_controller_manager { None } else { Some(start_controller_manager(scratch, &manager, &manager_config)?) };
        Ok(Self { controller_manager, apiserver, etcd, audit, admin, _ports: vec![peer, store, secure, manager] })
    }

    pub(super) fn admin_kubeconfig(&self) -> &Path {
        &self.admin
    }
}

/// One look at `/readyz`; the error is what it says.
pub(super) async fn readiness(client: &Client) -> Result<(), String> {
    let request = http::Request::get("/readyz?verbose").body(Vec::new()).map_err(|error| error.to_string())?;
    client.request_text(request).await.map(drop).map_err(|error| error.to_string())
}

fn start_etcd(scratch: &Scratch, client: &Port, peer: &Port) -> Result<Server> {
    let client = format!("http://{}", client.address());
    let peer = format!("http://{}", peer.address());
    let data = scratch.path().join("etcd");
    Launch::tool("etcd", scratch.path())?
        .args([
            "--name=test".to_owned(),
            format!("--data-dir={}", data.display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=test={peer}"),
            // The data is thrown away with the test.
            "--unsafe-no-fsync".to_owned(),
            "--log-level=warn".to_owned(),
        ])
        .start()
}

fn start_apiserver(
    scratch: &Scratch,
    authority: &Authority,
    port: &Port,
    etcd: &str,
    audit: Option<&Path>,
    options: &Options,
) -> Result<Server> {
    let identity = authority.server(
        "kube-apiserver",
        &["localhost", "127.0.0.1", FIRST_SERVICE, "kubernetes", "kubernetes.default", "kubernetes.default.svc"],
    )?;
    let file = |name: &str| scratch.path().join(name).display().to_string();
    scratch.write("apiserver.crt", &identity.certificate)?;
    scratch.write("apiserver.key", &identity.key)?;
    let mut arguments = vec![
        format!("--etcd-servers={etcd}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", port.number()),
        format!("--tls-cert-file={}", file("apiserver.crt")),
        format!("--tls-private-key-file={}", file("apiserver.key")),
        format!("--client-ca-file={}", file("ca.crt")),
        "--authorization-mode=Node,RBAC".to_owned(),
        format!("--service-cluster-ip-range={SERVICE_RANGE}"),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", file("accounts.pub")),
        format!("--service-account-signing-key-file={}", file("accounts.key")),
        // Endpoints must not be loopback addresses: nobody reaches this server through its Service.
        "--endpoint-reconciler-type=none".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--max-requests-inflight=2000".to_owned(),
        "--max-mutating-requests-inflight=1000".to_owned(),
        "--profiling=false".to_owned(),
    ];
    if let Some(log) = audit {
        let policy = r#"{"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["RequestReceived"],"rules":[{"level":"Metadata"}]}"#;
        let policy = scratch.write("audit-policy.json", policy)?;
        arguments.push(format!("--audit-policy-file={}", policy.display()));
        arguments.push(format!("--audit-log-path={}", log.display()));
    }
    Launch::tool("kube-apiserver", scratch.path())?.args(arguments).args(options.apiserver_arguments.clone()).start()
}

fn start_controller_manager(scratch: &Scratch, port: &Port, kubeconfig: &Path) -> Result<Server> {
    let file = |name: &str| scratch.path().join(name).display().to_string();
    let kubeconfig = kubeconfig.display();
    Launch::tool("kube-controller-manager", scratch.path())?
        .args([
            format!("--kubeconfig={kubeconfig}"),
            format!("--authentication-kubeconfig={kubeconfig}"),
            format!("--authorization-kubeconfig={kubeconfig}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", port.number()),
            format!("--cert-dir={}", file("controller-manager")),
            "--leader-elect=false".to_owned(),
            "--use-service-account-credentials=true".to_owned(),
            format!("--service-account-private-key-file={}", file("accounts.key")),
            format!("--root-ca-file={}", file("ca.crt")),
            format!("--cluster-signing-cert-file={}", file("ca.crt")),
            format!("--cluster-signing-key-file={}", file("ca.key")),
            // It makes a folder below /usr otherwise.
            format!("--flex-volume-plugin-dir={}", file("volume-plugins")),
            // With the defaults the default ServiceAccount of a new namespace is 4 to 5 seconds late.
            "--kube-api-qps=300".to_owned(),
            "--kube-api-burst=600".to_owned(),
        ])
        .start()
}
