//! Checking a keyless signature: a version 3 bundle made with a key that lived for minutes, whose certificate by a Fulcio names who signed.
//!
//! `sigstore-verify` does the cryptography against a trust root that was handed in; nothing here asks a network, and no root is built in. Which
//! identities count is decided here, and only after the certificate was found good. Keys of authorities are `key`'s.

use std::fmt;

use regex::{Regex, RegexBuilder};
use sigstore_crypto::{CertificateInfo, parse_certificate_info};
use sigstore_trust_root::TrustedRoot;
use sigstore_types::Bundle;
use sigstore_types::Sha256Hash;
use sigstore_types::bundle::{SignatureContent, VerificationMaterialContent};
use sigstore_verify::bundle::Error as ShapeError;
use sigstore_verify::{CertificateError, Error, VerificationPolicy, Verifier};

use super::authority::{Identity, Subject};
use super::{Rejection, bundle};
use crate::reference::Digest;

/// Of a `trusted_root.json`; that of the public instance has 8 KiB.
const MAX_TRUST_ROOT: usize = 256 << 10;
/// Authorities and logs of a trust root together.
const MAX_INSTANCES: usize = 64;
/// Certificates of one authority.
const MAX_CHAIN: usize = 16;
/// Timestamps, log entries and certificates of one bundle, of each.
const MAX_EVIDENCE: usize = 8;
/// Identities of one authority.
const MAX_IDENTITIES: usize = 16;
/// Characters of an issuer, a subject or an expression.
const MAX_TEXT: usize = 1024;
/// Bytes of a compiled expression.
const MAX_PROGRAM: usize = 1 << 20;
/// Parentheses within parentheses of an expression.
const MAX_NESTING: u32 = 32;

/// Why a keyless authority cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeylessError {
    /// No `trusted_root.json`, or one that nothing can be verified with.
    #[error(
        "its trust root is not usable: expected a trusted_root.json with a certificate authority and with a transparency log or a timestamp authority, found {found}; make one with `cosign trusted-root create`"
    )]
    TrustRoot {
        /// What was found.
        found: String,
    },
    /// An identity that nobody can have.
    #[error(
        "its identities are not usable: expected 1 to 16 of them, each with an issuer and a subject or a regular expression of at most 1024 characters, found {found}"
    )]
    Identity {
        /// What was found.
        found: String,
    },
}

impl KeylessError {
    /// Condition reason; one of a fixed set.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TrustRoot { .. } => "InvalidTrustRoot",
            Self::Identity { .. } => "InvalidIdentity",
        }
    }

    fn trust_root(found: impl fmt::Display) -> Self {
        Self::TrustRoot { found: shortened(&found) }
    }

    fn identity(found: impl fmt::Display) -> Self {
        Self::Identity { found: shortened(&found) }
    }
}

fn shortened(found: &impl fmt::Display) -> String {
    found.to_string().chars().take(200).collect()
}

/// A trust root that was read, and the identities that count among those that it certifies.
pub(super) struct TrustedSigners {
    verifier: Verifier,
    policy: VerificationPolicy,
    identities: Vec<KnownIdentity>,
}

struct KnownIdentity {
    issuer: String,
    subject: KnownSubject,
}

enum KnownSubject {
    Exact(String),
    Pattern(Regex),
}

impl TrustedSigners {
    pub(super) fn new(identities: &[Identity], trust_root: &[u8], ignore_transparency_log: bool) -> Result<Self, KeylessError> {
        if !(1..=MAX_IDENTITIES).contains(&identities.len()) {
            return Err(KeylessError::identity(format_args!("{} of them", identities.len())));
        }
        let identities = identities.iter().map(KnownIdentity::read).collect::<Result<_, _>>()?;
        let root = read_trust_root(trust_root)?;
        // What the trust root names is asked for: a private Fulcio often has neither kind of log.
        let mut policy = VerificationPolicy::any_identity();
        if root.tlogs.is_empty() || ignore_transparency_log {
            policy = policy.skip_tlog_unsafe();
        }
        if root.ctlogs.is_empty() {
            policy = policy.skip_sct();
        }
        let verifier = Verifier::new(&root).map_err(KeylessError::trust_root)?;
        Ok(Self { verifier, policy, identities })
    }

    pub(super) fn check(&self, json: &[u8], digest: &Digest) -> Result<(), Rejection> {
        let bundle = bundle::read(json)?;
        if matches!(bundle.verification_material.content, VerificationMaterialContent::PublicKey(_)) {
            return Err(Rejection::MadeWithKey);
        }
        let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
            return Err(Rejection::NotASignature);
        };
        if !is_bounded(&bundle) {
            return Err(Rejection::NotASignature);
        }
        let manifest = Sha256Hash::from_hex(&digest.hex()).map_err(|_| Rejection::NotASignature)?;
        match self.verifier.verify(manifest, &bundle, &self.policy) {
            Ok(seen) if !self.has(seen.issuer(), seen.identity().map(|subject| subject.as_str())) => Err(Rejection::WrongIdentity),
            Ok(_) => bundle::check_statement(envelope, digest),
            Err(error) => Err(match why(&error) {
                // Found after the certificate was, so that its claims are good, and before anybody asked for them.
                Rejection::Replayed | Rejection::Tampered if !self.names(&bundle) => Rejection::WrongIdentity,
                why => why,
            }),
        }
    }

    fn names(&self, bundle: &Bundle) -> bool {
        let claims = bundle.signing_certificate().and_then(|certificate| parse_certificate_info(certificate).ok());
        claims.is_some_and(|CertificateInfo { issuer, identity, .. }| {
            self.has(issuer.as_deref(), identity.as_ref().map(|subject| subject.as_str()))
        })
    }

    fn has(&self, issuer: Option<&str>, subject: Option<&str>) -> bool {
        let (Some(issuer), Some(subject)) = (issuer, subject) else { return false };
        subject.len() <= MAX_TEXT && self.identities.iter().any(|known| known.issuer == issuer && known.subject.matches(subject))
    }
}

impl KnownIdentity {
    fn read(identity: &Identity) -> Result<Self, KeylessError> {
        let (Subject::Exact(text) | Subject::Pattern(text)) = &identity.subject;
        for text in [&identity.issuer, text] {
            if text.is_empty() || text.len() > MAX_TEXT {
                return Err(KeylessError::identity(format_args!("a text of {} characters", text.len())));
            }
        }
        let subject = match &identity.subject {
            Subject::Exact(text) => KnownSubject::Exact(text.clone()),
            Subject::Pattern(text) => KnownSubject::Pattern(whole(text).map_err(KeylessError::identity)?),
        };
        Ok(Self { issuer: identity.issuer.clone(), subject })
    }
}

impl KnownSubject {
    fn matches(&self, subject: &str) -> bool {
        match self {
            Self::Exact(text) => text == subject,
            Self::Pattern(pattern) => pattern.is_match(subject),
        }
    }
}

/// The expression, anchored at both ends.
fn whole(expression: &str) -> Result<Regex, regex::Error> {
    let compiled = |text: &str| RegexBuilder::new(text).size_limit(MAX_PROGRAM).nest_limit(MAX_NESTING).build();
    // By itself first: `a)|(?:b` would climb over the anchors.
    compiled(expression)?;
    compiled(&format!("^(?:{expression})$"))
}

fn read_trust_root(json: &[u8]) -> Result<TrustedRoot, KeylessError> {
    if json.len() > MAX_TRUST_ROOT {
        return Err(KeylessError::trust_root(format_args!("{} bytes, more than {MAX_TRUST_ROOT}", json.len())));
    }
    let text = std::str::from_utf8(json).map_err(KeylessError::trust_root)?;
    let root = TrustedRoot::from_json(text).map_err(KeylessError::trust_root)?;
    let TrustedRoot { tlogs, certificate_authorities, ctlogs, timestamp_authorities, .. } = &root;
    let instances = tlogs.len() + certificate_authorities.len() + ctlogs.len() + timestamp_authorities.len();
    if instances > MAX_INSTANCES {
        return Err(KeylessError::trust_root(format_args!("{instances} authorities and logs, more than {MAX_INSTANCES}")));
    }
    let mut chains = certificate_authorities.iter().map(|ca| &ca.cert_chain).chain(timestamp_authorities.iter().map(|tsa| &tsa.cert_chain));
    if chains.any(|chain| chain.certificates.len() > MAX_CHAIN) {
        return Err(KeylessError::trust_root(format_args!("a chain of more than {MAX_CHAIN} certificates")));
    }
    if certificate_authorities.is_empty() {
        return Err(KeylessError::trust_root("no certificate authority"));
    }
    if tlogs.is_empty() && timestamp_authorities.is_empty() {
        return Err(KeylessError::trust_root("neither a transparency log nor a timestamp authority"));
    }
    Ok(root)
}

/// All of it is checked, and each piece costs a signature or two.
fn is_bounded(bundle: &Bundle) -> bool {
    let material = &bundle.verification_material;
    let certificates = match &material.content {
        VerificationMaterialContent::X509CertificateChain { certificates } => certificates.len(),
        _ => 1,
    };
    [certificates, material.tlog_entries.len(), material.timestamp_verification_data.rfc3161_timestamps.len()]
        .iter()
        .all(|count| *count <= MAX_EVIDENCE)
}

fn why(error: &Error) -> Rejection {
    match error {
        Error::SignatureInvalid(_) => Rejection::Tampered,
        Error::ArtifactMismatch(_) => Rejection::Replayed,
        Error::Certificate(CertificateError::Malformed(_)) => Rejection::NotASignature,
        Error::Certificate(_) => Rejection::UntrustedCertificate,
        Error::Timestamp(_) | Error::Bundle(ShapeError::MissingSigningTimeEvidence) => Rejection::NoTrustedTime,
        Error::TransparencyLog(_) | Error::Bundle(ShapeError::MissingInclusionProof(_) | ShapeError::MissingInclusionPromise(_)) => {
            Rejection::NotLogged
        }
        _ => Rejection::NotASignature,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_matches_a_subject_as_a_whole_or_not_at_all() {
        let ci = whole("https://git.example/acme/.*|bot@acme.example").unwrap();
        assert!(ci.is_match("https://git.example/acme/plugin") && ci.is_match("bot@acme.example"));
        for subject in ["https://evil.test/?https://git.example/acme/plugin", "bot@acme.example.evil.test", "robot@acme.example", ""] {
            assert!(!ci.is_match(subject), "{subject}");
        }
        let lines = whole("(?m)^a$").unwrap();
        assert!(lines.is_match("a") && !lines.is_match("b\na\nc"));
    }

    #[test]
    fn an_expression_that_climbs_over_its_anchors_or_costs_too_much_is_refused() {
        for expression in ["a)|(?:.*", "a)|(.*", "(", "(?x)a # ", &"(".repeat(40), "(?:(?:a{1000}){1000}){1000}", r"(a)\1"] {
            assert!(whole(expression).is_err() || !whole(expression).unwrap().is_match("anybody"), "{expression}");
        }
        assert!(whole("a)|(?:.*").is_err());
        let of = |subject| KnownIdentity::read(&Identity { issuer: "https://issuer.example".to_owned(), subject }).map(|_| ());
        assert!(of(Subject::Pattern("a".repeat(MAX_TEXT))).is_ok());
        assert_eq!(of(Subject::Pattern("a".repeat(MAX_TEXT + 1))).unwrap_err().reason(), "InvalidIdentity");
        assert_eq!(of(Subject::Exact(String::new())).unwrap_err().reason(), "InvalidIdentity");
    }
}
