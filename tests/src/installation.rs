//! What a platform team puts into a cluster before the first owner: namespace, definitions, keys, plugins.

use std::path::Path;

use anyhow::{Context as _, Result};
use banhbaoring_testing::control_plane::ControlPlane;
use banhbaoring_testing::kubectl::Kubectl;
use serde_json::json;

use crate::{Banhbaoring, Publisher};

/// A cluster with the host's definitions and a namespace for the host.
#[derive(Debug)]
pub struct Installation {
    /// The host's namespace.
    pub namespace: String,
    kubectl: Kubectl,
}

impl Installation {
    /// Installs the host's definitions, which all tests of a cluster share, and makes a namespace of its own.
    ///
    /// # Errors
    /// The API server refused.
    pub async fn new(cluster: &ControlPlane, prefix: &str) -> Result<Self> {
        let kubectl = cluster.kubectl()?;
        let definitions = Banhbaoring::find()?.succeed(&["crds"], &[]).await?;
        kubectl.run_with_input(&["apply", "--server-side", "--force-conflicts", "-f", "-"], &definitions).await?;
        for name in ["plugins", "pluginpolicies", "inventories"] {
            let definition = format!("crd/{name}.plugins.banhbaoring.io");
            kubectl.run(&["wait", "--for=condition=Established", "--timeout=300s", &definition]).await?;
        }
        Ok(Self { namespace: cluster.namespace(prefix).await?, kubectl })
    }

    /// Applies what a published plugin needs; its `Plugin` has the plugin's own name.
    ///
    /// # Errors
    /// It is not published, or the API server refused.
    pub async fn add(&self, publisher: &Publisher, plugin: &str, tag: &str) -> Result<()> {
        let manifests = publisher.manifests(plugin, tag, &self.namespace).await?;
        self.kubectl.apply(&manifests).await?;
        Ok(())
    }

    /// A policy that demands our key of every plugin of the registry.
    ///
    /// # Errors
    /// The API server refused.
    pub async fn demand_signatures(&self, publisher: &Publisher, name: &str) -> Result<()> {
        let key = read(&publisher.public_key())?;
        let policy = json!({
            "apiVersion": "plugins.banhbaoring.io/v1alpha1", "kind": "PluginPolicy", "metadata": {"name": name},
            "spec": {
                "images": [format!("{}/**", publisher.registry.host())],
                "mode": "enforce",
                "authorities": [{"name": "release", "key": {"data": key}}],
            },
        });
        self.kubectl.apply(&policy.to_string()).await?;
        Ok(())
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}
