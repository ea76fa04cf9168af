//! A platform as a platform team leaves it: control plane, registry, the first-party plugins published, signed and installed. Operators are
//! started by whoever needs one.

use anyhow::{Context as _, Result};
use banhbaoring_testing::control_plane::{self, ControlPlane};
use banhbaoring_testing::wait;
use futures::future::try_join_all;

use crate::{FIRST_PARTY, Installation, Operator, Publisher, Survey, Team, operator};

/// The tag that plugins are published under.
pub const TAG: &str = "v0.1.0";

/// A platform. Stopped when dropped.
#[derive(Debug)]
pub struct World {
    /// The API server with its friends.
    pub cluster: ControlPlane,
    /// Registry and key.
    pub publisher: Publisher,
    /// The host's definitions and namespace.
    pub installation: Installation,
}

impl World {
    /// Starts servers, publishes all first-party plugins and applies what each of them needs.
    ///
    /// # Errors
    /// Something does not come up, or was not built.
    pub async fn start(options: control_plane::Options) -> Result<Self> {
        Self::on(ControlPlane::start(options).await?).await
    }

    /// The same on servers that run.
    ///
    /// # Errors
    /// The registry does not come up, or something was not built.
    pub async fn on(cluster: ControlPlane) -> Result<Self> {
        let publisher = Publisher::start().await?;
        let installation = Installation::new(&cluster, "banhbaoring-system").await?;
        let (first, others) = FIRST_PARTY.split_at(1);
        // The first signature makes the key that the others are signed with.
        for group in [first, others] {
            try_join_all(group.iter().map(|plugin| async {
                publisher.publish(plugin, TAG).await?;
                installation.add(&publisher, plugin, TAG).await
            }))
            .await?;
        }
        Ok(Self { cluster, publisher, installation })
    }

    /// How an operator of this platform is started.
    #[must_use]
    pub fn operator(&self, identity: &str) -> operator::Options {
        operator::Options {
            kubeconfig: self.cluster.kubeconfig().to_owned(),
            namespace: self.installation.namespace.clone(),
            identity: identity.to_owned(),
            admission: false,
        }
    }

    /// Waits until an operator leads and every plugin serves.
    ///
    /// # Errors
    /// It did not in time; the error has the end of its log.
    pub async fn until_serving(&self, operator: &Operator) -> Result<()> {
        operator.until_leading().await?;
        let kubectl = self.cluster.kubectl()?;
        let ready = async {
            kubectl.run(&["wait", "plugins", "--all", "--for=condition=Ready", "--timeout=300s"]).await?;
            let definition = ["wait", "crd/openbaoclusters.openbao.org", "--for=condition=Established", "--timeout=300s"];
            wait::until(wait::PATIENCE, "the definition of OpenBaoCluster", async || kubectl.run(&definition).await).await?;
            anyhow::Ok(())
        };
        ready.await.with_context(|| operator.server().log_tail())
    }

    /// A namespace of its own for somebody who applies clusters.
    ///
    /// # Errors
    /// The API server refused.
    pub async fn team(&self, prefix: &str) -> Result<Team> {
        let survey = Survey::new(self.cluster.client().await?, &self.installation.namespace).await?;
        let namespace = self.cluster.namespace(prefix).await?;
        Ok(Team { kubectl: self.cluster.kubectl()?.in_namespace(&namespace), namespace, survey })
    }
}
