//! Version 3 signatures: a Sigstore bundle with a DSSE envelope around an in-toto statement; how it is read, what the statement must say, and the
//! check of one made with a key. Those made with a certificate are checked by `keyless`.
//!
//! Where a key decides, it decides alone: a log entry in the bundle is neither needed nor looked at.

use serde::Deserialize;
use sigstore_types::bundle::{SignatureContent, VerificationMaterialContent};
use sigstore_types::{Bundle, DsseEnvelope};

use super::Rejection;
use super::key::TrustedKey;
use crate::reference::Digest;

/// The DSSE payload type of in-toto statements.
pub(crate) const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// The statement type.
pub(crate) const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// What makes a statement a signature; anything else is an attestation about the artifact.
pub(crate) const PREDICATE_TYPE: &str = "https://sigstore.dev/cosign/sign/v1";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
}

#[derive(Deserialize)]
struct Subject {
    digest: std::collections::BTreeMap<String, String>,
}

/// Of a bundle; one with a certificate, a timestamp and a log entry has 10 KiB.
const MAX_BUNDLE: usize = 4 << 20;

/// The bundle, of which nothing was checked yet.
pub(super) fn read(json: &[u8]) -> Result<Bundle, Rejection> {
    if json.len() > MAX_BUNDLE {
        return Err(Rejection::NotASignature);
    }
    let text = std::str::from_utf8(json).map_err(|_| Rejection::NotASignature)?;
    Bundle::from_json(text).map_err(|_| Rejection::NotASignature)
}

pub(super) fn check(json: &[u8], key: &TrustedKey, digest: &Digest) -> Result<(), Rejection> {
    let bundle = read(json)?;
    let VerificationMaterialContent::PublicKey(named) = &bundle.verification_material.content else {
        return Err(Rejection::MadeWithCertificate);
    };
    let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
        return Err(Rejection::NotASignature);
    };
    if !key.signed(&envelope.pae(), envelope.signature.sig.as_bytes()) {
        return Err(if key.is_hinted(&named.hint) { Rejection::Tampered } else { Rejection::WrongKey });
    }
    check_statement(envelope, digest)
}

/// Whether an envelope, whose signature was found good, holds a signature of that artifact.
pub(super) fn check_statement(envelope: &DsseEnvelope, digest: &Digest) -> Result<(), Rejection> {
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(Rejection::NotASignature);
    }
    let statement: Statement = serde_json::from_slice(envelope.payload.as_bytes()).map_err(|_| Rejection::NotASignature)?;
    // First, because cosign's attestations carry an older statement type.
    if statement.predicate_type != PREDICATE_TYPE {
        return Err(Rejection::AttestationOnly);
    }
    if statement.kind != STATEMENT_TYPE {
        return Err(Rejection::NotASignature);
    }
    let hex = digest.hex();
    let names_it = statement.subject.iter().any(|subject| subject.digest.get("sha256") == Some(&hex));
    if names_it { Ok(()) } else { Err(Rejection::Replayed) }
}
