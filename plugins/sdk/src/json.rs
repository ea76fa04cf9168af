//! JSON text that is the same for the same data, natively and in WebAssembly, whatever order a map keeps: keys sorted, no spaces.

use serde::{Serialize, Serializer};
use serde_json::Value;

/// The canonical text of a value.
pub fn canonical(value: &Value) -> String {
    text(&Canonical(value))
}

/// The canonical text of one of the contract's own types.
pub(crate) fn of_contract<T: Serialize>(value: &T) -> String {
    serde_json::to_value(value).map_or_else(|_| NULL.to_owned(), |value| canonical(&value))
}

/// The value without the members that are null: absent is absent.
pub fn without_nulls(mut value: Value) -> Value {
    remove_nulls(&mut value);
    value
}

fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(remove_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_nulls),
        _ => {}
    }
}

/// What the host refuses. Values, and the contract's types, have string keys only and always serialise; what would not becomes this.
const NULL: &str = "null";

fn text<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| NULL.to_owned())
}

/// Serialises as the value does, but for the order of members.
struct Canonical<'a>(&'a Value);

impl Serialize for Canonical<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(members) if members.keys().is_sorted() => {
                serializer.collect_map(members.iter().map(|(key, member)| (key, Canonical(member))))
            }
            Value::Object(members) => {
                let mut sorted: Vec<_> = members.iter().map(|(key, member)| (key, Canonical(member))).collect();
                sorted.sort_by_key(|(key, _)| *key);
                serializer.collect_map(sorted)
            }
            Value::Array(items) => serializer.collect_seq(items.iter().map(Canonical)),
            scalar => scalar.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{canonical, without_nulls};
    use serde_json::json;

    #[test]
    fn the_same_data_is_the_same_text() {
        let text = canonical(&json!({"b": [1, {"z": null, "a": "x\"y"}], "a": 1.5}));
        assert_eq!(text, r#"{"a":1.5,"b":[1,{"a":"x\"y","z":null}]}"#);
    }

    #[test]
    fn null_members_are_absent() {
        assert_eq!(without_nulls(json!({"a": null, "b": [{"c": null}, null], "d": {}})), json!({"b": [{}, null], "d": {}}));
    }
}
