//! JSON Schemas of plugins: valid, self-contained, bounded.

use serde_json::Value;

use super::DescribeError;
use crate::contract::Json;

const BYTES: usize = 256 * 1024;

pub(super) fn check(field: &str, schema: Option<&Json>) -> Result<(), DescribeError> {
    let Some(schema) = schema else { return Ok(()) };
    let size = serde_json::to_vec(schema).map_or(usize::MAX, |bytes| bytes.len());
    if size > BYTES {
        return Err(DescribeError::invalid(field, format!("a schema of at most {BYTES} bytes"), &size.to_string()));
    }
    if let Some(reference) = foreign_reference(schema) {
        return Err(DescribeError::invalid(field, "references within the schema itself, #/$defs/…", reference));
    }
    // Patterns run on what users write: an engine without backtracking keeps a pattern from stopping the host.
    jsonschema::options()
        .with_pattern_options(jsonschema::PatternOptions::regex())
        .build(schema)
        .map(|_| ())
        .map_err(|error| DescribeError::invalid(field, "a JSON Schema", &error.to_string()))
}

fn foreign_reference(schema: &Json) -> Option<&str> {
    match schema {
        Value::Array(items) => items.iter().find_map(foreign_reference),
        Value::Object(fields) => fields.iter().find_map(|(key, field)| match (key.as_str(), field) {
            ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(reference)) if !reference.starts_with('#') => Some(reference.as_str()),
            ("$schema", Value::String(draft)) if !draft.contains("json-schema.org/") => Some(draft.as_str()),
            ("$id" | "id", Value::String(id)) if id.contains("://") => Some(id.as_str()),
            _ => foreign_reference(field),
        }),
        _ => None,
    }
}
