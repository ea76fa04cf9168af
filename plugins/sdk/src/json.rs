//! JSON text that is the same for the same data, natively and in WebAssembly, whatever order a map keeps: keys sorted, no spaces.

use serde::Serialize;
use serde_json::{Map, Value};

/// The canonical text of a value.
pub fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// The canonical text of one of the contract's own types. These have string keys only and always serialise; what would not becomes
/// `null`, which the host refuses.
pub(crate) fn of_contract<T: Serialize>(value: &T) -> String {
    canonical(&serde_json::to_value(value).unwrap_or(Value::Null))
}

/// The value without the members that are null: absent is absent.
pub fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members.into_iter().filter(|(_, member)| !member.is_null()).map(|(key, member)| (key, without_nulls(member))).collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        scalar => scalar,
    }
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => write_object(members, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

fn write_object(members: &Map<String, Value>, out: &mut String) {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_by_key(|(key, _)| *key);
    out.push('{');
    for (index, (key, member)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&Value::from(key.as_str()).to_string());
        out.push(':');
        write(member, out);
    }
    out.push('}');
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
