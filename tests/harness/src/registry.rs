//! Real OCI registries: the one of the distribution project (no Referrers API) and one with the Referrers API.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use reqwest::Method;
use serde_json::json;

use crate::{
    Error, Result,
    http::Http,
    pki::Authority,
    ports::Port,
    scratch::Scratch,
    server::{Launch, Server},
};

const SERVES: Duration = crate::wait::PATIENCE;

/// What a registry may have beyond storage and plain HTTP.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// User and password that it asks for (basic auth).
    pub account: Option<(String, String)>,
    /// Serves HTTPS with a certificate of an authority made for it; see [`Registry::authority`].
    pub tls: bool,
    /// The address that it listens on instead of 127.0.0.1.
    pub listen: Option<Ipv4Addr>,
}

/// The registry of the distribution project, which answers 404 to the Referrers API.
#[derive(Debug)]
pub struct Registry {
    server: Server,
    http: Http,
    address: SocketAddr,
    _port: Port,
    authority: Option<String>,
    account: Option<(String, String)>,
    scratch: Scratch,
}

impl Registry {
    /// Starts one without accounts and TLS.
    ///
    /// # Errors
    /// [`Error::Tool`] when it was not built, [`Error::NotReady`] with its log.
    pub async fn start() -> Result<Self> {
        Self::with(Options::default()).await
    }

    /// Starts one.
    ///
    /// # Errors
    /// [`Error::Tool`] when it was not built, [`Error::NotReady`] with its log.
    pub async fn with(options: Options) -> Result<Self> {
        let scratch = Scratch::new("registry")?;
        let port = Port::take()?;
        let address = SocketAddr::new(options.listen.map_or_else(|| port.address().ip(), IpAddr::V4), port.number());
        let mut config = json!({
            "version": "0.1",
            "log": { "level": "info", "accesslog": { "disabled": false } },
            "storage": {
                "filesystem": { "rootdirectory": scratch.path().join("storage") },
                "delete": { "enabled": true },
                "maintenance": { "uploadpurging": { "enabled": false } },
            },
            "http": { "addr": address.to_string(), "secret": "only for this test" },
        });
        if let Some((user, password)) = &options.account {
            let hash = bcrypt::hash(password, 4)
                .map_err(|error| Error::Machine { what: "hash the registry's password".into(), source: std::io::Error::other(error) })?;
            let file = scratch.write("htpasswd", format!("{user}:{hash}\n"))?;
            config["auth"] = json!({ "htpasswd": { "realm": "test", "path": file } });
        }
        let mut authority = None;
        if options.tls {
            let made = Authority::new("registry-authority")?;
            let identity = made.server("registry", &["localhost", &address.ip().to_string()])?;
            config["http"]["tls"] = json!({
                "certificate": scratch.write("registry.crt", &identity.certificate)?,
                "key": scratch.write("registry.key", &identity.key)?,
            });
            authority = Some(made.certificate().to_owned());
        }
        // JSON is YAML.
        let file = scratch.write("config.yml", config.to_string())?;
        let server = Launch::tool("registry", scratch.path())?
            .args(["serve".to_owned(), file.display().to_string()])
            // It looks for a collector of traces on this machine otherwise.
            .env("OTEL_TRACES_EXPORTER", "none")
            .start()?;
        let scheme = if options.tls { "https" } else { "http" };
        let http = Http::new(format!("{scheme}://{address}"), authority.as_deref())?;
        let registry = Self { server, http, address, _port: port, authority, account: options.account, scratch };
        registry.until_ready().await?;
        Ok(registry)
    }

    /// `127.0.0.1:<port>`, or where it was told to listen: the first part of a reference.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Its HTTP interface.
    #[must_use]
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// The PEM to trust, when it serves HTTPS.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// User and password, when it asks for them.
    #[must_use]
    pub fn account(&self) -> Option<&(String, String)> {
        self.account.as_ref()
    }

    /// What docker writes into its `config.json` of a registry, whose form pull secrets have too: who one is there.
    #[must_use]
    pub fn docker_config(&self) -> String {
        let known = self.account.as_ref().map(|(user, password)| (self.host(), json!({ "username": user, "password": password })));
        json!({ "auths": known.into_iter().collect::<serde_json::Map<_, _>>() }).to_string()
    }

    /// Its process: kill it for an outage, `start_again` and [`Registry::until_ready`] to end it; the storage stays.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The folder of its storage (`docker/registry/v2/…` below it): to tamper with what it serves.
    #[must_use]
    pub fn storage(&self) -> std::path::PathBuf {
        self.scratch.path().join("storage")
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// [`Error::NotReady`] with its log.
    pub async fn until_ready(&self) -> Result<()> {
        until_answering(&self.server, &self.http).await
    }
}

/// A registry with the Referrers API, built from `tests/tools/referrers-registry`. It keeps everything in memory.
#[derive(Debug)]
pub struct ReferrersRegistry {
    server: Server,
    http: Http,
    port: Port,
    _scratch: Scratch,
}

impl ReferrersRegistry {
    /// Starts one.
    ///
    /// # Errors
    /// [`Error::Tool`] when it was not built, [`Error::NotReady`] with its log.
    pub async fn start() -> Result<Self> {
        let scratch = Scratch::new("referrers-registry")?;
        let port = Port::take()?;
        let server = Launch::tool("referrers-registry", scratch.path())?.args(["-addr".to_owned(), port.address().to_string()]).start()?;
        let http = Http::new(format!("http://{}", port.address()), None)?;
        let registry = Self { server, http, port, _scratch: scratch };
        until_answering(&registry.server, &registry.http).await?;
        Ok(registry)
    }

    /// `127.0.0.1:<port>`: the first part of a reference.
    #[must_use]
    pub fn host(&self) -> String {
        self.port.address().to_string()
    }

    /// Its HTTP interface.
    #[must_use]
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// Its process.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }
}

async fn until_answering(server: &Server, http: &Http) -> Result<()> {
    server
        .until_ready(SERVES, "answering /v2/", || async {
            match http.send(Method::GET, "/v2/", &[], None).await {
                // 401 is the answer of one that asks for an account.
                Ok(answer) if answer.status.is_success() || answer.status.as_u16() == 401 => Ok(()),
                Ok(answer) => Err(format!("{} {}", answer.status, answer.body)),
                Err(error) => Err(error.to_string()),
            }
        })
        .await
}
