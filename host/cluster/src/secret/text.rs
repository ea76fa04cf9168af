//! Generators of text: bytes, passwords, templates. Pure.

use banhbaoring_contract::generator::{Bytes, Encoding, Password, Template};
use banhbaoring_pipeline::contract::SecretEntry;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rand::CryptoRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};

use super::error::SecretError;
use super::generate::{Foreign, Values, invalid};

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS: &str = "0123456789";
const MAX_TEMPLATE: usize = 64 << 10;

pub(super) fn bytes(entry: &SecretEntry, spec: &Bytes, random: &mut impl CryptoRng) -> Result<Vec<u8>, SecretError> {
    if !(1..=4096).contains(&spec.length) {
        return Err(invalid(entry, format!("expected 1 to 4096 bytes, found {}", spec.length)));
    }
    let mut bytes = vec![0; spec.length as usize];
    random.fill_bytes(&mut bytes);
    Ok(match spec.encoding {
        Encoding::Raw => bytes,
        Encoding::Hex => hex::encode(bytes).into_bytes(),
        Encoding::Base64 => STANDARD.encode(bytes).into_bytes(),
        Encoding::Base64Url => URL_SAFE_NO_PAD.encode(bytes).into_bytes(),
    })
}

pub(super) fn password(entry: &SecretEntry, spec: &Password, random: &mut impl CryptoRng) -> Result<Vec<u8>, SecretError> {
    let asked = u64::from(spec.lower) + u64::from(spec.upper) + u64::from(spec.digits);
    if !(8..=256).contains(&spec.length) || asked > u64::from(spec.length) {
        return Err(invalid(entry, format!("expected 8 to 256 characters, at least the {asked} asked for, found {}", spec.length)));
    }
    if !spec.symbols.chars().all(|symbol| symbol.is_ascii_punctuation()) {
        return Err(invalid(entry, "expected ASCII punctuation as symbols".to_owned()));
    }
    let alphabet: Vec<u8> = [LOWER, UPPER, DIGITS, &spec.symbols].concat().into_bytes();
    let mut password = Vec::with_capacity(spec.length as usize);
    let mut take = |from: &[u8], count: u32| {
        for _ in 0..count {
            password.extend(from.choose(random));
        }
    };
    take(LOWER.as_bytes(), spec.lower);
    take(UPPER.as_bytes(), spec.upper);
    take(DIGITS.as_bytes(), spec.digits);
    take(&alphabet, spec.length - spec.lower - spec.upper - spec.digits);
    password.shuffle(random);
    Ok(password)
}

/// Keys of the same Secret that a template names.
pub(super) fn keys_of<'t>(spec: &'t Template, own: &str) -> Vec<&'t str> {
    placeholders(&spec.template)
        .filter_map(|(name, _)| match spec.secrets.get(name) {
            Some(key) => (key.secret == own).then_some(key.key.as_str()),
            None => (!spec.values.contains_key(name)).then_some(name),
        })
        .collect()
}

pub(super) fn template(
    entry: &SecretEntry,
    spec: &Template,
    own: &str,
    values: &Values,
    foreign: &Foreign,
) -> Result<Vec<u8>, SecretError> {
    let mut text = String::new();
    let mut rest = spec.template.as_str();
    while let Some((before, after)) = rest.split_once("{{") {
        text.push_str(before);
        let Some((inside, after)) = after.split_once("}}") else {
            return Err(invalid(entry, "expected }} after every {{".to_owned()));
        };
        let (name, filter) = named(inside);
        let missing = || SecretError::Reference { key: entry.key.clone(), refers_to: name.to_owned() };
        let value: &[u8] = match (spec.secrets.get(name), spec.values.get(name)) {
            (Some(key), _) if key.secret == own => values.get(&key.key).ok_or_else(missing)?,
            (Some(key), _) => foreign
                .get(&(key.secret.clone(), key.key.clone()))
                .ok_or_else(|| SecretError::Missing { secret: key.secret.clone(), key: key.key.clone() })?,
            (None, Some(value)) => value.as_bytes(),
            (None, None) => values.get(name).ok_or_else(missing)?,
        };
        text.push_str(&filtered(entry, name, filter, value)?);
        rest = after;
        if text.len() > MAX_TEMPLATE {
            return Err(invalid(entry, format!("expected at most {MAX_TEMPLATE} bytes of text")));
        }
    }
    text.push_str(rest);
    Ok(text.into_bytes())
}

fn placeholders(template: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    template.split("{{").skip(1).filter_map(|part| part.split_once("}}")).map(|(inside, _)| named(inside))
}

fn named(inside: &str) -> (&str, Option<&str>) {
    match inside.split_once('|') {
        Some((name, filter)) => (name.trim(), Some(filter.trim())),
        None => (inside.trim(), None),
    }
}

fn filtered(entry: &SecretEntry, name: &str, filter: Option<&str>, value: &[u8]) -> Result<String, SecretError> {
    if filter == Some("base64") {
        return Ok(STANDARD.encode(value));
    }
    let Ok(text) = std::str::from_utf8(value) else {
        return Err(invalid(entry, format!("{name} is not text; write it with |base64")));
    };
    match filter {
        None => Ok(text.to_owned()),
        Some("urlencode") => Ok(urlencoded(value)),
        Some("json") => serde_json::to_string(text).map_err(|_| invalid(entry, format!("{name} cannot be written as JSON"))),
        Some(other) => Err(invalid(entry, format!("expected the filter urlencode, json or base64, found {other:?}"))),
    }
}

/// Everything but RFC 3986's unreserved characters is escaped: right in every part of a URL.
fn urlencoded(value: &[u8]) -> String {
    value
        .iter()
        .map(|&byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
