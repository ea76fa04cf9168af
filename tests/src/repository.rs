//! A repository of a registry as somebody sees it who has nothing but HTTP: also what our own command line refuses to publish lands there.

use anyhow::{Context as _, Result, bail};
use banhbaoring_artifact::{Credentials, Digest, RegistryOptions, SigningKey, Source, Transport};
use chrono::DateTime;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A repository, spoken to in plain HTTP.
#[derive(Debug, Clone)]
pub struct Repository {
    registry: String,
    path: String,
    client: Client,
    account: Option<(String, String)>,
}

impl Repository {
    /// `registry` is `127.0.0.1:<port>`.
    ///
    /// # Errors
    /// There is no HTTP client.
    pub fn new(registry: impl Into<String>, path: impl Into<String>) -> Result<Self> {
        banhbaoring_testing::http::install_tls_provider();
        Ok(Self { registry: registry.into(), path: path.into(), client: Client::builder().no_proxy().build()?, account: None })
    }

    /// The same for a registry that asks who asks.
    #[must_use]
    pub fn known_as(self, user: &str, password: &str) -> Self {
        Self { account: Some((user.to_owned(), password.to_owned())), ..self }
    }

    /// `127.0.0.1:<port>/<path>@<digest>`: how cosign names an artifact.
    #[must_use]
    pub fn reference(&self, digest: &Digest) -> String {
        format!("{}/{}@{digest}", self.registry, self.path)
    }

    /// Publishes any bytes as if they were a component.
    ///
    /// # Errors
    /// The registry refused.
    pub async fn push(&self, component: &[u8], tag: &str) -> Result<Digest> {
        let layer = Digest::of(component).to_string();
        let config = json!({"created": "1970-01-01T00:00:00Z", "architecture": "wasm", "os": "wasip2", "layerDigests": [layer]});
        let config = config.to_string().into_bytes();
        let named = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "digest": Digest::of(bytes).to_string(), "size": bytes.len()});
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": named("application/vnd.wasm.config.v0+json", &config),
            "layers": [named("application/wasm", component)],
        });
        self.put_blob(component).await?;
        self.put_blob(&config).await?;
        let manifest = manifest.to_string().into_bytes();
        let digest = Digest::of(&manifest);
        self.put_manifest(tag, MANIFEST, manifest).await?;
        Ok(digest)
    }

    /// Signs an artifact as `banhbaoring plugin sign` does.
    ///
    /// # Errors
    /// The registry refused.
    pub async fn sign(&self, digest: &Digest, key: &SigningKey) -> Result<()> {
        let credentials = match &self.account {
            Some((user, password)) => Credentials::basic(&self.registry, user, password),
            None => Credentials::anonymous(),
        };
        let options = RegistryOptions { transport: Transport::PlainHttpOnLoopback, ..RegistryOptions::default() };
        let source = Source::registry(&format!("oci://{}/{}", self.registry, self.path).parse()?, &credentials, &options)?;
        banhbaoring_artifact::sign(&source, digest, key, DateTime::UNIX_EPOCH).await?;
        Ok(())
    }

    /// Lets a tag point to what another one points to.
    ///
    /// # Errors
    /// There is no such tag, or the registry refused.
    pub async fn copy_tag(&self, from: &str, to: &str) -> Result<()> {
        let get = self.client.get(self.url(&format!("manifests/{from}"))).header("Accept", format!("{MANIFEST}, {INDEX}"));
        let found = self.send(get).await?.bytes().await?;
        let manifest: Value = serde_json::from_slice(&found)?;
        let kind = manifest["mediaType"].as_str().context("a manifest without a media type")?;
        self.put_manifest(to, kind, found.to_vec()).await
    }

    async fn put_blob(&self, bytes: &[u8]) -> Result<()> {
        let begun = self.send(self.client.post(self.url("blobs/uploads/")).body("")).await?;
        let location = begun.headers().get("location").context("an upload without a Location")?.to_str()?.to_owned();
        let mut url = begun.url().join(&location)?;
        url.query_pairs_mut().append_pair("digest", &Digest::of(bytes).to_string());
        self.send(self.client.put(url).header("Content-Type", "application/octet-stream").body(bytes.to_vec())).await?;
        Ok(())
    }

    async fn put_manifest(&self, name: &str, kind: &str, bytes: Vec<u8>) -> Result<()> {
        self.send(self.client.put(self.url(&format!("manifests/{name}"))).header("Content-Type", kind).body(bytes)).await?;
        Ok(())
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let request = match &self.account {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        };
        let answer = request.send().await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        bail!("{} answers {}: {}", answer.url().clone(), answer.status(), answer.text().await?)
    }

    fn url(&self, rest: &str) -> String {
        format!("http://{}/v2/{}/{rest}", self.registry, self.path)
    }
}
