//! A component's config: where it lies in the owner's spec, its schema's defaults, and whether it fits the schema. Schemas come from
//! plugins and are hostile: no references beyond themselves, no recursion, bounded size, regular expressions in linear time.
//!
//! What a config means must not live here.

mod defaults;
mod schema;

use std::borrow::Cow;
use std::sync::Arc;

pub use schema::{Misfit, Schema, SchemaError};

use crate::contract::Json;
use crate::json;
use crate::observation::Owner;

/// A component's config as the owner wrote it: what lies at `pointer` below its spec; an empty object where nothing does.
pub fn written<'o>(owner: &'o Owner, pointer: &str) -> Cow<'o, Json> {
    at(owner.spec(), pointer)
}

/// What lies at `pointer` of `value`; an empty object where nothing does.
pub fn at<'v>(value: &'v Json, pointer: &str) -> Cow<'v, Json> {
    match json::get(value, pointer) {
        Some(Json::Null) | None => Cow::Owned(Json::Object(serde_json::Map::new())),
        Some(found) => Cow::Borrowed(found),
    }
}

/// The same with the schema's defaults filled in.
///
/// # Errors
/// A schema that cannot be used.
pub fn completed(schema: Option<&Json>, config: Cow<'_, Json>) -> Result<Json, SchemaError> {
    let mut config = config.into_owned();
    if let Some(schema) = schema {
        defaults::fill(schema, &mut config)?;
    }
    Ok(config)
}

/// The schema compiled, from memory where it was compiled before.
///
/// # Errors
/// A schema that cannot be used.
pub fn schema(plugin: &str, digest: &str, name: &str, schema: &Json) -> Result<Arc<Schema>, SchemaError> {
    schema::compiled(plugin, digest, name, schema)
}

/// A path into the owner for people: `spec.unseal.keys[0]` of the pointers `/unseal` and `/keys/0`. Bounded.
pub fn field(pointers: &[&str]) -> String {
    let mut path = "spec".to_owned();
    for token in pointers.iter().filter_map(|pointer| json::tokens(pointer)).flatten() {
        if !token.is_empty() && token.bytes().all(|b| b.is_ascii_digit()) {
            path.push_str(&format!("[{token}]"));
        } else {
            path.push('.');
            path.push_str(&token);
        }
        if path.len() > 512 {
            return path.chars().take(512).chain(std::iter::once('…')).collect();
        }
    }
    path
}

#[cfg(test)]
mod tests;
