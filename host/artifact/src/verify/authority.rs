//! Who may sign: what is written down of an authority, and the same once it was read and can be checked against.
//!
//! Keys are read by `key`, trust roots and identities by `keyless`.

use super::key::{KeyError, TrustedKey};
use super::keyless::{KeylessError, TrustedSigners};

/// Who may sign: a name for people, and how a signature of theirs is recognised.
#[derive(Debug, Clone)]
pub struct Authority {
    /// The name under which conditions mention it.
    pub name: String,
    /// How its signatures are recognised.
    pub kind: AuthorityKind,
}

/// How an authority's signatures are recognised. Neither kind takes signatures of the other.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AuthorityKind {
    /// By a public key in PEM (`PUBLIC KEY`): ECDSA P-256 or RSA 2048, 3072 or 4096.
    Key {
        /// The PEM text.
        pem: Vec<u8>,
    },
    /// By a certificate that names an identity.
    Keyless {
        /// Any one of them suffices.
        identities: Vec<Identity>,
        /// `trusted_root.json`: the Fulcio to trust, and the transparency logs and timestamp authorities that say when something was signed.
        /// Logs that it names must know the signature.
        trust_root: Vec<u8>,
        /// Accept signatures that no log knows, although the trust root names logs.
        ignore_transparency_log: bool,
    },
}

/// Whom a certificate must name.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The issuer that vouched for the identity, exactly.
    pub issuer: String,
    /// The identity.
    pub subject: Subject,
}

/// The subject of a certificate: an email address or a URI.
#[derive(Debug, Clone)]
pub enum Subject {
    /// Exactly this one.
    Exact(String),
    /// Any that this regular expression matches as a whole.
    Pattern(String),
}

/// Why an authority cannot be used: no signature could ever be one of its.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// Its key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Its trust root or its identities.
    #[error(transparent)]
    Keyless(#[from] KeylessError),
    /// A requirement without authorities.
    #[error("it has no authorities; add one")]
    NoAuthority,
}

impl AuthorityError {
    /// Condition reason; one of a fixed set.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Key(error) => error.reason(),
            Self::Keyless(error) => error.reason(),
            Self::NoAuthority => "NoAuthority",
        }
    }
}

/// An authority that was read.
pub(super) enum Trusted {
    Key(TrustedKey),
    Signers(Box<TrustedSigners>),
}

impl Trusted {
    pub(super) fn read(kind: &AuthorityKind) -> Result<Self, AuthorityError> {
        Ok(match kind {
            AuthorityKind::Key { pem } => Self::Key(TrustedKey::from_pem(pem)?),
            AuthorityKind::Keyless { identities, trust_root, ignore_transparency_log } => {
                Self::Signers(Box::new(TrustedSigners::new(identities, trust_root, *ignore_transparency_log)?))
            }
        })
    }
}
