//! Signing an artifact as cosign version 3 does: a bundle with a DSSE envelope, attached as a referrer.
//!
//! The private key and its file live in `key_file`.

mod key_file;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
pub use key_file::{KeyFileError, SigningKey};
use serde_json::json;

use crate::reference::Digest;
use crate::source::{Descriptor, Source, SourceError};
use crate::verify::{BUNDLE_TYPE, PAYLOAD_TYPE, PREDICATE_TYPE, STATEMENT_TYPE};

const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const EMPTY: &[u8] = b"{}";

/// Why an artifact was not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The signature could not be put into JSON.
    #[error("the signature cannot be encoded: {detail}")]
    Encode {
        /// The encoder's message.
        detail: String,
    },
    /// The artifact could not be read or the signature not be written.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl SignError {
    /// Condition reason; one of a fixed set.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Encode { .. } => "SignatureNotEncodable",
            Self::Source(error) => error.reason(),
        }
    }
}

/// Signs the artifact with this digest and attaches the signature: through the Referrers API, or the fallback tag where
/// the registry has none. Signing again at the same `created` writes the same bytes. Returns the digest of the
/// signature's manifest.
///
/// # Errors
/// The artifact is not there, or the target refused.
pub async fn sign(target: &Source, digest: &Digest, key: &SigningKey, created: DateTime<Utc>) -> Result<Digest, SignError> {
    let encode = |error: serde_json::Error| SignError::Encode { detail: error.to_string() };
    let subject_size = target.manifest(digest).await?.len();
    let bundle = serde_json::to_vec(&bundle(digest, key)).map_err(encode)?;
    let (layer, config) = (target.put_blob(&bundle).await?, target.put_blob(EMPTY).await?);
    let annotations = BTreeMap::from([
        ("dev.sigstore.bundle.content".to_owned(), "dsse-envelope".to_owned()),
        ("dev.sigstore.bundle.predicateType".to_owned(), PREDICATE_TYPE.to_owned()),
        ("org.opencontainers.image.created".to_owned(), created.to_rfc3339_opts(SecondsFormat::Secs, true)),
    ]);
    let manifest_type = oci_client::manifest::OCI_IMAGE_MEDIA_TYPE;
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "artifactType": BUNDLE_TYPE,
        "config": {"mediaType": EMPTY_TYPE, "digest": config.digest, "size": config.size},
        "layers": [{"mediaType": BUNDLE_TYPE, "digest": layer.digest, "size": layer.size}],
        "subject": {"mediaType": manifest_type, "digest": digest, "size": subject_size},
        "annotations": annotations,
    }))
    .map_err(encode)?;
    let entry = Descriptor {
        media_type: manifest_type.to_owned(),
        digest: Digest::of(&manifest),
        size: manifest.len() as u64,
        artifact_type: Some(BUNDLE_TYPE.to_owned()),
        annotations: Some(annotations),
    };
    let signature = entry.digest;
    target.attach(digest, &manifest, entry).await?;
    Ok(signature)
}

pub(crate) fn bundle(digest: &Digest, key: &SigningKey) -> serde_json::Value {
    let statement = json!({
        "_type": STATEMENT_TYPE,
        "subject": [{"digest": {"sha256": digest.hex()}, "annotations": {}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {},
    })
    .to_string();
    let signature = key.sign(&sigstore_types::dsse::pae(PAYLOAD_TYPE, statement.as_bytes()));
    json!({
        "mediaType": BUNDLE_TYPE,
        "verificationMaterial": {"publicKey": {"hint": key.hint()}},
        "dsseEnvelope": {
            "payload": STANDARD.encode(statement),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": STANDARD.encode(signature)}],
        },
    })
}
