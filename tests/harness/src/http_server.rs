//! A server on this machine's own address, where a pod would be: it remembers what it was asked and answers as it was told to.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A request as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// `PUT`.
    pub method: String,
    /// With its query.
    pub target: String,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
    /// As JSON; null where it is not.
    pub body: Value,
}

/// What is answered.
#[derive(Debug)]
pub enum Told {
    /// A status and a body.
    Json(u16, Value),
    /// The answer as it goes over the line.
    Raw(String),
    /// The connection ends after the request was read.
    Hangup,
    /// The rest after a while.
    After(Duration, Box<Told>),
}

/// A server. It ends with the runtime that started it.
#[derive(Debug)]
pub struct HttpServer {
    /// Where it is.
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl HttpServer {
    /// In plain text.
    ///
    /// # Errors
    /// The machine has no address but loopback, or no port.
    pub async fn start(tell: impl Fn(&Asked) -> Told + Send + Sync + 'static) -> io::Result<Self> {
        Self::serve(TcpListener::bind((own_address()?, 0)).await?, None, tell)
    }

    /// In plain text on that port.
    ///
    /// # Errors
    /// As [`HttpServer::start`], or the port is taken.
    pub async fn start_on(port: u16, tell: impl Fn(&Asked) -> Told + Send + Sync + 'static) -> io::Result<Self> {
        Self::serve(TcpListener::bind((own_address()?, port)).await?, None, tell)
    }

    /// With a certificate and its key in PEM.
    ///
    /// # Errors
    /// As [`HttpServer::start`], or they do not fit.
    pub async fn start_tls(certificate: &str, key: &str, tell: impl Fn(&Asked) -> Told + Send + Sync + 'static) -> io::Result<Self> {
        crate::http::install_tls_provider();
        let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<_, _>>().map_err(io::Error::other)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(io::Error::other)?;
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).map_err(io::Error::other)?;
        let listener = TcpListener::bind((own_address()?, 0)).await?;
        Self::serve(listener, Some(TlsAcceptor::from(Arc::new(config))), tell)
    }

    /// Everything that it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, tell: impl Fn(&Asked) -> Told + Send + Sync + 'static) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (seen, tell) = (asked.clone(), Arc::new(tell));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, tell, tls) = (seen.clone(), tell.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => one(stream, &seen, tell.as_ref()).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                one(stream, &seen, tell.as_ref()).await;
                            }
                        }
                    }
                });
            }
        });
        Ok(Self { address, asked })
    }
}

/// An address of this machine that is no loopback. Nothing is sent to find it out.
///
/// # Errors
/// It has none.
pub fn own_address() -> io::Result<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect("203.0.113.1:9")?;
    Ok(socket.local_addr()?.ip())
}

async fn one<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, seen: &Mutex<Vec<Asked>>, tell: &(dyn Fn(&Asked) -> Told + Send + Sync)) {
    let mut bytes = Vec::new();
    let asked = loop {
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&chunk[..read]),
            _ => return,
        }
        if let Some(asked) = whole(&bytes) {
            break asked;
        }
    };
    let mut told = tell(&asked);
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
    while let Told::After(wait, then) = told {
        tokio::time::sleep(wait).await;
        told = *then;
    }
    let text = match told {
        Told::Hangup | Told::After(..) => return,
        Told::Raw(text) => text,
        Told::Json(status, body) => {
            let body = body.to_string();
            format!(
                "HTTP/1.1 {status} Told\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            )
        }
    };
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// The request, once all of it is there.
fn whole(bytes: &[u8]) -> Option<Asked> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let headers: BTreeMap<String, String> =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    (body.len() >= length).then(|| Asked {
        method: first.next().unwrap_or_default().to_owned(),
        target: first.next().unwrap_or_default().to_owned(),
        headers,
        body: serde_json::from_str(body).unwrap_or(Value::Null),
    })
}
