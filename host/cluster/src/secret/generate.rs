//! From the entries of a Secret to its values: in the order in which they refer to each other, keeping what must be kept. Pure: randomness and
//! the clock are parameters.

use std::collections::{BTreeMap, BTreeSet};

use banhbaoring_contract::generator::{self as spec, GeneratorSpec};
use banhbaoring_pipeline::contract::{GeneratedSecret, SecretClass, SecretEntry};
use rand::{CryptoRng, RngCore};

use super::error::SecretError;
use super::{hashing, text, x509};

/// Values by key.
pub(crate) type Values = BTreeMap<String, Vec<u8>>;

/// Values of other Secrets by name and key.
pub(crate) type Foreign = BTreeMap<(String, String), Vec<u8>>;

/// Where chance and time come from.
pub(crate) struct Source<'r, R> {
    pub(crate) random: &'r mut R,
    /// Seconds since 1970.
    pub(crate) now: u64,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) values: Values,
    /// When the first certificate is due, in seconds since 1970.
    pub(crate) renew_at: Option<i64>,
}

/// The parsed spec of an entry.
enum Recipe {
    Bytes(spec::Bytes),
    Password(spec::Password),
    KeyPair(spec::KeyPair),
    Ca(spec::Ca),
    Certificate(spec::Certificate),
    Template(spec::Template),
    Hash(spec::Hash),
}

impl Recipe {
    fn of(entry: &SecretEntry) -> Result<Self, SecretError> {
        fn parsed<T: GeneratorSpec>(entry: &SecretEntry) -> Result<T, SecretError> {
            serde_json::from_value(entry.spec.clone()).map_err(|error| invalid(entry, error.to_string()))
        }
        match entry.generator.as_str() {
            spec::Bytes::NAME => parsed(entry).map(Self::Bytes),
            spec::Password::NAME => parsed(entry).map(Self::Password),
            spec::KeyPair::NAME => parsed(entry).map(Self::KeyPair),
            spec::Ca::NAME => parsed(entry).map(Self::Ca),
            spec::Certificate::NAME => parsed(entry).map(Self::Certificate),
            spec::Template::NAME => parsed(entry).map(Self::Template),
            spec::Hash::NAME => parsed(entry).map(Self::Hash),
            other => Err(SecretError::Unsupported {
                generator: other.to_owned(),
                message: "this version makes bytes, password, key-pair, ca, certificate, template and hash".to_owned(),
            }),
        }
    }

    /// Keys beside the entry's own, and whether they may be published.
    fn public_keys(&self) -> Vec<&str> {
        match self {
            Self::KeyPair(spec) => vec![&spec.public_key],
            Self::Ca(spec) => vec![&spec.certificate],
            Self::Certificate(spec) => std::iter::once(spec.certificate.as_str()).chain(spec.ca_certificate.as_deref()).collect(),
            Self::Bytes(_) | Self::Password(_) | Self::Template(_) | Self::Hash(_) => Vec::new(),
        }
    }

    /// Keys of other Secrets that are needed.
    fn foreign<'a>(&'a self, own: &'a str) -> Vec<(&'a str, &'a str)> {
        match self {
            Self::Certificate(spec) if spec.ca.secret != own => {
                vec![(&spec.ca.secret, &spec.ca.private_key), (&spec.ca.secret, &spec.ca.certificate)]
            }
            Self::Template(spec) => {
                spec.secrets.values().filter(|key| key.secret != own).map(|key| (key.secret.as_str(), key.key.as_str())).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Names and keys of other Secrets that the entries need.
pub(crate) fn needed(secret: &GeneratedSecret) -> Result<BTreeSet<(String, String)>, SecretError> {
    let mut needed = BTreeSet::new();
    for entry in &secret.entries {
        let recipe = Recipe::of(entry)?;
        needed.extend(recipe.foreign(&secret.name).into_iter().map(|(secret, key)| (secret.to_owned(), key.to_owned())));
    }
    Ok(needed)
}

/// Keys whose values are public, so that they may be published.
pub(crate) fn public(secret: &GeneratedSecret) -> Result<BTreeSet<String>, SecretError> {
    let mut public = BTreeSet::new();
    for entry in &secret.entries {
        public.extend(Recipe::of(entry)?.public_keys().into_iter().map(ToOwned::to_owned));
    }
    Ok(public)
}

/// Makes what is not in `existing`, and of a renewable Secret what is due or derived.
pub(crate) fn make<R: RngCore + CryptoRng>(
    secret: &GeneratedSecret,
    existing: &Values,
    foreign: &Foreign,
    source: &mut Source<'_, R>,
) -> Result<Made, SecretError> {
    let mut recipes = Vec::new();
    for entry in &secret.entries {
        recipes.push((entry, Recipe::of(entry)?));
    }
    refuse_doubles(&recipes)?;
    let mut values = existing.clone();
    // Keys that are made or kept in this pass: only these may be referred to, so that a certificate is never signed by an authority that is
    // about to change.
    let mut settled: BTreeSet<&str> = BTreeSet::new();
    let mut pending: Vec<&(&SecretEntry, Recipe)> = recipes.iter().collect();
    while !pending.is_empty() {
        let before = pending.len();
        let mut waiting = Vec::new();
        for item in pending {
            let (entry, recipe) = item;
            let blocked = refers_to(recipe, &secret.name).into_iter().find(|key| {
                let is_made = recipes.iter().any(|(other, recipe)| other.key == **key || recipe.public_keys().contains(key));
                if is_made { !settled.contains(key) } else { !values.contains_key(*key) }
            });
            if let Some(key) = blocked {
                waiting.push((item, key));
                continue;
            }
            make_one(secret, entry, recipe, &mut values, foreign, source)?;
            settled.insert(&entry.key);
            settled.extend(recipe.public_keys());
        }
        if let Some(((entry, _), key)) = waiting.first()
            && waiting.len() == before
        {
            return Err(SecretError::Reference { key: entry.key.clone(), refers_to: (*key).to_owned() });
        }
        pending = waiting.into_iter().map(|(item, _)| item).collect();
    }
    let renew_at = match secret.class {
        SecretClass::Identity => None,
        SecretClass::Renewable(before) => first_due(&recipes, &values, u64::from(before))?,
    };
    Ok(Made { values, renew_at })
}

fn make_one<R: RngCore + CryptoRng>(
    secret: &GeneratedSecret,
    entry: &SecretEntry,
    recipe: &Recipe,
    values: &mut Values,
    foreign: &Foreign,
    source: &mut Source<'_, R>,
) -> Result<(), SecretError> {
    let is_there = values.contains_key(&entry.key);
    let renewable = match secret.class {
        SecretClass::Identity => None,
        SecretClass::Renewable(before) => Some(u64::from(before)),
    };
    match (recipe, renewable) {
        // A template is derived: it follows what it is made of.
        (Recipe::Template(_) | Recipe::Certificate(_), Some(_)) => {}
        (Recipe::Ca(spec), Some(before)) if is_there => return x509::prolong(entry, spec, values, before, source),
        _ if is_there => return Ok(()),
        _ => {}
    }
    let value = match recipe {
        Recipe::Bytes(spec) => text::bytes(entry, spec, source.random)?,
        Recipe::Password(spec) => text::password(entry, spec, source.random)?,
        Recipe::Template(spec) => text::template(entry, spec, &secret.name, values, foreign)?,
        Recipe::Hash(spec) => hashing::hash(entry, spec, values, source.random)?,
        Recipe::KeyPair(spec) => return x509::key_pair(entry, spec, values),
        Recipe::Ca(spec) => return x509::authority(entry, spec, values, source),
        Recipe::Certificate(spec) => return x509::certificate(entry, spec, &secret.name, renewable, values, foreign, source),
    };
    values.insert(entry.key.clone(), value);
    Ok(())
}

/// Keys of the same Secret that a recipe needs.
fn refers_to<'a>(recipe: &'a Recipe, own: &str) -> Vec<&'a str> {
    match recipe {
        Recipe::Hash(spec) => vec![&spec.of],
        Recipe::Certificate(spec) if spec.ca.secret == own => vec![&spec.ca.private_key, &spec.ca.certificate],
        Recipe::Template(spec) => text::keys_of(spec, own),
        _ => Vec::new(),
    }
}

fn refuse_doubles(recipes: &[(&SecretEntry, Recipe)]) -> Result<(), SecretError> {
    let mut keys = BTreeSet::new();
    for (entry, recipe) in recipes {
        for key in std::iter::once(entry.key.as_str()).chain(recipe.public_keys()) {
            let usable =
                !key.is_empty() && key.len() <= 253 && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
            if !usable || !keys.insert(key) {
                return Err(invalid(entry, format!("expected keys of the Secret that are named once and valid, found {key:?}")));
            }
        }
    }
    Ok(())
}

fn first_due(recipes: &[(&SecretEntry, Recipe)], values: &Values, before: u64) -> Result<Option<i64>, SecretError> {
    let mut first: Option<i64> = None;
    for (entry, recipe) in recipes {
        let certificate = match recipe {
            Recipe::Ca(spec) => &spec.certificate,
            Recipe::Certificate(spec) => &spec.certificate,
            _ => continue,
        };
        let due = x509::due(entry, values.get(certificate), before)?;
        first = Some(first.map_or(due, |first| first.min(due)));
    }
    Ok(first)
}

pub(super) fn invalid(entry: &SecretEntry, message: String) -> SecretError {
    SecretError::Spec { key: entry.key.clone(), generator: entry.generator.clone(), message }
}
