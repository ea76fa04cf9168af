//! What of a plugin's answer counts: a patch stays below the pointers that were declared and granted, and what people are shown is bounded.

use serde_json::{Map, Value, json};

use crate::contract::{AdmissionDescriptor, Failure, FailureClass, Json, ReviewPatch, ReviewResponse};
use crate::json::{push_token, remove_pointer, tokens};

/// What an API server shows.
const WARNINGS: usize = 16;
/// An API server shortens what is longer.
const WARNING: usize = 256;
const MESSAGE: usize = 2048;
const PATCHES: usize = 64;

/// What the API server is told.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// The write may go on.
    pub allowed: bool,
    /// Why not.
    pub message: String,
    /// For who writes.
    pub warnings: Vec<String>,
    /// A JSON patch (RFC 6902); absent where nothing changes.
    pub patch: Option<Json>,
}

/// Judges the answer of `admission` about `object`; absent where it is deleted.
///
/// # Errors
/// It changes what it may not, or what is not there to be changed: the host's own class of failure.
pub fn verdict(admission: &AdmissionDescriptor, object: Option<&Json>, response: &ReviewResponse) -> Result<Verdict, Failure> {
    let warnings = response.warnings.iter().filter(|warning| !warning.trim().is_empty()).take(WARNINGS);
    let warnings = warnings.map(|warning| line(warning, WARNING)).collect();
    if !response.allowed {
        let message =
            if response.message.trim().is_empty() { "the plugin gives no reason".to_owned() } else { line(&response.message, MESSAGE) };
        return Ok(Verdict { allowed: false, message, warnings, patch: None });
    }
    let patch = match (response.patches.as_slice(), object) {
        ([], _) => None,
        (patches, Some(object)) => patch(admission, object, patches)?,
        (_, None) => return Err(not_allowed("it changes an object that is being deleted".to_owned())),
    };
    Ok(Verdict { allowed: true, message: String::new(), warnings, patch })
}

fn patch(admission: &AdmissionDescriptor, object: &Json, patches: &[ReviewPatch]) -> Result<Option<Json>, Failure> {
    if patches.len() > PATCHES {
        return Err(not_allowed(format!("{} patches; at most {PATCHES}", patches.len())));
    }
    let mut object = object.clone();
    let mut operations = Vec::new();
    for patch in patches {
        let below = |root: &String| patch.path.strip_prefix(root.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if !admission.mutating || !admission.may_touch.iter().any(below) {
            return Err(not_allowed(format!(
                "it changes {}; its descriptor says that it may touch {}",
                crate::admit::shown(&patch.path),
                crate::admit::flow(&admission.may_touch)
            )));
        }
        match &patch.value {
            Some(value) => operations.push(set(&mut object, &patch.path, value)?),
            None => {
                if remove_pointer(&mut object, &patch.path).is_some() {
                    operations.push(json!({"op": "remove", "path": patch.path}));
                }
            }
        }
    }
    Ok((!operations.is_empty()).then_some(Value::Array(operations)))
}

/// Puts a value where the pointer leads, with the objects on the way there that are missing, and tells the operation that does so.
fn set(object: &mut Json, path: &str, value: &Json) -> Result<Json, Failure> {
    let nowhere = || not_allowed(format!("{} leads to no place in the object", crate::admit::shown(path)));
    let tokens = tokens(path).filter(|tokens| !tokens.is_empty()).ok_or_else(nowhere)?;
    let mut at = String::new();
    let mut here = object;
    for (depth, token) in tokens.iter().enumerate() {
        let is_last = depth + 1 == tokens.len();
        push_token(&mut at, token);
        match here {
            Value::Object(members) if is_last || !members.contains_key(token) => {
                let rest = tokens[depth + 1..].iter().rev();
                let value = rest.fold(value.clone(), |value, token| Value::Object(Map::from_iter([(token.clone(), value)])));
                members.insert(token.clone(), value.clone());
                return Ok(json!({"op": "add", "path": at, "value": value}));
            }
            Value::Object(members) => here = members.get_mut(token).ok_or_else(nowhere)?,
            Value::Array(items) if is_last && token == "-" => {
                items.push(value.clone());
                return Ok(json!({"op": "add", "path": at, "value": value}));
            }
            Value::Array(items) => {
                let index = token.parse::<usize>().ok().filter(|index| index.to_string() == *token).ok_or_else(nowhere)?;
                here = items.get_mut(index).ok_or_else(nowhere)?;
                if is_last {
                    *here = value.clone();
                    return Ok(json!({"op": "replace", "path": at, "value": value}));
                }
            }
            _ => return Err(nowhere()),
        }
    }
    Err(nowhere())
}

fn not_allowed(what: String) -> Failure {
    Failure {
        class: FailureClass::Plugin,
        reason: "PatchNotAllowed".to_owned(),
        message: format!("{what}; publish a version of the plugin that does not"),
        field: None,
    }
}

/// One line of at most so many bytes.
fn line(text: &str, limit: usize) -> String {
    let mut line: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.len() > limit {
        let end = (0..=limit - '…'.len_utf8()).rev().find(|end| line.is_char_boundary(*end)).unwrap_or_default();
        line.truncate(end);
        line.push('…');
    }
    line
}
