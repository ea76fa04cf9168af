//! The verdict on an artifact: which authority's signature met which requirement, or why nothing did. Signatures are checked elsewhere.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::authority::AuthorityError;
use crate::reference::Digest;
use crate::source::SourceError;

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
    /// Broken, unreadable, or of a kind that is no cosign signature.
    #[error("not a cosign signature")]
    NotASignature,
    /// By a certificate, and the authority is a key.
    #[error("made with a certificate, where one by a key is expected")]
    MadeWithCertificate,
    /// By a key, and the authority is keyless.
    #[error("made with a key, where a keyless one is expected")]
    MadeWithKey,
    /// Keyless, and of the older form.
    #[error("a keyless signature under the .sig tag, which is not read; sign with cosign 3, whose default is a bundle")]
    LegacyKeyless,
    /// Signed by another key.
    #[error("made with another key")]
    WrongKey,
    /// The certificate is not by a Fulcio of the trust root, or no log of certificates that it names knows it.
    #[error("made with a certificate that the trust root does not vouch for")]
    UntrustedCertificate,
    /// The certificate names somebody else.
    #[error("made by another identity")]
    WrongIdentity,
    /// Nothing that is trusted says when it was made, and a certificate is good for minutes.
    #[error("without a good timestamp of an authority in the trust root, so that nothing says whether its certificate was valid then")]
    NoTrustedTime,
    /// The trust root names transparency logs.
    #[error("without a good entry in a transparency log of the trust root")]
    NotLogged,
    /// It says it is by this authority, and the bytes do not fit.
    #[error("changed since it was made")]
    Tampered,
    /// A good attestation by this authority: it says something about the artifact, not that it may be used.
    #[error("an attestation, which is not a signature")]
    AttestationOnly,
    /// A good signature by this authority of another artifact.
    #[error("a signature of another artifact")]
    Replayed,
}

impl Rejection {
    /// Condition reason; one of a fixed set.
    fn reason(self) -> &'static str {
        match self {
            Self::NotASignature => "NotASignature",
            Self::MadeWithCertificate => "KeylessSignature",
            Self::MadeWithKey => "KeySignature",
            Self::LegacyKeyless => "LegacyKeylessSignature",
            Self::WrongKey => "WrongKey",
            Self::UntrustedCertificate => "UntrustedCertificate",
            Self::WrongIdentity => "WrongIdentity",
            Self::NoTrustedTime => "NoTrustedTime",
            Self::NotLogged => "NotLogged",
            Self::Tampered => "SignatureTampered",
            Self::AttestationOnly => "AttestationOnly",
            Self::Replayed => "SignatureReplayed",
        }
    }

    /// Which of several is the story: junk, or a signature of a kind that this authority never makes, beside one that it might have made is not.
    fn weight(self) -> u8 {
        match self {
            Self::NotASignature => 0,
            Self::MadeWithCertificate | Self::MadeWithKey => 1,
            _ => 2,
        }
    }
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
        why: AuthorityError,
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
                let heaviest = rejected.iter().map(|rejected| rejected.why.weight()).max();
                let mut telling = rejected.iter().map(|rejected| rejected.why).filter(|why| Some(why.weight()) == heaviest);
                match telling.next() {
                    None => Rejection::NotASignature.reason(),
                    Some(first) if telling.all(|why| why == first) => first.reason(),
                    Some(_) => "SignatureMismatch",
                }
            }
        }
    }
}
