//! Does an artifact carry the signatures that are required? Requirements in, a verdict with names and reasons out.
//!
//! Signatures are found by `material`, checked by `bundle` (version 3 with a key), `keyless` (version 3 with a certificate) and `simple_signing`
//! (version 2); `authority` says who may sign, `verdict` what was found. Nothing here hands out bytes of the artifact.

mod authority;
mod bundle;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod key;
mod keyless;
mod material;
mod simple_signing;
mod verdict;

use crate::reference::Digest;
use crate::source::{Source, SourceError};
use authority::Trusted;
pub use authority::{Authority, AuthorityError, AuthorityKind, Identity, Subject};
pub(crate) use bundle::{PAYLOAD_TYPE, PREDICATE_TYPE, STATEMENT_TYPE};
pub use key::KeyError;
pub use keyless::KeylessError;
use material::Candidate;
pub(crate) use material::{BUNDLE_PREFIX, BUNDLE_TYPE, SignatureMaterial};
pub use verdict::{Form, Rejected, Rejection, Verification, VerifiedBy, VerifyError};

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

/// A requirement while it is being checked.
struct Open<'r> {
    requirement: &'r Requirement,
    authorities: Vec<(&'r str, Result<Trusted, AuthorityError>)>,
    met: Option<VerifiedBy>,
    rejected: Vec<Rejected>,
}

impl<'r> Open<'r> {
    fn new(requirement: &'r Requirement) -> Self {
        let authorities = requirement.authorities.iter().map(|authority| (authority.name.as_str(), Trusted::read(&authority.kind)));
        Self { requirement, authorities: authorities.collect(), met: None, rejected: Vec::new() }
    }

    fn consider(&mut self, candidate: &Candidate<'_>, digest: &Digest) {
        for (authority, trusted) in &self.authorities {
            let Ok(trusted) = trusted else { continue };
            if self.met.is_some() {
                return;
            }
            match candidate.check(trusted, digest) {
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
        self.authorities.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" or ")
    }

    /// Why it is not met, given what was found.
    fn refusal(&self, digest: &Digest, found: &SignatureMaterial, failed: Option<&SourceError>) -> VerifyError {
        let requirement = self.requirement.name.clone();
        if self.authorities.iter().all(|(_, trusted)| trusted.is_err()) {
            let first = self.authorities.first().and_then(|(name, trusted)| Some((*name, trusted.as_ref().err()?.clone())));
            let (authority, why) = first.unwrap_or(("none", AuthorityError::NoAuthority));
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
