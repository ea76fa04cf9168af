//! Strict parsing of JSON from plugins and other outsiders: bounded size and depth, no duplicate keys. Only what was parsed here is ever
//! applied. Also the canonical form that hashes and memo keys are made of, and JSON pointers (RFC 6901).
//!
//! Knowledge of any object, schema or kind must not live here.

mod canonical;
mod parse;
mod pointer;

pub use canonical::{canonical, hash, write_canonical};
pub use parse::{JsonError, Limits, parse};
pub use pointer::{get, project, push_token, remove_pointer, tokens};
