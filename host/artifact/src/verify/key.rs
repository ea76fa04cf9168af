//! Public keys of authorities: which kinds are taken, and checking a signature with one.
//!
//! Private keys live in `sign`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::pkcs8::der::asn1::UintRef;
use p256::pkcs8::der::{Decode as _, Reader as _, SliceReader};
use p256::pkcs8::{DecodePublicKey as _, SubjectPublicKeyInfoRef};
use sha2::{Digest as _, Sha256};
use sigstore_crypto::{KeyAlgorithm, SigningScheme, VerificationKey};
use sigstore_types::{DerPublicKey, SignatureBytes};

const MAX_PEM: usize = 64 << 10;

/// Why an authority's key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not PEM with a `PUBLIC KEY` block.
    #[error("its key is not readable: expected PEM with one PUBLIC KEY block as `cosign public-key` prints it, found {found}")]
    Malformed {
        /// What was found.
        found: String,
    },
    /// A kind of key that is not taken.
    #[error(
        "its key is {found}: expected ECDSA P-256 or RSA 2048, 3072 or 4096, because cosign cannot verify its own signatures with others; make a key with `cosign generate-key-pair`"
    )]
    Unsupported {
        /// The kind of key.
        found: String,
    },
}

impl KeyError {
    /// Condition reason; one of a fixed set.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "InvalidKey",
            Self::Unsupported { .. } => "UnsupportedKey",
        }
    }
}

/// A key that was read, found to be of a supported kind, and on its curve.
pub(super) struct TrustedKey {
    key: VerificationKey,
    hint: String,
}

impl TrustedKey {
    pub(super) fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let malformed = |found: &str| KeyError::Malformed { found: found.chars().take(200).collect() };
        if text.len() > MAX_PEM {
            return Err(malformed("more than 64 KiB"));
        }
        let block = pem::parse(text).map_err(|error| malformed(&error.to_string()))?;
        if block.tag() != "PUBLIC KEY" {
            return Err(malformed(&format!("a block {}", block.tag())));
        }
        let der = DerPublicKey::new(block.into_contents());
        let unsupported = |found: &str| KeyError::Unsupported { found: found.to_owned() };
        let scheme = match KeyAlgorithm::from_spki(&der) {
            Ok(KeyAlgorithm::EcdsaP256) => {
                // A point off the curve would be noticed only as a signature that never fits.
                p256::PublicKey::from_public_key_der(der.as_bytes()).map_err(|_| malformed("a point that is not on the curve P-256"))?;
                SigningScheme::EcdsaP256Sha256
            }
            Ok(KeyAlgorithm::Rsa) => match modulus_bits(der.as_bytes()) {
                Some(2048 | 3072 | 4096) => SigningScheme::RsaPkcs1Sha256,
                bits => return Err(unsupported(&format!("RSA of {} bits", bits.unwrap_or_default()))),
            },
            Ok(KeyAlgorithm::EcdsaP384) => return Err(unsupported("ECDSA P-384")),
            Ok(KeyAlgorithm::Ed25519) => return Err(unsupported("Ed25519")),
            Ok(other) => return Err(unsupported(&format!("{other:?}"))),
            Err(error) => return Err(unsupported(&format!("of another kind ({error})"))),
        };
        let key = VerificationKey::from_spki_with_scheme(&der, scheme).map_err(|error| malformed(&error.to_string()))?;
        Ok(Self { key, hint: STANDARD.encode(Sha256::digest(der.as_bytes())) })
    }

    /// Whether `signature` (DER for ECDSA) over `data` was made with this key.
    pub(super) fn signed(&self, data: &[u8], signature: &[u8]) -> bool {
        self.key.verify(data, &SignatureBytes::from_bytes(signature)).is_ok()
    }

    /// Whether a bundle's hint names this key. Good for messages only: anybody can write a hint.
    pub(super) fn is_hinted(&self, hint: &str) -> bool {
        hint == self.hint
    }
}

/// The size of an RSA key; its form was checked before.
fn modulus_bits(spki: &[u8]) -> Option<usize> {
    let spki = SubjectPublicKeyInfoRef::try_from(spki).ok()?;
    let mut reader = SliceReader::new(spki.subject_public_key.as_bytes()?).ok()?;
    let modulus = reader.sequence(|fields| {
        let modulus = UintRef::decode(fields)?;
        UintRef::decode(fields)?;
        Ok(modulus)
    });
    let modulus = modulus.ok()?.as_bytes();
    let leading = modulus.first()?.leading_zeros() as usize;
    Some(modulus.len() * 8 - leading)
}
