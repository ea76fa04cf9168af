//! What a plugin says of itself, and the JSON of what it asks for: checked without falling over, and what is accepted is what was granted.
#![no_main]

use std::borrow::Cow;

use banhbaoring_api::Grants;
use banhbaoring_contract::{SecretHash, action, generator, need};
use banhbaoring_pipeline::config::completed;
use banhbaoring_pipeline::contract::Descriptor;
use banhbaoring_pipeline::describe;
use banhbaoring_pipeline::json::{self, Limits};
use libfuzzer_sys::fuzz_target;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// What is taken is said in the same way again.
fn again<T: Serialize + DeserializeOwned>(value: &Value) {
    let Ok(read) = serde_json::from_value::<T>(value.clone()) else { return };
    let written = serde_json::to_value(&read).expect("what was read can be written");
    let second = serde_json::to_value(serde_json::from_value::<T>(written.clone()).expect("what was written can be read"));
    assert_eq!(second.expect("written"), written);
}

fuzz_target!(|text: &str| {
    if let Some(placeholder) = SecretHash::parse(text) {
        assert_eq!(placeholder.to_string(), text);
    }
    let Ok(value) = json::parse(text, &Limits { max_bytes: 1 << 16, max_depth: 64, max_nodes: 4_000 }) else { return };
    again::<need::Object>(&value);
    again::<need::Objects>(&value);
    again::<need::Outputs>(&value);
    again::<need::Http>(&value);
    again::<need::Image>(&value);
    again::<need::Git>(&value);
    again::<need::Job>(&value);
    again::<action::Http>(&value);
    again::<action::Run>(&value);
    again::<action::Patch>(&value);
    again::<action::Adopt>(&value);
    again::<action::Delete>(&value);
    again::<generator::Bytes>(&value);
    again::<generator::Password>(&value);
    again::<generator::KeyPair>(&value);
    again::<generator::Ca>(&value);
    again::<generator::Certificate>(&value);
    again::<generator::Template>(&value);
    again::<generator::Hash>(&value);
    again::<Grants>(&value);
    let _ = completed(Some(&value), Cow::Owned(Value::Null));
    let _ = completed(Some(&value), Cow::Borrowed(&value));
    let _ = describe::kind_compatible(&value, &value);
    let Ok(descriptor) = serde_json::from_value::<Descriptor>(value) else { return };
    let nothing = Grants::default();
    let asked = describe::permissions(&descriptor).unwrap_or_default();
    let _ = describe::check(&descriptor, &asked);
    if describe::check(&descriptor, &nothing).is_ok() {
        assert!(descriptor.kinds.is_empty(), "it brings a kind that nobody granted");
        assert!(describe::covers(&nothing, &asked).is_ok(), "it asks for what nobody granted");
    }
});
