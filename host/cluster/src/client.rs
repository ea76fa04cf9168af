//! Clients: the host's own, and one per service account that acts as it by impersonation. All share one connection pool. No request is made
//! here, and no rate is limited here: the API server's priority and fairness does that, per account.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use banhbaoring_api::plugin::NamespacedName;
use http::HeaderValue;
use kube::client::Body;
use kube::{Client, Config};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The configuration cannot be used.
    #[error("the cluster's configuration cannot be used: {0}; check the kubeconfig or the mounted service account")]
    Configuration(#[source] Box<kube::Error>),
    /// The account's name cannot be impersonated.
    #[error("expected a service account as namespace and name, found {0:?}; mend serviceAccountRef of the Plugin")]
    Account(String),
}

/// The host's own client and those that act as service accounts. Cheap to clone.
#[derive(Clone)]
pub struct Clients {
    host: Client,
    acting: Arc<Mutex<HashMap<NamespacedName, Client>>>,
    oneself: bool,
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clients")
    }
}

impl Clients {
    /// Clients over the connections of the host's own.
    pub fn new(host: Client) -> Self {
        Self { host, acting: Arc::default(), oneself: false }
    }

    /// Clients from a configuration, with our timeouts. Watches stay open as long as the server lets them; single requests are limited where
    /// they are made.
    ///
    /// # Errors
    /// When the configuration cannot be used.
    pub fn connect(mut config: Config) -> Result<Self, ClientError> {
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        let host = Client::try_from(config).map_err(|error| ClientError::Configuration(Box::new(error)))?;
        Ok(Self::new(host))
    }

    /// Clients that impersonate nobody: a person who looks at a cluster looks with their own eyes. The operator never uses them.
    #[must_use]
    pub fn as_oneself(mut self) -> Self {
        self.oneself = true;
        self
    }

    /// The host's own.
    pub fn host(&self) -> &Client {
        &self.host
    }

    /// The one that acts as `account`: every request carries `Impersonate-User`; the API server adds the groups of a service account itself.
    ///
    /// # Errors
    /// When the name cannot be one of a service account.
    pub fn acting_as(&self, account: &NamespacedName) -> Result<Client, ClientError> {
        if self.oneself {
            return Ok(self.host.clone());
        }
        let mut acting = self.acting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = acting.get(account) {
            return Ok(client.clone());
        }
        let client = impersonating(&self.host, account)?;
        acting.insert(account.clone(), client.clone());
        Ok(client)
    }

    /// Forgets the clients of accounts that `wanted` does not hold for: plugins come and go.
    pub fn retain(&self, wanted: impl Fn(&NamespacedName) -> bool) {
        self.acting.lock().unwrap_or_else(PoisonError::into_inner).retain(|account, _| wanted(account));
    }
}

fn impersonating(host: &Client, account: &NamespacedName) -> Result<Client, ClientError> {
    let named = |name: &str| {
        !name.is_empty()
            && name.len() <= 253
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
    };
    let shown = || ClientError::Account(format!("{}/{}", account.namespace, account.name));
    if !named(&account.namespace) || !named(&account.name) {
        return Err(shown());
    }
    let user = HeaderValue::try_from(format!("system:serviceaccount:{}:{}", account.namespace, account.name)).map_err(|_| shown())?;
    let through = host.clone();
    let service = tower::service_fn(move |mut request: http::Request<Body>| {
        request.headers_mut().insert("impersonate-user", user.clone());
        let through = through.clone();
        async move { through.send(request).await }
    });
    Ok(Client::new(service, account.namespace.clone()))
}
