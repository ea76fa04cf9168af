//! A store of a team: an `OpenBaoCluster` whose pods run, with somebody who is logged in as its administrator. What it is for is for the tests to say.

use std::time::Duration;

use anyhow::{Context as _, Result};
use banhbaoring_testing::wait;
use banhbaoring_tests::release::look;
use banhbaoring_tests::survey::text;
use banhbaoring_tests::team::condition;
use banhbaoring_tests::{Release, Team};
use serde_json::Value;

/// Longest wait for pods that were killed: each is made again, unseals itself, and finds the others.
const COMES_BACK: Duration = banhbaoring_testing::wait::PATIENCE;

/// A store that was ready once.
pub struct Store<'a> {
    release: &'a Release,
    team: &'a Team,
    name: String,
    replicas: usize,
    token: String,
}

impl<'a> Store<'a> {
    /// Waits until it is ready and gets in as people do who read docs/cluster-users.md.
    pub async fn when_ready(release: &'a Release, team: &'a Team, name: &str) -> Self {
        let mut store = Self { release, team, name: name.to_owned(), replicas: 0, token: String::new() };
        let owner = store.until_ready().await;
        store.replicas = owner["spec"]["replicas"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
        let secret = format!("secret/{name}-admin");
        let password = team.kubectl.run(&["get", &secret, "-o", "go-template={{.data.password | base64decode}}"]).await.unwrap();
        let token = store.bao(0, &format!("login -method=userpass -token-only username=admin password='{password}'")).await;
        store.token = token.unwrap().trim().to_owned();
        store
    }

    /// Waits until it says of its newest generation that it is ready.
    pub async fn until_ready(&self) -> Value {
        // Nodes say of themselves who leads, each in its time.
        let look = |owner: &Value| {
            let holds = |type_: &str| {
                let condition = condition(owner, type_);
                condition["status"] == "True" && condition["observedGeneration"] == owner["metadata"]["generation"]
            };
            let members = owner["status"]["members"].as_array();
            let leaders = members.into_iter().flatten().filter(|member| member["active"] == true).count();
            if holds("Ready") && holds("Unsealed") && leaders == 1 { Ok(()) } else { Err(format!("{leaders} lead")) }
        };
        match self.team.until(&self.name, "it is ready, and one of its nodes leads", look).await {
            Ok(owner) => owner,
            Err(failed) => panic!("{failed}\n{}", self.sight().await),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The token of somebody who is logged in as its administrator.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Waits, for longer than anything but work on all its nodes takes, until it is ready with so many nodes.
    pub async fn until_ready_within(&mut self, longest: Duration, replicas: usize) {
        let look = async || {
            let owner = self.team.cluster(&self.name).await.map_err(|error| error.to_string())?;
            let (ready, members) = (condition(&owner, "Ready"), owner["status"]["members"].as_array().map_or(0, Vec::len));
            let is_new = ready["observedGeneration"] == owner["metadata"]["generation"];
            if ready["status"] == "True" && is_new && members == replicas { Ok(()) } else { Err(format!("{ready} with {members} nodes")) }
        };
        if let Err(failed) = wait::until(longest, format!("{} to be ready with {replicas} nodes", self.name), look).await {
            panic!("{failed}\n{}", self.sight().await);
        }
        self.replicas = replicas;
    }

    /// `bao` in one of its pods, speaking to the server beside it.
    pub async fn bao(&self, pod: usize, command: &str) -> Result<String> {
        let reach = "export BAO_ADDR=https://127.0.0.1:8200 BAO_CACERT=/etc/bao/tls/ca.crt HOME=/tmp";
        let script = format!("{reach} BAO_TOKEN='{}'; exec bao {command}", self.token);
        let pod = format!("{}-{pod}", self.name);
        Ok(self.team.kubectl.run(&["exec", &pod, "--", "/bin/sh", "-ec", &script]).await?)
    }

    /// Writes a value through the first pod.
    pub async fn keep(&self, value: &str) {
        self.bao(0, "secrets enable -path=kept kv").await.unwrap();
        self.bao(0, &format!("kv put kept/it value={value}")).await.unwrap();
    }

    /// Waits until the value is read through the last pod.
    pub async fn until_kept(&self, value: &str) {
        let look = async || {
            let read = self.bao(self.replicas - 1, "kv get -field=value kept/it").await.map_err(|error| error.to_string())?;
            if read.trim() == value { Ok(()) } else { Err(format!("{read:?}")) }
        };
        if let Err(failed) = wait::until(COMES_BACK, format!("{value} to be read from {}", self.name), look).await {
            panic!("{failed}\n{}", self.sight().await);
        }
    }

    /// Kills all its pods at once, and waits until others are ready and nothing of the first ones runs.
    pub async fn kill_all_pods(&self) {
        let before = self.until_all_are_ready().await;
        let names: Vec<String> = (0..self.replicas).map(|pod| format!("{}-{pod}", self.name)).collect();
        let names = names.iter().map(String::as_str);
        let words: Vec<&str> = ["delete", "pods", "--force", "--grace-period=0"].into_iter().chain(names).collect();
        self.team.kubectl.run(&words).await.unwrap();
        let look = async || {
            // A pod of the same name would answer `kubectl exec` while it is being killed.
            let old = before.iter().filter(|container| self.release.node.container(container).is_ok()).count();
            let now = self.containers().await.map_err(|error| error.to_string())?;
            if old == 0 && now.len() == self.replicas { Ok(()) } else { Err(format!("{old} old ones, ready are {now:?}")) }
        };
        if let Err(failed) = wait::until(COMES_BACK, format!("other pods of {}", self.name), look).await {
            panic!("{failed}\n{}", self.sight().await);
        }
    }

    /// Waits until all its pods are ready; the status of a store may be half a minute old.
    async fn until_all_are_ready(&self) -> Vec<String> {
        let look = async || {
            let now = self.containers().await.map_err(|error| error.to_string())?;
            if now.len() == self.replicas { Ok(now) } else { Err(format!("ready are {now:?}")) }
        };
        match wait::until(COMES_BACK, format!("all pods of {} to be ready", self.name), look).await {
            Ok(containers) => containers,
            Err(failed) => panic!("{failed}\n{}", self.sight().await),
        }
    }

    /// The containers of those pods that are ready.
    async fn containers(&self) -> Result<Vec<String>> {
        let pods = self.list().await?;
        let ready = pods.iter().filter(|pod| condition(pod, "Ready")["status"] == "True");
        Ok(ready.map(|pod| text(pod, "/status/containerStatuses/0/containerID").to_owned()).collect())
    }

    /// Its pods as they are.
    pub async fn list(&self) -> Result<Vec<Value>> {
        let list = self.team.kubectl.run(&["get", "pods", "-l", &self.selector(), "-o", "json"]).await?;
        let list: Value = serde_json::from_str(&list)?;
        list["items"].as_array().cloned().context("a list of pods")
    }

    /// Its pods: the uid of each, and how often its containers were started again.
    pub async fn pods(&self) -> Result<Vec<String>> {
        let told = |pod: &Value| {
            let containers = pod.pointer("/status/containerStatuses").and_then(Value::as_array);
            let restarts: u64 = containers.into_iter().flatten().filter_map(|container| container["restartCount"].as_u64()).sum();
            format!("{} {restarts}", text(pod, "/metadata/uid"))
        };
        Ok(self.list().await?.iter().map(told).collect())
    }

    /// What there is to see of it and of its operator when something did not come.
    pub async fn sight(&self) -> String {
        let selector = self.selector();
        let looks: [&[&str]; 3] = [
            &["describe", "pods", "-l", &selector],
            &["logs", "-l", &selector, "--prefix", "--tail=20"],
            &["get", "events", "--sort-by=.lastTimestamp"],
        ];
        look(&self.team.kubectl, &looks).await + &self.release.sight().await
    }

    fn selector(&self) -> String {
        format!("app.kubernetes.io/instance={}", self.name)
    }
}
