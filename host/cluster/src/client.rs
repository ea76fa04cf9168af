//! Clients: the host's own, and one per service account that acts as it by impersonation. All share one connection pool. No request is made
//! here, and no rate is limited here: the API server's priority and fairness does that, per account.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use banhbaoring_api::plugin::NamespacedName;
use http::{HeaderValue, Request};
use kube::client::retry::RetryPolicy;
use kube::client::{Body, ClientBuilder};
use kube::config::AuthInfo;
use kube::{Client, Config};
use tower::BoxError;
use tower::buffer::BufferLayer;
use tower::filter::FilterLayer;
use tower::retry::RetryLayer;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Requests that wait for the guard at most; then senders wait.
const PENDING: usize = 1024;

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
    server: Option<Arc<Server>>,
}

/// Where the API server is, and how somebody without credentials asks it.
struct Server {
    host: String,
    nobody: Client,
}

impl Server {
    fn of(config: &Config) -> Result<Option<Arc<Self>>, ClientError> {
        let Some(host) = config.cluster_url.host() else { return Ok(None) };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let mut config = config.clone();
        config.auth_info = AuthInfo::default();
        let nobody = Client::try_from(config).map_err(|error| ClientError::Configuration(Box::new(error)))?;
        Ok(Some(Arc::new(Self { host, nobody })))
    }
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clients")
    }
}

impl Clients {
    /// Clients over the connections of the host's own.
    pub fn new(host: Client) -> Self {
        Self { host, acting: Arc::default(), oneself: false, server: None }
    }

    /// Clients from a configuration, with our timeouts. Watches stay open as long as the server lets them; single requests are limited where
    /// they are made.
    ///
    /// # Errors
    /// When the configuration cannot be used.
    pub fn connect(mut config: Config) -> Result<Self, ClientError> {
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        let server = Server::of(&config)?;
        let host = Client::try_from(config).map_err(|error| ClientError::Configuration(Box::new(error)))?;
        Ok(Self { server, ..Self::new(host) })
    }

    /// As [`Clients::connect`]; `guard` looks at every request right before it is sent, and before it is sent once more because the server had no
    /// time for it. A request that it refuses is not sent.
    ///
    /// # Errors
    /// When the configuration cannot be used.
    pub fn connect_guarded<G>(mut config: Config, guard: G) -> Result<Self, ClientError>
    where
        G: Fn(&Request<Body>) -> Result<(), BoxError> + Clone + Send + 'static,
    {
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        // The client's own repetition would go on behind the guard: ours goes on before it.
        config.default_retry = false;
        let server = Server::of(&config)?;
        let builder = ClientBuilder::try_from(config).map_err(|error| ClientError::Configuration(Box::new(error)))?;
        let guard = FilterLayer::new(move |request: Request<Body>| guard(&request).map(|()| request));
        let host = builder
            .with_layer(&guard)
            .with_layer(&BufferLayer::new(PENDING))
            .with_layer(&RetryLayer::new(RetryPolicy::server_retry()))
            .build();
        Ok(Self { server, ..Self::new(host) })
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

    /// One that has no credentials at all; absent where the clients were not made from a configuration.
    pub(crate) fn nobody(&self) -> Option<&Client> {
        self.server.as_ref().map(|server| &server.nobody)
    }

    /// Addresses of the API server, as far as its name tells.
    pub(crate) async fn api_server(&self) -> BTreeSet<IpAddr> {
        let Some(server) = &self.server else { return BTreeSet::new() };
        let found = tokio::net::lookup_host((server.host.as_str(), 0)).await;
        found.into_iter().flatten().map(|address| address.ip().to_canonical()).collect()
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
    let service = tower::service_fn(move |mut request: Request<Body>| {
        request.headers_mut().insert("impersonate-user", user.clone());
        let through = through.clone();
        async move { through.send(request).await }
    });
    Ok(Client::new(service, account.namespace.clone()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// An API server that has no time, and how often it was asked.
    async fn busy_server() -> (Config, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<AtomicUsize> = Arc::default();
        let count = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let _ = connection.read(&mut [0; 4096]).await;
                count.fetch_add(1, Ordering::SeqCst);
                let answer = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _ = connection.write_all(answer).await;
            }
        });
        (Config::new(format!("http://{address}").parse().unwrap()), asked)
    }

    #[tokio::test]
    async fn what_is_sent_again_is_looked_at_again() {
        let (config, asked) = busy_server().await;
        let seen: Arc<AtomicUsize> = Arc::default();
        let looks = seen.clone();
        let clients = Clients::connect_guarded(config, move |_| match looks.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Ok(()),
            _ => Err("no longer".into()),
        });
        let account = NamespacedName { namespace: "a".to_owned(), name: "b".to_owned() };
        let client = clients.unwrap().acting_as(&account).unwrap();
        let told = client.request_text(Request::get("/api").body(Vec::new()).unwrap()).await.unwrap_err();
        assert!(told.to_string().contains("no longer"), "{told}");
        assert_eq!((asked.load(Ordering::SeqCst), seen.load(Ordering::SeqCst)), (2, 3));
    }
}
