//! Generators: how the host makes the entries of a generated Secret. A plugin writes the spec and never sees what comes out. Entries
//! are made in the order in which they refer to each other; a reference to nothing, or in a circle, is refused.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::reference::SecretKeyRef;

/// Joins the spec of a generator to its name.
pub trait GeneratorSpec: Serialize + DeserializeOwned {
    /// The `generator` of the WIT record.
    const NAME: &'static str;
}

/// `bytes`: random bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bytes {
    /// How many random bytes, 1 to 4096, before they are encoded.
    #[schemars(range(min = 1, max = 4096))]
    pub length: u32,
    /// How they are written.
    #[serde(default)]
    pub encoding: Encoding,
}

impl Bytes {
    /// So many raw bytes, with nothing around them.
    pub fn raw(length: u32) -> Self {
        Self { length, encoding: Encoding::Raw }
    }
}

impl GeneratorSpec for Bytes {
    const NAME: &'static str = "bytes";
}

/// How random bytes are written. Never with a newline behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// As they are.
    #[default]
    Raw,
    /// Lower-case hexadecimal.
    Hex,
    /// Standard base64 with padding.
    Base64,
    /// URL-safe base64 without padding.
    Base64Url,
}

/// `password`: random characters, every one from the alphabet, at least so many of each asked class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Password {
    /// How many characters, 8 to 256.
    #[schemars(range(min = 8, max = 256))]
    pub length: u32,
    /// At least so many lower-case letters.
    #[serde(default)]
    pub lower: u32,
    /// At least so many upper-case letters.
    #[serde(default)]
    pub upper: u32,
    /// At least so many digits.
    #[serde(default)]
    pub digits: u32,
    /// Symbols that may appear besides letters and digits; empty: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub symbols: String,
}

impl Password {
    /// Letters and digits only: safe in a URL, a shell and an ini file.
    pub fn alphanumeric(length: u32) -> Self {
        Self { length, lower: 0, upper: 0, digits: 0, symbols: String::new() }
    }
}

impl GeneratorSpec for Password {
    const NAME: &'static str = "password";
}

/// `key-pair`: the private key in PKCS #8 PEM at the entry's key, the public key in PEM at `publicKey`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyPair {
    /// Kind of key.
    #[serde(default)]
    pub algorithm: KeyAlgorithm,
    /// Key of the same Secret that takes the public part.
    pub public_key: String,
}

impl GeneratorSpec for KeyPair {
    const NAME: &'static str = "key-pair";
}

/// Kinds of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyAlgorithm {
    /// ECDSA on P-256.
    #[default]
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// Ed25519.
    Ed25519,
    /// RSA with 2048 bits.
    Rsa2048,
    /// RSA with 4096 bits.
    Rsa4096,
}

/// `ca`: a certificate authority. The private key in PKCS #8 PEM at the entry's key, the certificate in PEM at `certificate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ca {
    /// Common name of the authority.
    pub common_name: String,
    /// Valid for so many days.
    #[schemars(range(min = 1, max = 7300))]
    pub valid_days: u32,
    /// Kind of key.
    #[serde(default)]
    pub algorithm: KeyAlgorithm,
    /// Key of the same Secret that takes the certificate: `ca.crt`.
    pub certificate: String,
}

impl GeneratorSpec for Ca {
    const NAME: &'static str = "ca";
}

/// `certificate`: a leaf signed by a generated authority. The private key in PKCS #8 PEM at the entry's key, the certificate at
/// `certificate`, the authority's certificate at `caCertificate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Certificate {
    /// Common name; also the first DNS name unless it is not one.
    pub common_name: String,
    /// DNS names; wildcards allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_names: Vec<String>,
    /// IP addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_addresses: Vec<String>,
    /// URIs (SPIFFE identities).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uris: Vec<String>,
    /// What it may be used for; empty: server and client.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usages: Vec<CertificateUsage>,
    /// Valid for so many days.
    #[schemars(range(min = 1, max = 3650))]
    pub valid_days: u32,
    /// Kind of key.
    #[serde(default)]
    pub algorithm: KeyAlgorithm,
    /// The authority that signs.
    pub ca: CaSource,
    /// Key of the same Secret that takes the certificate: `tls.crt`.
    pub certificate: String,
    /// Key of the same Secret that takes the authority's certificate: `ca.crt`; absent: not written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificate: Option<String>,
}

impl GeneratorSpec for Certificate {
    const NAME: &'static str = "certificate";
}

/// Extended usages of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateUsage {
    /// TLS server.
    Server,
    /// TLS client.
    Client,
}

/// Where a generated authority lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CaSource {
    /// Secret of the authority.
    pub secret: String,
    /// Key of its private key.
    pub private_key: String,
    /// Key of its certificate.
    pub certificate: String,
}

/// `age-identity`: an X25519 identity (`AGE-SECRET-KEY-1…`) at the entry's key, its recipient (`age1…`) at `recipient`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgeIdentity {
    /// Key of the same Secret that takes the recipient.
    pub recipient: String,
}

impl GeneratorSpec for AgeIdentity {
    const NAME: &'static str = "age-identity";
}

/// `template`: text with the values of other keys in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Template {
    /// `postgres://{{user}}:{{password|urlencode}}@db:5432/app`. A name is a key of the same Secret, or one of `values`, or one of
    /// `secrets`; the filters are `urlencode`, `json`, `base64`.
    pub template: String,
    /// Plain values by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// Keys of other Secrets of this owner by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretKeyRef>,
}

impl GeneratorSpec for Template {
    const NAME: &'static str = "template";
}

/// `hash`: the salted hash of another key's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hash {
    /// Key of the same Secret whose value is hashed.
    pub of: String,
    /// How.
    pub algorithm: HashAlgorithm,
    /// Cost (bcrypt, 4 to 15, default 10) or iterations (SCRAM, 4096 to 100000, default 4096).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<u32>,
    /// Written before the hash: `admin:` makes a line of htpasswd.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
}

impl GeneratorSpec for Hash {
    const NAME: &'static str = "hash";
}

/// Kinds of hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HashAlgorithm {
    /// bcrypt, `$2b$…`.
    #[serde(rename = "bcrypt")]
    Bcrypt,
    /// SCRAM-SHA-256 as PostgreSQL stores it, `SCRAM-SHA-256$…`.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
}

impl HashAlgorithm {
    /// Costs that are taken: a hash is made beside the reconciles of everybody else.
    pub const fn costs(self) -> RangeInclusive<u32> {
        match self {
            Self::Bcrypt => 4..=15,
            Self::ScramSha256 => 4096..=100_000,
        }
    }

    /// Where none is said.
    pub const fn default_cost(self) -> u32 {
        match self {
            Self::Bcrypt => 10,
            Self::ScramSha256 => 4096,
        }
    }
}
