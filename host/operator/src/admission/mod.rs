//! The host as the API server's adviser: it asks about writes before it stores them, the plugins judge.
//!
//! ```text
//! certificate   what the host shows, kept in a Secret, made anew in time
//! server        TLS, bounded connections and bodies
//! review        one question of the API server: which plugin, its needs, its verdict
//! configure     what the API server is told to ask, for each plugin
//! ```
//! What is asked and what of an answer counts is decided in `banhbaoring_pipeline::review`. Every replica answers; only the leader writes.

mod certificate;
mod configure;
mod review;
mod server;

use std::net::SocketAddr;
use std::sync::Arc;

use banhbaoring_api::plugin::NamespacedName;
use banhbaoring_cluster::Cluster;
use banhbaoring_cluster::serving::ServedAs;
use banhbaoring_pipeline::contract::HostIdentity;
use banhbaoring_pipeline::review::Reach;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::active::ActivePlugins;
use crate::metrics::Metrics;
use certificate::Certificates;
pub(crate) use configure::{Told, withdraw};

/// Port of the Service that leads to the host.
const SERVICE_PORT: u16 = 443;

/// How the host is asked about writes.
#[derive(Debug, Clone)]
pub struct AdmissionOptions {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The Service in its own namespace that leads there; absent where the API server reaches the address itself.
    pub service: Option<String>,
}

/// What admission is made of.
pub(crate) struct Parts {
    /// The cluster, with the host's own client.
    pub(crate) cluster: Cluster,
    /// What serves.
    pub(crate) active: Arc<ActivePlugins>,
    /// Counts verdicts.
    pub(crate) metrics: Arc<Metrics>,
    /// The host itself.
    pub(crate) host: HostIdentity,
    /// DNS domain of the cluster.
    pub(crate) cluster_domain: String,
}

/// Everything that is known of admission while the process runs.
pub(crate) struct Admission {
    parts: Parts,
    reach: Reach,
    served_as: ServedAs,
    certificates: Certificates,
}

impl Admission {
    /// Listens, without answering yet.
    ///
    /// # Errors
    /// The address is taken.
    pub(crate) async fn bind(parts: Parts, options: &AdmissionOptions) -> std::io::Result<(Arc<Self>, tokio::net::TcpListener)> {
        let listener = tokio::net::TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let namespace = parts.host.namespace.clone();
        let (reach, served_as) = match &options.service {
            Some(service) => {
                let dns_names = vec![
                    format!("{service}.{namespace}.svc"),
                    format!("{service}.{namespace}"),
                    format!("{service}.{namespace}.svc.{}", parts.cluster_domain),
                ];
                let service = NamespacedName { namespace, name: service.clone() };
                (Reach::Service(service, SERVICE_PORT), ServedAs { dns_names, ip_addresses: Vec::new() })
            }
            None => {
                let ip_addresses = vec![address.ip().to_string()];
                (Reach::Url(format!("https://{address}")), ServedAs { dns_names: Vec::new(), ip_addresses })
            }
        };
        Ok((Arc::new(Self { parts, reach, served_as, certificates: Certificates::default() }), listener))
    }

    /// Answers until `stop`.
    pub(crate) async fn run(self: Arc<Self>, listener: tokio::net::TcpListener, leading: watch::Receiver<bool>, stop: CancellationToken) {
        tokio::join!(
            certificate::keep(&self.parts.cluster, &self.parts.host.namespace, &self.served_as, &self.certificates, leading, &stop),
            server::serve(listener, self.clone(), stop.clone()),
        );
    }

    /// Changes whenever another authority signs: who was told to trust the one before has to be told anew.
    pub(crate) fn authorities(&self) -> watch::Receiver<Option<String>> {
        self.certificates.authority()
    }

    fn account(&self) -> NamespacedName {
        NamespacedName { namespace: self.parts.host.namespace.clone(), name: self.parts.host.service_account.clone() }
    }
}
