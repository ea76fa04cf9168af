//! The servers of the node that decide: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, with the keys of all of Kubernetes.

use std::path::PathBuf;

use super::{NODE_NAME, Place};
use crate::{
    Result,
    control_plane::kubeconfig,
    pki::{Authority, Keys},
    server::Server,
};

const STORE: &str = "http://127.0.0.1:2379";
const STORE_PEERS: &str = "http://127.0.0.1:2380";
const DOMAIN: &str = "cluster.local";

/// Files with keys and credentials.
pub(super) struct Identities {
    pub(super) admin: PathBuf,
    controller_manager: PathBuf,
    scheduler: PathBuf,
    pub(super) kubelet: PathBuf,
    pub(super) proxy: PathBuf,
}

impl Identities {
    /// Makes all of them.
    pub(super) fn make(place: &Place<'_>) -> Result<Self> {
        let (slot, scratch) = (place.namespaces.slot(), place.scratch);
        let authority = Authority::new("node-authority")?;
        let accounts = Keys::new()?;
        for (file, content) in [
            ("ca.crt", authority.certificate()),
            ("ca.key", authority.key()),
            ("accounts.key", &accounts.private),
            ("accounts.pub", &accounts.public),
        ] {
            scratch.write(file, content)?;
        }
        let (address, first) = (slot.node().to_string(), slot.service(1).to_string());
        let full = format!("kubernetes.default.svc.{DOMAIN}");
        let names = ["localhost", "127.0.0.1", &address, &first, "kubernetes", "kubernetes.default", "kubernetes.default.svc", &full];
        for (file, identity) in [
            ("apiserver", authority.server("kube-apiserver", &names)?),
            ("kubelet", authority.server(&format!("system:node:{NODE_NAME}"), &[NODE_NAME, &address, "127.0.0.1"])?),
            ("to-kubelet", authority.client("kube-apiserver-to-kubelet", Some("system:masters"))?),
        ] {
            scratch.write(&format!("{file}.crt"), &identity.certificate)?;
            scratch.write(&format!("{file}.key"), &identity.key)?;
        }
        let server = format!("https://{address}:6443");
        let user = |file: &str, user: &str, group: Option<&str>| -> Result<PathBuf> {
            let content = kubeconfig::with_certificate(&server, authority.certificate(), &authority.client(user, group)?);
            scratch.write(&format!("{file}.kubeconfig"), content)
        };
        Ok(Self {
            admin: user("admin", "admin", Some("system:masters"))?,
            controller_manager: user("controller-manager", "system:kube-controller-manager", None)?,
            scheduler: user("scheduler", "system:kube-scheduler", None)?,
            kubelet: user("kubelet", &format!("system:node:{NODE_NAME}"), Some("system:nodes"))?,
            proxy: user("kube-proxy", "system:kube-proxy", None)?,
        })
    }
}

pub(super) fn etcd(place: &Place<'_>) -> Result<Server> {
    place
        .tool("etcd")?
        .args([
            "--name=node".to_owned(),
            format!("--data-dir={}", place.file("etcd")),
            format!("--listen-client-urls={STORE}"),
            format!("--advertise-client-urls={STORE}"),
            format!("--listen-peer-urls={STORE_PEERS}"),
            format!("--initial-advertise-peer-urls={STORE_PEERS}"),
            format!("--initial-cluster=node={STORE_PEERS}"),
            // The data is thrown away with the node.
            "--unsafe-no-fsync".to_owned(),
            "--log-level=warn".to_owned(),
        ])
        .start()
}

pub(super) fn apiserver(place: &Place<'_>) -> Result<Server> {
    let slot = place.namespaces.slot();
    place
        .tool("kube-apiserver")?
        .args([
            format!("--etcd-servers={STORE}"),
            format!("--advertise-address={}", slot.node()),
            "--secure-port=6443".to_owned(),
            format!("--tls-cert-file={}", place.file("apiserver.crt")),
            format!("--tls-private-key-file={}", place.file("apiserver.key")),
            format!("--client-ca-file={}", place.file("ca.crt")),
            format!("--kubelet-client-certificate={}", place.file("to-kubelet.crt")),
            format!("--kubelet-client-key={}", place.file("to-kubelet.key")),
            format!("--kubelet-certificate-authority={}", place.file("ca.crt")),
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--enable-admission-plugins=NodeRestriction".to_owned(),
            format!("--service-cluster-ip-range={}", slot.services()),
            format!("--service-account-issuer=https://kubernetes.default.svc.{DOMAIN}"),
            format!("--service-account-key-file={}", place.file("accounts.pub")),
            format!("--service-account-signing-key-file={}", place.file("accounts.key")),
            "--allow-privileged=true".to_owned(),
            "--profiling=false".to_owned(),
        ])
        .start()
}

pub(super) fn controller_manager(place: &Place<'_>, identities: &Identities) -> Result<Server> {
    let kubeconfig = identities.controller_manager.display();
    place
        .tool("kube-controller-manager")?
        .args([
            format!("--kubeconfig={kubeconfig}"),
            format!("--authentication-kubeconfig={kubeconfig}"),
            format!("--authorization-kubeconfig={kubeconfig}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--cert-dir={}", place.file("controller-manager")),
            "--leader-elect=false".to_owned(),
            "--use-service-account-credentials=true".to_owned(),
            format!("--service-account-private-key-file={}", place.file("accounts.key")),
            format!("--root-ca-file={}", place.file("ca.crt")),
            format!("--cluster-signing-cert-file={}", place.file("ca.crt")),
            format!("--cluster-signing-key-file={}", place.file("ca.key")),
            "--enable-hostpath-provisioner=true".to_owned(),
            // It makes a folder below /usr otherwise.
            format!("--flex-volume-plugin-dir={}", place.file("volume-plugins")),
            // With the defaults the default ServiceAccount of a new namespace is 4 to 5 seconds late.
            "--kube-api-qps=300".to_owned(),
            "--kube-api-burst=600".to_owned(),
        ])
        .start()
}

pub(super) fn scheduler(place: &Place<'_>, identities: &Identities) -> Result<Server> {
    let kubeconfig = identities.scheduler.display();
    place
        .tool("kube-scheduler")?
        .args([
            format!("--kubeconfig={kubeconfig}"),
            format!("--authentication-kubeconfig={kubeconfig}"),
            format!("--authorization-kubeconfig={kubeconfig}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--cert-dir={}", place.file("scheduler")),
            "--leader-elect=false".to_owned(),
        ])
        .start()
}
