//! The TLS server that the API server asks. Whoever can reach the port can ask: what one asks is bounded in size, number and time, and answers hold
//! nothing but what a plugin says of an object that the asker sent, and of what its grants let it read for that.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::post;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::Admission;
use super::review;

/// Of an answer that is no review.
const TEXT: &str = "text/plain";
/// The API server takes objects of 3 MiB, and a question may hold two.
const BODY: usize = 7 << 20;
/// Connections at a time; more wait.
const CONNECTIONS: usize = 256;
/// What is asked about most objects is smaller than this.
const SMALL: usize = 64 << 10;
/// Small questions that are judged at a time; more wait.
const SMALL_AT_ONCE: usize = 32;
/// Larger ones, from before their bodies are read: they wait for each other and for nobody else.
const LARGE_AT_ONCE: usize = 3;
/// For the greeting of TLS, for a body, and for the answer under way when a connection ends.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two questions on a connection. Longer than API servers keep one that they do not use (90 s): it is they who close it, and never while they send.
const IDLE: Duration = Duration::from_secs(100);
/// A connection that is kept open ends after this time: API servers make another.
const CONNECTION: Duration = Duration::from_secs(600);
/// Questions are answered for so much longer than there is reason to stop: it takes a moment until every API server asks another replica.
const LINGER: Duration = Duration::from_secs(3);

/// What all connections share.
#[derive(Clone)]
struct Shared {
    admission: Arc<Admission>,
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// Answers until `stop`, and a moment longer.
pub(super) async fn serve(listener: TcpListener, admission: Arc<Admission>, stop: CancellationToken) {
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_no_client_auth().with_cert_resolver(admission.certificates.resolver()));
    let mut config = match config {
        Ok(config) => config,
        Err(error) => return warn!(%error, "questions about writes are not answered"),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (small, large) = (Arc::new(Semaphore::new(SMALL_AT_ONCE)), Arc::new(Semaphore::new(LARGE_AT_ONCE)));
    let shared = Shared { admission, small, large };
    let router = Router::new().route("/review/{plugin}", post(answer)).with_state(shared);
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    if let Ok(address) = listener.local_addr() {
        info!(%address, "questions of the API server about writes");
    }
    let last = CancellationToken::new();
    let mut open = JoinSet::new();
    let stopped = async {
        stop.cancelled().await;
        tokio::time::sleep(LINGER).await;
    };
    tokio::pin!(stopped);
    loop {
        while open.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = accept(&listener, &connections) => accepted,
            () = &mut stopped => break,
        };
        match accepted {
            Ok((stream, permit)) => {
                let (acceptor, router, last) = (acceptor.clone(), router.clone(), last.clone());
                open.spawn(async move {
                    let _permit = permit;
                    connection(stream, acceptor, router, last).await;
                });
            }
            // Too many open files, most likely: what is under way ends, and then there is room again.
            Err(error) => {
                warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    last.cancel();
    while open.join_next().await.is_some() {}
}

async fn accept(listener: &TcpListener, connections: &Arc<Semaphore>) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = connections.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    Ok((listener.accept().await?.0, permit))
}

/// Until it ends, or until `last`: then the question under way is answered still.
async fn connection(stream: TcpStream, acceptor: TlsAcceptor, router: Router, last: CancellationToken) {
    let stream = match tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return debug!(%error, "a connection without a greeting of TLS"),
        Err(_) => return debug!("a connection that said nothing"),
    };
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(IDLE);
    let served = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = async { tokio::select! { () = tokio::time::sleep(CONNECTION) => {}, () = last.cancelled() => {} } } => {
            served.as_mut().graceful_shutdown();
            tokio::time::timeout(PATIENCE, served).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection broke off");
    }
}

async fn answer(State(shared): State<Shared>, Path(plugin): Path<String>, headers: HeaderMap, body: Body) -> impl IntoResponse {
    let told = |status: StatusCode, kind: &'static str, text: String| (status, [(header::CONTENT_TYPE, kind)], text);
    let (held, body) = match question(&shared, &headers, body).await {
        Ok(question) => question,
        Err((status, why)) => return told(status, TEXT, why),
    };
    let answered = review::answer(&shared.admission, &plugin, body).await;
    drop(held);
    match answered {
        Ok(answer) => told(StatusCode::OK, "application/json", answer.to_string()),
        Err(unreadable) => {
            debug!(%plugin, error = %unreadable, "a question that is none");
            told(StatusCode::BAD_REQUEST, TEXT, unreadable.to_string())
        }
    }
}

/// The bytes of a question, and the right to judge it: what is in memory at a time is bounded, and who sends slowly keeps no small question waiting.
async fn question<'a>(shared: &'a Shared, headers: &HeaderMap, body: Body) -> Result<(SemaphorePermit<'a>, Bytes), (StatusCode, String)> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let turn = async |of: &'a Semaphore| match tokio::time::timeout(PATIENCE, of.acquire()).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err((StatusCode::SERVICE_UNAVAILABLE, "expected a turn, found too many questions; ask again".to_owned())),
    };
    let read = async |limit: usize| match tokio::time::timeout(PATIENCE, to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err((StatusCode::PAYLOAD_TOO_LARGE, format!("expected at most {limit} bytes: {error}"))),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, format!("expected a whole question within {} s", PATIENCE.as_secs()))),
    };
    if length.is_some_and(|length| length <= SMALL) {
        let bytes = read(SMALL).await?;
        return Ok((turn(&shared.small).await?, bytes));
    }
    let permit = turn(&shared.large).await?;
    Ok((permit, read(BODY).await?))
}
