//! Finding the signatures of an artifact in a source, in a form that can be kept and checked again.
//!
//! Whether they are any good is decided by `bundle`, `keyless` and `simple_signing`; nothing here is trusted.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::authority::Trusted;
use super::{Form, Rejection, bundle, simple_signing};
use crate::reference::Digest;
use crate::source::{Descriptor, MAX_MANIFEST, Source, SourceError};

/// What every media type of a Sigstore bundle begins with.
pub(crate) const BUNDLE_PREFIX: &str = "application/vnd.dev.sigstore.bundle";
/// The media type of the bundles that we write.
pub(crate) const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const SIMPLE_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIMPLE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// Only a keyless signature has it.
const SIMPLE_CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const MAX_SIGNATURE: u64 = 4 << 20;
/// All signatures of an artifact together.
const MAX_MATERIAL: usize = 16 << 20;
/// Signatures in one manifest.
const MAX_LAYERS: usize = 64;

/// Everything that was found and may be a signature. Kept beside a stored artifact; checked anew at every load.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct SignatureMaterial {
    bundles: Vec<FoundBundle>,
    simple: Vec<FoundSimple>,
    /// Whether there were more referrers than are looked at.
    #[serde(default)]
    pub(super) cut: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct FoundBundle {
    digest: Digest,
    #[serde(with = "base64_bytes")]
    json: Vec<u8>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FoundSimple {
    index: usize,
    #[serde(with = "base64_bytes")]
    payload: Vec<u8>,
    /// Base64, as the annotation has it.
    signature: String,
    /// Whether a certificate came with it.
    #[serde(default)]
    keyless: bool,
}

/// One thing that may be a signature.
pub(super) enum Candidate<'m> {
    Bundle(&'m Digest, &'m [u8]),
    Simple(&'m FoundSimple),
}

impl fmt::Display for Candidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundle(digest, _) => write!(f, "bundle {digest}"),
            Self::Simple(found) => write!(f, ".sig layer {}", found.index),
        }
    }
}

impl Candidate<'_> {
    pub(super) fn check(&self, trusted: &Trusted, digest: &Digest) -> Result<Form, Rejection> {
        match (self, trusted) {
            (Self::Bundle(_, json), Trusted::Key(key)) => bundle::check(json, key, digest)?,
            (Self::Bundle(_, json), Trusted::Signers(signers)) => signers.check(json, digest)?,
            (Self::Simple(found), Trusted::Key(key)) => match simple_signing::check(&found.payload, &found.signature, key, digest) {
                Err(Rejection::WrongKey) if found.keyless => return Err(Rejection::MadeWithCertificate),
                checked => checked?,
            },
            (Self::Simple(found), Trusted::Signers(_)) if found.keyless => return Err(Rejection::LegacyKeyless),
            (Self::Simple(_), Trusted::Signers(_)) => return Err(Rejection::MadeWithKey),
        }
        Ok(match self {
            Self::Bundle(..) => Form::Bundle,
            Self::Simple(_) => Form::SimpleSigning,
        })
    }
}

impl SignatureMaterial {
    pub(super) fn is_empty(&self) -> bool {
        self.bundles.is_empty() && self.simple.is_empty()
    }

    /// How many of each form there are; see [`Self::candidates_after`].
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.bundles.len(), self.simple.len())
    }

    /// What was added since [`Self::counts`].
    pub(super) fn candidates_after(&self, (bundles, simple): (usize, usize)) -> impl Iterator<Item = Candidate<'_>> {
        let bundles = self.bundles.iter().skip(bundles).map(|found| Candidate::Bundle(&found.digest, &found.json));
        let simple = self.simple.iter().skip(simple);
        bundles.chain(simple.map(Candidate::Simple))
    }

    /// Adds what `source` has of one form. An error means that something may be missing; what was added before stays.
    pub(super) async fn collect(&mut self, source: &Source, digest: &Digest, form: Form) -> Result<(), SourceError> {
        if let Some(recorded) = source.recorded() {
            match form {
                Form::Bundle => self.bundles.clone_from(&recorded.bundles),
                Form::SimpleSigning => self.simple.clone_from(&recorded.simple),
            }
            return Ok(());
        }
        match form {
            Form::Bundle => self.collect_bundles(source, digest).await,
            Form::SimpleSigning => self.collect_simple(source, digest).await,
        }
    }

    async fn collect_bundles(&mut self, source: &Source, digest: &Digest) -> Result<(), SourceError> {
        let referrers = source.referrers(digest).await?;
        self.cut = referrers.cut;
        let mut failed = None;
        for entry in referrers.entries {
            // One unreadable referrer must not hide a good signature beside it.
            if let Err(error) = self.collect_referrer(source, &entry).await {
                failed = failed.or(harmful(error));
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn collect_referrer(&mut self, source: &Source, entry: &Descriptor) -> Result<(), SourceError> {
        let bytes = source.manifest(&entry.digest).await?;
        for (_, layer) in layers(&bytes).filter(|(_, layer)| layer.media_type.starts_with(BUNDLE_PREFIX)) {
            let json = self.read(source, &layer).await?;
            self.bundles.push(FoundBundle { digest: layer.digest, json });
        }
        Ok(())
    }

    async fn collect_simple(&mut self, source: &Source, digest: &Digest) -> Result<(), SourceError> {
        let Some(bytes) = source.tagged(&digest.signature_tag()).await? else { return Ok(()) };
        let mut failed = None;
        for (index, layer) in layers(&bytes).filter(|(_, layer)| layer.media_type == SIMPLE_TYPE) {
            let annotation = |name| layer.annotations.as_ref().and_then(|all| all.get(name));
            let (signature, keyless) =
                (annotation(SIMPLE_ANNOTATION).cloned().unwrap_or_default(), annotation(SIMPLE_CERTIFICATE).is_some());
            match self.read(source, &layer).await {
                Ok(payload) => self.simple.push(FoundSimple { index, payload, signature, keyless }),
                Err(error) => failed = failed.or(harmful(error)),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn read(&self, source: &Source, layer: &Descriptor) -> Result<Vec<u8>, SourceError> {
        let held: usize = self.bundles.iter().map(|found| found.json.len()).sum::<usize>()
            + self.simple.iter().map(|found| found.payload.len()).sum::<usize>();
        let left = MAX_MATERIAL.saturating_sub(held) as u64;
        source.blob(&layer.digest, MAX_SIGNATURE.min(MAX_MANIFEST).min(left)).await
    }
}

/// Errors that mean that a signature may be there and was not read. Junk that is gone or too large never was one.
fn harmful(error: SourceError) -> Option<SourceError> {
    match error {
        SourceError::NotFound { .. } | SourceError::TooLarge { .. } => None,
        other => Some(other),
    }
}

/// The layers of a manifest, numbered, as far as they are readable.
fn layers(manifest: &[u8]) -> impl Iterator<Item = (usize, Descriptor)> + use<> {
    #[derive(Deserialize)]
    struct Manifest {
        #[serde(default)]
        layers: Vec<serde_json::Value>,
    }
    let layers = serde_json::from_slice::<Manifest>(manifest).map(|manifest| manifest.layers).unwrap_or_default();
    let readable = |(index, layer)| Some((index, serde_json::from_value::<Descriptor>(layer).ok()?));
    layers.into_iter().take(MAX_LAYERS).enumerate().filter_map(readable)
}

mod base64_bytes {
    //! Bytes as base64 text in JSON.

    use base64::Engine as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        super::STANDARD.decode(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// For `simple_signing`, which reads the annotation.
pub(super) fn decoded(base64: &str) -> Option<Vec<u8>> {
    STANDARD.decode(base64.trim()).ok()
}
