//! Checking a version 2 signature: a simple-signing payload under the `.sig` tag, its signature in an annotation.

use serde::Deserialize;

use super::Rejection;
use super::key::TrustedKey;
use super::material::decoded;
use crate::reference::Digest;

const CRITICAL_TYPE: &str = "cosign container image signature";

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    #[serde(rename = "type")]
    kind: String,
    image: Image,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

pub(super) fn check(payload: &[u8], signature: &str, key: &TrustedKey, digest: &Digest) -> Result<(), Rejection> {
    let signature = decoded(signature).ok_or(Rejection::NotASignature)?;
    if !key.signed(payload, &signature) {
        return Err(Rejection::WrongKey);
    }
    let payload: Payload = serde_json::from_slice(payload).map_err(|_| Rejection::NotASignature)?;
    if payload.critical.kind != CRITICAL_TYPE {
        return Err(Rejection::NotASignature);
    }
    if payload.critical.image.digest == digest.to_string() { Ok(()) } else { Err(Rejection::Replayed) }
}
