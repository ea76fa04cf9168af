//! One cluster as the renderer sees it: the owner's spec, what fills its unseal slot, and the names of everything that is made of it.
//! Names are said here and nowhere else, so that two places cannot disagree.

use std::collections::BTreeMap;

use banhbaoring_openbao_api::{OpenBaoClusterSpec, TlsMode};
use banhbaoring_sdk::wit::{Platform, Seal};

use crate::plugin_config::PluginConfig;
use crate::version::ServerVersion;

/// The label by which nodes find each other.
pub const CLUSTER_LABEL: &str = "openbao.org/cluster";
/// Port of the API, where also the nodes join.
pub const API_PORT: i32 = 8200;
/// Port on which nodes replicate.
pub const CLUSTER_PORT: i32 = 8201;
/// Name of the volume claim of the data.
pub const DATA_CLAIM: &str = "data";
/// Name of the volume claim of audit logs.
pub const AUDIT_CLAIM: &str = "audit";
/// Port of the listener with the edge certificate, where there is one.
pub const EDGE_PORT: i32 = 8210;

/// Everything that rendering is a function of.
#[derive(Clone, Copy)]
pub struct Cluster<'a> {
    /// Name of the owner.
    pub name: &'a str,
    /// Namespace of the owner.
    pub namespace: &'a str,
    /// What somebody wrote.
    pub spec: &'a OpenBaoClusterSpec,
    /// `spec.version`, read.
    pub version: ServerVersion,
    /// What the unseal provider answered.
    pub seal: &'a Seal,
    /// The image of its nodes, as [`crate::image`] decides.
    pub image: &'a str,
    /// Where it runs.
    pub platform: &'a Platform,
    /// `Plugin.spec.config`.
    pub config: &'a PluginConfig,
}

impl Cluster<'_> {
    /// The name that all nodes' certificates carry, whatever address a node is joined by.
    pub fn server_name(&self) -> String {
        format!("openbao-cluster-{}.local", self.name)
    }

    /// ConfigMap with `config.hcl`.
    pub fn config_map(&self) -> String {
        format!("{}-config", self.name)
    }

    /// ConfigMap with what the first node does to initialise the store.
    pub fn init_config_map(&self) -> String {
        format!("{}-init", self.name)
    }

    /// Secret with the answer to an initialisation by the operator.
    pub fn init_secret(&self) -> String {
        format!("{}-init", self.name)
    }

    /// Secret with the first password of the user `admin`.
    pub fn admin_secret(&self) -> String {
        format!("{}-admin", self.name)
    }

    /// Secret with the password of the user `operator`.
    pub fn operator_secret(&self) -> String {
        format!("{}-operator", self.name)
    }

    /// ConfigMap with the authority's certificate.
    pub fn ca_config_map(&self) -> String {
        format!("{}-ca", self.name)
    }

    /// Secret with the authority.
    pub fn ca_secret(&self) -> String {
        format!("{}-tls-ca", self.name)
    }

    /// Secret with the nodes' certificate.
    pub fn server_secret(&self) -> String {
        format!("{}-tls-server", self.name)
    }

    /// Service of the node that leads.
    pub fn active_service(&self) -> String {
        format!("{}-active", self.name)
    }

    /// Service for clients.
    pub fn public_service(&self) -> String {
        format!("{}-public", self.name)
    }

    /// Certificate of cert-manager.
    pub fn edge_certificate(&self) -> String {
        format!("{}-edge", self.name)
    }

    /// Pod of a node.
    pub fn pod(&self, ordinal: i32) -> String {
        format!("{}-{ordinal}", self.name)
    }

    /// Ordinal of one of our pods by its name, which is also its id in Raft.
    pub fn ordinal(&self, pod: &str) -> Option<i32> {
        let digits = pod.strip_prefix(self.name)?.strip_prefix('-')?;
        let ordinal = digits.parse().ok()?;
        // `prod-007` and `prod-+7` are numbers too, and no pods of ours.
        (self.pod(ordinal) == pod).then_some(ordinal)
    }

    /// Claims of a node, which the StatefulSet made.
    pub fn claims(&self, ordinal: i32) -> Vec<String> {
        let audit = self.spec.audit_storage.is_some().then_some(AUDIT_CLAIM);
        [DATA_CLAIM].into_iter().chain(audit).map(|claim| format!("{claim}-{}", self.pod(ordinal))).collect()
    }

    /// Secret with the edge certificate, where it is not the cluster's own and not OpenBao's affair.
    pub fn edge_secret(&self) -> Option<String> {
        match self.spec.tls.mode {
            TlsMode::OperatorManaged | TlsMode::Acme => None,
            TlsMode::Secret | TlsMode::CertManager => self.spec.tls.secret_name.clone(),
        }
    }

    /// Clients have a listener of their own.
    pub fn has_edge(&self) -> bool {
        self.spec.tls.mode != TlsMode::OperatorManaged
    }

    /// Port that the public Service leads to.
    pub fn public_port(&self) -> i32 {
        if self.has_edge() { EDGE_PORT } else { API_PORT }
    }

    /// Labels that select the nodes, for ever: a StatefulSet's selector cannot change.
    pub fn selector(&self) -> BTreeMap<String, String> {
        [("app.kubernetes.io/instance", self.name), ("app.kubernetes.io/name", "openbao"), (CLUSTER_LABEL, self.name)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }

    /// Labels of everything that belongs to the cluster.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.selector();
        labels.insert("app.kubernetes.io/component".to_owned(), "server".to_owned());
        labels.insert("app.kubernetes.io/managed-by".to_owned(), "banhbaoring".to_owned());
        labels
    }

    /// Plugins of the catalogue are copied out of images of their own, into a volume.
    pub fn copies_plugins(&self) -> bool {
        self.spec.plugin_catalog.iter().any(|plugin| plugin.image.is_some())
    }

    /// DNS names of the nodes' certificate, sorted as people look for them, each once.
    pub fn dns_names(&self) -> Vec<String> {
        let Self { name, namespace, .. } = self;
        let mut names = vec![self.server_name(), "localhost".to_owned()];
        for service in [(*name).to_owned(), self.active_service(), self.public_service()] {
            names.push(service.clone());
            names.push(format!("{service}.{namespace}"));
            names.push(format!("{service}.{namespace}.svc"));
            names.push(format!("{service}.{namespace}.svc.{}", self.platform.cluster_domain));
        }
        names.push(format!("*.{name}"));
        names.push(format!("*.{name}.{namespace}"));
        names.push(format!("*.{name}.{namespace}.svc"));
        names.push(format!("*.{name}.{namespace}.svc.{}", self.platform.cluster_domain));
        if !self.has_edge() {
            names.extend(self.spec.tls.dns_names.iter().cloned());
        }
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names
    }

    /// IP addresses of the nodes' certificate.
    pub fn ip_addresses(&self) -> Vec<String> {
        let mut addresses = vec!["127.0.0.1".to_owned(), "::1".to_owned()];
        if !self.has_edge() {
            addresses.extend(self.spec.tls.ip_addresses.iter().filter(|address| *address != "127.0.0.1" && *address != "::1").cloned());
        }
        addresses
    }
}
