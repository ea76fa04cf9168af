//! Asking a local server over HTTP(S): JSON in, JSON out, errors that show what came back.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;

use crate::{Error, Result};

const ONE_REQUEST: Duration = Duration::from_secs(30);

/// A client for one local server.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
    base: String,
    account: Option<(String, String)>,
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// The body as JSON; a string when it was not JSON, null when it was empty.
    pub body: Value,
}

/// Chooses the TLS implementation of this process. Harmless when it was chosen before.
pub fn install_tls_provider() {
    // Two crates of the tree each enable another one; without a choice the first connection panics.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

impl Http {
    /// A client for `base` (`http://…` or `https://…`, no slash at the end); `authority` is the PEM to trust and nothing else.
    ///
    /// # Errors
    /// [`Error::Http`] when the authority is not a certificate.
    pub fn new(base: impl Into<String>, authority: Option<&str>) -> Result<Self> {
        install_tls_provider();
        let base = base.into();
        let failed = |error: reqwest::Error| Error::Http {
            method: "prepare".into(),
            url: base.clone(),
            expected: "a usable client".into(),
            found: error.to_string(),
        };
        let roots = authority.map(|pem| reqwest::Certificate::from_pem(pem.as_bytes())).transpose().map_err(failed)?;
        let client = Client::builder().timeout(ONE_REQUEST).no_proxy().tls_certs_only(roots).build().map_err(failed)?;
        Ok(Self { client, base, account: None })
    }

    /// The same for a server that asks who asks (basic auth).
    #[must_use]
    pub fn known_as(&self, account: Option<&(String, String)>) -> Self {
        Self { account: account.cloned(), ..self.clone() }
    }

    fn request(&self, method: Method, url: &str) -> RequestBuilder {
        let request = self.client.request(method, url);
        match &self.account {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        }
    }

    /// The address that paths are added to.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request and returns the answer whatever its status. `headers` are names and values.
    ///
    /// # Errors
    /// [`Error::Http`] when there is no answer.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Result<Answer> {
        let url = format!("{}{path}", self.base);
        let mut request = self.request(method.clone(), &url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let failed = |error: reqwest::Error| Error::Http {
            method: method.to_string(),
            url: url.clone(),
            expected: "an answer".into(),
            found: whole(&error),
        };
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let text = response.text().await.map_err(failed)?;
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::String(text)) };
        Ok(Answer { status, body })
    }

    /// Like [`Http::send`], but any status outside 2xx is an error.
    ///
    /// # Errors
    /// [`Error::Http`] with status and body.
    pub async fn succeed(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Result<Value> {
        let answer = self.send(method.clone(), path, headers, body).await?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        Err(Error::Http {
            method: method.to_string(),
            url: format!("{}{path}", self.base),
            expected: "success".into(),
            found: format!("{} {}", answer.status, answer.body),
        })
    }

    /// Sends bytes and returns where the server says that the next step is (`Location`), below the base. Any status outside 2xx is an error.
    ///
    /// # Errors
    /// [`Error::Http`] with status and body.
    pub async fn upload(&self, method: Method, path: &str, content_type: Option<&str>, bytes: Vec<u8>) -> Result<Option<String>> {
        let url = format!("{}{path}", self.base);
        let failed = |found: String| Error::Http { method: method.to_string(), url: url.clone(), expected: "success".into(), found };
        let mut request = self.request(method.clone(), &url).body(bytes);
        if let Some(content_type) = content_type {
            request = request.header("Content-Type", content_type);
        }
        let response = request.send().await.map_err(|error| failed(whole(&error)))?;
        let status = response.status();
        if !status.is_success() {
            return Err(failed(format!("{status} {}", response.text().await.unwrap_or_default())));
        }
        let place = response.headers().get("Location").and_then(|place| place.to_str().ok());
        Ok(place.map(|place| place.strip_prefix(&self.base).unwrap_or(place).to_owned()))
    }
}

/// The error with its causes: "connection refused" is the last of them.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text.push_str(": ");
        text.push_str(&deeper.to_string());
        cause = deeper.source();
    }
    text
}
