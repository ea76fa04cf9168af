//! A proxy in front of a real registry that refuses or holds back what a test says, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use banhbaoring_testing::wait;
use tokio::sync::watch;

use crate::case::SOON;

#[derive(Clone, Default)]
enum Mood {
    #[default]
    Fair,
    /// This status to the paths that end so: a tag must not be taken for the beginning of a longer one.
    Refuse(u16, String),
    /// No answer to the paths that end so, until the mood changes.
    Hold(String),
}

struct Shared {
    upstream: String,
    client: reqwest::Client,
    mood: watch::Sender<Mood>,
    asked: Mutex<Vec<String>>,
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
    pub async fn before(upstream: &str) -> Self {
        banhbaoring_testing::http::install_tls_provider();
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            mood: watch::Sender::default(),
            asked: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, task }
    }

    pub fn refuse(&self, status: u16, end: &str) {
        self.shared.mood.send_replace(Mood::Refuse(status, end.to_owned()));
    }

    pub fn hold(&self, end: &str) {
        self.shared.mood.send_replace(Mood::Hold(end.to_owned()));
    }

    /// From now on everything is passed on, also what is held.
    pub fn behave(&self) {
        self.shared.mood.send_replace(Mood::Fair);
    }

    /// Methods and paths of requests so far whose path contains the text.
    pub fn asked(&self, part: &str) -> Vec<String> {
        self.shared.asked.lock().unwrap().iter().filter(|asked| asked.contains(part)).cloned().collect()
    }

    pub async fn until_asked(&self, part: &str) {
        let asked = wait::until(SOON, format!("a request for {part}"), async || {
            if self.asked(part).is_empty() { Err(format!("{:?}", self.asked(""))) } else { Ok(()) }
        });
        asked.await.unwrap();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let (parts, body) = request.into_parts();
    shared.asked.lock().unwrap().push(format!("{} {path}", parts.method));
    let held = |mood: &Mood| matches!(mood, Mood::Hold(end) if path.ends_with(end));
    let mood = shared.mood.subscribe().wait_for(|mood| !held(mood)).await.unwrap().clone();
    if let Mood::Refuse(status, end) = mood
        && path.ends_with(&end)
    {
        let envelope = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"no"}]}"#;
        return Response::builder().status(status).header("content-type", "application/json").body(envelope.into()).unwrap();
    }
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let url = format!("http://{}{path}", shared.upstream);
    let answer = shared.client.request(parts.method, url).headers(parts.headers).body(body).send().await.unwrap();
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove("transfer-encoding");
    let mut response = Response::new(Body::from(answer.bytes().await.unwrap()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
