//! A cluster whose pods run, and who gets into its store. No assertions of tests live here.

use std::sync::Arc;
use std::time::Duration;

use banhbaoring_testing::address::Address;
use banhbaoring_testing::bao::Bao;
use banhbaoring_testing::control_plane::Options;
use banhbaoring_testing::wait;
use banhbaoring_tests::kubelet::Kubelet;
use banhbaoring_tests::team::{PATIENCE, cluster, condition};
use banhbaoring_tests::{Team, World};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

/// What a node logs when it has elected itself: most of the initialisation follows within half a second.
pub const ELECTED: &str = "entering leader state";

/// The platform of this binary, for one test at a time; started by the first that asks.
pub async fn world() -> WorldGuard {
    static WORLD: Mutex<Option<World>> = Mutex::const_new(None);
    let mut guard = WORLD.lock().await;
    if guard.is_none() {
        *guard = Some(World::start(Options::default()).await.expect("the platform"));
    }
    WorldGuard(guard)
}

pub struct WorldGuard(MutexGuard<'static, Option<World>>);

impl std::ops::Deref for WorldGuard {
    type Target = World;

    fn deref(&self) -> &World {
        self.0.as_ref().expect("it was started")
    }
}

/// A cluster and the kubelets of its pods.
pub struct Running {
    pub name: String,
    pub team: Team,
    addresses: Vec<Arc<Address>>,
    client: kube::Client,
    pub kubelets: Vec<Kubelet>,
}

impl Running {
    /// Applies a cluster of so many nodes. Its pods do not run yet.
    pub async fn apply(world: &World, team: &Team, name: &str, replicas: usize, initialization: Value) -> Self {
        let addresses: Vec<Arc<Address>> = (0..replicas).map(|_| Arc::new(Address::take().expect("an address"))).collect();
        let seen: Vec<String> = addresses.iter().map(|address| address.get().to_string()).collect();
        let spec = json!({"replicas": replicas, "tls": {"ipAddresses": seen}, "initialization": initialization});
        team.apply(&[cluster(name, &spec)]).await.expect("taken");
        let client = world.cluster.client().await.expect("a client");
        Self { name: name.to_owned(), team: team.clone(), addresses, client, kubelets: Vec::new() }
    }

    /// Lets its pods run.
    pub fn run(&mut self) {
        let kubelet = |(ordinal, address): (usize, &Arc<Address>)| {
            let pod = format!("{}-{ordinal}", self.name);
            Kubelet::start(self.client.clone(), &self.team.namespace, &pod, address.clone(), self.addresses[0].clone())
        };
        self.kubelets = self.addresses.iter().enumerate().map(kubelet).collect();
    }

    /// The process of a node, once there is one.
    pub async fn bao(&self, ordinal: usize) -> Arc<Bao> {
        let look = async || self.kubelets[ordinal].bao().ok_or("no process");
        wait::until(PATIENCE, format!("{}-{ordinal} to run", self.name), look).await.expect("it runs")
    }

    /// The state of the component: reason and message.
    pub async fn told(&self) -> (String, String) {
        let owner = self.team.cluster(&self.name).await.unwrap_or_default();
        let text = |field: &str| owner["status"]["components"][0][field].as_str().unwrap_or_default().to_owned();
        (text("reason"), text("message"))
    }

    /// Waits until the component says that.
    pub async fn until_reason(&self, wanted: &str) -> String {
        let look = async || match self.told().await {
            (reason, message) if reason == wanted => Ok(message),
            (reason, message) => Err(format!("{reason}: {message}")),
        };
        wait::until(PATIENCE, format!("{} to tell {wanted}", self.name), look).await.expect("told")
    }

    /// Waits until the cluster is ready.
    pub async fn until_ready(&self) -> Value {
        let look = |owner: &Value| match condition(owner, "Ready") {
            ready if ready["status"] == "True" => Ok(()),
            ready => Err(ready.to_string()),
        };
        self.team.until(&self.name, "to be ready", look).await.unwrap_or_else(|error| {
            let logs: Vec<String> = self.kubelets.iter().filter_map(Kubelet::bao).map(|bao| bao.server().log_tail()).collect();
            panic!("{error:#}\n{}", logs.join("\n"))
        })
    }

    /// A value of a Secret.
    pub async fn secret(&self, suffix: &str, key: &str) -> Option<String> {
        let secret = self.team.get(&format!("secret/{}-{suffix}", self.name)).await.ok()?;
        let value = STANDARD.decode(secret["data"][key].as_str()?).ok()?;
        String::from_utf8(value).ok()
    }

    /// A token of a user, with the password in its Secret.
    pub async fn log_in(&self, user: &str) -> Result<String, String> {
        let bao = self.kubelets[0].bao().ok_or("no process")?;
        let password = self.secret(user, "password").await.ok_or("no password")?;
        let path = format!("/v1/auth/userpass/login/{user}");
        let answer = bao.send(Method::POST, &path, None, Some(&json!({"password": password}))).await.map_err(|error| error.to_string())?;
        let token = answer.body["auth"]["client_token"].as_str().map(ToOwned::to_owned);
        token.ok_or_else(|| format!("the login of {user} was answered {}", answer.status))
    }

    /// Kills the first node as soon as it has unsealed what it initialised: it then listens for other nodes, and a second later it sends itself its requests. Until
    /// these are through neither its API nor its log tells anything.
    pub async fn kill_once_initialised(&self) {
        let bao = self.bao(0).await;
        let nodes = std::net::SocketAddr::new(self.addresses[0].get(), 8201);
        while tokio::net::TcpStream::connect(nodes).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bao.server().kill();
    }

    /// How often a store was begun on its volumes.
    pub fn beginnings(&self) -> usize {
        let log = self.kubelets.first().and_then(Kubelet::bao).map(|bao| bao.server().log()).unwrap_or_default();
        log.matches("security barrier initialized").count()
    }

    /// Does what a message says: every `kubectl` in it up to the next `;` or `,`.
    pub async fn obey(&self, message: &str) {
        let from = message.find("kubectl ").expect("a command");
        let rest = &message[from..];
        let command = rest.find(", and it begins again").or_else(|| rest.find("; see")).map_or(rest, |end| &rest[..end]);
        println!("{}: {command}", self.name);
        for command in command.split(" && ") {
            // Words in quotes hold no blanks and no quotes.
            let words: Vec<&str> = command.split_whitespace().skip(1).map(|word| word.trim_matches('\'')).collect();
            let words: Vec<&str> = words.into_iter().filter(|word| *word != "-n" && *word != self.team.namespace).collect();
            self.team.kubectl.run(&words).await.expect(command);
        }
    }

    /// Takes it away.
    pub async fn end(self) {
        drop(self.kubelets);
        self.team.kubectl.run(&["delete", "openbaocluster", &self.name, "--wait=false"]).await.expect("deleted");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
