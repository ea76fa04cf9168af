//! Doors for `fuzz/` to readers of bytes that otherwise lie behind a registry. Nothing else may use them: what passes here was not verified.

use crate::credentials::Credential;
use crate::{ArtifactError, Credentials, Digest, Repository, SigningKey, artifact, sign};

pub use crate::verify::fuzzing::{Key, Signers};

/// Reads a manifest and, if that is one of a component, a config; the digest of the layer that they name.
///
/// # Errors
/// They are not those of a component.
pub fn component(manifest: &[u8], config: &[u8]) -> Result<Digest, ArtifactError> {
    let digest = Digest::of(manifest);
    let (_, _, (layer, _)) = artifact::shape(manifest, &digest)?;
    artifact::read_config(config, &layer, &digest)?;
    Ok(layer)
}

/// A version 3 bundle over a digest.
#[must_use]
pub fn bundle(digest: &Digest, key: &SigningKey) -> serde_json::Value {
    sign::bundle(digest, key)
}

/// A signature over any bytes.
#[must_use]
pub fn signature(data: &[u8], key: &SigningKey) -> Vec<u8> {
    key.sign(data)
}

/// Whether anything would be said to a repository's registry to prove who asks.
#[must_use]
pub fn is_known(credentials: &Credentials, repository: &Repository) -> bool {
    credentials.of(repository) != Credential::Anonymous
}
