//! The one text of a value, and its hash. Parsing must not live here.

use std::io::{self, Write};

use serde_json::Value;
use sha2::{Digest, Sha256};

/// The one text of a value: keys sorted by their bytes, no white space. Equal values have equal texts, however their maps are ordered.
pub fn canonical(value: &Value) -> String {
    let mut bytes = Vec::with_capacity(256);
    // A `Vec` takes every write, and what the writer emits is UTF-8.
    let _ = write_canonical(value, &mut bytes);
    String::from_utf8(bytes).unwrap_or_default()
}

/// Writes [`canonical`] somewhere else than into a string.
///
/// # Errors
/// Those of `out`.
pub fn write_canonical(value: &Value, out: &mut impl Write) -> io::Result<()> {
    match value {
        Value::Array(items) => {
            out.write_all(b"[")?;
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.write_all(b",")?;
                }
                write_canonical(item, out)?;
            }
            out.write_all(b"]")
        }
        Value::Object(members) => {
            // They are, unless somebody has serde_json keep the order of keys.
            if members.keys().is_sorted() {
                return write_members(members, out);
            }
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by(|a, b| a.0.cmp(b.0));
            write_members(sorted, out)
        }
        scalar => Ok(serde_json::to_writer(out, scalar)?),
    }
}

fn write_members<'m>(members: impl IntoIterator<Item = (&'m String, &'m Value)>, out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"{")?;
    for (index, (key, member)) in members.into_iter().enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        serde_json::to_writer(&mut *out, key)?;
        out.write_all(b":")?;
        write_canonical(member, out)?;
    }
    out.write_all(b"}")
}

/// SHA-256 of [`canonical`], 64 lower-case hex digits.
pub fn hash(value: &Value) -> String {
    hex::encode(Sha256::digest(canonical(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_canonical_form_sorts_keys_and_has_no_space() {
        let value = json!({"b": [1, {"d": null, "c": "ä\n"}], "a": -1.5});
        assert_eq!(canonical(&value), r#"{"a":-1.5,"b":[1,{"c":"ä\n","d":null}]}"#);
        assert_eq!(hash(&json!({})), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    }
}
