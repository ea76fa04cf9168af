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

const SERVES: Duration = crate::wait::PATIENCE;

/// Who may use every key of the KMS, once access keys are demanded.
const USER: &str = "unseal";
const POLICY: &str = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]}"#;

/// A `moto_server`. Any access key is good until [`Moto::demand_access_keys`]; state is in memory.
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

    /// Makes a user who may use the keys of the KMS, and so many access keys of that user. Then no other is good any more, and nothing can be made here.
    ///
    /// # Errors
    /// [`crate::Error::Http`], also where an answer has no access key in it.
    pub async fn demand_access_keys(&self, count: usize) -> Result<Vec<AccessKey>> {
        self.ask_iam(&[("Action", "CreateUser"), ("UserName", USER)]).await?;
        let policy = [("Action", "PutUserPolicy"), ("UserName", USER), ("PolicyName", USER), ("PolicyDocument", POLICY)];
        self.ask_iam(&policy).await?;
        let mut keys = Vec::new();
        for _ in 0..count {
            let answer = self.ask_iam(&[("Action", "CreateAccessKey"), ("UserName", USER)]).await?;
            let of = |tag: &str| {
                let (_, rest) = answer.split_once(&format!("<{tag}>"))?;
                rest.split_once("</").map(|(value, _)| value.to_owned())
            };
            let key = of("AccessKeyId").zip(of("SecretAccessKey")).map(|(id, secret)| AccessKey { id, secret });
            keys.push(key.ok_or_else(|| crate::Error::Http {
                method: "POST".to_owned(),
                url: format!("{}/?Action=CreateAccessKey", self.endpoint()),
                expected: "an access key".to_owned(),
                found: answer,
            })?);
        }
        // So many more requests are let in without a look at who asks.
        self.http.succeed(Method::POST, "/moto-api/reset-auth", &[], Some(&json!(0))).await?;
        Ok(keys)
    }

    async fn ask_iam(&self, parameters: &[(&str, &str)]) -> Result<String> {
        let query: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
        let authorization = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=none";
        let path = format!("/?{}&Version=2010-05-08", query.join("&"));
        let answer = self.http.succeed(Method::POST, &path, &[("Authorization", authorization)], None).await?;
        Ok(answer.as_str().unwrap_or_default().to_owned())
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

/// An access key of [`Moto::demand_access_keys`].
#[derive(Clone, Debug)]
pub struct AccessKey {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
}

fn percent_encoded(text: &str) -> String {
    let encoded = |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encoded).collect()
}
