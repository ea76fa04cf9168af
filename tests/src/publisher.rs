//! Plugins in a real registry, pushed and signed with the binary itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use banhbaoring_testing::registry::Registry;
use banhbaoring_testing::scratch::Scratch;

use crate::Banhbaoring;

/// Password of the signing keys that tests make.
const PASSWORD: &str = "only for this test";
/// File with who we are at the registry.
const ACCOUNT: &str = "config.json";
/// File with the authority of a registry over TLS.
const AUTHORITY: &str = "registry.crt";

/// A registry and a key that signs what goes into it.
#[derive(Debug)]
pub struct Publisher {
    binary: Banhbaoring,
    /// Where artifacts go.
    pub registry: Arc<Registry>,
    keys: Scratch,
}

impl Publisher {
    /// Starts a registry. The key is made at the first signature.
    ///
    /// # Errors
    /// The registry does not come up, or the binary is not built.
    pub async fn start() -> Result<Self> {
        Self::on(Arc::new(Registry::start().await?))
    }

    /// The same with a registry that serves; over TLS where it does.
    ///
    /// # Errors
    /// The binary is not built.
    pub fn on(registry: Arc<Registry>) -> Result<Self> {
        let keys = Scratch::new("keys")?;
        if let Some(authority) = registry.authority() {
            keys.write(AUTHORITY, authority)?;
        }
        keys.write(ACCOUNT, registry.docker_config())?;
        Ok(Self { binary: Banhbaoring::find()?, registry, keys })
    }

    /// Calls the binary in the way that the registry is talked to.
    async fn call(&self, arguments: &[&str]) -> Result<String> {
        let authority = self.keys.path().join(AUTHORITY).display().to_string();
        let host = self.registry.host();
        let address = host.rsplit_once(':').map_or(host.as_str(), |(address, _)| address);
        let environment = [("COSIGN_PASSWORD", PASSWORD), ("SSL_CERT_FILE", authority.as_str()), ("NO_PROXY", address)];
        let account = self.keys.path().join(ACCOUNT).display().to_string();
        let arguments = [arguments, &["--registry-config", &account]].concat();
        if self.registry.authority().is_some() {
            return self.binary.succeed(&arguments, &environment).await;
        }
        self.binary.succeed(&[arguments.as_slice(), &["--insecure"]].concat(), &environment[..1]).await
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
        let printed = self.call(&["plugin", "push", &file, &target]).await?;
        let digest = printed.trim().rsplit_once('@').map(|(_, digest)| digest.to_owned());
        digest.with_context(|| format!("a digest was expected in `{printed}`"))
    }

    /// Signs what a tag points to.
    ///
    /// # Errors
    /// The registry refused.
    pub async fn sign(&self, name: &str, tag: &str) -> Result<()> {
        self.sign_artifact(&format!("{}:{tag}", self.repository(name))).await
    }

    /// Signs a container image, `registry/name:tag`.
    ///
    /// # Errors
    /// The registry refused.
    pub async fn sign_image(&self, image: &str) -> Result<()> {
        self.sign_artifact(&format!("oci://{image}")).await
    }

    async fn sign_artifact(&self, reference: &str) -> Result<()> {
        let (directory, key) = (self.keys.path().display().to_string(), self.keys.path().join("cosign.key").display().to_string());
        let key: &[&str] = if self.public_key().exists() { &["--key", &key] } else { &["--generate-key", &directory] };
        self.call(&[&["plugin", "sign", reference], key].concat()).await?;
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
        self.call(&["plugin", "inspect", &reference, "-o", "manifests", "--account-namespace", account_namespace, "--key", &key]).await
    }
}
