//! An artifact on its way to a component: fetched, verified, pulled. The type says how far it has come.
//!
//! The shape of the manifest is checked here; signatures in `verify`; bytes are hashed in `source`.

use std::fmt;

use oci_client::manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest};
use oci_wasm::{WASM_ARCHITECTURE, WASM_LAYER_MEDIA_TYPE, WASM_MANIFEST_CONFIG_MEDIA_TYPE, WasmConfig};

use crate::reference::Digest;
use crate::source::{Source, SourceError};
use crate::verify::{self, Requirement, SignatureMaterial, Verification, VerifyError};

/// Larger configs are refused.
pub(crate) const MAX_CONFIG: u64 = 1 << 20;

/// Bounds on what is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The component, in bytes.
    pub component: u64,
}

impl Default for Limits {
    /// 64 MiB.
    fn default() -> Self {
        Self { component: 64 << 20 }
    }
}

/// Why an artifact is no component, or could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactError {
    /// Manifest or config do not describe exactly one component.
    #[error("{digest} is not a component: expected {expected}, found {found}; publish it with `banhbaoring plugin push`")]
    NotAComponent {
        /// The artifact.
        digest: Digest,
        /// What belongs there.
        expected: &'static str,
        /// What is there, cut to 200 characters.
        found: String,
    },
    /// It could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl ArtifactError {
    /// Condition reason; one of a fixed set.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotAComponent { .. } => "NotAComponent",
            Self::Source(error) => error.reason(),
        }
    }
}

/// How far an artifact has come. Closed: there are [`Fetched`] and [`Verified`].
pub trait Stage: stage::Closed {}
impl Stage for Fetched {}
impl Stage for Verified {}

mod stage {
    //! Keeps other crates from adding stages.
    pub trait Closed {}
    impl Closed for super::Fetched {}
    impl Closed for super::Verified {}
}

/// Manifest and config are here and well-formed; nobody has vouched for them.
#[derive(Debug)]
pub struct Fetched(());

/// The required signatures were found, or found missing where only a warning was asked for.
#[derive(Debug)]
pub struct Verified {
    verification: Verification,
    material: SignatureMaterial,
}

/// An artifact at a stage. Its digest never changes from here on, whatever happens to the tag that led to it.
pub struct Artifact<S: Stage> {
    source: Source,
    digest: Digest,
    manifest_bytes: Vec<u8>,
    config_bytes: Vec<u8>,
    manifest: OciImageManifest,
    imports: Option<Vec<String>>,
    exports: Option<Vec<String>>,
    layer: (Digest, u64),
    stage: S,
}

impl<S: Stage + fmt::Debug> fmt::Debug for Artifact<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Artifact")
            .field("source", &self.source.to_string())
            .field("digest", &self.digest)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

impl<S: Stage> Artifact<S> {
    /// The digest of the manifest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Where it came from, for people.
    #[must_use]
    pub fn origin(&self) -> String {
        self.source.to_string()
    }

    /// The size of the component in bytes as the manifest has it; [`Artifact::pull`] holds it to that.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.layer.1
    }

    /// The component's imports as the config claims them: good for an early refusal, never for trust. `None` if the
    /// config says nothing about the component.
    #[must_use]
    pub fn claimed_imports(&self) -> Option<&[String]> {
        self.imports.as_deref()
    }

    /// The component's exports as the config claims them.
    #[must_use]
    pub fn claimed_exports(&self) -> Option<&[String]> {
        self.exports.as_deref()
    }

    /// An annotation of the manifest, such as `org.opencontainers.image.version`.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.manifest.annotations.as_ref()?.get(name).map(String::as_str)
    }

    /// All annotations of the manifest, by name.
    pub fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        self.manifest.annotations.iter().flatten().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(crate) fn layer_digest(&self) -> Digest {
        self.layer.0
    }

    pub(crate) fn manifest_and_config(&self) -> (&[u8], &[u8]) {
        (&self.manifest_bytes, &self.config_bytes)
    }

    fn into_stage<T: Stage>(self, stage: T) -> Artifact<T> {
        let Self { source, digest, manifest_bytes, config_bytes, manifest, imports, exports, layer, stage: _ } = self;
        Artifact { source, digest, manifest_bytes, config_bytes, manifest, imports, exports, layer, stage }
    }
}

impl Artifact<Fetched> {
    /// Reads manifest and config of the artifact with this digest (see [`Source::resolve`]) and checks their shape.
    /// The component itself is not read.
    ///
    /// # Errors
    /// `NotAComponent`, `ArtifactNotFound`, `DigestMismatch`, `ArtifactTooLarge`, or the registry's failure.
    pub async fn fetch(source: &Source, digest: &Digest, limits: Limits) -> Result<Self, ArtifactError> {
        let manifest_bytes = source.manifest(digest).await?;
        let (manifest, config, layer) = shape(&manifest_bytes, digest)?;
        if layer.1 > limits.component {
            let what = format!("the component of {digest}");
            return Err(SourceError::TooLarge { what, limit: limits.component }.into());
        }
        let config_bytes = source.blob(&config.0, MAX_CONFIG).await?;
        let config = read_config(&config_bytes, &layer.0, digest)?;
        let (imports, exports) = match config.component {
            Some(component) => (Some(component.imports), Some(component.exports)),
            None => (None, None),
        };
        Ok(Self {
            source: source.clone(),
            digest: *digest,
            manifest_bytes,
            config_bytes,
            manifest,
            imports,
            exports,
            layer,
            stage: Fetched(()),
        })
    }

    /// Checks that every requirement is met by a signature of at least one of its authorities over this very digest.
    ///
    /// # Errors
    /// A requirement is not met and at least one of them enforces; or nothing is known because signatures could not be
    /// read, which is an error in `warn` mode too.
    pub async fn verify(self, requirements: &[Requirement]) -> Result<Artifact<Verified>, VerifyError> {
        let (verification, material) = verify::verify(&self.source, &self.digest, requirements).await?;
        Ok(self.into_stage(Verified { verification, material }))
    }
}

impl Artifact<Verified> {
    /// Who signed, or why it is only warned about.
    #[must_use]
    pub fn verification(&self) -> &Verification {
        &self.stage.verification
    }

    pub(crate) fn material(&self) -> &SignatureMaterial {
        &self.stage.material
    }

    /// Reads the component by the digest in the verified manifest and hashes it. Where the tag points by now does not matter.
    ///
    /// # Errors
    /// `DigestMismatch`, `ArtifactTooLarge`, `ArtifactNotFound`, or the registry's failure.
    pub async fn pull(&self) -> Result<Component, ArtifactError> {
        let (digest, size) = self.layer;
        let bytes = self.source.blob(&digest, size).await?;
        Ok(Component { bytes, digest, artifact: self.digest })
    }
}

/// The bytes of a verified component.
#[derive(Clone, PartialEq, Eq)]
pub struct Component {
    bytes: Vec<u8>,
    digest: Digest,
    artifact: Digest,
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Component({} of {}, {} bytes)", self.digest, self.artifact, self.bytes.len())
    }
}

impl Component {
    /// The WebAssembly component.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The digest of [`Self::bytes`].
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The digest of the artifact that it came in.
    #[must_use]
    pub fn artifact(&self) -> Digest {
        self.artifact
    }
}

pub(crate) type Named = (Digest, u64);

/// The manifest, its config and its one layer.
pub(crate) fn shape(bytes: &[u8], digest: &Digest) -> Result<(OciImageManifest, Named, Named), ArtifactError> {
    let wrong = |expected: &'static str, found: &str| ArtifactError::NotAComponent {
        digest: *digest,
        expected,
        found: found.chars().take(200).collect(),
    };
    let manifest: OciImageManifest =
        serde_json::from_slice(bytes).map_err(|error| wrong("an OCI image manifest", &format!("something else ({error})")))?;
    if manifest.schema_version != 2 {
        return Err(wrong("schemaVersion 2", &manifest.schema_version.to_string()));
    }
    if let Some(other) = manifest.media_type.as_deref().filter(|kind| *kind != OCI_IMAGE_MEDIA_TYPE) {
        return Err(wrong("a manifest of type application/vnd.oci.image.manifest.v1+json", other));
    }
    if manifest.config.media_type != WASM_MANIFEST_CONFIG_MEDIA_TYPE {
        return Err(wrong("a config of type application/vnd.wasm.config.v0+json", &manifest.config.media_type));
    }
    let [layer] = manifest.layers.as_slice() else {
        return Err(wrong("exactly one layer", &format!("{} layers", manifest.layers.len())));
    };
    if layer.media_type != WASM_LAYER_MEDIA_TYPE {
        return Err(wrong("a layer of type application/wasm", &layer.media_type));
    }
    let named = |descriptor: &OciDescriptor| {
        let digest = descriptor.digest.parse().map_err(|_| wrong("sha256 digests", &descriptor.digest))?;
        let size = u64::try_from(descriptor.size).map_err(|_| wrong("sizes of at least 0", "a negative size"))?;
        Ok::<Named, ArtifactError>((digest, size))
    };
    let (config, layer) = (named(&manifest.config)?, named(layer)?);
    Ok((manifest, config, layer))
}

pub(crate) fn read_config(bytes: &[u8], layer: &Digest, digest: &Digest) -> Result<WasmConfig, ArtifactError> {
    let wrong = |expected: &'static str, found: String| ArtifactError::NotAComponent {
        digest: *digest,
        expected,
        found: found.chars().take(200).collect(),
    };
    let config: WasmConfig =
        serde_json::from_slice(bytes).map_err(|error| wrong("a config as the CNCF wasm artifact has it", error.to_string()))?;
    if config.architecture != WASM_ARCHITECTURE {
        return Err(wrong("architecture wasm", config.architecture));
    }
    if !config.layer_digests.is_empty() && config.layer_digests != [layer.to_string()] {
        return Err(wrong("a config that names the manifest's layer", config.layer_digests.join(", ")));
    }
    Ok(config)
}
