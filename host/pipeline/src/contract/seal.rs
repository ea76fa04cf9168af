//! What an unseal provider answers.

use serde::{Deserialize, Serialize};

use super::{GeneratedSecret, Pairs, SecretKey};

/// How a store is sealed, without any credential in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seal {
    /// Official name of the stanza.
    pub stanza: String,
    /// In the order in which they are written.
    pub attributes: Vec<SealAttribute>,
    /// Environment of the store's container.
    pub env: Vec<EnvVar>,
    /// Volumes and mounts.
    pub volumes: Vec<SealVolume>,
    /// Secrets that the provider wants made.
    pub secrets: Vec<GeneratedSecret>,
    /// Annotations of the store's account.
    pub service_account_annotations: Pairs,
    /// Labels of the store's pods.
    pub pod_labels: Pairs,
    /// The plugin block that newer stores need.
    pub kms_plugin: Option<KmsPlugin>,
    /// Where the store must be able to connect to.
    pub egress: Vec<Egress>,
    /// Where credentials come from.
    pub credentials: SealCredentials,
    /// For people.
    pub warnings: Vec<String>,
}

/// One attribute of the stanza.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealAttribute {
    /// An identifier.
    pub key: String,
    /// Its value.
    pub value: Scalar,
}

/// Value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scalar {
    /// A string.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A boolean.
    Boolean(bool),
}

/// An environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvVar {
    /// Name.
    pub name: String,
    /// Value.
    pub value: EnvValue,
}

/// Value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnvValue {
    /// As written.
    Literal(String),
    /// From a Secret.
    SecretKey(SecretKey),
}

/// A volume and its mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealVolume {
    /// Name of the volume.
    pub name: String,
    /// Where it is mounted.
    pub mount_path: String,
    /// What it holds.
    pub source: VolumeSource,
}

/// What a volume holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum VolumeSource {
    /// Keys of a Secret.
    Secret(SecretVolume),
    /// A projected token.
    Token(TokenVolume),
}

/// Keys of a Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretVolume {
    /// Name of the Secret.
    pub secret: String,
    /// Key and path; empty: all keys.
    pub items: Vec<KeyPath>,
}

/// A key and where it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPath {
    /// Key of the Secret.
    pub key: String,
    /// Relative path.
    pub path: String,
}

/// A projected service account token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenVolume {
    /// Audience.
    pub audience: String,
    /// Relative path.
    pub path: String,
    /// Lifetime.
    pub expiration_seconds: u32,
}

/// Where a KMS plugin's binary comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum KmsPluginSource {
    /// An OCI image.
    Image(String),
    /// A command.
    Command(String),
}

/// The plugin block beside a seal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KmsPlugin {
    /// Its label.
    pub name: String,
    /// Image or command.
    pub source: KmsPluginSource,
    /// Version.
    pub version: String,
    /// Checksum of the binary.
    pub sha256: String,
    /// Name of the binary in the image.
    pub binary_name: Option<String>,
    /// Arguments.
    pub args: Vec<String>,
    /// Environment.
    pub env: Pairs,
}

/// A destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Egress {
    /// CIDR block; absent: anywhere.
    pub cidr: Option<String>,
    /// TCP port.
    pub port: u16,
}

/// Where credentials come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SealCredentials {
    /// From the platform.
    Ambient,
    /// From these Secrets.
    Secrets(Vec<String>),
}
