//! What holds for every JSON document, not only for those somebody thought of.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use banhbaoring_pipeline::json::{JsonError, Limits, canonical, parse};
use proptest::prelude::*;
use serde_json::Value;

/// Every sort of value; keys with everything that has to be escaped.
fn any_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        (-1_000_000_000_i64..1_000_000_000).prop_map(|n| Value::from(n as f64 / 1024.0)),
        ".{0,12}".prop_map(Value::from),
    ];
    scalar.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-c~/\"\\\\\n ä]{0,4}", inner, 0..6).prop_map(Value::from_iter),
        ]
    })
}

/// The same document as text with every object's members in an order of `seed`'s choosing and with white space.
fn shuffled(value: &Value, seed: &mut u64) -> String {
    match value {
        Value::Array(items) => format!("[ {} ]", items.iter().map(|v| shuffled(v, seed)).collect::<Vec<_>>().join(" ,\n")),
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            for index in (1..members.len()).rev() {
                *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                members.swap(index, (*seed >> 33) as usize % (index + 1));
            }
            let members: Vec<_> =
                members.into_iter().map(|(k, v)| format!("{}:\t{}", Value::from(k.as_str()), shuffled(v, seed))).collect();
            format!("{{ {} }}", members.join(" , "))
        }
        scalar => scalar.to_string(),
    }
}

/// Texts of `value` in each of which one object has one member twice.
fn with_a_duplicate(value: &Value, found: &mut Vec<String>, wrap: &dyn Fn(String) -> String) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let wrap_item = |text: String| {
                    let parts: Vec<_> =
                        items.iter().enumerate().map(|(i, v)| if i == index { text.clone() } else { v.to_string() }).collect();
                    wrap(format!("[{}]", parts.join(",")))
                };
                with_a_duplicate(item, found, &wrap_item);
            }
        }
        Value::Object(members) => {
            let parts: Vec<_> = members.iter().map(|(k, v)| format!("{}:{v}", Value::from(k.as_str()))).collect();
            for (key, member) in members {
                let name = Value::from(key.as_str());
                found.push(wrap(format!("{{{},{name}:0}}", parts.join(","))));
                let wrap_member = |text: String| wrap(format!("{{{name}:{text}}}"));
                with_a_duplicate(member, found, &wrap_member);
            }
        }
        _ => {}
    }
}

proptest! {
    // A failure is printed with its smallest input; files of old failures are not kept.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parsing_the_canonical_form_gives_the_value_back(value in any_value()) {
        let text = canonical(&value);
        let parsed = parse(&text, &Limits::default()).unwrap();
        prop_assert_eq!(&parsed, &value);
        prop_assert_eq!(canonical(&parsed), text);
    }

    #[test]
    fn the_order_of_keys_and_white_space_do_not_change_the_canonical_form(value in any_value(), mut seed in any::<u64>()) {
        let parsed = parse(&shuffled(&value, &mut seed), &Limits::default()).unwrap();
        prop_assert_eq!(canonical(&parsed), canonical(&value));
    }

    #[test]
    fn a_duplicate_key_is_refused_wherever_it_is(value in any_value()) {
        let mut texts = Vec::new();
        with_a_duplicate(&value, &mut texts, &|text| text);
        for text in texts {
            let refused = parse(&text, &Limits::default());
            prop_assert!(matches!(refused, Err(JsonError::DuplicateKey { .. })), "{} gave {:?}", text, refused);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[\\[\\]{}\",:0-9eE+.\\\\ntu -]{0,64}") {
        let _ = parse(&text, &Limits::default());
    }
}
