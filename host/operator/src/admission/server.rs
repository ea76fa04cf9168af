//! The TLS server that the API server asks. Whoever can reach the port can ask: what one asks is bounded in size, number and time, and answers hold
//! nothing but what a plugin says of an object that the asker sent, and of what its grants let it read for that.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::post;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::Admission;
use super::review;

/// The API server takes objects of 3 MiB, and a question may hold two.
const BODY: usize = 7 << 20;
/// Connections at a time; more wait.
const CONNECTIONS: usize = 64;
/// For the greeting of TLS, and for each header.
const GREETING: Duration = Duration::from_secs(5);
/// A connection that is kept open ends after this time: API servers make another.
const CONNECTION: Duration = Duration::from_secs(600);

/// Answers until `stop`.
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
    let router = Router::new().route("/review/{plugin}", post(answer)).layer(DefaultBodyLimit::max(BODY)).with_state(admission);
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    if let Ok(address) = listener.local_addr() {
        info!(%address, "questions of the API server about writes");
    }
    loop {
        let Ok(permit) = connections.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let (acceptor, router, stop) = (acceptor.clone(), router.clone(), stop.clone());
                tokio::spawn(async move {
                    let _permit = permit;
                    tokio::select! {
                        () = connection(stream, acceptor, router) => {}
                        () = stop.cancelled() => {}
                    }
                });
            }
            // Too many open files, most likely: what is under way ends, and then there is room again.
            Err(error) => {
                warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, router: Router) {
    let stream = match tokio::time::timeout(GREETING, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return debug!(%error, "a connection without a greeting of TLS"),
        Err(_) => return debug!("a connection that said nothing"),
    };
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(GREETING);
    let served = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Ok(Err(error)) = tokio::time::timeout(CONNECTION, served).await {
        debug!(%error, "a connection broke off");
    }
}

async fn answer(State(admission): State<Arc<Admission>>, Path(plugin): Path<String>, body: Bytes) -> impl IntoResponse {
    match review::answer(&admission, &plugin, &body).await {
        Ok(answer) => (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], answer.to_string()),
        Err(unreadable) => {
            debug!(%plugin, error = %unreadable, "a question that is none");
            (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "text/plain")], unreadable.to_string())
        }
    }
}
