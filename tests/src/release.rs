//! The operator as a platform team runs it: in containers of a real node, from its image, by its chart, with signed plugins from the same registry.
//! What a release must do is for the tests to say.

use anyhow::{Context as _, Result};
use banhbaoring_testing::kubectl::Kubectl;
use banhbaoring_testing::node::{Image, Node};
use banhbaoring_testing::scratch::Scratch;
use banhbaoring_testing::wait;
use futures::future::try_join_all;
use serde_json::{Value, json};

use crate::helm::chart;
use crate::{FIRST_PARTY, Helm, Publisher, Survey, Team, container, world};

/// The release's name.
pub const NAME: &str = "banhbaoring";
/// The host's namespace.
pub const NAMESPACE: &str = "banhbaoring-system";
/// Name of the operator's Deployment and of its Lease.
pub const OPERATOR: &str = "banhbaoring-operator";
/// Selects the operator's pods.
pub const SELECTOR: &str = "app.kubernetes.io/name=banhbaoring-operator";
/// Longest wait for pods of the operator: the first start compiles every plugin, with a binary that is not optimised.
const STARTS: &str = "300s";
/// Secret of the host's namespace with which images and plugins are pulled.
pub const PULL_SECRET: &str = "registry";
/// What is demanded of every pod of the operator and of the clusters that it makes.
const RESTRICTED: &str = "pod-security.kubernetes.io/enforce=restricted";

/// A release on a node of its own. Dropped, both are gone.
#[derive(Debug)]
pub struct Release {
    /// Where it runs.
    pub node: Node,
    kubectl: Kubectl,
    helm: Helm,
    files: Scratch,
    /// Who signs what is in it. Its registry is the node's.
    pub publisher: Publisher,
}

impl Release {
    /// Starts a node, puts all images and plugins into its registry, installs the chart and waits until every plugin serves. Each step is told.
    ///
    /// # Errors
    /// Something does not come up, was not built, or is refused; the error has what there is to see of the operator.
    pub async fn start(tell: impl Fn(&str)) -> Result<Self> {
        let node = Node::start().await?;
        tell("the node and its DNS are ready");
        let publisher = Publisher::on(node.registry().clone())?;
        let image = container::operator_image(node.registry().authority().unwrap_or_default())?;
        node.image(&format!("{}:{}", image_name(&node), world::TAG), &image).await?;
        node.image("openbao/openbao:2.4.0", &Image::openbao()?).await?;
        tell("the images of the operator and of OpenBao are in the node's registry");
        let (first, others) = FIRST_PARTY.split_at(1);
        // The first signature makes the key that the others are signed with.
        for group in [first, others] {
            try_join_all(group.iter().map(|plugin| publisher.publish(plugin, world::TAG))).await?;
        }
        tell("six plugins are pushed and signed");
        let kubectl = node.kubectl()?.in_namespace(NAMESPACE);
        kubectl.run(&["create", "namespace", NAMESPACE]).await?;
        kubectl.run(&["label", "namespace", NAMESPACE, RESTRICTED]).await?;
        kubectl.apply(&pull_secret(&node).to_string()).await?;
        let files = Scratch::new("release")?;
        let key = std::fs::read_to_string(publisher.public_key()).context("read the public key")?;
        files.write("values.json", values(&node, &key).to_string())?;
        let helm = Helm::new(Some(node.kubeconfig()))?;
        let release = Self { node, kubectl, helm, files, publisher };
        release.install().await?;
        tell("`helm install` has ended: two replicas of the operator are ready");
        release.until_plugins_serve().await?;
        tell("all plugins are pulled, verified, granted and active");
        Ok(release)
    }

    /// `kubectl` as the administrator, in the host's namespace.
    #[must_use]
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// `helm install`, and waits for the pods.
    ///
    /// # Errors
    /// Helm's, with what there is to see of the operator.
    pub async fn install(&self) -> Result<()> {
        self.helm_with_values("install", &[]).await
    }

    /// `helm upgrade` with other values, and waits for the pods.
    ///
    /// # Errors
    /// Helm's, with what there is to see of the operator.
    pub async fn upgrade(&self, set: &[&str]) -> Result<()> {
        self.helm_with_values("upgrade", set).await
    }

    /// `helm uninstall`.
    ///
    /// # Errors
    /// Helm's.
    pub async fn uninstall(&self) -> Result<()> {
        self.helm.run(&["uninstall", NAME, "--namespace", NAMESPACE, "--wait", "--timeout", STARTS]).await.map(drop)
    }

    /// Takes the node down, and all that is on it, and waits until nothing is left.
    ///
    /// # Errors
    /// What is left.
    pub fn stop(self) -> Result<()> {
        Ok(self.node.stop()?)
    }

    async fn helm_with_values(&self, command: &str, set: &[&str]) -> Result<()> {
        let (chart, values) = (chart().display().to_string(), self.files.path().join("values.json").display().to_string());
        let set: Vec<&str> = set.iter().flat_map(|value| ["--set", value]).collect();
        let words =
            [&[command, NAME, &chart, "--namespace", NAMESPACE, "-f", &values, "--wait", "--timeout", STARTS], set.as_slice()].concat();
        match self.helm.run(&words).await {
            Ok(_) => Ok(()),
            Err(error) => Err(error.context(self.sight().await)),
        }
    }

    /// Waits until every plugin serves and `OpenBaoCluster`s can be applied.
    ///
    /// # Errors
    /// They did not in time; the error has what there is to see of the operator.
    pub async fn until_plugins_serve(&self) -> Result<()> {
        let served = async {
            self.kubectl.run(&["wait", "plugins", "--all", "--for=condition=Ready", "--timeout=300s"]).await?;
            let definition = ["wait", "crd/openbaoclusters.openbao.org", "--for=condition=Established", "--timeout=300s"];
            wait::until(wait::PATIENCE, "the definition of OpenBaoCluster", async || self.kubectl.run(&definition).await).await?;
            anyhow::Ok(())
        };
        match served.await {
            Ok(()) => Ok(()),
            Err(error) => Err(error.context(self.sight().await)),
        }
    }

    /// The pod whose turn it is, by the Lease; empty where it was given back.
    ///
    /// # Errors
    /// There is no Lease.
    pub async fn leader(&self) -> Result<String> {
        let holder = self.kubectl.run(&["get", "lease", OPERATOR, "-o", "jsonpath={.spec.holderIdentity}"]).await?;
        Ok(holder.trim().to_owned())
    }

    /// The operator's pods.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn pods(&self) -> Result<Vec<Value>> {
        let list: Value = serde_json::from_str(&self.kubectl.run(&["get", "pods", "-l", SELECTOR, "-o", "json"]).await?)?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// What the operator's containers that run now wrote.
    pub async fn log(&self) -> String {
        let words = ["logs", "-l", SELECTOR, "--prefix", "--tail=-1"];
        self.kubectl.run(&words).await.unwrap_or_else(|error| error.to_string())
    }

    /// What they wrote of errors, and of what the account that the chart made may not do.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.log().await;
        let is_bad = |line: &&str| line.contains("forbidden") || line.contains("\"level\":\"ERROR\"");
        log.lines().filter(is_bad).map(str::to_owned).collect()
    }

    /// A namespace of its own for somebody who applies clusters; its pods are restricted too.
    ///
    /// # Errors
    /// The API server refused.
    pub async fn team(&self, prefix: &str) -> Result<Team> {
        let survey = Survey::new(self.node.client().await?, NAMESPACE).await?;
        let namespace = self.node.cluster().namespace(prefix).await?;
        self.kubectl.run(&["label", "namespace", &namespace, RESTRICTED]).await?;
        Ok(Team { kubectl: self.kubectl.in_namespace(&namespace), namespace, survey })
    }

    /// OpenBao's image in the node's registry, signed with the release's key, as a spec may name it: the plugin is granted to ask about it.
    ///
    /// # Errors
    /// The registry or the API server refused.
    pub async fn signed_openbao(&self) -> Result<String> {
        let image = format!("{}/openbao/openbao:2.4.0", self.node.registry().host());
        self.publisher.sign_image(&image).await?;
        let grant = json!([{"op": "add", "path": "/spec/grants/images/-", "value": format!("{}/openbao/", self.node.registry().host())}]);
        self.kubectl.run(&["patch", "plugin/openbao", "--type=json", "-p", &grant.to_string()]).await?;
        Ok(image)
    }

    /// Who pods are at the node's registry, for a namespace of its own.
    #[must_use]
    pub fn pull_secret(&self) -> Value {
        let mut secret = pull_secret(&self.node);
        secret["metadata"] = json!({"name": PULL_SECRET});
        secret
    }

    /// What there is to see of the operator when something did not come.
    pub async fn sight(&self) -> String {
        let looks: [&[&str]; 4] = [
            &["get", "deployments,replicasets,pods", "-o", "wide"],
            &["describe", "pods", "-l", SELECTOR],
            &["logs", "-l", SELECTOR, "--prefix", "--tail=40"],
            &["get", "plugins,events"],
        ];
        look(&self.kubectl, &looks).await
    }
}

/// What commands of kubectl say, one after the other.
pub async fn look(kubectl: &Kubectl, looks: &[&[&str]]) -> String {
    let mut saw = String::new();
    for words in looks {
        let told = kubectl.run(words).await.unwrap_or_else(|error| error.to_string());
        saw.push_str(&format!("\n--- kubectl {}\n{told}", words.join(" ")));
    }
    saw
}

fn image_name(node: &Node) -> String {
    format!("{}/banhbaoring/operator", node.registry().host())
}

/// Who the release is at the registry. The operator may read this one Secret and no other.
fn pull_secret(node: &Node) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": PULL_SECRET, "namespace": NAMESPACE},
        "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": node.registry().docker_config()},
    })
}

fn values(node: &Node, key: &str) -> Value {
    let host = node.registry().host();
    let port = host.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    json!({
        "image": {"repository": image_name(node)},
        "imagePullSecrets": [{"name": PULL_SECRET}],
        "firstParty": {"registry": format!("{host}/plugins"), "pullSecret": PULL_SECRET},
        "releaseKey": {"data": key},
        "networkPolicy": {"egressPorts": [Some(443), Some(6443), port]},
    })
}
