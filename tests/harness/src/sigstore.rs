//! A Sigstore of the test's own: a real Fulcio that makes its authority when it starts, a real RFC 3161 timestamp authority, and an issuer of identity
//! tokens that says of anybody who they are. There is no transparency log.

use std::time::Duration;

use axum::{Router, extract::Path, routing::get};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use rand::RngCore as _;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    Error, Result, cosign,
    http::Http,
    ports::Port,
    scratch::Scratch,
    server::{Launch, Server},
};

const SERVES: Duration = crate::wait::PATIENCE;
/// For whom Fulcio wants tokens to be made.
const AUDIENCE: &str = "sigstore";

/// The servers. They end with this value, and the issuer with the runtime that started them.
#[derive(Debug)]
pub struct Sigstore {
    issuer: Issuer,
    fulcio: Http,
    timestamps: Http,
    scratch: Scratch,
    _servers: [Server; 2],
    _ports: [Port; 3],
}

impl Sigstore {
    /// Starts them.
    ///
    /// # Errors
    /// [`Error::Tool`] when they were not built, [`Error::NotReady`] with a log.
    pub async fn start() -> Result<Self> {
        let scratch = Scratch::new("sigstore")?;
        let issuer = Issuer::start().await?;
        let ports = [Port::take()?, Port::take()?, Port::take()?];
        let [port, metrics, timestamp_port] = ports.each_ref().map(Port::number);
        let known = json!({"OIDCIssuers": {&issuer.url: {"IssuerURL": &issuer.url, "ClientID": AUDIENCE, "Type": "email"}}});
        let config = scratch.write("fulcio.json", known.to_string())?.display().to_string();
        let fulcio_server = Launch::tool("fulcio", scratch.path())?
            .args(["serve", "--ca=ephemeralca", "--ct-log-url=", "--host=127.0.0.1", "--grpc-host=127.0.0.1"])
            .args([format!("--config-path={config}"), format!("--port={port}"), format!("--grpc-port={}", port + 1)])
            // The default is one name for the whole machine.
            .args([format!("--metrics-port={metrics}"), format!("--legacy-unix-domain-socket=@fulcio-{port}")])
            .start()?;
        let timestamp_server = Launch::tool("timestamp-server", scratch.path())?.args([format!("-port={timestamp_port}")]).start()?;
        let (fulcio, timestamps) = (http(port)?, http(timestamp_port)?);
        let chain = |server: &'static str, from: Value| match from {
            Value::String(pem) => Ok(pem),
            other => {
                Err(Error::Machine { what: format!("read the certificates of {server}"), source: std::io::Error::other(other.to_string()) })
            }
        };
        for (name, server, http, path) in [
            (FULCIO_CHAIN, &fulcio_server, &fulcio, "/api/v1/rootCert"),
            (TIMESTAMP_CHAIN, &timestamp_server, &timestamps, "/api/v1/timestamp/certchain"),
        ] {
            let told = server.until_ready(SERVES, "answering", || http.succeed(Method::GET, path, &[], None)).await?;
            let pem = chain(name, told)?;
            scratch.write(name, &pem)?;
        }
        Ok(Self { issuer, fulcio, timestamps, scratch, _servers: [fulcio_server, timestamp_server], _ports: ports })
    }

    /// Who vouches for identities: what certificates name as their issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer.url
    }

    /// The path of a token that says that its bearer has this address. A path, because cosign takes the text only of tokens signed with RSA.
    ///
    /// # Errors
    /// [`Error::Machine`] when it cannot be written.
    pub fn identity_token(&self, email: &str) -> Result<String> {
        Ok(self.scratch.write("token", self.issuer.token(email))?.display().to_string())
    }

    /// The command lines that prepare a cosign for [`cosign::sign_keyless`].
    #[must_use]
    pub fn preparation(&self) -> [Vec<String>; 2] {
        let file = |name: &str| self.scratch.path().join(name).display().to_string();
        let (fulcio, timestamps) = (file(FULCIO_CHAIN), file(TIMESTAMP_CHAIN));
        let asked = self.timestamp_url();
        let root = cosign::trusted_root((self.fulcio.base(), &fulcio), (&asked, &timestamps));
        [cosign::keyless_config(self.fulcio.base(), &asked), root]
    }

    /// Where Fulcio is asked for certificates.
    #[must_use]
    pub fn fulcio_url(&self) -> &str {
        self.fulcio.base()
    }

    /// Where timestamps are asked for.
    #[must_use]
    pub fn timestamp_url(&self) -> String {
        format!("{}/api/v1/timestamp", self.timestamps.base())
    }
}

const FULCIO_CHAIN: &str = "fulcio.pem";
const TIMESTAMP_CHAIN: &str = "timestamps.pem";

fn http(port: u16) -> Result<Http> {
    Http::new(format!("http://127.0.0.1:{port}"), None)
}

/// An OpenID Connect issuer with one key.
#[derive(Debug)]
struct Issuer {
    url: String,
    key: SigningKey,
}

impl Issuer {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(Error::machine("listen as an issuer"))?;
        let url = format!("http://{}", listener.local_addr().map_err(Error::machine("listen as an issuer"))?);
        let key = new_key()?;
        let point = key.verifying_key().to_encoded_point(false);
        let [x, y] = [point.x(), point.y()].map(|part| part.map(encoded).unwrap_or_default());
        let keys = json!({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1", "x": x, "y": y}]}).to_string();
        let about = json!({"issuer": url, "jwks_uri": format!("{url}/keys"), "id_token_signing_alg_values_supported": ["ES256"],
            "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
            "authorization_endpoint": format!("{url}/none"), "token_endpoint": format!("{url}/none")})
        .to_string();
        let told = move |Path(path): Path<String>| async move { if path == "keys" { keys } else { about } };
        let router = Router::new().route("/{*path}", get(told));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, key })
    }

    fn token(&self, email: &str) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
        let claims =
            json!({"iss": self.url, "aud": AUDIENCE, "sub": email, "email": email, "email_verified": true, "iat": now, "exp": now + 600});
        let head = json!({"alg": "ES256", "kid": "1", "typ": "JWT"});
        let signed = format!("{}.{}", encoded(head.to_string()), encoded(claims.to_string()));
        let signature: Signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", encoded(signature.to_bytes()))
    }
}

fn new_key() -> Result<SigningKey> {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    SigningKey::from_slice(&bytes).map_err(|error| Error::Machine { what: "make a key".to_owned(), source: std::io::Error::other(error) })
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
