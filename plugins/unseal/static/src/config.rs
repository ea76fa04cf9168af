//! What an owner writes about this seal.

use banhbaoring_sdk::seal::SecretSelector;
use schemars::JsonSchema;
use serde::Deserialize;

/// Config of the seal `static`. Empty: a key is made once in the Secret `<owner>-unseal-key`, key `key`, 32 raw bytes.
///
/// To rotate, make a Secret with a new key, name it in `currentKey` with a new `currentKeyId`, and name the old one in `previousKey`
/// with its id until every data key is rewrapped.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// A key of your own instead of the generated one: exactly 32 raw bytes, 64 hexadecimal or 44 base64 characters, no newline.
    #[serde(default)]
    pub current_key: Option<SecretSelector>,
    /// What the current key is called; never call another key the same.
    #[serde(default)]
    pub current_key_id: Option<String>,
    /// The key before, during a rotation.
    #[serde(default)]
    pub previous_key: Option<SecretSelector>,
    /// What the key before was called.
    #[serde(default)]
    pub previous_key_id: Option<String>,
    /// At creation, take the generated Secret's content from this Secret: the way to bring a cluster back from a backup.
    #[serde(default)]
    pub restore_from: Option<String>,
}
