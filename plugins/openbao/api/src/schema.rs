//! Pieces of schema that a derive cannot say, and patterns that several kinds of field share. No kinds live here.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::storage::DeletionPolicy;

/// Name of a Kubernetes object. A wrong one would be found out only by the kubelet, which waits for it for ever.
pub const OBJECT_NAME: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// Key of a Secret or ConfigMap.
pub const DATA_KEY: &str = r"^[-._a-zA-Z0-9]+$";
/// Anything without blanks.
pub const WORD: &str = r"^\S+$";
/// An address of the web.
pub const URL: &str = r"^https?://\S+$";
/// A duration as Go reads it, and never longer than it can hold: a longer one keeps OpenBao from starting.
pub const DURATION: &str = r"^([0-9]{1,6}h)?([0-9]{1,7}m)?([0-9]{1,9}s)?$";
/// An address of a network; how many bits there can be is not for a pattern.
pub const NETWORK: &str = r"^([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-fA-F.:]*:[0-9a-fA-F.:]*)/[0-9]{1,3}$";

const LABEL_VALUE: &str = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$";
const QUANTITY: &str = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$";

/// An object with any members, kept as written.
pub fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// A list of objects with any members, kept as written.
pub fn any_objects(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "items": any_object(generator)})
}

/// Labels. What a key may be is not for a schema.
pub fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "maxProperties": 64, "additionalProperties": {"type": "string", "maxLength": 63, "pattern": LABEL_VALUE}})
}

/// Annotations. What a key may be, and how much all of them may hold, is not for a schema.
pub fn annotations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "maxProperties": 64, "additionalProperties": {"type": "string", "maxLength": 65_536}})
}

/// Options of an audit device or variables of a process, as text. What a key may be is not for a schema.
pub fn options(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "maxProperties": 32, "additionalProperties": {"type": "string", "maxLength": 4096}})
}

/// A policy as the status tells it. Spelt out, because the text of the type would stand in the place of the field's.
pub fn deletion_policy(_: &mut SchemaGenerator) -> Schema {
    let policies = [DeletionPolicy::Retain, DeletionPolicy::DeletePVCs, DeletionPolicy::DeleteAll];
    json_schema!({"type": "string", "enum": policies, "nullable": true})
}

/// Takes the texts out of embedded Kubernetes types: they are documented by Kubernetes, and would be most of the CRD.
pub fn without_descriptions(schema: &mut Schema) {
    let description = schema.get("description").cloned();
    change(schema, strip);
    if let Some(description) = description {
        schema.insert("description".to_owned(), description);
    }
}

/// API servers know no format `uint32` and warn of it.
pub fn without_format(schema: &mut Schema) {
    schema.remove("format");
}

/// Resources of a container: quantities, none of them negative.
pub fn resources(schema: &mut Schema) {
    without_descriptions(schema);
    let quantity = json!({"x-kubernetes-int-or-string": true, "pattern": QUANTITY, "maxLength": 32, "minimum": 0});
    change(schema, |schema| {
        for kind in ["limits", "requests"] {
            set(schema, &format!("/properties/{kind}"), "maxProperties", json!(16));
            set(schema, &format!("/properties/{kind}"), "additionalProperties", quantity.clone());
        }
    });
}

/// Names of Secrets with credentials of a registry.
pub fn pull_secrets(schema: &mut Schema) {
    without_descriptions(schema);
    change(schema, |schema| {
        set(schema, "/items/properties/name", "pattern", json!(OBJECT_NAME));
        set(schema, "/items/properties/name", "maxLength", json!(253));
    });
}

/// Taints that are tolerated.
pub fn tolerations(schema: &mut Schema) {
    without_descriptions(schema);
    change(schema, |schema| {
        set(schema, "/items/properties/operator", "enum", json!(["Exists", "Equal", "Lt", "Gt"]));
        set(schema, "/items/properties/effect", "enum", json!(["NoSchedule", "PreferNoSchedule", "NoExecute"]));
    });
}

/// How pods spread.
pub fn spread(schema: &mut Schema) {
    without_descriptions(schema);
    change(schema, |schema| {
        set(schema, "/items/properties/maxSkew", "minimum", json!(1));
        set(schema, "/items/properties/topologyKey", "minLength", json!(1));
        set(schema, "/items/properties/whenUnsatisfiable", "enum", json!(["DoNotSchedule", "ScheduleAnyway"]));
    });
}

/// Who may come in.
pub fn peers(schema: &mut Schema) {
    without_descriptions(schema);
    change(schema, |schema| peer(schema, "/items"));
}

/// Where pods may go.
pub fn egress(schema: &mut Schema) {
    without_descriptions(schema);
    change(schema, |schema| {
        peer(schema, "/items/properties/to/items");
        let port = "/items/properties/ports/items/properties";
        set(schema, &format!("{port}/port"), "minimum", json!(1));
        set(schema, &format!("{port}/port"), "maximum", json!(65_535));
        set(schema, &format!("{port}/protocol"), "enum", json!(["TCP", "UDP", "SCTP"]));
    });
}

fn peer(schema: &mut Value, at: &str) {
    // An empty peer selects nothing, and no API server takes it.
    set(schema, at, "minProperties", json!(1));
    set(schema, &format!("{at}/properties/ipBlock/properties/cidr"), "pattern", json!(NETWORK));
}

fn change(schema: &mut Schema, how: impl FnOnce(&mut Value)) {
    let mut value = schema.clone().to_value();
    how(&mut value);
    if let Ok(changed) = Schema::try_from(value) {
        *schema = changed;
    }
}

/// Where there is nothing at the pointer nothing is set: `tests/definition.rs` looks whether all of it is there.
fn set(schema: &mut Value, at: &str, member: &str, value: Value) {
    if let Some(members) = schema.pointer_mut(at).and_then(Value::as_object_mut) {
        members.insert(member.to_owned(), value);
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
