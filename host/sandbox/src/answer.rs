//! Reads what came back from a plugin: counts lists, parses JSON strictly, bounds texts. Shared by all contract versions, which say where
//! each part lies.

use banhbaoring_pipeline::contract::Json;
use banhbaoring_pipeline::json;

use crate::error::{CallError, excerpt};
use crate::limits::ResponseLimits;

/// Longest reason, in bytes: what Kubernetes takes as a condition's.
const REASON: usize = 1_024;
/// Longest message, in bytes: what Kubernetes takes as a condition's.
const MESSAGE: usize = 32_768;

/// Reads one answer. The budget of JSON values is one for all its texts: a text of four million zeros would be a hundred times its size
/// in memory once parsed.
pub(crate) struct Reader {
    limits: ResponseLimits,
    nodes: usize,
}

impl Reader {
    pub(crate) fn new(limits: ResponseLimits) -> Self {
        Self { limits, nodes: limits.nodes }
    }

    pub(crate) fn limits(&self) -> &ResponseLimits {
        &self.limits
    }

    /// Any JSON.
    pub(crate) fn json(&mut self, at: &str, text: &str) -> Result<Json, CallError> {
        let limits = json::Limits { max_bytes: self.limits.bytes, max_depth: self.limits.depth, max_nodes: self.nodes };
        let value =
            json::parse(text, &limits).map_err(|e| CallError::InvalidJson { at: at.to_owned(), detail: excerpt(&e.to_string()) })?;
        self.nodes = self.nodes.saturating_sub(nodes(&value));
        Ok(value)
    }

    /// A JSON object.
    pub(crate) fn object(&mut self, at: &str, text: &str) -> Result<Json, CallError> {
        let value = self.json(at, text)?;
        if value.is_object() {
            Ok(value)
        } else {
            Err(CallError::InvalidJson { at: at.to_owned(), detail: "expected a JSON object".to_owned() })
        }
    }

    pub(crate) fn optional(&mut self, at: &str, text: Option<&str>) -> Result<Option<Json>, CallError> {
        text.map(|text| self.object(at, text)).transpose()
    }

    /// A list of at most `limit` entries.
    pub(crate) fn counted<T>(what: &str, list: Vec<T>, limit: usize) -> Result<Vec<T>, CallError> {
        if list.len() > limit {
            return Err(CallError::TooMany { what: what.to_owned(), found: list.len(), limit });
        }
        Ok(list)
    }

    /// A list of details: labels, pointers.
    pub(crate) fn entries<T>(&self, what: &str, list: Vec<T>) -> Result<Vec<T>, CallError> {
        Self::counted(what, list, self.limits.entries)
    }

    pub(crate) fn reason(at: &str, reason: String) -> Result<String, CallError> {
        bounded(at, reason, REASON)
    }

    pub(crate) fn message(at: &str, message: String) -> Result<String, CallError> {
        bounded(at, message, MESSAGE)
    }
}

fn bounded(at: &str, text: String, limit: usize) -> Result<String, CallError> {
    if text.len() > limit {
        return Err(CallError::invalid(at, format!("expected at most {limit} bytes, found {}", text.len())));
    }
    Ok(text)
}

/// Values in `value`, itself included. Recursion is bounded: the depth was when it was parsed.
fn nodes(value: &Json) -> usize {
    1 + match value {
        Json::Array(items) => items.iter().map(nodes).sum(),
        Json::Object(members) => members.values().map(nodes).sum(),
        _ => 0,
    }
}
