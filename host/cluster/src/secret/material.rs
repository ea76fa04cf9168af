//! Hashes of values of Secrets, for pod templates that roll when a value changes. Keyed with the Secret's uid, which no plugin is told, so that
//! nobody can try values against them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use serde_json::Value;
use sha2::Sha256;

/// Hash of each value of a Secret by key, and of all of it under the empty key.
pub(crate) fn hashes_of(secret: &Value) -> BTreeMap<String, String> {
    hashes(secret.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default(), &values_of(secret))
}

/// The same from decoded values.
pub(crate) fn hashes(uid: &str, values: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, String> {
    let mut hashes: BTreeMap<String, String> = values.iter().map(|(key, value)| (key.clone(), keyed(uid, &[(key, value)]))).collect();
    let all: Vec<(&String, &Vec<u8>)> = values.iter().collect();
    hashes.insert(String::new(), keyed(uid, &all));
    hashes
}

/// Decoded values of a Secret.
pub(crate) fn values_of(secret: &Value) -> BTreeMap<String, Vec<u8>> {
    let data = secret.get("data").and_then(Value::as_object);
    data.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), STANDARD.decode(value.as_str()?).ok()?))).collect()
}

fn keyed(uid: &str, values: &[(&String, &Vec<u8>)]) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(uid.as_bytes()) else {
        return String::new();
    };
    for (key, value) in values {
        for part in [key.as_bytes(), value.as_slice()] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
    }
    hex::encode(&mac.finalize().into_bytes()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_same_value_hashes_differently_in_another_secret() {
        let secret = |uid: &str| json!({"metadata": {"uid": uid}, "data": {"a": "MQ==", "b": "MQ=="}});
        let one = hashes_of(&secret("1"));
        assert_eq!(one, hashes_of(&secret("1")));
        assert_ne!(one["a"], one["b"]);
        assert_ne!(one["a"], hashes_of(&secret("2"))["a"]);
    }
}
