//! Pieces that the configs of several seals share, as their owners write them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wit::{Failure, KeyValue, KmsPlugin, KmsPluginSource, SecretKey};

/// One key of a Secret in the owner's namespace, `{secretName, key}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretSelector {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
    /// Key in it.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

impl SecretSelector {
    /// Name and key, both not empty. `field` is the selector's path in the owner.
    pub fn checked(&self, field: &str) -> Result<SecretKey, Failure> {
        for (name, value) in [("secretName", &self.secret_name), ("key", &self.key)] {
            if value.trim().is_empty() {
                return Err(Failure::invalid(format!("{field}.{name}"), format!("`{name}` is empty; name a Secret and a key in it")));
            }
        }
        Ok(SecretKey { secret: self.secret_name.clone(), key: self.key.clone() })
    }
}

/// A Secret that is mounted whole at `/etc/bao/seal-creds`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CredentialsSecret {
    /// Name of the Secret in the owner's namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Where the KMS plugin comes from that OpenBao 2.7 and newer need for some seals. Exactly one of `image` and `command`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KmsPluginConfig {
    /// OCI image that holds the plugin.
    #[serde(default)]
    pub image: Option<String>,
    /// Binary in OpenBao's plugin directory.
    #[serde(default)]
    pub command: Option<String>,
    /// Version of the plugin.
    pub version: String,
    /// SHA-256 of the binary, 64 hexadecimal characters.
    #[schemars(regex(pattern = r"^[0-9a-fA-F]{64}$"))]
    pub sha256: String,
    /// Name of the binary within the image.
    #[serde(default)]
    pub binary_name: Option<String>,
    /// Arguments of the binary.
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment of the binary. Not for credentials: it is written into the configuration.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

impl KmsPluginConfig {
    /// The block for a seal; what is wrong with it is a failure at its field below `field`.
    pub(super) fn block(&self, stanza: &str, field: &str) -> Result<KmsPlugin, Failure> {
        let source = match (&self.image, &self.command) {
            (Some(image), None) if !image.trim().is_empty() => KmsPluginSource::Image(image.clone()),
            (None, Some(command)) if !command.trim().is_empty() => KmsPluginSource::Command(command.clone()),
            _ => {
                return Err(Failure::invalid(field, "expected exactly one of `image` and `command`, not empty"));
            }
        };
        if self.version.trim().is_empty() {
            return Err(Failure::invalid(format!("{field}.version"), "`version` is empty; name the plugin's version"));
        }
        if self.sha256.len() != 64 || !self.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Failure::invalid(
                format!("{field}.sha256"),
                format!("expected 64 hexadecimal characters, found {} characters", self.sha256.chars().count()),
            ));
        }
        Ok(KmsPlugin {
            name: stanza.to_owned(),
            source,
            version: self.version.clone(),
            sha256: self.sha256.to_ascii_lowercase(),
            binary_name: self.binary_name.clone(),
            args: self.args.clone(),
            env: self.env.iter().map(|(key, value)| KeyValue { key: key.clone(), value: value.clone() }).collect(),
        })
    }
}
