//! JSON of outsiders: what is taken is what any other reader reads, within the limits, and its canonical form is a fixed point.
#![no_main]

use banhbaoring_pipeline::json::{self, Limits};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const LIMITS: Limits = Limits { max_bytes: 1 << 16, max_depth: 24, max_nodes: 2_000 };

fn depth(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(nodes).sum(),
        Value::Object(members) => members.values().map(nodes).sum(),
        _ => 0,
    }
}

/// How many members the text has, which are fewer in the value if a key came twice.
fn members(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(members).sum(),
        Value::Object(all) => all.len() + all.values().map(members).sum::<usize>(),
        _ => 0,
    }
}

/// Colons outside of texts: one per member of the document.
fn colons(text: &str) -> usize {
    let (mut count, mut quoted, mut escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b':' if !quoted => count += 1,
            _ => {}
        }
    }
    count
}

fuzz_target!(|text: &str| {
    let parsed = match json::parse(text, &LIMITS) {
        Ok(parsed) => parsed,
        Err(error) => {
            assert!(error.to_string().len() < 2_048, "a refusal that is longer than what was refused");
            return;
        }
    };
    assert!(depth(&parsed) <= LIMITS.max_depth && nodes(&parsed) <= LIMITS.max_nodes);
    assert_eq!(members(&parsed), colons(text), "a key came twice");
    let other: Value = serde_json::from_str(text).expect("any reader takes it");
    assert_eq!(parsed, other);
    let canonical = json::canonical(&parsed);
    let again = json::parse(&canonical, &Limits { max_bytes: usize::MAX, ..LIMITS }).expect("the canonical form is JSON");
    assert_eq!(json::canonical(&again), canonical);
    assert_eq!(json::hash(&again), json::hash(&parsed));
    for pointer in ["", "/", "/a", "/0", "/a/0", "/~1", "/~0/~"] {
        let _ = json::get(&parsed, pointer);
    }
});
