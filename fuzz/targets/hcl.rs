//! The writer of HCL version 1: whatever the text, a reader reads the very same tree, or nothing was written.
#![no_main]

use banhbaoring_plugin_openbao::hcl::{Body, Value, read};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
enum Entry<'a> {
    Text(&'a str, &'a str),
    Integer(&'a str, i64),
    Boolean(&'a str, bool),
    List(&'a str, Vec<String>),
    Block(&'a str, Vec<String>, Vec<Entry<'a>>),
}

/// Keys are identifiers more often than chance would have it.
fn key(text: &str, index: usize) -> String {
    if text.len() > 8 { text.to_owned() } else { format!("k{index}") }
}

fn body(entries: Vec<Entry<'_>>, depth: usize) -> Body {
    entries.into_iter().enumerate().fold(Body::new(), |body_so_far, (index, entry)| match entry {
        Entry::Text(name, text) => body_so_far.attribute(key(name, index), text),
        Entry::Integer(name, number) => body_so_far.attribute(key(name, index), number),
        Entry::Boolean(name, boolean) => body_so_far.attribute(key(name, index), boolean),
        Entry::List(name, texts) => body_so_far.attribute(key(name, index), Value::List(texts)),
        Entry::Block(name, labels, inner) => {
            let inner = if depth == 0 { Body::new() } else { body(inner, depth - 1) };
            body_so_far.block(&key(name, index), labels, inner)
        }
    })
}

fuzz_target!(|entries: Vec<Entry<'_>>| {
    let written = body(entries, 4);
    let Ok(text) = written.render() else { return };
    assert_eq!(read::read(&text).as_ref(), Ok(&written), "{text}");
    assert!(!text.contains("${"), "OpenBao would read a raw region: {text}");
});
