//! What the tests share: registries, cosign, components, keys, and the short way through the pipeline.

pub mod raw;
pub mod servers;

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use banhbaoring_artifact::*;
use banhbaoring_testing::cosign;
use banhbaoring_testing::proxy::{Asked, Proxy};
use chrono::DateTime;

pub use banhbaoring_testing::proxy::Misbehaviour;
pub use servers::Registry;

/// A proxy before a registry that misbehaves by the rule.
pub async fn misbehaving(upstream: &str, rule: impl Fn(&Asked) -> Option<Misbehaviour> + Send + Sync + 'static) -> Proxy {
    Proxy::before(upstream, rule).await.unwrap()
}

/// A component of its own per label: the label is a custom section.
pub fn component(label: &str) -> Vec<u8> {
    wat::parse_str(format!("(component (@custom \"label\" \"{label}\"))")).unwrap()
}

pub fn options() -> RegistryOptions {
    let retry = RetryPolicy { attempts: 3, first_wait: Duration::from_millis(5), longest_wait: Duration::from_millis(20) };
    RegistryOptions { transport: Transport::PlainHttpOnLoopback, retry, ..RegistryOptions::default() }
}

pub fn source(address: &str, path: &str) -> Source {
    source_as(address, path, &Credentials::anonymous())
}

pub fn source_as(address: &str, path: &str, credentials: &Credentials) -> Source {
    let repository: Repository = format!("oci://{address}/{path}").parse().unwrap();
    Source::registry(&repository, credentials, &options()).unwrap()
}

pub fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

pub async fn push_component(target: &Source, label: &str, to: &str) -> Digest {
    push(target, &Package::new(format!("{label}.wasm"), component(label)), Some(&tag(to))).await.unwrap()
}

pub async fn sign_with(target: &Source, digest: &Digest, key: &SigningKey) -> Digest {
    sign(target, digest, key, DateTime::UNIX_EPOCH).await.unwrap()
}

pub fn authority_pem(name: &str, pem: impl Into<Vec<u8>>) -> Authority {
    Authority { name: name.to_owned(), kind: AuthorityKind::Key { pem: pem.into() } }
}

pub fn authority(name: &str, key: &SigningKey) -> Authority {
    authority_pem(name, key.public_key_pem().unwrap())
}

pub fn requirement(mode: Mode, authorities: Vec<Authority>) -> Requirement {
    Requirement { name: "Plugin".to_owned(), authorities, mode }
}

pub fn enforce(authorities: Vec<Authority>) -> Vec<Requirement> {
    vec![requirement(Mode::Enforce, authorities)]
}

/// Fetch, verify and pull, as the operator does.
pub async fn accept(source: &Source, digest: &Digest, requirements: &[Requirement]) -> Result<(Verification, Component), Error> {
    let artifact = Artifact::fetch(source, digest, Limits::default()).await?;
    let verified = artifact.verify(requirements).await?;
    let component = verified.pull().await?;
    Ok((verified.verification().clone(), component))
}

/// The reason of a refusal; panics on acceptance.
pub async fn refused(source: &Source, digest: &Digest, requirements: &[Requirement]) -> (&'static str, Error) {
    match accept(source, digest, requirements).await {
        Ok((verification, _)) => panic!("{digest} was accepted: {verification:?}"),
        Err(error) => (error.reason(), error),
    }
}

pub fn forms(verification: &Verification) -> Vec<Form> {
    match verification {
        Verification::Accepted(by) => by.iter().map(|by| by.form).collect(),
        Verification::Warned { why, .. } => panic!("only warned: {why}"),
    }
}

/// The real cosign with a home of its own, so that nothing is read from or left on the machine.
pub struct Cosign {
    program: std::path::PathBuf,
    home: tempfile::TempDir,
}

pub const PASSWORD: &str = "open sesame";

impl Cosign {
    pub fn version3() -> Self {
        Self::named("cosign3")
    }

    pub fn version2() -> Self {
        Self::named("cosign2")
    }

    fn named(name: &str) -> Self {
        let program = banhbaoring_testing::tools::find(name).unwrap();
        Self { program, home: tempfile::tempdir().unwrap() }
    }

    pub fn folder(&self) -> &Path {
        self.home.path()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.folder().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    pub async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(self.folder()).env_clear();
        command.envs(cosign::environment(&self.folder().display().to_string(), PASSWORD));
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    pub async fn must(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "cosign {arguments:?} failed: {said}");
        said
    }

    /// A key pair of cosign's own making: the names of private and public file.
    pub async fn key_pair(&self, name: &str) -> (String, String) {
        self.must(&["generate-key-pair", "--output-key-prefix", name]).await;
        (format!("{name}.key"), format!("{name}.pub"))
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder().join(name)).unwrap()
    }

    /// Signs as version 3 does by default, without a transparency log.
    pub async fn sign_bundle(&self, key: &str, reference: &str) {
        self.must(&cosign::signing_config()).await;
        self.must(&cosign::sign_bundle(key, reference)).await;
    }

    /// Signs under the `.sig` tag, as version 2 does by default.
    pub async fn sign_legacy(&self, key: &str, reference: &str) {
        self.must(&cosign::sign_legacy(key, reference)).await;
    }

    /// Attests something about an artifact, which is not signing it.
    pub async fn attest(&self, key: &str, reference: &str) {
        self.must(&cosign::signing_config()).await;
        let predicate = self.write("predicate.json", r#"{"checked": true}"#);
        self.must(&cosign::attest(key, &predicate, reference)).await;
    }

    pub async fn verify(&self, key: &str, reference: &str) -> Output {
        self.run(&cosign::verify(key, reference)).await
    }
}
