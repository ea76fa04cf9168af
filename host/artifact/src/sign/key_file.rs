//! The private key and its file: `cosign.key`, an encrypted PEM that cosign and we both read and write.
//!
//! Keys and passwords are never printed; the password is the caller's business.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::aead::rand_core::RngCore as _;
use crypto_secretbox::aead::{Aead as _, OsRng};
use crypto_secretbox::{KeyInit as _, XSalsa20Poly1305};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey as EcdsaKey};
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding, SecretDocument};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

const TAG: &str = "ENCRYPTED SIGSTORE PRIVATE KEY";
const OLD_TAG: &str = "ENCRYPTED COSIGN PRIVATE KEY";
const MAX_FILE: usize = 64 << 10;
/// log2 of scrypt's N: 65536.
const COST: u8 = 16;

/// Why a private key file cannot be used. Never quotes its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// Not an encrypted cosign key.
    #[error("the private key is not readable: expected a PEM block {TAG} as `cosign generate-key-pair` writes it, found {found}")]
    Malformed {
        /// What is wrong.
        found: String,
    },
    /// The password does not open it.
    #[error("the private key does not open: wrong password, or the file was changed")]
    Password,
    /// It holds another kind of key.
    #[error("the private key is not ECDSA P-256: make one with `cosign generate-key-pair`")]
    Unsupported,
    /// The system gave no key or no cipher.
    #[error("no key can be made: {detail}")]
    Generate {
        /// The cause.
        detail: String,
    },
}

impl KeyFileError {
    /// Condition reason; one of a fixed set.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "InvalidKey",
            Self::Password => "WrongPassword",
            Self::Unsupported => "UnsupportedKey",
            Self::Generate { .. } => "KeyNotGenerated",
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Serialize, Deserialize)]
struct Kdf {
    name: String,
    params: KdfParams,
    salt: String,
}

#[derive(Serialize, Deserialize)]
struct KdfParams {
    #[serde(rename = "N")]
    n: u64,
    r: u64,
    p: u64,
}

#[derive(Serialize, Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

/// An ECDSA P-256 private key. Prints nothing of itself and is wiped from memory when dropped.
pub struct SigningKey {
    key: EcdsaKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(<redacted>)")
    }
}

impl SigningKey {
    /// A new key from the system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        Self { key: EcdsaKey::random(&mut OsRng) }
    }

    /// The key with this scalar, so that what a fuzz target finds is found again.
    ///
    /// # Errors
    /// It is none.
    #[cfg(feature = "fuzzing")]
    pub fn from_scalar(scalar: &[u8; 32]) -> Result<Self, KeyFileError> {
        EcdsaKey::from_slice(scalar).map(|key| Self { key }).map_err(|_| KeyFileError::Unsupported)
    }

    /// Opens the content of a `cosign.key`. Takes about 0.1 s by design.
    ///
    /// # Errors
    /// Not such a file, the wrong password, or another kind of key.
    pub fn open(file: &[u8], password: &[u8]) -> Result<Self, KeyFileError> {
        let malformed = |found: &str| KeyFileError::Malformed { found: found.to_owned() };
        if file.len() > MAX_FILE {
            return Err(malformed("more than 64 KiB"));
        }
        let block = pem::parse(file).map_err(|_| malformed("no PEM block"))?;
        if block.tag() != TAG && block.tag() != OLD_TAG {
            return Err(malformed("another PEM block"));
        }
        let sealed: Sealed = serde_json::from_slice(block.contents()).map_err(|_| malformed("a block without its JSON"))?;
        if sealed.kdf.name != "scrypt" || sealed.cipher.name != "nacl/secretbox" {
            return Err(malformed("another cipher than scrypt with nacl/secretbox"));
        }
        // The file names the cost: a hostile one would take all memory.
        let cost = match (sealed.kdf.params.n, sealed.kdf.params.r, sealed.kdf.params.p) {
            (32768, 8, 1) => COST - 1,
            (65536, 8, 1) => COST,
            _ => return Err(malformed("scrypt parameters other than N 65536 r 8 p 1")),
        };
        let bytes = |text: &str| STANDARD.decode(text).map_err(|_| malformed("a field that is not base64"));
        let nonce: [u8; 24] = bytes(&sealed.cipher.nonce)?.try_into().map_err(|_| malformed("a nonce that is not 24 bytes"))?;
        let cipher = cipher(password, &bytes(&sealed.kdf.salt)?, cost)?;
        let opened = cipher.decrypt(&nonce.into(), bytes(&sealed.ciphertext)?.as_slice()).map_err(|_| KeyFileError::Password)?;
        let document = SecretDocument::try_from(opened).map_err(|_| KeyFileError::Unsupported)?;
        Ok(Self { key: EcdsaKey::from_pkcs8_der(document.as_bytes()).map_err(|_| KeyFileError::Unsupported)? })
    }

    /// The content of a `cosign.key` under a password. Takes about 0.1 s by design.
    ///
    /// # Errors
    /// The key cannot be encoded.
    pub fn seal(&self, password: &[u8]) -> Result<String, KeyFileError> {
        let failed = |detail: &str| KeyFileError::Generate { detail: detail.to_owned() };
        let document = self.key.to_pkcs8_der().map_err(|error| failed(&error.to_string()))?;
        let (mut salt, mut nonce) = ([0; 32], [0; 24]);
        OsRng.try_fill_bytes(&mut salt).map_err(|error| failed(&error.to_string()))?;
        OsRng.try_fill_bytes(&mut nonce).map_err(|error| failed(&error.to_string()))?;
        let sealed =
            cipher(password, &salt, COST)?.encrypt(&nonce.into(), document.as_bytes()).map_err(|_| failed("the cipher refused"))?;
        let sealed = Sealed {
            kdf: Kdf { name: "scrypt".to_owned(), params: KdfParams { n: 1 << COST, r: 8, p: 1 }, salt: STANDARD.encode(salt) },
            cipher: Cipher { name: "nacl/secretbox".to_owned(), nonce: STANDARD.encode(nonce) },
            ciphertext: STANDARD.encode(sealed),
        };
        let json = serde_json::to_vec(&sealed).map_err(|error| failed(&error.to_string()))?;
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        Ok(pem::encode_config(&pem::Pem::new(TAG, json), config))
    }

    /// The public key in PEM, the content of a `cosign.pub`.
    ///
    /// # Errors
    /// The key cannot be encoded.
    pub fn public_key_pem(&self) -> Result<String, KeyFileError> {
        let failed = |error: p256::pkcs8::spki::Error| KeyFileError::Generate { detail: error.to_string() };
        self.key.verifying_key().to_public_key_pem(LineEnding::LF).map_err(failed)
    }

    /// A DER signature over the sha256 of `data`; the same every time.
    pub(crate) fn sign(&self, data: &[u8]) -> Vec<u8> {
        let signature: DerSignature = self.key.sign(data);
        signature.as_bytes().to_vec()
    }

    /// What bundles name the key by: base64 of the sha256 of its DER.
    pub(super) fn hint(&self) -> String {
        let der = self.key.verifying_key().to_public_key_der();
        der.map(|der| STANDARD.encode(Sha256::digest(der.as_bytes()))).unwrap_or_default()
    }
}

fn cipher(password: &[u8], salt: &[u8], cost: u8) -> Result<XSalsa20Poly1305, KeyFileError> {
    let failed = |detail: String| KeyFileError::Generate { detail };
    let params = scrypt::Params::new(cost, 8, 1, 32).map_err(|error| failed(error.to_string()))?;
    let mut key = crypto_secretbox::Key::default();
    scrypt::scrypt(password, salt, &params, &mut key).map_err(|error| failed(error.to_string()))?;
    Ok(XSalsa20Poly1305::new(&key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_opens_with_its_password_and_no_other() {
        let key = SigningKey::generate();
        let file = key.seal(b"open sesame").unwrap();
        let opened = SigningKey::open(file.as_bytes(), b"open sesame").unwrap();
        assert_eq!(opened.public_key_pem(), key.public_key_pem());
        assert_eq!(opened.sign(b"x"), key.sign(b"x"));
        assert_eq!(SigningKey::open(file.as_bytes(), b"open").unwrap_err(), KeyFileError::Password);
    }

    #[test]
    fn a_key_file_that_asks_for_all_memory_is_refused() {
        let sealed = r#"{"kdf":{"name":"scrypt","params":{"N":1099511627776,"r":8,"p":1},"salt":""},"cipher":{"name":"nacl/secretbox","nonce":""},"ciphertext":""}"#;
        let file = pem::encode(&pem::Pem::new(TAG, sealed.as_bytes()));
        assert!(matches!(SigningKey::open(file.as_bytes(), b""), Err(KeyFileError::Malformed { .. })));
        assert!(SigningKey::open(b"", b"").is_err());
    }

    #[test]
    fn a_key_prints_nothing_of_itself() {
        assert_eq!(format!("{:?}", SigningKey::generate()), "SigningKey(<redacted>)");
    }
}
