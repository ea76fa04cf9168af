//! A proxy in front of a real registry that misbehaves as a test says and remembers what it was asked. What is asked and what an answer should be is
//! for the tests to say.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use tokio::sync::watch;

/// The largest body that is passed on.
const LARGEST: usize = 64 << 20;

/// What to do instead of passing a request on; `None` passes it on.
type Rule = Arc<dyn Fn(&Asked) -> Option<Misbehaviour> + Send + Sync>;

/// A request that came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `GET`, …
    pub method: String,
    /// With the query.
    pub path: String,
    /// Whom the client thinks it speaks to.
    pub host: String,
    /// The header, if there was one.
    pub authorization: Option<String>,
    /// The body.
    pub body: Bytes,
    /// How often this method and path came before.
    pub before: usize,
}

/// What is done instead of passing a request on.
#[derive(Debug)]
pub enum Misbehaviour {
    /// This status with an OCI error envelope.
    Status(u16),
    /// This status, headers and body.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// What the registry says, with the last byte of the body changed.
    Tamper,
    /// What the registry says, without its `Location` header.
    WithoutLocation,
    /// Spaces without end.
    Endless,
    /// No answer until another rule holds, which then decides.
    Held,
}

struct Shared {
    upstream: String,
    client: reqwest::Client,
    rule: watch::Sender<Rule>,
    asked: Mutex<Vec<Asked>>,
}

/// A running proxy. Stops when dropped.
pub struct Proxy {
    /// `127.0.0.1:<port>`.
    pub address: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("address", &self.address).field("upstream", &self.shared.upstream).finish_non_exhaustive()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// One before `upstream`, which is `host:port` of a server without TLS.
    ///
    /// # Errors
    /// There is no free port or no HTTP client.
    pub async fn before(upstream: &str, rule: impl Fn(&Asked) -> Option<Misbehaviour> + Send + Sync + 'static) -> io::Result<Self> {
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            client: client.build().map_err(io::Error::other)?,
            rule: watch::Sender::new(Arc::new(rule)),
            asked: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // It ends only by being stopped.
            let _ended = axum::serve(listener, router).await;
        });
        Ok(Self { address, shared, task })
    }

    /// Another rule from now on, also for what is held.
    pub fn from_now_on(&self, rule: impl Fn(&Asked) -> Option<Misbehaviour> + Send + Sync + 'static) {
        self.shared.rule.send_replace(Arc::new(rule));
    }

    /// Requests so far whose path contains the text.
    #[must_use]
    pub fn asked(&self, part: &str) -> Vec<Asked> {
        self.shared.all().iter().filter(|asked| asked.path.contains(part)).cloned().collect()
    }
}

impl Shared {
    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request.
    fn note(&self, parts: &Parts, body: &Bytes) -> Asked {
        let header = |name: &str| parts.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let (method, path) = (parts.method.to_string(), path(parts));
        let mut all = self.all();
        let before = all.iter().filter(|other| other.path == path && other.method == method).count();
        let (host, authorization) = (header("host").unwrap_or_default(), header("authorization"));
        let asked = Asked { method, path, host, authorization, body: body.clone(), before };
        all.push(asked.clone());
        asked
    }

    /// What the rule of the moment says, once it is not to wait.
    async fn decide(&self, asked: &Asked) -> Option<Misbehaviour> {
        let mut rules = self.rule.subscribe();
        loop {
            let rule = Rule::clone(&rules.borrow_and_update());
            match rule(asked) {
                Some(Misbehaviour::Held) if rules.changed().await.is_ok() => {}
                decided => return decided,
            }
        }
    }

    async fn pass_on(&self, parts: Parts, body: Bytes, tamper: bool) -> Response<Body> {
        let url = format!("http://{}{}", self.upstream, path(&parts));
        let answer = match self.client.request(parts.method, url).headers(parts.headers).body(body).send().await {
            Ok(answer) => answer,
            Err(error) => return failed(&error),
        };
        let (status, mut headers): (StatusCode, HeaderMap) = (answer.status(), answer.headers().clone());
        headers.remove("transfer-encoding");
        let mut bytes = match answer.bytes().await {
            Ok(bytes) => bytes.to_vec(),
            Err(error) => return failed(&error),
        };
        if tamper && let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
        let mut response = Response::new(Body::from(bytes));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

fn path(parts: &Parts) -> String {
    parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default()
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = match axum::body::to_bytes(body, LARGEST).await {
        Ok(body) => body,
        Err(error) => return failed(&error),
    };
    let asked = shared.note(&parts, &body);
    match shared.decide(&asked).await {
        Some(Misbehaviour::Status(status)) => {
            let code = if status == 429 { "TOOMANYREQUESTS" } else { "DENIED" };
            let body = format!(r#"{{"errors":[{{"code":"{code}","message":"no"}}]}}"#);
            respond(status, &[("content-type", "application/json".to_owned())], body.into())
        }
        Some(Misbehaviour::Answer(status, headers, body)) => respond(status, &headers, body.into()),
        Some(Misbehaviour::Endless) => {
            let spaces = Bytes::from(vec![b' '; 1 << 16]);
            let without_end = futures::stream::repeat_with(move || Ok::<_, std::convert::Infallible>(spaces.clone()));
            Response::new(Body::from_stream(without_end))
        }
        Some(Misbehaviour::WithoutLocation) => {
            let mut response = shared.pass_on(parts, body, false).await;
            response.headers_mut().remove("location");
            response
        }
        Some(Misbehaviour::Tamper) => shared.pass_on(parts, body, true).await,
        Some(Misbehaviour::Held) | None => shared.pass_on(parts, body, false).await,
    }
}

fn respond(status: u16, headers: &[(&'static str, String)], body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(*name, value);
        }
    }
    response
}

fn failed(error: &dyn std::error::Error) -> Response<Body> {
    respond(502, &[], Body::from(format!("the proxy of this test: {error}")))
}
