//! The KMS and S3 of AWS on this machine: `moto_server`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    Result,
    http::Http,
    ports::Port,
    scratch::Scratch,
    server::{Launch, Server},
};

const SERVES: Duration = Duration::from_secs(60);

/// A `moto_server`. Any access key is good; state is in memory.
#[derive(Debug)]
pub struct Moto {
    server: Server,
    http: Http,
    _port: Port,
    _scratch: Scratch,
}

impl Moto {
    /// Starts one.
    ///
    /// # Errors
    /// [`crate::Error::Tool`] when it was not installed, [`crate::Error::NotReady`] with its log.
    pub async fn start() -> Result<Self> {
        Self::listening_on(Ipv4Addr::LOCALHOST).await
    }

    /// Starts one on another address of this machine: on [`crate::node::Node::host`] pods reach it.
    ///
    /// # Errors
    /// As [`Moto::start`].
    pub async fn listening_on(address: Ipv4Addr) -> Result<Self> {
        let scratch = Scratch::new("moto")?;
        let port = Port::take()?;
        let server = Launch::tool("moto_server", scratch.path())?
            .args(["-H".to_owned(), address.to_string(), "-p".to_owned(), port.number().to_string()])
            .start()?;
        let http = Http::new(format!("http://{}", SocketAddr::new(IpAddr::V4(address), port.number())), None)?;
        server
            .until_ready(SERVES, "answering", || async { http.succeed(Method::GET, "/moto-api/data.json", &[], None).await.map(drop) })
            .await?;
        Ok(Self { server, http, _port: port, _scratch: scratch })
    }

    /// The endpoint for AWS clients: `http://127.0.0.1:<port>`, or where it was told to listen.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.http.base()
    }

    /// Its process.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Makes a symmetric KMS key and returns its id.
    ///
    /// # Errors
    /// [`crate::Error::Http`].
    pub async fn create_kms_key(&self, region: &str) -> Result<String> {
        let answer = self.ask_kms(region, "CreateKey", &json!({})).await?;
        Ok(answer["KeyMetadata"]["KeyId"].as_str().unwrap_or_default().to_owned())
    }

    /// Gives a key another name, `alias/…`.
    ///
    /// # Errors
    /// [`crate::Error::Http`].
    pub async fn create_kms_alias(&self, region: &str, alias: &str, key: &str) -> Result<()> {
        self.ask_kms(region, "CreateAlias", &json!({"AliasName": alias, "TargetKeyId": key})).await.map(drop)
    }

    async fn ask_kms(&self, region: &str, action: &str, body: &Value) -> Result<Value> {
        let target = format!("TrentService.{action}");
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential=test/20260101/{region}/kms/aws4_request, SignedHeaders=host, Signature=none");
        let headers =
            [("X-Amz-Target", target.as_str()), ("Content-Type", "application/x-amz-json-1.1"), ("Authorization", authorization.as_str())];
        self.http.succeed(Method::POST, "/", &headers, Some(body)).await
    }
}
