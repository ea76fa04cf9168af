//! For the tests of a plugin, natively: requests to start from, and golden cases.
//!
//! A golden case is a folder with a `request.yaml` and the `response.yaml` that it must give. The format is the generated types as
//! serde writes them, with one addition: where a field holds JSON text, the file holds that JSON as YAML under the tag `!json`. The
//! same files are run through the real sandbox by whoever loads the component: see [`Golden`] for reading them.

mod golden;
mod request;

pub use golden::{Golden, GoldenError, Outcome, check, check_seal, describe, read, write};
pub use request::{platform, request, seal_request};
