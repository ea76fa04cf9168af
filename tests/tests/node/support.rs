//! The platform of this binary, and words with OpenBao in its pods. No assertions of tests live here.

use std::time::Instant;

use anyhow::Result;
use banhbaoring_testing::control_plane::ControlPlane;
use banhbaoring_testing::node::{Image, Node};
use banhbaoring_tests::{Operator, Team, World};
use tokio::sync::OnceCell;

/// A node with a platform on it. Its keeper takes it down when this process ends: a static is never dropped.
pub struct Platform {
    pub operator: Operator,
    pub world: World,
    _node: Node,
    begin: Instant,
}

/// The platform of this binary; started by the first test that asks.
pub async fn platform() -> &'static Platform {
    static PLATFORM: OnceCell<Platform> = OnceCell::const_new();
    PLATFORM.get_or_init(Platform::start).await
}

impl Platform {
    /// The image of OpenBao is where clusters expect it: a node pulls every image from its own registry.
    async fn start() -> Self {
        let begin = Instant::now();
        let tell = |what: &str| println!("{:6.1} s  {what}", begin.elapsed().as_secs_f64());
        let node = Node::start().await.expect("a node");
        tell("the node and its DNS are ready");
        let image = Image::openbao().expect("the files of OpenBao's image");
        node.image("openbao/openbao:2.4.0", &image).await.expect("pushed");
        tell("the image of OpenBao is in the node's registry");
        let cluster = ControlPlane::connect(node.kubeconfig().to_owned()).await.expect("a cluster");
        let world = World::on(cluster).await.expect("the platform");
        let operator = Operator::start(&world.operator("node")).expect("the operator");
        world.until_serving(&operator).await.expect("all plugins");
        tell("the operator serves with all plugins");
        Self { operator, world, _node: node, begin }
    }

    pub fn tell(&self, what: &str) {
        println!("{:6.1} s  {what}", self.begin.elapsed().as_secs_f64());
    }

    /// What there is to see of the pods of a cluster when something did not come.
    pub async fn sight(&self, team: &Team, name: &str) -> String {
        let selector = format!("app.kubernetes.io/instance={name}");
        let mut saw = String::new();
        for words in [
            vec!["describe", "pods", "-l", &selector],
            vec!["logs", "-l", &selector, "--prefix", "--tail=20"],
            vec!["get", "events", "--sort-by=.lastTimestamp"],
        ] {
            let told = team.kubectl.run(&words).await.unwrap_or_else(|error| error.to_string());
            saw.push_str(&format!("\n--- kubectl {}\n{told}", words.join(" ")));
        }
        format!("{saw}\n--- operator\n{}", self.operator.server().log_tail())
    }
}

/// `bao` in a pod, speaking to the server beside it.
pub async fn bao(team: &Team, pod: &str, token: &str, command: &str) -> Result<String> {
    let script =
        format!("export BAO_ADDR=https://127.0.0.1:8200 BAO_CACERT=/etc/bao/tls/ca.crt BAO_TOKEN='{token}' HOME=/tmp; exec bao {command}");
    Ok(team.kubectl.run(&["exec", pod, "--", "/bin/sh", "-ec", &script]).await?)
}
