//! What crosses between host and plugin, as the pipeline sees it: independent of any WIT version, JSON already parsed by the host.
//!
//! `banhbaoring-sandbox` translates each frozen WIT version into these types; nothing else names generated bindings. No behaviour
//! beyond small accessors lives here.

mod descriptor;
mod request;
mod response;
mod review;
mod seal;

pub use descriptor::*;
pub use request::*;
pub use response::*;
pub use review::*;
pub use seal::*;

use banhbaoring_api::inventory::ChildEntry;
use serde::{Deserialize, Serialize};

/// JSON that the host parsed itself: no duplicate keys, bounded depth and size.
pub type Json = serde_json::Value;

/// Names one Kubernetes object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectReference {
    /// `group/version`, or `v1`.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Absent for cluster-scoped objects.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl std::fmt::Display for ObjectReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {}/{}", self.kind, namespace, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

impl From<&ChildEntry> for ObjectReference {
    fn from(entry: &ChildEntry) -> Self {
        let ChildEntry { api_version, kind, namespace, name, .. } = entry;
        Self { api_version: api_version.clone(), kind: kind.clone(), namespace: namespace.clone(), name: name.clone() }
    }
}

impl ObjectReference {
    /// The API group: the part of `api_version` before the slash, empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// The same object whatever its version: group, kind, namespace, name.
    pub fn identity(&self) -> (String, String, Option<String>, String) {
        (self.group().to_owned(), self.kind.clone(), self.namespace.clone(), self.name.clone())
    }
}

/// One key of a Secret in the owner's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SecretKey {
    /// Name of the Secret.
    pub secret: String,
    /// Key in its data.
    pub key: String,
}

/// Ordered pairs, as the plugin gave them.
pub type Pairs = Vec<(String, String)>;

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FailureClass {
    /// The owner's spec cannot be served as written.
    InvalidConfig,
    /// This plugin or platform cannot do what was asked.
    Unsupported,
    /// The plugin found itself in a state that it cannot explain.
    Internal,
    /// The host's own class: trap, timeout, out of memory, unparsable answer, over a limit.
    Plugin,
}

/// Why a component or provider gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Whose fault.
    pub class: FailureClass,
    /// CamelCase.
    pub reason: String,
    /// Expected, found, what to do next.
    pub message: String,
    /// Path into the owner, `spec.unseal.keyId`.
    pub field: Option<String>,
}

impl Failure {
    /// Reason where no instance of the sandbox became free in time.
    pub const BUSY: &str = "SandboxBusy";
    /// Reason where the wall clock ran out.
    pub const TIMED_OUT: &str = "TimedOut";

    /// Whether it tells of a busy machine and not of the plugin: asked again soon, the same question may be answered.
    pub fn is_of_the_machine(&self) -> bool {
        self.class == FailureClass::Plugin && [Self::BUSY, Self::TIMED_OUT].contains(&self.reason.as_str())
    }
}
