//! The seal `static`: OpenBao unseals itself with a key in a Secret. The key is made by the host once and never seen here.

mod config;

use banhbaoring_sdk::prelude::*;
use banhbaoring_sdk::wit::SecretKey;
use serde_json::json;

pub use config::Config;

/// Where the current key is mounted.
const KEY_DIRECTORY: &str = "/etc/bao/unseal";
/// Where the previous key is mounted during a rotation.
const PREVIOUS_DIRECTORY: &str = "/etc/bao/unseal-previous";
/// The key in the generated Secret, and the name of the mounted file.
const KEY: &str = "key";
/// AES-256.
const KEY_BYTES: u32 = 32;
/// How the generated key is called until the owner calls it otherwise.
const GENERATED_KEY_ID: &str = "operator-generated-v1";

/// The provider.
pub struct Static;

impl UnsealProvider for Static {
    const NAME: &'static str = "static";
    type Config = Config;

    fn render(cx: &SealContext<Self>) -> Result<Seal, Failure> {
        cx.since(2, 4)?;
        let Config { current_key, current_key_id, previous_key, previous_key_id, restore_from } = cx.config();
        let current_key_id = match (current_key_id, current_key) {
            (Some(id), _) => cx.required("currentKeyId", id)?,
            (None, None) => GENERATED_KEY_ID,
            // The id of the generated key must never come to mean another key.
            (None, Some(_)) => {
                return Err(missing(cx, "currentKeyId", "`currentKey` brings a key of your own"));
            }
        };
        let seal = Seal::stanza("static")
            .attribute("current_key", format!("file://{KEY_DIRECTORY}/{KEY}"))
            .attribute("current_key_id", current_key_id);
        let seal = match current_key {
            Some(own) => {
                if restore_from.is_some() {
                    return Err(Failure::invalid(
                        cx.field("restoreFrom"),
                        "expected one of `currentKey` and `restoreFrom`, found both; a key of your own is used where it lies",
                    ));
                }
                let SecretKey { secret, key } = own.checked(&cx.field("currentKey"))?;
                seal.mount_keys("unseal", KEY_DIRECTORY, secret, &[(&key, KEY)])
            }
            None => {
                let name = format!("{}-unseal-key", cx.name());
                let secret = GeneratedSecret::identity(&name).entry(KEY, &generator::Bytes::raw(KEY_BYTES));
                let secret = match restore_from {
                    Some(from) => secret.restore_from(cx.required("restoreFrom", from)?),
                    None => secret,
                };
                seal.secret(secret).mount_keys("unseal", KEY_DIRECTORY, name, &[(KEY, KEY)])
            }
        };
        match (previous_key, previous_key_id) {
            (None, None) => Ok(seal),
            (None, Some(_)) => Err(missing(cx, "previousKey", "`previousKeyId` names it")),
            (Some(_), None) => Err(missing(cx, "previousKeyId", "`previousKey` brings a key")),
            (Some(_), Some(id)) if id == current_key_id => Err(Failure::invalid(
                cx.field("previousKeyId"),
                format!("expected another id than the current key's, found `{id}` for both; give the new key a new id"),
            )),
            (Some(previous), Some(id)) => {
                let id = cx.required("previousKeyId", id)?;
                let SecretKey { secret, key } = previous.checked(&cx.field("previousKey"))?;
                Ok(seal
                    .mount_keys("unseal-previous", PREVIOUS_DIRECTORY, secret, &[(&key, KEY)])
                    .attribute("previous_key", format!("file://{PREVIOUS_DIRECTORY}/{KEY}"))
                    .attribute("previous_key_id", id))
            }
        }
    }
}

fn missing(cx: &SealContext<Static>, name: &str, because: &str) -> Failure {
    Failure::invalid(cx.field(name), format!("`{name}` is missing, and {because}; set both or neither"))
}

export_plugin!(
    name: "unseal-static",
    summary: "Auto-unseal of OpenBao by a key in a Secret",
    unseal_providers: [Static],
    permissions: json!({
        "resources": [{
            "apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create"],
            "relation": "owned", "namespaces": ["owner"],
        }],
        "pods": {"secretRefs": ["own", "owner-spec"]},
    }),
);
