//! Pieces of schema that a derive cannot say. No kinds live here.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value;

/// An object with any members, kept as written.
pub fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// A list of objects with any members, kept as written.
pub fn any_objects(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "items": any_object(generator)})
}

/// Takes the texts out of embedded Kubernetes types: they are documented by Kubernetes, and would be most of the CRD.
pub fn without_descriptions(schema: &mut Schema) {
    let description = schema.get("description").cloned();
    let mut value = schema.clone().to_value();
    strip(&mut value);
    if let Ok(stripped) = Schema::try_from(value) {
        *schema = stripped;
    }
    if let Some(description) = description {
        schema.insert("description".to_owned(), description);
    }
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(members) => {
            // A property that happens to be called `description` has an object as its schema.
            if members.get("description").is_some_and(Value::is_string) {
                members.remove("description");
            }
            members.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}
