//! The published JSON Schemas of every need, action and generator. `v0.1/schemas/` holds them as files; a test fails when these are
//! stale, and `UPDATE_SCHEMAS=1` writes them.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::Value;

use crate::action::{self, ActionSpec};
use crate::generator::{self, GeneratorSpec};
use crate::need::{self, NeedSpec};

/// One published schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// Path below `wit/v0.1/schemas/`: `needs/object.json`.
    pub path: String,
    /// The JSON Schema, draft 2020-12.
    pub schema: Value,
}

/// Every schema of this contract version, sorted by path.
pub fn schemas() -> Vec<Published> {
    let mut all = vec![
        need::<need::Object>(),
        need::<need::Objects>(),
        need::<need::Outputs>(),
        need::<need::Http>(),
        need::<need::Image>(),
        need::<need::Git>(),
        need::<need::Job>(),
        action::<action::Http>(),
        action::<action::Run>(),
        action::<action::Patch>(),
        action::<action::Adopt>(),
        action::<action::Delete>(),
        action::<action::RemoveFinalizer>(),
        generator::<generator::Bytes>(),
        generator::<generator::Password>(),
        generator::<generator::KeyPair>(),
        generator::<generator::Ca>(),
        generator::<generator::Certificate>(),
        generator::<generator::AgeIdentity>(),
        generator::<generator::Template>(),
        generator::<generator::Hash>(),
    ];
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}

/// The JSON Schema (draft 2020-12) of a type, as this contract publishes schemas.
pub fn schema_of<T: JsonSchema>() -> Value {
    SchemaGenerator::new(SchemaSettings::draft2020_12()).into_root_schema_for::<T>().to_value()
}

fn need<T: NeedSpec + JsonSchema>() -> Published {
    Published { path: format!("needs/{}.json", T::KIND), schema: schema_of::<T>() }
}

fn action<T: ActionSpec + JsonSchema>() -> Published {
    Published { path: format!("actions/{}.json", T::KIND), schema: schema_of::<T>() }
}

fn generator<T: GeneratorSpec + JsonSchema>() -> Published {
    Published { path: format!("generators/{}.json", T::NAME), schema: schema_of::<T>() }
}
