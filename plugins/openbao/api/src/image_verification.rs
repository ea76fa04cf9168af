//! Whose signature an image must carry before nodes run it.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Signatures are those of cosign. What a tag means is asked once: the digest that was verified is what nodes run, wherever the tag points later.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.publicKey) != has(self.keyless)").message("imageVerification needs exactly one of publicKey and keyless"))]
pub struct ImageVerificationSpec {
    /// Verify. False: everything here is without effect.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// What happens where the image is not signed as it should be, or where nobody can tell.
    #[serde(default)]
    pub policy: ImageVerificationPolicy,
    /// The public key in PEM that must have signed: ECDSA P-256 or RSA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 64, max = 8192))]
    #[x_kube(validation = Rule::new("self.contains('-----BEGIN PUBLIC KEY-----')").message("publicKey must be a public key in PEM, as cosign writes it into cosign.pub: it begins with -----BEGIN PUBLIC KEY-----"))]
    pub public_key: Option<String>,
    /// The identity that must have signed without a key of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyless: Option<KeylessSpec>,
}

/// A keyless signer, by what its certificate says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeylessSpec {
    /// Who vouched for it, such as `https://token.actions.githubusercontent.com`; exactly that.
    #[schemars(length(min = 1, max = 1024))]
    pub issuer: String,
    /// Who signed: the certificate's subject, whole, such as an address or the URL of a workflow.
    #[schemars(length(min = 1, max = 1024))]
    pub subject: String,
    /// Whose certificates count.
    pub trusted_root: TrustedRootKey,
}

/// A sigstore `trusted_root.json` in a ConfigMap of the cluster's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrustedRootKey {
    /// Name of the ConfigMap.
    #[schemars(regex(pattern = schema::OBJECT_NAME), length(min = 1, max = 253))]
    pub config_map_name: String,
    /// Key in its data.
    #[schemars(regex(pattern = schema::DATA_KEY), length(min = 1, max = 253))]
    pub key: String,
}

/// What happens where an image could not be verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ImageVerificationPolicy {
    /// Nothing is changed: nodes that run go on running what they run, and no new ones come.
    #[default]
    Block,
    /// Nodes run the image as it is named, and a condition and an event say what is wrong with it.
    Warn,
}

/// What was found out about the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageStatus {
    /// The image as it is named.
    pub reference: String,
    /// The digest that was verified, and that nodes run.
    pub digest: String,
    /// Who signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// Hash of who had to sign: where somebody else has to, it is verified anew.
    pub requirement: String,
}

fn yes() -> bool {
    true
}
