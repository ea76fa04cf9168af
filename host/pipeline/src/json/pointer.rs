//! JSON pointers (RFC 6901): find, pick, take away. Parsing must not live here.

use serde_json::Value;

/// What lies at a pointer; the empty pointer is the whole value. Absent where there is nothing or the pointer is malformed.
pub fn get<'v>(value: &'v Value, pointer: &str) -> Option<&'v Value> {
    value.pointer(pointer)
}

/// Only what lies at these pointers, by pointer: `{"/status/readyReplicas": 3}`. What is absent stays absent.
pub fn project<'p>(value: &Value, pointers: impl IntoIterator<Item = &'p String>) -> Value {
    let found = pointers.into_iter().filter_map(|pointer| Some((pointer.clone(), get(value, pointer)?.clone())));
    Value::Object(found.collect())
}

/// Takes away what lies at a pointer. The empty pointer takes all and leaves null; an item taken from an array moves the later ones up.
pub fn remove_pointer(value: &mut Value, pointer: &str) -> Option<Value> {
    let Some((parent, token)) = pointer.rsplit_once('/') else {
        return pointer.is_empty().then(|| value.take());
    };
    match value.pointer_mut(parent)? {
        Value::Object(members) => members.remove(&unescaped(token)),
        Value::Array(items) => {
            let index = token.parse().ok().filter(|index: &usize| index.to_string() == token && *index < items.len())?;
            Some(items.remove(index))
        }
        _ => None,
    }
}

/// The keys of a pointer, unescaped; absent where it is malformed (it neither is empty nor starts with a slash).
pub fn tokens(pointer: &str) -> Option<Vec<String>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    Some(pointer.strip_prefix('/')?.split('/').map(unescaped).collect())
}

/// Appends one key to a pointer, escaped.
pub fn push_token(pointer: &mut String, key: &str) {
    pointer.push('/');
    for character in key.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

fn unescaped(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_projection_leaves_out_what_is_absent() {
        let value = json!({"a": {"b": 1, "c/d": null}, "e": [5]});
        let pointers = ["/a/b", "/a/c~1d", "/e/0", "/a/x", "/e/1", "bad"].map(String::from);
        assert_eq!(project(&value, &pointers), json!({"/a/b": 1, "/a/c~1d": null, "/e/0": 5}));
    }

    #[test]
    fn removing_takes_only_what_the_pointer_names() {
        let mut value = json!({"a": {"b/c": 1, "d": 2}, "e": [5, 6]});
        assert_eq!(remove_pointer(&mut value, "/a/b~1c"), Some(json!(1)));
        assert_eq!(remove_pointer(&mut value, "/e/0"), Some(json!(5)));
        for absent in ["/a/x", "/e/01", "/e/7", "/x/y", "a", "/a/d/z"] {
            assert_eq!(remove_pointer(&mut value, absent), None, "{absent}");
        }
        assert_eq!(value, json!({"a": {"d": 2}, "e": [6]}));
    }
}
