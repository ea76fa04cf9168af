//! Doors for `fuzz/` to the readers of keys, trust roots and signatures.

use super::authority::{Identity, Subject};
use super::key::{KeyError, TrustedKey};
use super::keyless::{KeylessError, TrustedSigners};
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

/// One identity of a trust root.
#[allow(missing_debug_implementations, reason = "only fuzz targets hold it")]
pub struct Signers(TrustedSigners);

impl Signers {
    /// From a `trusted_root.json`, an issuer and an expression of subjects.
    ///
    /// # Errors
    /// Nothing can be verified with them.
    pub fn new(trust_root: &[u8], issuer: &str, subjects: &str) -> Result<Self, KeylessError> {
        let identity = Identity { issuer: issuer.to_owned(), subject: Subject::Pattern(subjects.to_owned()) };
        TrustedSigners::new(&[identity], trust_root, false).map(Self)
    }

    /// Checks a version 3 bundle.
    ///
    /// # Errors
    /// It does not count.
    pub fn bundle(&self, json: &[u8], digest: &Digest) -> Result<(), Rejection> {
        self.0.check(json, digest)
    }
}
