//! What comes back: bounded, and of that only what was asked to be shown and repeats nothing that was put in. Default-deny.

use std::collections::BTreeMap;

use banhbaoring_contract::http::HttpAnswer;
use banhbaoring_pipeline::json::{self, Limits};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;

use super::error::ExchangeError;

/// Bytes of a body.
const MAX_BODY: usize = 1 << 20;
/// A shorter value that was put in is too likely to occur by chance; nothing that short keeps anybody out.
const SHORTEST_SECRET: usize = 4;

/// An answer as the host sees it. Dropped before anything of it is logged, recorded or stored.
pub(crate) struct Reply {
    pub(crate) status: u16,
    body: Value,
    secrets: Vec<String>,
}

impl Reply {
    /// Reads an answer; its body only where somebody will look at it.
    pub(super) async fn read(mut response: reqwest::Response, reads: bool, name: &str) -> Result<Self, ExchangeError> {
        let status = response.status().as_u16();
        let mut body = Vec::new();
        if reads {
            let too_large =
                || ExchangeError::Unusable(format!("{name}: answered {status} with more than {MAX_BODY} bytes; nothing of it is read"));
            while let Some(chunk) = response.chunk().await.map_err(|error| ExchangeError::of(&error, name))? {
                if body.len() + chunk.len() > MAX_BODY {
                    return Err(too_large());
                }
                body.extend_from_slice(&chunk);
            }
        }
        // A body that is not JSON, or not JSON of one meaning, has no parts to show.
        let parsed = std::str::from_utf8(&body).ok().and_then(|text| json::parse(text, &Limits::default()).ok());
        Ok(Self { status, body: parsed.unwrap_or(Value::Null), secrets: Vec::new() })
    }

    pub(super) fn with_secrets(mut self, secrets: Vec<String>) -> Self {
        self.secrets.extend(secrets);
        self
    }

    /// The text at a pointer.
    pub(crate) fn text(&self, pointer: &str) -> Option<&str> {
        json::get(&self.body, pointer)?.as_str()
    }

    /// The whole number at a pointer.
    pub(super) fn number(&self, pointer: &str) -> Option<u64> {
        json::get(&self.body, pointer)?.as_u64()
    }

    /// The value at a pointer as it goes into a Secret: text as it is, everything else as JSON. From then on it is one that is not shown.
    pub(crate) fn take(&mut self, pointer: &str) -> Option<String> {
        let value = json::get(&self.body, pointer).filter(|value| !value.is_null())?;
        let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        let mut secrets = Vec::new();
        leaves(value, &mut |leaf| secrets.push(leaf.to_owned()));
        self.secrets.extend(secrets);
        Some(text)
    }

    /// What a plugin is told.
    pub(crate) fn shown(&self, expose: &[String]) -> Result<HttpAnswer, ExchangeError> {
        let mut exposed = BTreeMap::new();
        for pointer in expose {
            let Some(value) = json::get(&self.body, pointer) else { continue };
            if self.repeats(value) {
                let message =
                    format!("the answer (status {}) repeats at {pointer} what is kept from plugins; it is not shown", self.status);
                return Err(ExchangeError::Unusable(message));
            }
            exposed.insert(pointer.clone(), value.clone());
        }
        Ok(HttpAnswer { status: self.status, exposed })
    }

    fn repeats(&self, value: &Value) -> bool {
        let mut forms = Vec::new();
        for secret in self.secrets.iter().filter(|secret| secret.len() >= SHORTEST_SECRET) {
            forms.push(secret.clone());
            forms.push(hex::encode(secret));
            // Padding and a last partial group depend on what follows.
            let encoded = STANDARD_NO_PAD.encode(secret);
            forms.push(encoded.get(..encoded.len() - encoded.len() % 4).unwrap_or_default().to_owned());
            forms.push(URL_SAFE_NO_PAD.encode(secret));
            if let Ok(decoded) = STANDARD.decode(secret)
                && decoded.len() >= SHORTEST_SECRET
            {
                forms.push(hex::encode(&decoded));
                forms.extend(String::from_utf8(decoded));
            }
        }
        forms.retain(|form| form.len() >= SHORTEST_SECRET);
        let mut found = false;
        leaves(value, &mut |leaf| found |= forms.iter().any(|form| leaf.contains(form.as_str())));
        found
    }
}

/// All texts of a value, keys and numbers included.
fn leaves(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => each(&number.to_string()),
        Value::String(text) => each(text),
        Value::Array(items) => items.iter().for_each(|item| leaves(item, each)),
        Value::Object(fields) => fields.iter().for_each(|(key, field)| {
            each(key);
            leaves(field, each);
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reply(body: Value, secrets: &[&str]) -> Reply {
        Reply { status: 200, body, secrets: secrets.iter().map(|secret| (*secret).to_owned()).collect() }
    }

    fn expose(pointers: &[&str]) -> Vec<String> {
        pointers.iter().map(|pointer| (*pointer).to_owned()).collect()
    }

    #[test]
    fn only_what_was_asked_for_is_shown_and_what_is_absent_is_left_out() {
        let reply = reply(json!({"sealed": true, "keys": ["a"], "n": 1}), &[]);
        let shown = reply.shown(&expose(&["/sealed", "/none"])).unwrap();
        assert_eq!(shown, HttpAnswer { status: 200, exposed: [("/sealed".to_owned(), json!(true))].into() });
        assert_eq!(reply.shown(&[]).unwrap().exposed.len(), 0);
    }

    #[test]
    fn an_answer_that_repeats_a_secret_is_not_shown_however_it_is_dressed() {
        for echo in [
            json!("hunter22"),
            json!({"deep": ["password: hunter22!"]}),
            json!({"hunter22": 1}),
            json!(hex::encode("hunter22")),
            json!(STANDARD.encode("hunter22 and more")),
            json!(format!("x{}", URL_SAFE_NO_PAD.encode("hunter22"))),
        ] {
            let told = reply(json!({"echo": echo}), &["hunter22"]).shown(&expose(&["/echo"])).unwrap_err().to_string();
            assert!(!told.contains("hunter22") && told.contains("/echo"), "{told}");
        }
        assert!(reply(json!({"echo": "hunter2"}), &["hunter22"]).shown(&expose(&["/echo"])).is_ok());
    }

    #[test]
    fn what_was_captured_is_not_shown_elsewhere() {
        let key = STANDARD.encode("the only key");
        let mut reply = reply(json!({"keys": ["the only key"], "keys_base64": [key], "other": "fine"}), &[]);
        assert_eq!(reply.take("/keys/0").as_deref(), Some("the only key"));
        assert!(reply.shown(&expose(&["/keys_base64"])).is_err());
        assert!(reply.shown(&expose(&["/other"])).is_ok());
        assert_eq!(reply.take("/none"), None);
    }
}
