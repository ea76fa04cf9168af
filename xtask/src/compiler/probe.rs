//! Three times the same constant is moved into a function that fills and drops it. Each time it has to arrive empty.

use std::collections::BTreeMap;

enum Value {
    Object(BTreeMap<String, Value>),
    Text(String),
}

#[inline(never)]
fn filled(mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        for key in ["a", "b", "c"] {
            let before = members.insert(key.to_owned(), Value::Text(key.to_owned()));
            if matches!(before, Some(Value::Text(text)) if !text.is_empty()) {
                println!("it was there before");
            }
        }
    }
    value
}

fn main() {
    let mut sizes = Vec::new();
    let mut fill = |value: Value| {
        if let Value::Object(members) = filled(value) {
            sizes.push(members.len().to_string());
        }
    };
    fill(Value::Object(BTreeMap::new()));
    fill(Value::Object(BTreeMap::new()));
    fill(Value::Object(BTreeMap::new()));
    println!("{}", sizes.join(" "));
}
