//! What is written is read back the same by a reader of version 1, and by hcl-rs where the two versions agree.

use proptest::prelude::*;

use super::{Body, Entry, HclError, Value, read::read};

fn nothing() -> [&'static str; 0] {
    []
}

#[test]
fn a_dollar_brace_stays_text_and_opens_no_raw_region() {
    let text = Body::new().attribute("key", "a ${HOSTNAME} \"b\" $${c} ${").render().unwrap();
    assert_eq!(text, "key = \"a \\u0024{HOSTNAME} \\\"b\\\" $\\u0024{c} \\u0024{\"\n");
    assert_eq!(read(&text).unwrap(), Body::new().attribute("key", "a ${HOSTNAME} \"b\" $${c} ${"));
}

#[test]
fn the_reader_of_the_tests_sees_raw_regions_as_the_original_does() {
    assert_eq!(read("key = \"${a \"b\\n\" {c}}\"").unwrap(), Body::new().attribute("key", "${a \"b\\n\" {c}}"));
    read("key = \"${\"").unwrap_err();
    assert_eq!(read("key = 0600").unwrap(), Body::new().attribute("key", 384_i64));
}

#[test]
fn no_character_of_a_text_reaches_the_file_unescaped_that_would_end_it() {
    let nasty = "\"\n\r\t\\\0\u{7}\u{7f}\u{85}\u{2028}\u{e123}\u{feff} }\n seal \"static\" {";
    let text = Body::new().attribute("key", nasty).render().unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert_eq!(read(&text).unwrap(), Body::new().attribute("key", nasty));
}

#[test]
fn a_key_is_written_once() {
    let twice = Body::new().attribute("region", "a").attribute("region", "b");
    let error = Body::new().block("seal", ["awskms"], twice).render().unwrap_err();
    assert!(matches!(&error, HclError::DuplicateKey { key, .. } if key == "region"), "{error}");
    assert!(error.to_string().contains("the block `seal`"), "{error}");
    Body::new().attribute("seal", 1_i64).block("seal", nothing(), Body::new()).render().unwrap_err();
    Body::new().block("seal", nothing(), Body::new()).attribute("seal", 1_i64).render().unwrap_err();
    Body::new().block("seal", ["a"], Body::new()).block("seal", ["a"], Body::new()).render().unwrap_err();
    Body::new().block("seal", ["a"], Body::new()).block("seal", ["b"], Body::new()).render().unwrap();
    Body::new().one_of_many("listener", ["tcp"], Body::new()).one_of_many("listener", ["tcp"], Body::new()).render().unwrap();
}

#[test]
fn a_key_is_an_identifier() {
    for key in ["", "a b", "a=b", "1a", "a\n", "a\"", "ä", "-a"] {
        let error = Body::new().attribute(key, true).render().unwrap_err();
        assert!(matches!(error, HclError::NotAnIdentifier { .. }), "{key}");
    }
    Body::new().attribute("_A-1", true).render().unwrap();
}

#[test]
fn blocks_and_values_look_as_people_write_them() {
    let text = Body::new()
        .attribute("ui", true)
        .block(
            "storage",
            ["raft"],
            Body::new().attribute("path", "/bao/data").block("retry_join", nothing(), Body::new().attribute("port", 8200_i64)),
        )
        .block("service_registration", ["kubernetes"], Body::new())
        .render()
        .unwrap();
    assert_eq!(
        text,
        "ui = true\n\nstorage \"raft\" {\n  path = \"/bao/data\"\n\n  retry_join {\n    port = 8200\n  }\n}\n\nservice_registration \"kubernetes\" {}\n"
    );
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        prop_oneof![any::<String>(), "[\\\\\"${}a-c%\n]{0,12}"].prop_map(Value::Text),
        any::<i64>().prop_map(Value::Integer),
        any::<bool>().prop_map(Value::Boolean),
        prop::collection::vec("[\\\\\"${}a-c ]{0,8}", 0..4).prop_map(Value::List),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    let leaf = prop::collection::btree_map("[a-f][a-z_]{0,5}", value(), 0..5)
        .prop_map(|attributes| attributes.into_iter().fold(Body::new(), |body, (key, value)| body.attribute(key, value)));
    leaf.prop_recursive(3, 16, 4, |inner| {
        (
            prop::collection::btree_map("[a-f][a-z_]{0,5}", value(), 0..4),
            prop::collection::btree_map(("[g-m][a-z_]{0,5}", prop::collection::vec(any::<String>(), 0..3)), inner, 0..3),
        )
            .prop_map(|(attributes, blocks)| {
                let body = attributes.into_iter().fold(Body::new(), |body, (key, value)| body.attribute(key, value));
                blocks.into_iter().fold(body, |body, ((ident, labels), inner)| body.block(&ident, labels, inner))
            })
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(body in body()) {
        let text = body.render().unwrap();
        prop_assert_eq!(read(&text), Ok(body), "{}", text);
    }

    /// Version 2 reads the same, except that `%{` opens a template there.
    #[test]
    fn hcl_rs_reads_the_same_where_the_versions_agree(
        attributes in prop::collection::btree_map("[a-f][a-z_]{0,5}", value(), 0..6)
    ) {
        let body = attributes.into_iter().fold(Body::new(), |body, (key, value)| body.attribute(key, value));
        let text = body.render().unwrap();
        prop_assume!(!text.contains("%{"));
        let read: hcl::Body = hcl::from_str(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        for (entry, structure) in body.entries.iter().zip(&read) {
            let (Entry::Attribute(key, value), hcl::Structure::Attribute(attribute)) = (entry, structure) else {
                return Err(TestCaseError::fail("not an attribute"));
            };
            prop_assert_eq!(key.as_str(), attribute.key());
            match (value, attribute.expr()) {
                (Value::Text(text), hcl::Expression::String(found)) => prop_assert_eq!(text, found),
                (Value::Boolean(boolean), hcl::Expression::Bool(found)) => prop_assert_eq!(boolean, found),
                (Value::List(texts), hcl::Expression::Array(found)) => prop_assert_eq!(texts.len(), found.len()),
                (Value::Integer(_), _) => {}
                (value, found) => return Err(TestCaseError::fail(format!("{value:?} became {found:?}"))),
            }
        }
    }
}
