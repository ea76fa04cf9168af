//! A real `bao server` and the few calls of its API that tests need. Its log is its answer to a configuration.

mod pod;

use std::{path::Path, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    Result,
    http::{Answer, Http},
    ports::Port,
    scratch::Scratch,
    server::{Launch, Server},
};

pub use pod::Pod;

const ANSWERS: Duration = crate::wait::PATIENCE;

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The address of its API as the configuration has it: `http://127.0.0.1:1234`.
    pub api: String,
    /// The authority of its certificate, PEM, when the address is https.
    pub authority: Option<String>,
    /// Variables of its environment (`AWS_ACCESS_KEY_ID`, `BAO_RAFT_NODE_ID`, …). Nothing is inherited.
    pub environment: Vec<(String, String)>,
}

/// A `bao server`.
#[derive(Debug)]
pub struct Bao {
    server: Server,
    http: Http,
    _port: Option<Port>,
    _scratch: Scratch,
}

/// What initialisation returned.
#[derive(Debug, Clone)]
pub struct Initialised {
    /// The root token.
    pub root_token: String,
    /// The unseal keys (Shamir) or recovery keys (auto-unseal), base64.
    pub keys: Vec<String>,
}

impl Bao {
    /// Starts `bao server -config <file>` and returns at once: a configuration may be one that it refuses. See [`Bao::until_answering`],
    /// [`Server::until_logged`] and [`Server::until_ended`].
    ///
    /// # Errors
    /// [`crate::Error::Tool`] when it was not built.
    pub fn start(config: &Path, options: Options) -> Result<Self> {
        let scratch = Scratch::new("bao")?;
        let launch = Launch::tool("bao", scratch.path())?.args(["server".to_owned(), format!("-config={}", config.display())]);
        Self::launched(launch, scratch, options)
    }

    /// Starts a container's command, in which `bao` is found by its name.
    ///
    /// # Errors
    /// [`crate::Error::Tool`] when it was not built; [`crate::Error::Pod`] when there is no command.
    pub fn run(command: &[String], options: Options) -> Result<Self> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(crate::Error::Pod { reason: "the container has no command".to_owned() });
        };
        let scratch = Scratch::new("bao")?;
        let folder = crate::tools::find("bao")?.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
        let launch = Launch::program("bao", program.into(), scratch.path()).args(arguments).env("PATH", format!("{folder}:/usr/bin:/bin"));
        Self::launched(launch, scratch, options)
    }

    fn launched(mut launch: Launch, scratch: Scratch, options: Options) -> Result<Self> {
        for (name, value) in options.environment {
            launch = launch.env(name, value);
        }
        let http = Http::new(options.api, options.authority.as_deref())?;
        Ok(Self { server: launch.start()?, http, _port: None, _scratch: scratch })
    }

    /// Starts an unsealed server in memory with the given root token: somebody else's bao, such as the one that a transit seal asks.
    ///
    /// # Errors
    /// [`crate::Error::NotReady`] with its log.
    pub async fn dev(root_token: &str) -> Result<Self> {
        let scratch = Scratch::new("bao-dev")?;
        let port = Port::take()?;
        let server = Launch::tool("bao", scratch.path())?
            .args([
                "server".to_owned(),
                "-dev".to_owned(),
                "-dev-no-store-token".to_owned(),
                format!("-dev-root-token-id={root_token}"),
                format!("-dev-listen-address={}", port.address()),
            ])
            .start()?;
        let http = Http::new(format!("http://{}", port.address()), None)?;
        let bao = Self { server, http, _port: Some(port), _scratch: scratch };
        bao.until_unsealed(ANSWERS).await?;
        Ok(bao)
    }

    /// Its process: signals, log, kill, `start_again`.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The address of its API.
    #[must_use]
    pub fn address(&self) -> &str {
        self.http.base()
    }

    /// Calls its API (`path` begins with `/v1/`) and returns the answer whatever its status.
    ///
    /// # Errors
    /// [`crate::Error::Http`] when there is no answer.
    pub async fn send(&self, method: Method, path: &str, token: Option<&str>, body: Option<&Value>) -> Result<Answer> {
        let header = token.map(|token| ("X-Vault-Token", token));
        self.http.send(method, path, header.as_slice(), body).await
    }

    /// Like [`Bao::send`], but any status outside 2xx is an error.
    ///
    /// # Errors
    /// [`crate::Error::Http`] with status and body.
    pub async fn succeed(&self, method: Method, path: &str, token: Option<&str>, body: Option<&Value>) -> Result<Value> {
        let header = token.map(|token| ("X-Vault-Token", token));
        self.http.succeed(method, path, header.as_slice(), body).await
    }

    /// `GET /v1/sys/seal-status`.
    ///
    /// # Errors
    /// [`crate::Error::Http`].
    pub async fn seal_status(&self) -> Result<Value> {
        self.succeed(Method::GET, "/v1/sys/seal-status", None, None).await
    }

    /// Initialises a server with auto-unseal: one recovery key.
    ///
    /// # Errors
    /// [`crate::Error::Http`] with its refusal.
    pub async fn initialise(&self) -> Result<Initialised> {
        self.initialise_with(&json!({ "recovery_shares": 1, "recovery_threshold": 1 })).await
    }

    /// Initialises a server with the Shamir seal: one key; unseal it with [`Bao::unseal`].
    ///
    /// # Errors
    /// [`crate::Error::Http`] with its refusal.
    pub async fn initialise_shamir(&self) -> Result<Initialised> {
        self.initialise_with(&json!({ "secret_shares": 1, "secret_threshold": 1 })).await
    }

    async fn initialise_with(&self, body: &Value) -> Result<Initialised> {
        let answer = self.succeed(Method::PUT, "/v1/sys/init", None, Some(body)).await?;
        let texts = |name: &str| -> Vec<String> {
            let values = answer[name].as_array().into_iter().flatten();
            values.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let mut keys = texts("keys_base64");
        keys.extend(texts("recovery_keys_base64"));
        Ok(Initialised { root_token: answer["root_token"].as_str().unwrap_or_default().to_owned(), keys })
    }

    /// Gives it one unseal key.
    ///
    /// # Errors
    /// [`crate::Error::Http`] with its refusal.
    pub async fn unseal(&self, key: &str) -> Result<Value> {
        self.succeed(Method::PUT, "/v1/sys/unseal", None, Some(&json!({ "key": key }))).await
    }

    /// Waits until its API answers at all, sealed or not, and returns the seal status.
    ///
    /// # Errors
    /// [`crate::Error::NotReady`] with its log; at once when it ended.
    pub async fn until_answering(&self, deadline: Duration) -> Result<Value> {
        self.server.until_ready(deadline, "answering", || self.seal_status()).await
    }

    /// Waits until it is initialised, unsealed and active.
    ///
    /// # Errors
    /// [`crate::Error::NotReady`] with its last health and its log; at once when it ended.
    pub async fn until_unsealed(&self, deadline: Duration) -> Result<()> {
        self.server
            .until_ready(deadline, "unsealed and active", || async {
                match self.send(Method::GET, "/v1/sys/health", None, None).await {
                    Ok(answer) if answer.status.as_u16() == 200 => Ok(()),
                    Ok(answer) => Err(format!("{} {}", answer.status, answer.body)),
                    Err(error) => Err(error.to_string()),
                }
            })
            .await
    }
}
