//! A component on its way into the sandbox, and the plugin that came of it.

use std::sync::Arc;
use std::time::Instant;

use banhbaoring_pipeline::contract::{Descriptor, Failure, Request, Response, ReviewRequest, ReviewResponse, Seal, SealRequest};
use sha2::{Digest, Sha256};

use crate::call::Caller;
use crate::determinism;
use crate::error::CallError;
use crate::inspect::Inspected;
use crate::limits::CallLimits;
use crate::load::LoadError;
use crate::version::{ContractVersion, Interface, Versioned};

/// Component bytes that may be compiled. There are two ways to it, and the name of each says who answers for the bytes: a reader who looks
/// for unverified code finds every call of [`TrustedComponent::local_file`].
#[derive(Clone)]
pub struct TrustedComponent {
    bytes: Arc<[u8]>,
    digest: [u8; 32],
    verified_by: Option<String>,
}

impl std::fmt::Debug for TrustedComponent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustedComponent")
            .field("digest", &self.digest())
            .field("size", &self.bytes.len())
            .field("verified_by", &self.verified_by)
            .finish()
    }
}

impl TrustedComponent {
    /// A component out of an artifact whose signature was verified: `digest` is the layer's (`sha256:…`), as the verified manifest names
    /// it, `verified_by` the authorities that signed (or that the policy only warns). Only the code that verified calls this.
    ///
    /// # Errors
    /// If the bytes do not have that digest.
    pub fn verified(bytes: impl Into<Arc<[u8]>>, digest: &str, verified_by: impl Into<String>) -> Result<Self, LoadError> {
        let component = Self { verified_by: Some(verified_by.into()), ..Self::local_file(bytes) };
        if component.digest() == digest {
            Ok(component)
        } else {
            Err(LoadError::DigestMismatch { expected: crate::error::excerpt(digest), found: component.digest() })
        }
    }

    /// A file that the person at the keyboard chose to run: `render`, `plan`, tests. Nobody verified it; the operator never calls this.
    pub fn local_file(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        let digest = Sha256::digest(&bytes).into();
        Self { bytes, digest, verified_by: None }
    }

    /// `sha256:<64 hex digits>` of the component.
    pub fn digest(&self) -> String {
        format!("sha256:{}", hex::encode(self.digest))
    }

    pub(crate) fn digest_bytes(&self) -> &[u8; 32] {
        &self.digest
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A loaded plugin. Cheap to clone; calls may come from any number of threads, each on its own instance. A call blocks its thread for as
/// long as the plugin computes, at most its wall-clock limit and the wait for an instance.
#[derive(Clone)]
pub struct Module(Arc<Inner>);

struct Inner {
    digest: String,
    size: usize,
    verified_by: Option<String>,
    inspected: Inspected,
    versioned: Versioned,
    caller: Caller,
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module").field("digest", &self.0.digest).field("exports", &self.0.inspected.exports).finish()
    }
}

impl Module {
    pub(crate) fn new(component: &TrustedComponent, inspected: Inspected, versioned: Versioned, caller: Caller) -> Self {
        Self(Arc::new(Inner {
            digest: component.digest(),
            size: component.bytes.len(),
            verified_by: component.verified_by.clone(),
            inspected,
            versioned,
            caller,
        }))
    }

    /// `sha256:…` of the component's bytes.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// Size of the component in bytes, before compiling.
    pub fn size_bytes(&self) -> usize {
        self.0.size
    }

    /// Who verified it; absent for a local file.
    pub fn verified_by(&self) -> Option<&str> {
        self.0.verified_by.as_deref()
    }

    /// Names of its exports, from its bytes. It has no imports, or it would not have been loaded.
    pub fn exports(&self) -> &[String] {
        &self.0.inspected.exports
    }

    /// The contract version that it speaks.
    pub fn version(&self) -> ContractVersion {
        self.0.inspected.version
    }

    /// The interfaces that it exports.
    pub fn interfaces(&self) -> Vec<Interface> {
        self.0.versioned.interfaces()
    }

    /// Limits of its calls.
    pub fn limits(&self) -> CallLimits {
        self.0.caller.limits
    }

    /// Asks it twice what it is, on two instances; both answers must be equal.
    ///
    /// # Errors
    /// Traps, limits, an answer that is not acceptable, or two different ones.
    pub fn describe(&self) -> Result<Descriptor, CallError> {
        determinism::stable_descriptor(|| self.0.versioned.describe(&self.0.caller))
    }

    /// Asks a component. The inner result is the plugin's own.
    ///
    /// # Errors
    /// Traps, limits, or an answer that is not acceptable.
    pub fn reconcile(&self, request: &Request) -> Result<Result<Response, Failure>, CallError> {
        self.traced("reconcile", || self.0.versioned.reconcile(&self.0.caller, request))
    }

    /// Asks an unseal provider. The inner result is the plugin's own.
    ///
    /// # Errors
    /// As [`Module::reconcile`].
    pub fn render_seal(&self, request: &SealRequest) -> Result<Result<Seal, Failure>, CallError> {
        self.traced("render_seal", || self.0.versioned.render_seal(&self.0.caller, request))
    }

    /// Asks for a verdict on a write. The inner result is the plugin's own.
    ///
    /// # Errors
    /// As [`Module::reconcile`].
    pub fn review(&self, request: &ReviewRequest) -> Result<Result<ReviewResponse, Failure>, CallError> {
        self.traced("review", || self.0.versioned.review(&self.0.caller, request))
    }

    pub(crate) fn versioned(&self) -> (&Versioned, &Caller) {
        (&self.0.versioned, &self.0.caller)
    }

    fn traced<T>(&self, function: &'static str, call: impl FnOnce() -> Result<T, CallError>) -> Result<T, CallError> {
        let started = Instant::now();
        let outcome = call();
        let reason = outcome.as_ref().err().map_or("Answered", CallError::reason);
        tracing::trace!(function, digest = %self.0.digest, reason, micros = started.elapsed().as_micros(), "plugin called");
        outcome
    }
}
