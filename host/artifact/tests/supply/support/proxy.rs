//! A proxy in front of a real registry that misbehaves on chosen paths and remembers what it was asked.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};

/// What to do instead of passing a request on. `None` passes it on.
pub type Rule = Box<dyn Fn(&Asked) -> Option<Misbehaviour> + Send + Sync>;

#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// With the query.
    pub path: String,
    /// Whom the client thinks it speaks to.
    pub host: String,
    pub authorization: Option<String>,
    pub body: Bytes,
    /// How often this method and path came before.
    pub before: usize,
}

pub enum Misbehaviour {
    /// This status with an OCI error envelope.
    Status(u16),
    /// This status, header and body.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// What the registry says, with the last byte of the body changed.
    Tamper,
    /// What the registry says, without its `Location` header.
    WithoutLocation,
    /// Spaces without end.
    Endless,
}

struct Shared {
    upstream: String,
    client: reqwest::Client,
    rule: Rule,
    asked: Mutex<Vec<Asked>>,
}

pub struct Proxy {
    pub address: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    pub async fn before(upstream: &str, rule: impl Fn(&Asked) -> Option<Misbehaviour> + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            client: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap(),
            rule: Box::new(rule),
            asked: Mutex::new(Vec::new()),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, task }
    }

    /// Requests so far whose path contains the text.
    pub fn asked(&self, part: &str) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().iter().filter(|asked| asked.path.contains(part)).cloned().collect()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let method = request.method().to_string();
    let authorization = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let host = request.headers().get("host").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let asked = {
        let mut all = shared.asked.lock().unwrap();
        let before = all.iter().filter(|other| other.path == path && other.method == method).count();
        let asked = Asked { method, path: path.clone(), host, authorization, body: body.clone(), before };
        all.push(asked.clone());
        asked
    };
    let misbehaviour = (shared.rule)(&asked);
    match misbehaviour {
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
            let mut response = pass_on(&shared, parts, body, false).await;
            response.headers_mut().remove("location");
            response
        }
        Some(Misbehaviour::Tamper) => pass_on(&shared, parts, body, true).await,
        None => pass_on(&shared, parts, body, false).await,
    }
}

fn respond(status: u16, headers: &[(&'static str, String)], body: Body) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    response.body(body).unwrap()
}

async fn pass_on(shared: &Shared, parts: axum::http::request::Parts, body: Bytes, tamper: bool) -> Response<Body> {
    let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let headers = parts.headers.clone();
    let sent = shared.client.request(parts.method, format!("http://{}{path}", shared.upstream)).headers(headers).body(body);
    let answer = sent.send().await.unwrap();
    let (status, mut headers): (StatusCode, HeaderMap) = (answer.status(), answer.headers().clone());
    headers.remove("transfer-encoding");
    let mut bytes = answer.bytes().await.unwrap().to_vec();
    if tamper && let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
