//! Bodies to text. What must not live here: anything about OpenBao.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Block, Body, Entry, HclError, Place, Value};

const INDENT: &str = "  ";

pub(super) fn render(body: &Body) -> Result<String, HclError> {
    let mut out = String::new();
    body_to(&mut out, body, &mut Vec::new())?;
    Ok(out)
}

fn body_to(out: &mut String, body: &Body, path: &mut Vec<String>) -> Result<(), HclError> {
    // Version 1 merges an attribute with blocks of its name, and blocks of one name and the same labels with each other.
    let mut attributes = BTreeSet::new();
    let mut idents = BTreeSet::new();
    let mut blocks = BTreeSet::new();
    for (index, entry) in body.entries.iter().enumerate() {
        let key = match entry {
            Entry::Attribute(key, _) => key,
            Entry::Block(block) => &block.ident,
        };
        if !is_identifier(key) {
            return Err(HclError::NotAnIdentifier { key: key.clone(), place: Place(path.clone()) });
        }
        let fresh = match entry {
            Entry::Attribute(key, _) => !idents.contains(key) && attributes.insert(key),
            Entry::Block(Block { ident, labels, repeats, body: _ }) => {
                idents.insert(ident);
                !attributes.contains(ident) && (blocks.insert((ident, labels)) || *repeats)
            }
        };
        if !fresh {
            return Err(HclError::DuplicateKey { key: key.clone(), place: Place(path.clone()) });
        }
        match entry {
            Entry::Attribute(key, value) => attribute_to(out, path.len(), key, value),
            Entry::Block(block) => {
                if index > 0 {
                    out.push('\n');
                }
                block_to(out, block, path)?;
            }
        }
    }
    Ok(())
}

fn block_to(out: &mut String, block: &Block, path: &mut Vec<String>) -> Result<(), HclError> {
    indent(out, path.len());
    out.push_str(&block.ident);
    for label in &block.labels {
        out.push(' ');
        quote(out, label);
    }
    if block.body.entries.is_empty() {
        out.push_str(" {}\n");
        return Ok(());
    }
    out.push_str(" {\n");
    path.push(block.ident.clone());
    body_to(out, &block.body, path)?;
    path.pop();
    indent(out, path.len());
    out.push_str("}\n");
    Ok(())
}

fn attribute_to(out: &mut String, depth: usize, key: &str, value: &Value) {
    indent(out, depth);
    out.push_str(key);
    out.push_str(" = ");
    match value {
        Value::Text(text) => quote(out, text),
        Value::Integer(number) => drop(write!(out, "{number}")),
        Value::Boolean(boolean) => out.push_str(if *boolean { "true" } else { "false" }),
        Value::List(texts) => {
            out.push('[');
            for (index, text) in texts.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                quote(out, text);
            }
            out.push(']');
        }
    }
    out.push('\n');
}

fn indent(out: &mut String, depth: usize) {
    for _ in 0..depth {
        out.push_str(INDENT);
    }
}

/// Quoted so that version 1 reads back the same text. `${` would open a raw region up to the balancing brace, and `$${` is no escape.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '$' if characters.peek() == Some(&'{') => out.push_str("\\u0024"),
            control if control.is_control() => drop(write!(out, "\\u{:04x}", u32::from(control))),
            // The scanner of version 1 marks the end of its input with this private character.
            '\u{e123}' => out.push_str("\\ue123"),
            other => out.push(other),
        }
    }
    out.push('"');
}

/// It can be a key.
pub fn is_identifier(key: &str) -> bool {
    let mut characters = key.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|rest| rest.is_ascii_alphanumeric() || rest == '_' || rest == '-')
}
