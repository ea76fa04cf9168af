//! Plugins in a real registry, pushed and signed with the binary itself.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use banhbaoring_testing::registry::Registry;
use banhbaoring_testing::scratch::Scratch;

use crate::Banhbaoring;

/// Password of the signing keys that tests make.
const PASSWORD: &str = "only for this test";

/// A registry and a key that signs what goes into it.
#[derive(Debug)]
pub struct Publisher {
    binary: Banhbaoring,
    /// Where artifacts go.
    pub registry: Registry,
    keys: Scratch,
}

impl Publisher {
    /// Starts a registry. The key is made at the first signature.
    ///
    /// # Errors
    /// The registry does not come up, or the binary is not built.
    pub async fn start() -> Result<Self> {
        Ok(Self { binary: Banhbaoring::find()?, registry: Registry::start().await?, keys: Scratch::new("keys")? })
    }

    /// `oci://127.0.0.1:port/plugins/<name>`.
    #[must_use]
    pub fn repository(&self, name: &str) -> String {
        format!("oci://{}/plugins/{name}", self.registry.host())
    }

    /// The public key in PEM.
    #[must_use]
    pub fn public_key(&self) -> PathBuf {
        self.keys.path().join("cosign.pub")
    }

    /// Pushes a component under a tag. Returns its digest.
    ///
    /// # Errors
    /// The registry refused.
    pub async fn push(&self, component: &Path, name: &str, tag: &str) -> Result<String> {
        let target = format!("{}:{tag}", self.repository(name));
        let file = component.display().to_string();
        let printed = self.binary.succeed(&["plugin", "push", &file, &target, "--insecure"], &[]).await?;
        let digest = printed.trim().rsplit_once('@').map(|(_, digest)| digest.to_owned());
        digest.with_context(|| format!("a digest was expected in `{printed}`"))
    }

    /// Signs what a tag points to.
    ///
    /// # Errors
    /// The registry refused.
    pub async fn sign(&self, name: &str, tag: &str) -> Result<()> {
        let reference = format!("{}:{tag}", self.repository(name));
        let (directory, key) = (self.keys.path().display().to_string(), self.keys.path().join("cosign.key").display().to_string());
        let key: &[&str] = if self.public_key().exists() { &["--key", &key] } else { &["--generate-key", &directory] };
        let arguments = [&["plugin", "sign", &reference, "--insecure"], key].concat();
        self.binary.succeed(&arguments, &[("COSIGN_PASSWORD", PASSWORD)]).await?;
        Ok(())
    }

    /// Pushes and signs a built first-party plugin. Returns its digest.
    ///
    /// # Errors
    /// It is not built, or the registry refused.
    pub async fn publish(&self, plugin: &str, tag: &str) -> Result<String> {
        let digest = self.push(&banhbaoring_testing::guests::component(plugin)?, plugin, tag).await?;
        self.sign(plugin, tag).await?;
        Ok(digest)
    }

    /// What a platform team applies for a published plugin: account, roles and Plugin, which demands our key.
    ///
    /// # Errors
    /// It is not published.
    pub async fn manifests(&self, name: &str, tag: &str, account_namespace: &str) -> Result<String> {
        let reference = format!("{}:{tag}", self.repository(name));
        let key = self.public_key().display().to_string();
        let arguments =
            ["plugin", "inspect", &reference, "--insecure", "-o", "manifests", "--account-namespace", account_namespace, "--key", &key];
        self.binary.succeed(&arguments, &[]).await
    }
}
