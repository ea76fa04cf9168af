//! Reading, writing and checking golden cases.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_yaml::value::{Tag, TaggedValue};
use similar::TextDiff;

use crate::json::canonical;
use crate::plugin::Plugin;
use crate::wit::{Failure, Request, ReviewRequest, SealRequest};

const JSON_TAG: &str = "json";

/// Why a golden could not be read, written, or does not hold.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// The file system refused.
    #[error("{path}: {source}; UPDATE_GOLDENS=1 writes missing answers")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what the contract's types say.
    #[error("{path}: {message}; the format is serde's of the generated types, with JSON text under the tag !json")]
    Format {
        /// Which file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// The answer differs.
    #[error("{path} differs from the answer (- expected, + found); if the change is meant, run with UPDATE_GOLDENS=1\n{diff}")]
    Differs {
        /// Which file.
        path: PathBuf,
        /// Unified diff.
        diff: String,
    },
    /// A folder without a single case proves nothing.
    #[error("{path} has no case; a case is a folder with a request.yaml")]
    Empty {
        /// Which folder.
        path: PathBuf,
    },
}

impl GoldenError {
    /// A bounded word for it.
    pub fn category(&self) -> &'static str {
        match self {
            Self::File { .. } => "file",
            Self::Format { .. } => "format",
            Self::Differs { .. } => "differs",
            Self::Empty { .. } => "empty",
        }
    }
}

/// What a function of the contract answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome<T> {
    /// It did what was asked.
    Ok(T),
    /// It could not.
    Err(Failure),
}

impl<T> From<Result<T, Failure>> for Outcome<T> {
    fn from(result: Result<T, Failure>) -> Self {
        match result {
            Ok(value) => Self::Ok(value),
            Err(failure) => Self::Err(failure),
        }
    }
}

/// One case: a request, and where its answer lies.
#[derive(Clone, Debug)]
pub struct Golden<Q> {
    /// The folder's name.
    pub name: String,
    /// The request.
    pub request: Q,
    /// The file with the answer.
    pub response: PathBuf,
}

impl<Q: DeserializeOwned> Golden<Q> {
    /// Every case below a folder, sorted by name.
    pub fn all(folder: &Path) -> Result<Vec<Self>, GoldenError> {
        let at = |source| GoldenError::File { path: folder.to_owned(), source };
        let mut cases = Vec::new();
        for entry in fs::read_dir(folder).map_err(at)? {
            let path = entry.map_err(at)?.path();
            let request = path.join("request.yaml");
            if request.is_file() {
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                cases.push(Self { name, request: read(&request)?, response: path.join("response.yaml") });
            }
        }
        if cases.is_empty() {
            return Err(GoldenError::Empty { path: folder.to_owned() });
        }
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(cases)
    }

    /// Compares an answer with the file, or writes it with UPDATE_GOLDENS.
    pub fn hold<T: Serialize>(&self, outcome: &Outcome<T>) -> Result<(), GoldenError> {
        hold(&self.response, outcome)
    }
}

/// Runs every component case below a folder natively.
pub fn check<P: Plugin>(folder: impl AsRef<Path>) -> Result<(), GoldenError> {
    for case in Golden::<Request>::all(folder.as_ref())? {
        case.hold(&Outcome::from(P::reconcile(case.request.clone())))?;
    }
    Ok(())
}

/// Runs every seal case below a folder natively.
pub fn check_seal<P: Plugin>(folder: impl AsRef<Path>) -> Result<(), GoldenError> {
    for case in Golden::<SealRequest>::all(folder.as_ref())? {
        case.hold(&Outcome::from(P::render(case.request.clone())))?;
    }
    Ok(())
}

/// Runs every review below a folder natively.
pub fn check_review<P: Plugin>(folder: impl AsRef<Path>) -> Result<(), GoldenError> {
    for case in Golden::<ReviewRequest>::all(folder.as_ref())? {
        case.hold(&Outcome::from(P::review(case.request.clone())))?;
    }
    Ok(())
}

/// Compares the plugin's descriptor, less its version, with a file: a change of what a plugin is should be meant.
pub fn describe<P: Plugin>(file: impl AsRef<Path>) -> Result<(), GoldenError> {
    let mut descriptor = P::describe();
    // A release is no change of what the plugin is.
    descriptor.version.clear();
    hold(file.as_ref(), &descriptor)
}

/// Reads a value of the contract from a golden file.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, GoldenError> {
    let format = |message: String| GoldenError::Format { path: path.to_owned(), message };
    let text = fs::read_to_string(path).map_err(|source| GoldenError::File { path: path.to_owned(), source })?;
    let yaml: serde_yaml::Value = serde_yaml::from_str(&text).map_err(|error| format(error.to_string()))?;
    let value = untag(yaml).map_err(format)?;
    serde_json::from_value(value).map_err(|error| format(error.to_string()))
}

/// Writes a value of the contract as a golden file.
pub fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), GoldenError> {
    let text = print(path, value)?;
    let at = |source| GoldenError::File { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(at)?;
    }
    fs::write(path, text).map_err(at)
}

fn hold<T: Serialize>(path: &Path, found: &T) -> Result<(), GoldenError> {
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        return write(path, found);
    }
    let expected = fs::read_to_string(path).map_err(|source| GoldenError::File { path: path.to_owned(), source })?;
    let found = print(path, found)?;
    if expected == found {
        return Ok(());
    }
    let diff = TextDiff::from_lines(&expected, &found).unified_diff().to_string();
    Err(GoldenError::Differs { path: path.to_owned(), diff })
}

fn print<T: Serialize>(path: &Path, value: &T) -> Result<String, GoldenError> {
    let format = |message: String| GoldenError::Format { path: path.to_owned(), message };
    let value = serde_json::to_value(value).map_err(|error| format(error.to_string()))?;
    serde_yaml::to_string(&tag(&value)).map_err(|error| format(error.to_string()))
}

/// JSON as YAML with sorted keys; text that is canonical JSON of an object or a list becomes YAML under the tag.
fn tag(value: &Value) -> serde_yaml::Value {
    match value {
        Value::Null => serde_yaml::Value::Null,
        Value::Bool(boolean) => (*boolean).into(),
        Value::Number(number) => number
            .as_i64()
            .map(Into::into)
            .or_else(|| number.as_u64().map(Into::into))
            .or_else(|| number.as_f64().map(Into::into))
            .unwrap_or(serde_yaml::Value::Null),
        Value::String(text) => match embedded(text) {
            Some(inner) => serde_yaml::Value::Tagged(Box::new(TaggedValue { tag: Tag::new(JSON_TAG), value: tag(&inner) })),
            None => text.as_str().into(),
        },
        Value::Array(items) => serde_yaml::Value::Sequence(items.iter().map(tag).collect()),
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(key, _)| *key);
            serde_yaml::Value::Mapping(sorted.into_iter().map(|(key, member)| (key.as_str().into(), tag(member))).collect())
        }
    }
}

fn untag(yaml: serde_yaml::Value) -> Result<Value, String> {
    Ok(match yaml {
        serde_yaml::Value::Tagged(tagged) if tagged.tag == JSON_TAG => Value::String(canonical(&untag(tagged.value)?)),
        serde_yaml::Value::Tagged(tagged) => {
            return Err(format!("expected the tag !json, found {}", tagged.tag));
        }
        serde_yaml::Value::Sequence(items) => Value::Array(items.into_iter().map(untag).collect::<Result<_, _>>()?),
        serde_yaml::Value::Mapping(members) => Value::Object(
            members
                .into_iter()
                .map(|(key, member)| match key {
                    serde_yaml::Value::String(key) => Ok((key, untag(member)?)),
                    other => Err(format!("expected text as a key, found {other:?}")),
                })
                .collect::<Result<_, String>>()?,
        ),
        scalar => serde_json::to_value(scalar).map_err(|error| error.to_string())?,
    })
}

/// Only text that comes back the same is written as YAML, so a round trip changes nothing.
fn embedded(text: &str) -> Option<Value> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    serde_json::from_str(text).ok().filter(|value| canonical(value) == text)
}
