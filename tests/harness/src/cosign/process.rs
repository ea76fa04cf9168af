//! A cosign of version 2 or 3 with a home and a key of its own: nothing is read from or left on the machine.

use std::{path::PathBuf, process::Stdio};

use tokio::process::Command;

use crate::{Error, Result, scratch::Scratch, sigstore::Sigstore, tools};

use super::{TRUSTED_ROOT, attest, environment, sign_bundle, sign_keyless, sign_legacy, signing_config, verify};

const PASSWORD: &str = "only for this test";
const PRIVATE: &str = "cosign.key";
const PUBLIC: &str = "cosign.pub";
const PREDICATE: &str = "predicate.json";

/// A cosign and its key pair.
#[derive(Debug)]
pub struct Cosign {
    program: PathBuf,
    home: Scratch,
}

impl Cosign {
    /// Version 2.
    ///
    /// # Errors
    /// [`Error::Tool`] when it was not built, [`Error::Command`] when it makes no key.
    pub async fn version2() -> Result<Self> {
        Self::with_key("cosign2").await
    }

    /// Version 3.
    ///
    /// # Errors
    /// [`Error::Tool`] when it was not built, [`Error::Command`] when it makes no key.
    pub async fn version3() -> Result<Self> {
        Self::with_key("cosign3").await
    }

    async fn with_key(tool: &str) -> Result<Self> {
        let cosign = Self { program: tools::find(tool)?, home: Scratch::new(tool)? };
        cosign.run(&["generate-key-pair"]).await?;
        Ok(cosign)
    }

    /// The public key, PEM.
    ///
    /// # Errors
    /// [`Error::Machine`] when it cannot be read.
    pub fn public_key(&self) -> Result<String> {
        self.read(PUBLIC)
    }

    /// Signs as version 3 does by default: a bundle among the referrers. Version 3 only.
    ///
    /// # Errors
    /// [`Error::Command`] with what it said.
    pub async fn sign_bundle(&self, reference: &str) -> Result<()> {
        self.run(&signing_config()).await?;
        self.run(&sign_bundle(PRIVATE, reference)).await
    }

    /// Signs under the `.sig` tag, as version 2 does by default. Either version.
    ///
    /// # Errors
    /// [`Error::Command`] with what it said.
    pub async fn sign_legacy(&self, reference: &str) -> Result<()> {
        self.run(&sign_legacy(PRIVATE, reference)).await
    }

    /// Attests something about an artifact, which is not signing it. Version 3 only.
    ///
    /// # Errors
    /// [`Error::Command`] with what it said.
    pub async fn attest(&self, reference: &str) -> Result<()> {
        self.run(&signing_config()).await?;
        self.home.write(PREDICATE, r#"{"checked": true}"#)?;
        self.run(&attest(PRIVATE, PREDICATE, reference)).await
    }

    /// Signs keyless, as somebody with this address whom the issuer of that Sigstore knows. Version 3 only.
    ///
    /// # Errors
    /// [`Error::Command`] with what it said.
    pub async fn sign_keyless(&self, sigstore: &Sigstore, email: &str, reference: &str) -> Result<()> {
        self.prepare_keyless(sigstore).await?;
        self.run(&sign_keyless(&sigstore.identity_token(email)?, reference)).await
    }

    /// The `trusted_root.json` of that Sigstore. Version 3 only.
    ///
    /// # Errors
    /// [`Error::Command`] with what it said.
    pub async fn trusted_root(&self, sigstore: &Sigstore) -> Result<String> {
        self.prepare_keyless(sigstore).await?;
        self.read(TRUSTED_ROOT)
    }

    async fn prepare_keyless(&self, sigstore: &Sigstore) -> Result<()> {
        for step in sigstore.preparation() {
            self.run(&step.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    fn read(&self, name: &str) -> Result<String> {
        let path = self.home.path().join(name);
        std::fs::read_to_string(&path).map_err(Error::machine(format!("read {}", path.display())))
    }

    /// Verifies with its own key.
    ///
    /// # Errors
    /// [`Error::Command`] when it refuses.
    pub async fn verify(&self, reference: &str) -> Result<()> {
        self.run(&verify(PUBLIC, reference)).await
    }

    async fn run(&self, arguments: &[&str]) -> Result<()> {
        let folder = self.home.path();
        let output = Command::new(&self.program)
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .envs(environment(&folder.display().to_string(), PASSWORD))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(Error::machine(format!("start {}", self.program.display())))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(Error::Command {
            command: format!("cosign {}", arguments.join(" ")),
            status: output.status.to_string(),
            stderr: String::from_utf8_lossy(&said).into_owned(),
        })
    }
}
