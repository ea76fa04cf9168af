use super::*;
use serde_json::json;

fn fitted(schema: &Json, config: Json) -> Json {
    completed(Some(schema), Cow::Owned(config)).unwrap()
}

#[test]
fn a_property_named_like_a_keyword_is_still_a_property() {
    let schema = json!({"properties": {"$ref": {"type": "string"}, "default": {"default": 3}}});
    assert!(Schema::compile(&schema).is_ok());
    assert_eq!(fitted(&schema, json!({})), json!({"default": 3}));
}

#[test]
fn defaults_fill_what_is_absent_at_every_level() {
    let schema = json!({
        "properties": {
            "replicas": {"type": "integer", "default": 3},
            "tls": {"$ref": "#/$defs/tls", "default": {}},
            "listeners": {"type": "array", "items": {"properties": {"port": {"default": 8200}}}},
            "labels": {"additionalProperties": {"properties": {"x": {"default": 1}}}},
        },
        "allOf": [{"properties": {"more": {"default": true}}}],
        "$defs": {"tls": {"properties": {"mode": {"default": "managed"}}}},
    });
    let filled = fitted(&schema, json!({"replicas": 1, "listeners": [{}, {"port": 1}], "labels": {"a": {}}}));
    assert_eq!(
        filled,
        json!({
            "replicas": 1, "tls": {"mode": "managed"}, "more": true,
            "listeners": [{"port": 8200}, {"port": 1}], "labels": {"a": {"x": 1}},
        })
    );
}

#[test]
fn a_misfit_names_its_place_and_never_the_value() {
    let schema = json!({
        "type": "object", "required": ["region"], "additionalProperties": false,
        "properties": {"region": {"type": "string"}, "keys": {"items": {"type": "string", "pattern": "^[a-z]+$"}}},
    });
    let schema = Schema::compile(&schema).unwrap();
    assert!(schema.misfits(&json!({"region": "eu"})).is_empty());
    let misfits = schema.misfits(&json!({"keys": ["ok", "hunter2"], "typo": 1}));
    let pointers: Vec<_> = misfits.iter().map(|misfit| misfit.pointer.as_str()).collect();
    assert_eq!(pointers, ["/keys/1", "/region", "/typo"]);
    assert!(!format!("{misfits:?}").contains("hunter2"));
}

#[test]
fn a_schema_that_refers_to_itself_or_elsewhere_is_refused() {
    let reason = |schema: Json| Schema::compile(&schema).unwrap_err().reason();
    assert_eq!(reason(json!({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"})), "SchemaRecursive");
    assert_eq!(reason(json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}})), "SchemaRecursive");
    for elsewhere in ["https://example.com/schema.json", "file:///etc/passwd", "#", "#anchor", "other.json#/a", "#/$defs/absent"] {
        assert_eq!(reason(json!({"properties": {"a": {"$ref": elsewhere}}})), "SchemaReferenceNotAllowed", "{elsewhere}");
    }
    let hidden = json!({"$defs": {"a": {"properties": {"default": {"allOf": [{"$ref": "#/$defs/a"}]}}}}, "$ref": "#/$defs/a"});
    assert_eq!(reason(hidden), "SchemaRecursive");
    assert_eq!(reason(json!({"$defs": {"a": {"$id": "https://example.com/a"}}})), "SchemaReferenceNotAllowed");
    assert_eq!(reason(json!({"$dynamicRef": "#x"})), "SchemaReferenceNotAllowed");
    assert_eq!(reason(json!({"type": 7})), "SchemaMalformed");
    assert_eq!(reason(json!({"pattern": "(a+)+\\1"})), "SchemaMalformed");
}

#[test]
fn a_schema_that_multiplies_through_references_is_refused() {
    let mut definitions = serde_json::Map::new();
    definitions.insert("d0".into(), json!({"properties": {"x": {"default": "x".repeat(1000)}}}));
    for level in 1..40 {
        let before = format!("#/$defs/d{}", level - 1);
        definitions.insert(
            format!("d{level}"),
            json!({"properties": {"a": {"$ref": before, "default": {}}, "b": {"$ref": before, "default": {}}}}),
        );
    }
    let schema = json!({"$defs": definitions, "$ref": "#/$defs/d39"});
    assert_eq!(Schema::compile(&schema).unwrap_err(), SchemaError::TooLarge);
    assert_eq!(completed(Some(&schema), Cow::Owned(json!({}))).unwrap_err(), SchemaError::TooLarge);
}

#[test]
fn a_schema_is_compiled_once_and_another_one_of_the_same_name_anew() {
    let first = schema("p", "sha256:1", "c", &json!({"type": "object"})).unwrap();
    let again = schema("p", "sha256:1", "c", &json!({"type": "object"})).unwrap();
    let other = schema("p", "sha256:1", "c", &json!({"type": "string"})).unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    assert!(!Arc::ptr_eq(&first, &other));
}

#[test]
fn a_field_is_named_as_people_write_it() {
    assert_eq!(field(&[""]), "spec");
    assert_eq!(field(&["/unseal", "/type"]), "spec.unseal.type");
    assert_eq!(field(&["/a~1b", "/keys/0"]), "spec.a/b.keys[0]");
}
