//! Compiled schemas, and the rules that a schema has to keep before it is compiled. Defaults must not live here.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

/// Why a schema cannot be used. The plugin's author has to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A reference that leads out of the schema, or moves.
    #[error("expected `$ref` to begin with `#/` and lie within the schema, found {found:?}; put what it needs under `$defs`")]
    Reference {
        /// The reference.
        found: String,
    },
    /// It refers to itself.
    #[error("expected a schema that does not refer to itself, found recursion; spell out the levels that are needed")]
    Recursive,
    /// With its references followed it is too large.
    #[error(
        "expected a schema of at most {LARGEST} parts with all references followed and defaults of at most 1 MiB, found more; make it smaller"
    )]
    TooLarge,
    /// The compiler refuses it.
    #[error("expected a JSON Schema, found {message}; mend it")]
    Malformed {
        /// What it says.
        message: String,
    },
}

impl SchemaError {
    /// CamelCase, bounded.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Reference { .. } => "SchemaReferenceNotAllowed",
            Self::Recursive => "SchemaRecursive",
            Self::TooLarge => "SchemaTooLarge",
            Self::Malformed { .. } => "SchemaMalformed",
        }
    }
}

/// Parts that a schema may have with all references followed: validation takes time in proportion.
const LARGEST: usize = 100_000;

/// Schemas that are remembered.
const REMEMBERED: usize = 512;

/// So many misfits are told.
const TOLD: usize = 5;

/// A schema that configs are checked against.
#[derive(Debug)]
pub struct Schema {
    source: Value,
    validator: Validator,
}

/// Where a config does not fit its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Pointer into the config.
    pub pointer: String,
    /// What was expected there. Never the value: whoever reads conditions may not be who wrote it.
    pub message: String,
}

impl Schema {
    /// Checks the rules and compiles.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn compile(schema: &Value) -> Result<Self, SchemaError> {
        Sizes { root: schema, known: HashMap::new() }.of(schema, 0)?;
        let validator = jsonschema::options()
            .with_pattern_options(PatternOptions::regex().size_limit(1 << 20).dfa_size_limit(1 << 20))
            .build(schema)
            .map_err(|error| SchemaError::Malformed { message: cut(&error.masked().to_string()) })?;
        Ok(Self { source: schema.clone(), validator })
    }

    /// Where `config` does not fit, in order of the pointers; empty where it fits.
    pub fn misfits(&self, config: &Value) -> Vec<Misfit> {
        let mut misfits: Vec<_> = self
            .validator
            .iter_errors(config)
            .take(TOLD)
            .map(|error| {
                let mut pointer = error.instance_path().as_str().to_owned();
                match error.kind() {
                    ValidationErrorKind::Required { property } => {
                        crate::json::push_token(&mut pointer, property.as_str().unwrap_or_default());
                    }
                    ValidationErrorKind::AdditionalProperties { unexpected } => {
                        crate::json::push_token(&mut pointer, unexpected.first().map_or("", String::as_str));
                    }
                    _ => {}
                }
                Misfit { pointer, message: cut(&error.masked().to_string()) }
            })
            .collect();
        misfits.sort_by(|a, b| (&a.pointer, &a.message).cmp(&(&b.pointer, &b.message)));
        misfits
    }
}

type Key = (String, String, String);

/// Compiling takes longer than rendering, and composing is done on every reconcile.
static COMPILED: LazyLock<Mutex<HashMap<Key, Arc<Schema>>>> = LazyLock::new(Mutex::default);

pub(super) fn compiled(plugin: &str, digest: &str, name: &str, schema: &Value) -> Result<Arc<Schema>, SchemaError> {
    let key = (plugin.to_owned(), digest.to_owned(), name.to_owned());
    let known = COMPILED.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
    // The digest names the code, but a test or a laptop may have several descriptors for one.
    if let Some(known) = known.filter(|known| known.source == *schema) {
        return Ok(known);
    }
    let compiled = Arc::new(Schema::compile(schema)?);
    let mut memory = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if memory.len() >= REMEMBERED {
        memory.clear();
    }
    memory.insert(key, compiled.clone());
    Ok(compiled)
}

/// Counts the parts of a schema with references followed, which also finds what has no end.
struct Sizes<'s> {
    root: &'s Value,
    /// By reference; absent while it is being counted.
    known: HashMap<&'s str, Option<usize>>,
}

impl<'s> Sizes<'s> {
    fn of(&mut self, schema: &'s Value, depth: usize) -> Result<usize, SchemaError> {
        if depth > 256 {
            return Err(SchemaError::TooLarge);
        }
        let mut size = 1_usize;
        match schema {
            Value::Array(items) => {
                for item in items {
                    size = size.saturating_add(self.of(item, depth + 1)?);
                }
            }
            Value::Object(members) => {
                for (key, member) in members {
                    size = size.saturating_add(match (key.as_str(), member) {
                        ("$ref", Value::String(reference)) => self.of_reference(reference, depth)?,
                        ("$dynamicRef" | "$recursiveRef", Value::String(found)) => {
                            return Err(SchemaError::Reference { found: cut(found) });
                        }
                        // It would change what the references below it refer to.
                        ("$id" | "id", Value::String(found)) => return Err(SchemaError::Reference { found: cut(found) }),
                        // Here keys are names, whatever they look like.
                        ("properties" | "patternProperties" | "dependentSchemas", Value::Object(named)) => self.of_all(named, depth)?,
                        // Definitions count where they are referred to, but those nobody refers to must be sound too.
                        ("$defs" | "definitions", Value::Object(named)) => {
                            self.of_all(named, depth)?;
                            0
                        }
                        // Data, not schemas.
                        ("default" | "const" | "enum" | "examples" | "example", _) => 1,
                        _ => self.of(member, depth + 1)?,
                    });
                }
            }
            _ => {}
        }
        if size > LARGEST { Err(SchemaError::TooLarge) } else { Ok(size) }
    }

    fn of_all(&mut self, named: &'s serde_json::Map<String, Value>, depth: usize) -> Result<usize, SchemaError> {
        named.values().try_fold(0_usize, |size, schema| Ok(size.saturating_add(self.of(schema, depth + 1)?)))
    }

    fn of_reference(&mut self, reference: &'s str, depth: usize) -> Result<usize, SchemaError> {
        match self.known.get(reference) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => return Err(SchemaError::Recursive),
            None => {}
        }
        let target = reference.strip_prefix('#').filter(|pointer| pointer.starts_with('/') && !pointer.contains('%'));
        let target = target.and_then(|pointer| self.root.pointer(pointer));
        let target = target.ok_or_else(|| SchemaError::Reference { found: cut(reference) })?;
        self.known.insert(reference, None);
        let size = self.of(target, depth + 1)?;
        self.known.insert(reference, Some(size));
        Ok(size)
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= 300 { text.to_owned() } else { text.chars().take(300).chain(std::iter::once('…')).collect() }
}
