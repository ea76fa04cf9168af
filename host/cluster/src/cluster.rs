//! The cluster as a reconcile uses it: everything of this crate wired together. Behaviour lives in the modules.

use banhbaoring_pipeline::contract::{HostIdentity, Platform};
use kube::Client;

use crate::client::Clients;
use crate::discovery::{Discovery, DiscoveryError};
use crate::exchange::Exchanges;
use crate::inventory::InventoryStore;
use crate::watch::Watches;

/// One cluster. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Clients by account.
    pub clients: Clients,
    /// What is served.
    pub discovery: Discovery,
    /// Inventories, in the host's namespace.
    pub inventories: InventoryStore,
    /// Watches of children.
    pub watches: Watches,
    /// Connections and tokens of requests that are sent for plugins.
    pub exchanges: Exchanges,
}

impl Cluster {
    /// A cluster as seen by the host that runs in `namespace`.
    pub fn new(host: Client, namespace: &str) -> Self {
        Self::with_clients(Clients::new(host), namespace)
    }

    /// A cluster through these clients.
    pub fn with_clients(clients: Clients, namespace: &str) -> Self {
        let discovery = Discovery::new(clients.host().clone());
        Self {
            inventories: InventoryStore::new(clients.host().clone(), namespace),
            watches: Watches::new(clients.clone(), discovery.clone()),
            discovery,
            clients,
            exchanges: Exchanges::default(),
        }
    }

    /// The cluster as plugins see it.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn platform(&self, cluster_domain: &str, host: &HostIdentity) -> Result<Platform, DiscoveryError> {
        self.discovery.platform(cluster_domain, host).await
    }
}
