//! Doors for `fuzz/` to the readers of keys and signatures.

use super::key::{KeyError, TrustedKey};
use super::{Rejection, bundle, simple_signing};
use crate::reference::Digest;

/// A public key that is trusted.
#[allow(missing_debug_implementations, reason = "only fuzz targets hold it")]
pub struct Key(TrustedKey);

impl Key {
    /// From PEM.
    ///
    /// # Errors
    /// It is not a key that can be trusted.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        TrustedKey::from_pem(text).map(Self)
    }

    /// Checks a version 3 bundle.
    ///
    /// # Errors
    /// It does not count.
    pub fn bundle(&self, json: &[u8], digest: &Digest) -> Result<(), Rejection> {
        bundle::check(json, &self.0, digest)
    }

    /// Checks a version 2 payload and its signature in base64.
    ///
    /// # Errors
    /// It does not count.
    pub fn simple_signing(&self, payload: &[u8], signature: &str, digest: &Digest) -> Result<(), Rejection> {
        simple_signing::check(payload, signature, &self.0, digest)
    }
}
