//! The platform of this binary. No assertions of tests live here.

use std::time::Instant;

use banhbaoring_testing::control_plane::ControlPlane;
use banhbaoring_testing::node::{Image, Node};
use banhbaoring_tests::{Operator, World};

/// A node with a platform on it. Dropped in the order of the fields: clients before what they talk to.
pub struct Platform {
    pub operator: Operator,
    pub world: World,
    pub node: Node,
    begin: Instant,
}

impl Platform {
    /// Starts all of it. The image of OpenBao is where clusters expect it: a node pulls every image from its own registry.
    pub async fn start() -> Self {
        let begin = Instant::now();
        let node = Node::start().await.expect("a node");
        let image = Image::openbao().expect("the files of OpenBao's image");
        node.image("openbao/openbao:2.4.0", &image).await.expect("pushed");
        let cluster = ControlPlane::connect(node.kubeconfig().to_owned()).await.expect("a cluster");
        let world = World::on(cluster).await.expect("the platform");
        let operator = Operator::start(&world.operator("node")).expect("the operator");
        world.until_serving(&operator).await.expect("all plugins");
        let platform = Self { operator, world, node, begin };
        platform.tell("the node, the platform and the operator are ready");
        platform
    }

    pub fn tell(&self, what: &str) {
        println!("{:6.1} s  {what}", self.begin.elapsed().as_secs_f64());
    }
}
