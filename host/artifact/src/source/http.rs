//! One bounded HTTP exchange with a registry: transport rules, size caps, the mapping of failures to reasons, retries.
//!
//! Knows nothing of manifests or blobs (that is `registry`) and nothing of tokens (that is `auth`).
//! Not `oci_client::Client`, because it buffers every answer without a limit, loses the status of a throttled token
//! server, takes an error on the fallback tag for "no referrers" and panics on a missing `Location`.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};

use super::{RegistryOptions, SourceError, Transport};
use crate::reference::Repository;

/// Answers other than blobs and manifests (tokens, tag lists, errors).
pub(super) const MAX_SMALL_ANSWER: u64 = 1 << 20;
const MAX_REDIRECTS: usize = 5;

/// What came back: any status that is not a failure of the registry itself.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// A header's value where it is printable text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// What to send. `limit` bounds the answer's body in bytes.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) accept: Option<&'static str>,
    pub(super) content_type: Option<String>,
    pub(super) body: Option<Vec<u8>>,
    pub(super) limit: u64,
    /// What is asked for, for error messages: never contains a secret.
    pub(super) what: String,
}

impl Request {
    pub(super) fn new(method: Method, url: Url, limit: u64, what: impl Into<String>) -> Self {
        Self { method, url, accept: None, content_type: None, body: None, limit, what: what.into() }
    }
}

/// The HTTP client of one registry.
pub(super) struct Http {
    client: reqwest::Client,
    base: Url,
    registry: String,
}

impl Http {
    pub(super) fn new(repository: &Repository, options: &RegistryOptions) -> Result<Self, SourceError> {
        let registry = repository.host().to_owned();
        let scheme = match options.transport {
            Transport::Https => "https",
            Transport::PlainHttpOnLoopback if !repository.is_loopback() => {
                return Err(SourceError::PlainHttpRefused { registry });
            }
            Transport::PlainHttpOnLoopback | Transport::PlainHttpAnywhere => "http",
        };
        let base = Url::parse(&format!("{scheme}://{}/v2/{}/", repository.api_host(), repository.path()))
            .map_err(|error| SourceError::Client { registry: registry.clone(), detail: error.to_string() })?;
        let plain_http = (scheme == "http").then(|| origin(&base));
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("banhbaoring/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.connect_timeout)
            .read_timeout(options.read_timeout)
            .timeout(options.total_timeout)
            // A body that unpacks while it is read would escape the size caps.
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .redirect(reqwest::redirect::Policy::custom(move |attempt| {
                if attempt.previous().len() > MAX_REDIRECTS {
                    return attempt.error("too many redirects");
                }
                let downgraded = attempt.url().scheme() != "https" && plain_http.as_ref() != Some(&origin(attempt.url()));
                if downgraded { attempt.error("redirect to plain http") } else { attempt.follow() }
            }));
        if repository.is_loopback() {
            builder = builder.no_proxy();
        }
        for pem in &options.extra_roots {
            let roots = reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|error| SourceError::Client { registry: registry.clone(), detail: describe(&error) })?;
            builder = builder.tls_certs_merge(roots);
        }
        let client = builder.build().map_err(|error| SourceError::Client { registry: registry.clone(), detail: describe(&error) })?;
        Ok(Self { client, base, registry })
    }

    /// `host[:port]` as the user wrote it.
    pub(super) fn registry(&self) -> &str {
        &self.registry
    }

    /// Whether the registry is asked without TLS (by opt-in).
    pub(super) fn is_plain(&self) -> bool {
        self.base.scheme() == "http"
    }

    /// An address below `/v2/<repository>/`.
    pub(super) fn url(&self, path: &str) -> Result<Url, SourceError> {
        self.base.join(path).map_err(|error| self.malformed(path, error.to_string()))
    }

    /// An address that the registry named in a header; only its own scheme or https is followed.
    pub(super) fn named_url(&self, relative_to: &Url, location: &str) -> Result<Url, SourceError> {
        let url = relative_to.join(location).map_err(|error| self.malformed("a Location header", error.to_string()))?;
        if url.scheme() == "https" || (self.is_plain() && origin(&url) == origin(&self.base)) {
            Ok(url)
        } else {
            Err(self.malformed("a Location header", "it leaves https".to_owned()))
        }
    }

    /// Whether credentials of this registry may go to `url` without a new challenge.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        origin(url) == origin(&self.base)
    }

    pub(super) fn malformed(&self, what: impl Into<String>, detail: impl Into<String>) -> SourceError {
        // A parser's message may quote what it read, and a registry may send anything.
        let detail = detail.into().chars().take(200).collect();
        SourceError::Malformed { registry: self.registry.clone(), what: what.into(), detail }
    }

    /// One exchange. 2xx, 401, 404 and 405 come back as an [`Answer`]; everything else is an error.
    pub(super) async fn exchange(&self, request: Request, authorization: Option<&str>) -> Result<Answer, SourceError> {
        let mut builder = self.client.request(request.method.clone(), request.url);
        if let Some(accept) = request.accept {
            builder = builder.header(reqwest::header::ACCEPT, accept);
        }
        if let Some(content_type) = &request.content_type {
            builder = builder.header(reqwest::header::CONTENT_TYPE, content_type);
        }
        if let Some(authorization) = authorization {
            let mut value = reqwest::header::HeaderValue::from_str(authorization)
                .map_err(|_| self.malformed("a credential", "it contains characters that no header may have"))?;
            value.set_sensitive(true);
            builder = builder.header(reqwest::header::AUTHORIZATION, value);
        }
        if let Some(body) = request.body {
            builder = builder.header(reqwest::header::CONTENT_LENGTH, body.len()).body(body);
        } else if matches!(request.method, Method::POST | Method::PUT) {
            builder = builder.header(reqwest::header::CONTENT_LENGTH, 0);
        }
        let response = builder.send().await.map_err(|error| self.transport_error(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if let Some(error) = self.status_error(status, &headers, &request.what) {
            return Err(error);
        }
        let limit = if status.is_success() { request.limit } else { MAX_SMALL_ANSWER };
        let body = self.body(response, limit, &request.what).await?;
        Ok(Answer { status, headers, body })
    }

    async fn body(&self, mut response: reqwest::Response, limit: u64, what: &str) -> Result<Vec<u8>, SourceError> {
        let too_large = || SourceError::TooLarge { what: what.to_owned(), limit };
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.transport_error(&error))? {
            if (body.len() + chunk.len()) as u64 > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn status_error(&self, status: StatusCode, headers: &HeaderMap, what: &str) -> Option<SourceError> {
        let registry = self.registry.clone();
        match status {
            s if s.is_success() => None,
            StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => None,
            StatusCode::FORBIDDEN => Some(SourceError::Forbidden { registry, what: what.to_owned() }),
            StatusCode::TOO_MANY_REQUESTS => {
                let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
                Some(SourceError::Throttled { registry, retry_after: seconds.map(Duration::from_secs) })
            }
            s if s.is_server_error() => Some(SourceError::Server { registry, status: s.as_u16() }),
            s => Some(SourceError::Refused { registry, status: s.as_u16(), what: what.to_owned() }),
        }
    }

    fn transport_error(&self, error: &reqwest::Error) -> SourceError {
        SourceError::Unreachable { registry: self.registry.clone(), detail: describe(error) }
    }
}

fn origin(url: &Url) -> (String, Option<u16>) {
    (format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default()), url.port_or_known_default())
}

/// The innermost causes, where "connection refused" hides; addresses are left out because they may carry signatures.
fn describe(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timed out".to_owned();
    }
    let mut innermost: Option<String> = None;
    let mut source = error.source();
    while let Some(cause) = source {
        innermost = Some(cause.to_string());
        source = cause.source();
    }
    let text =
        innermost.unwrap_or_else(|| if error.is_redirect() { "refused redirect".to_owned() } else { "the exchange broke off".to_owned() });
    text.chars().take(200).collect()
}
