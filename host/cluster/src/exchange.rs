//! HTTP exchanges that the host performs for plugins: needs and actions of the kind `http`, after they were admitted. Only a [`PermittedRequest`] can be
//! sent.
//!
//! ```text
//! destination   Service → pods of this owner → addresses; a granted host → addresses that are nobody's inside
//! credential    values of Secrets, tokens of the plugin's account, logins: put in here, seen by no plugin
//! answer        default-deny: the status code and what `expose` names, unless it repeats what was put in
//! ```
//! Never repeated, never redirected, bounded in size, depth and time. What becomes of the outcome is decided by the callers: `answer` and `act`.

mod answer;
mod credential;
mod destination;
mod error;
mod token;
mod trust;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use banhbaoring_api::inventory::InventorySpec;
use banhbaoring_contract::http::{Endpoint as HttpEndpoint, Method, Scheme};
use banhbaoring_pipeline::ActivePlugin;
use banhbaoring_pipeline::admit::PermittedRequest;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

pub(crate) use answer::Reply;
use credential::Tokens;
use destination::Resolved;
pub(crate) use error::ExchangeError;

use crate::cluster::Cluster;

/// Limit of a whole exchange where none is asked for.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that may be asked for.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Exchanges with one destination that are under way at a time.
const PARALLEL: usize = 4;
/// Clients, that is pools of connections, that are kept. Beyond, all are dropped and made anew.
const MAX_CLIENTS: usize = 1024;

/// Says right before something is sent whether it still may be.
pub type Gate<'a> = &'a (dyn Fn() -> Result<(), String> + Send + Sync);

/// For whom a request is sent.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) plugin: &'a ActivePlugin,
    pub(crate) inventory: &'a InventorySpec,
    pub(crate) gate: Gate<'a>,
}

impl Asking<'_> {
    fn namespace(&self) -> Result<&str, ExchangeError> {
        let namespace = self.inventory.owner.namespace.as_deref();
        namespace.ok_or_else(|| ExchangeError::Refused("a cluster-scoped owner has no Secrets and Services of its own".to_owned()))
    }
}

/// What is kept between exchanges: connections and tokens of logins.
#[derive(Debug, Clone, Default)]
pub struct Exchanges {
    pools: Arc<Mutex<HashMap<PoolKey, Pool>>>,
    tokens: Tokens,
}

/// One destination as one TLS root sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PoolKey {
    name: String,
    addresses: Vec<SocketAddr>,
    root: Option<String>,
}

#[derive(Debug, Clone)]
struct Pool {
    client: reqwest::Client,
    permits: Arc<Semaphore>,
}

impl Exchanges {
    fn pool(&self, key: PoolKey) -> Result<Pool, ExchangeError> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(&key) {
            return Ok(pool.clone());
        }
        if pools.len() >= MAX_CLIENTS {
            pools.clear();
        }
        let pool = Pool { client: client(&key)?, permits: Arc::new(Semaphore::new(PARALLEL)) };
        pools.insert(key, pool.clone());
        Ok(pool)
    }
}

fn client(key: &PoolKey) -> Result<reqwest::Client, ExchangeError> {
    let invalid = |error: &reqwest::Error| ExchangeError::Invalid(format!("tls.ca: {}", error::innermost(error)));
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("banhbaoring/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        // The addresses were chosen here: neither a proxy nor DNS has a word in it.
        .no_proxy()
        .resolve_to_addrs(&key.name, &key.addresses)
        // A body that unpacks while it is read would escape the size cap.
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd();
    if let Some(pem) = &key.root {
        let roots = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(|error| invalid(&error))?;
        if roots.is_empty() {
            return Err(ExchangeError::Invalid("tls.ca: expected certificates in PEM, found none".to_owned()));
        }
        builder = builder.tls_certs_only(roots);
    }
    builder.build().map_err(|error| invalid(&error))
}

/// Where requests of one exchange go: the login and what it is for.
struct Way {
    pool: Pool,
    scheme: Scheme,
    name: String,
    port: u16,
    timeout: Duration,
}

/// A request with everything put in.
struct Message<'m> {
    method: Method,
    path: &'m str,
    query: Vec<(&'m String, &'m String)>,
    headers: HeaderMap,
    body: Value,
}

impl Cluster {
    /// Sends a request and reads what may be known of the answer.
    pub(crate) async fn exchange(&self, asking: Asking<'_>, request: &PermittedRequest) -> Result<Reply, ExchangeError> {
        let endpoint = &request.endpoint;
        let to = self.resolve(asking, &endpoint.destination).await?;
        let way = self.way(asking, endpoint, to).await?;
        let mut secrets = Vec::new();
        let mut parts = json!({"headers": {}, "body": request.body});
        for (name, value) in &endpoint.headers {
            parts["headers"][name] = json!(value);
        }
        self.inject(asking, &endpoint.inject, &mut parts, &mut secrets).await?;
        let authorised = self.authorise(asking, endpoint, &way, &mut parts, &mut secrets).await?;
        let (headers, body) = split(parts)?;
        let query = endpoint.query.iter().collect();
        let message = Message { method: request.method, path: &endpoint.path, query, headers, body };
        let reads = !endpoint.expose.is_empty() || !request.capture.is_empty();
        let reply = way.send(asking, message, reads).await?;
        if matches!(reply.status, 401 | 403) {
            // Whatever it was that let it in, it does no longer.
            self.exchanges.tokens.drop(authorised.as_ref());
        }
        Ok(reply.with_secrets(secrets))
    }

    async fn way(&self, asking: Asking<'_>, endpoint: &HttpEndpoint, to: Resolved) -> Result<Way, ExchangeError> {
        let tls = endpoint.tls.as_ref();
        let root = match (endpoint.scheme, tls.and_then(|tls| tls.ca.as_ref())) {
            (Scheme::Https, Some(root)) => Some(self.certificates(asking, root).await?),
            _ => None,
        };
        let name = tls.and_then(|tls| tls.server_name.clone()).unwrap_or(to.name);
        let asked = endpoint.timeout_seconds.map_or(DEFAULT_TIMEOUT, |seconds| Duration::from_secs(u64::from(seconds.max(1))));
        let pool = self.exchanges.pool(PoolKey { name: name.clone(), addresses: to.addresses, root })?;
        Ok(Way { pool, scheme: endpoint.scheme, name, port: to.port, timeout: asked.min(LONGEST_TIMEOUT) })
    }
}

impl Way {
    async fn send(&self, asking: Asking<'_>, message: Message<'_>, reads: bool) -> Result<Reply, ExchangeError> {
        let Ok(_permit) = self.pool.permits.acquire().await else {
            return Err(ExchangeError::Unreachable("the host ends".to_owned()));
        };
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        let mut url = Url::parse(&format!("{scheme}://{}:{}", self.name, self.port))
            .map_err(|error| ExchangeError::Invalid(format!("{}: {error}", self.name)))?;
        url.set_path(message.path);
        if !message.query.is_empty() {
            url.query_pairs_mut().extend_pairs(message.query);
        }
        let method =
            reqwest::Method::from_bytes(message.method.as_str().as_bytes()).map_err(|error| ExchangeError::Invalid(error.to_string()))?;
        let mut builder = self.pool.client.request(method, url).timeout(self.timeout).headers(message.headers);
        if !message.body.is_null() {
            builder = builder.header(CONTENT_TYPE, "application/json").body(message.body.to_string());
        }
        (asking.gate)().map_err(ExchangeError::Fenced)?;
        let response = builder.send().await.map_err(|error| ExchangeError::of(&error, &self.name))?;
        Reply::read(response, reads, &self.name).await
    }
}

/// `{"headers": …, "body": …}` as they are sent.
fn split(parts: Value) -> Result<(HeaderMap, Value), ExchangeError> {
    let mut parts = match parts {
        Value::Object(parts) => parts,
        _ => Map::new(),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in parts.get("headers").and_then(Value::as_object).into_iter().flatten() {
        // A value is never quoted: it may be a credential.
        let malformed = || ExchangeError::Invalid(format!("the header {name} cannot be sent: expected printable text"));
        let header = HeaderName::try_from(name.as_str()).map_err(|_| malformed())?;
        let mut sent = HeaderValue::try_from(value.as_str().unwrap_or_default()).map_err(|_| malformed())?;
        sent.set_sensitive(true);
        headers.insert(header, sent);
    }
    Ok((headers, parts.remove("body").unwrap_or_default()))
}
