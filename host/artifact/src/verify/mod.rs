//! Does an artifact carry the signatures that are required? Requirements in, a verdict with names and reasons out.
//!
//! Signatures are found by `material`, checked by `bundle` (version 3) and `simple_signing` (version 2); keys are read by `key`.
//! Nothing here hands out bytes of the artifact.

mod bundle;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod key;
mod material;
mod simple_signing;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::reference::Digest;
use crate::source::{Source, SourceError};
pub(crate) use bundle::{PAYLOAD_TYPE, PREDICATE_TYPE, STATEMENT_TYPE};
pub use key::KeyError;
use key::TrustedKey;
use material::Candidate;
pub(crate) use material::{BUNDLE_PREFIX, BUNDLE_TYPE, SignatureMaterial};

/// Rejections that are kept for the message.
const MAX_REJECTIONS: usize = 64;

/// What happens when a requirement is not met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// The artifact is used and the verdict says why it should not be.
    Warn,
    /// The artifact is refused.
    Enforce,
}

/// Who may sign: a name for people, and how a signature of theirs is recognised.
#[derive(Debug, Clone)]
pub struct Authority {
    /// The name under which conditions mention it.
    pub name: String,
    /// How its signatures are recognised.
    pub kind: AuthorityKind,
}

/// How an authority's signatures are recognised.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AuthorityKind {
    /// By a public key in PEM (`PUBLIC KEY`): ECDSA P-256 or RSA 2048, 3072 or 4096.
    Key {
        /// The PEM text.
        pem: Vec<u8>,
    },
    /// By a certificate that names an identity. Not verified yet: such an authority accepts nothing and says so.
    Keyless {
        /// Any one of them suffices.
        identities: Vec<Identity>,
        /// `trusted_root.json` of the Fulcio and Rekor to trust.
        trust_root: Vec<u8>,
    },
}

/// Whom a certificate must name.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The issuer that vouched for the identity.
    pub issuer: String,
    /// A regular expression that the whole subject must match.
    pub subject_pattern: String,
}

/// One list of authorities of which at least one must have signed. A `Plugin` and every `PluginPolicy` that covers it
/// give one each; a signature that satisfies one requirement excuses no other.
#[derive(Debug, Clone)]
pub struct Requirement {
    /// Who asks for it, for messages: `Plugin`, or a policy's name.
    pub name: String,
    /// Any one of them suffices.
    pub authorities: Vec<Authority>,
    /// What happens when none of them signed. The strictest mode of all requirements applies to all.
    pub mode: Mode,
}

/// How a signature was attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// A Sigstore bundle among the artifact's referrers (cosign version 3).
    Bundle,
    /// A simple-signing payload under the `.sig` tag (cosign version 2).
    SimpleSigning,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bundle => "bundle",
            Self::SimpleSigning => "simple signing",
        })
    }
}

/// Which authority's signature met a requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedBy {
    /// The requirement that was met.
    pub requirement: String,
    /// The authority whose signature it was.
    pub authority: String,
    /// How it was attached.
    pub form: Form,
}

/// The verdict on an artifact that may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// Every requirement was met; one entry for each.
    Accepted(Vec<VerifiedBy>),
    /// Not every requirement was met, and none of them enforces.
    Warned {
        /// Requirements that were met all the same.
        met: Vec<VerifiedBy>,
        /// Why the artifact would have been refused.
        why: VerifyError,
    },
}

/// Why one candidate did not count for one authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Rejection {
    /// Broken, unreadable, or of a kind that is no cosign signature by a key.
    #[error("not a cosign signature by a key")]
    NotASignature,
    /// Signed by another key.
    #[error("made with another key")]
    WrongKey,
    /// It says it is by this key, and the bytes do not fit.
    #[error("made with this key and changed since")]
    Tampered,
    /// A good attestation by this key: it says something about the artifact, not that it may be used.
    #[error("an attestation by this key, which is not a signature")]
    AttestationOnly,
    /// A good signature by this key of another artifact.
    #[error("a signature by this key of another artifact")]
    Replayed,
}

/// One candidate, one authority, and why it did not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The candidate: digest of the bundle, or number within the `.sig` tag.
    pub candidate: String,
    /// The authority it was tried for.
    pub authority: String,
    /// Why it did not count.
    pub why: Rejection,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}: {}", self.candidate, self.authority, self.why)
    }
}

/// Why an artifact did not pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// No requirement was given; whether unsigned artifacts may run is decided by a requirement in `warn` mode, not by none.
    #[error(
        "no signature is required of {digest}: expected at least one authority in the Plugin or in a PluginPolicy; add one, or mode: warn to accept anything"
    )]
    NothingRequired {
        /// The artifact.
        digest: Digest,
    },
    /// The artifact has no signature in either form.
    #[error("{digest} is unsigned: expected a signature by {expected}; sign it with `cosign sign` or `banhbaoring plugin sign`")]
    Unsigned {
        /// The artifact.
        digest: Digest,
        /// Names of the authorities of the requirement that was not met.
        expected: String,
    },
    /// The artifact has signatures, and none of them counts for a requirement.
    #[error("{digest} has no signature by {expected}, which {requirement} requires: {}", listed(.rejected, *.cut))]
    NoMatchingSignature {
        /// The artifact.
        digest: Digest,
        /// The requirement that was not met.
        requirement: String,
        /// Names of its authorities.
        expected: String,
        /// What was tried, at most 64.
        rejected: Vec<Rejected>,
        /// Whether there were more referrers than are looked at.
        cut: bool,
    },
    /// No authority of a requirement can be checked, so that no signature could ever meet it.
    #[error("{requirement} cannot be met: authority {authority}: {why}")]
    UnusableAuthority {
        /// The requirement.
        requirement: String,
        /// Its first authority, or `none`.
        authority: String,
        /// What is wrong with it.
        why: KeyError,
    },
    /// The signatures could not be read, so that nothing is known.
    #[error("the signatures of the artifact cannot be read: {0}")]
    Source(#[from] SourceError),
}

fn listed(rejected: &[Rejected], cut: bool) -> String {
    let mut text = rejected.iter().take(8).map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if cut {
        text.push_str("; it has more referrers than are looked at, remove the unrelated ones");
    }
    text
}

impl VerifyError {
    /// Condition reason; one of a fixed set.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NothingRequired { .. } => "NoAuthority",
            Self::Unsigned { .. } => "Unsigned",
            Self::UnusableAuthority { why, .. } => why.reason(),
            Self::Source(error) => error.reason(),
            Self::NoMatchingSignature { rejected, .. } => {
                // Junk beside a real signature of somebody else is not the story.
                let telling = rejected.iter().map(|r| r.why).filter(|why| *why != Rejection::NotASignature);
                let (first, same) = telling.fold((None, true), |(first, same), why| match first {
                    None => (Some(why), same),
                    Some(first) => (Some(first), same && first == why),
                });
                match (first, same) {
                    (Some(Rejection::WrongKey), true) => "WrongKey",
                    (Some(Rejection::Tampered), true) => "SignatureTampered",
                    (Some(Rejection::AttestationOnly), true) => "AttestationOnly",
                    (Some(Rejection::Replayed), true) => "SignatureReplayed",
                    (None, _) => "NotASignature",
                    _ => "SignatureMismatch",
                }
            }
        }
    }
}

/// A requirement while it is being checked.
struct Open<'r> {
    requirement: &'r Requirement,
    keys: Vec<(&'r str, Result<TrustedKey, KeyError>)>,
    met: Option<VerifiedBy>,
    rejected: Vec<Rejected>,
}

impl<'r> Open<'r> {
    fn new(requirement: &'r Requirement) -> Self {
        let keys = requirement.authorities.iter().map(|authority| {
            let key = match &authority.kind {
                AuthorityKind::Key { pem } => TrustedKey::from_pem(pem),
                AuthorityKind::Keyless { .. } => Err(KeyError::KeylessUnsupported),
            };
            (authority.name.as_str(), key)
        });
        Self { requirement, keys: keys.collect(), met: None, rejected: Vec::new() }
    }

    fn consider(&mut self, candidate: &Candidate<'_>, digest: &Digest) {
        for (authority, key) in &self.keys {
            let Ok(key) = key else { continue };
            if self.met.is_some() {
                return;
            }
            match candidate.check(key, digest) {
                Ok(form) => {
                    let (requirement, authority) = (self.requirement.name.clone(), (*authority).to_owned());
                    self.met = Some(VerifiedBy { requirement, authority, form });
                }
                Err(why) if self.rejected.len() < MAX_REJECTIONS => {
                    let (candidate, authority) = (candidate.to_string(), (*authority).to_owned());
                    self.rejected.push(Rejected { candidate, authority, why });
                }
                Err(_) => {}
            }
        }
    }

    fn names(&self) -> String {
        self.keys.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" or ")
    }

    /// Why it is not met, given what was found.
    fn refusal(&self, digest: &Digest, found: &SignatureMaterial, failed: Option<&SourceError>) -> VerifyError {
        let requirement = self.requirement.name.clone();
        if self.keys.iter().all(|(_, key)| key.is_err()) {
            let first = self.keys.first().and_then(|(name, key)| Some((*name, key.as_ref().err()?.clone())));
            let (authority, why) = first.unwrap_or(("none", KeyError::NoAuthority));
            return VerifyError::UnusableAuthority { requirement, authority: authority.to_owned(), why };
        }
        if let Some(error) = failed {
            return VerifyError::Source(error.clone());
        }
        let expected = self.names();
        if found.is_empty() && !found.cut {
            return VerifyError::Unsigned { digest: *digest, expected };
        }
        let rejected = self.rejected.clone();
        VerifyError::NoMatchingSignature { digest: *digest, requirement, expected, rejected, cut: found.cut }
    }
}

/// Checks the signatures of anything in a registry by its digest, an image or an index of images as well as a component. What the digest stands for
/// is not read.
///
/// # Errors
/// As [`crate::Artifact::verify`].
pub async fn verify_digest(source: &Source, digest: &Digest, requirement: &Requirement) -> Result<Verification, VerifyError> {
    Ok(verify(source, digest, std::slice::from_ref(requirement)).await?.0)
}

/// Checks all requirements. Version 3 bundles are read first; the `.sig` tag only if they do not suffice.
///
/// # Errors
/// A requirement is not met and one of them enforces; or the signatures cannot be read, in either mode.
pub(crate) async fn verify(
    source: &Source,
    digest: &Digest,
    requirements: &[Requirement],
) -> Result<(Verification, SignatureMaterial), VerifyError> {
    if requirements.is_empty() {
        return Err(VerifyError::NothingRequired { digest: *digest });
    }
    let mut open: Vec<_> = requirements.iter().map(Open::new).collect();
    let mut found = SignatureMaterial::default();
    let mut failed = None;
    for form in [Form::Bundle, Form::SimpleSigning] {
        let before = found.counts();
        if let Err(error) = found.collect(source, digest, form).await {
            failed = failed.or(Some(error));
        }
        for candidate in found.candidates_after(before) {
            for requirement in open.iter_mut().filter(|requirement| requirement.met.is_none()) {
                requirement.consider(&candidate, digest);
            }
        }
        if open.iter().all(|requirement| requirement.met.is_some()) {
            break;
        }
    }
    let unmet = open.iter().find(|requirement| requirement.met.is_none());
    let refusal = unmet.map(|requirement| requirement.refusal(digest, &found, failed.as_ref()));
    let met = open.iter().filter_map(|requirement| requirement.met.clone()).collect();
    let strictest = requirements.iter().map(|requirement| requirement.mode).max();
    match refusal {
        None => Ok((Verification::Accepted(met), found)),
        // Not knowing is no verdict: the registry is asked again, whatever the mode.
        Some(why @ VerifyError::Source(_)) => Err(why),
        Some(why) if strictest == Some(Mode::Warn) => Ok((Verification::Warned { met, why }, found)),
        Some(why) => Err(why),
    }
}
