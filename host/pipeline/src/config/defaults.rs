//! Fills in a schema's defaults, as the API server does for structural schemas: where a property is absent. Validation must not live here.

use serde_json::Value;

use super::SchemaError;

/// Steps and bytes that defaults of one config may take: defaults multiply through references.
const BUDGET: usize = 1024 * 1024;

pub(super) fn fill(schema: &Value, config: &mut Value) -> Result<(), SchemaError> {
    Filler { root: schema, left: BUDGET, depth: 0 }.fill(schema, config)
}

struct Filler<'s> {
    root: &'s Value,
    left: usize,
    depth: usize,
}

impl<'s> Filler<'s> {
    fn spend(&mut self, cost: usize) -> Result<(), SchemaError> {
        self.left = self.left.checked_sub(cost).ok_or(SchemaError::TooLarge)?;
        Ok(())
    }

    fn fill(&mut self, schema: &'s Value, value: &mut Value) -> Result<(), SchemaError> {
        self.spend(1)?;
        self.depth += 1;
        if self.depth > 256 {
            return Err(SchemaError::Recursive);
        }
        let filled = self.fill_here(schema, value);
        self.depth -= 1;
        filled
    }

    fn fill_here(&mut self, schema: &'s Value, value: &mut Value) -> Result<(), SchemaError> {
        if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|reference| self.target(reference)) {
            self.fill(target, value)?;
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.fill(part, value)?;
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        match value {
            Value::Object(members) => {
                for (name, property) in properties.into_iter().flatten() {
                    self.spend(1)?;
                    if !members.contains_key(name)
                        && let Some(default) = self.default_of(property)
                    {
                        self.spend(size(default))?;
                        members.insert(name.clone(), default.clone());
                    }
                    if let Some(member) = members.get_mut(name) {
                        self.fill(property, member)?;
                    }
                }
                if let Some(additional) = schema.get("additionalProperties").filter(|schema| schema.is_object()) {
                    for (_, member) in members.iter_mut().filter(|(name, _)| !properties.is_some_and(|known| known.contains_key(*name))) {
                        self.fill(additional, member)?;
                    }
                }
            }
            Value::Array(items) => {
                if let Some(schema) = schema.get("items").filter(|schema| schema.is_object()) {
                    for item in items {
                        self.fill(schema, item)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Beside a reference or in what it refers to: generators write either.
    fn default_of(&self, property: &'s Value) -> Option<&'s Value> {
        let mut property = property;
        for _ in 0..16 {
            if let Some(default) = property.get("default") {
                return Some(default);
            }
            property = self.target(property.get("$ref")?.as_str()?)?;
        }
        None
    }

    fn target(&self, reference: &str) -> Option<&'s Value> {
        self.root.pointer(reference.strip_prefix('#')?)
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => 1 + text.len(),
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Object(members) => 1 + members.iter().map(|(key, member)| key.len() + size(member)).sum::<usize>(),
        _ => 1,
    }
}
