//! Why a call gave no usable answer. Every variant has a bounded reason for conditions and metrics, and becomes the host's own failure
//! class: it is about this component of this owner and nobody else.

use banhbaoring_pipeline::contract::{Failure, FailureClass};

/// Longest text of a plugin or of the engine that goes into a message, in characters.
const EXCERPT: usize = 256;

/// Why a call into a plugin gave no usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No instance became free in time. Not the plugin's fault: the call is worth repeating.
    #[error("every instance of the sandbox was busy for {waited_ms} ms; the call is repeated later")]
    Busy {
        /// Milliseconds waited.
        waited_ms: u128,
    },
    /// The guest trapped: a panic, an out-of-bounds access, a division by zero.
    #[error("the plugin trapped ({trap}); report it to its author together with the owner's spec")]
    Trapped {
        /// The engine's description of the trap.
        trap: String,
    },
    /// It used more CPU than its limit.
    #[error("the plugin used more than its CPU limit of {limit_ms} ms; a plugin that needs more is given it by spec.limits.cpu")]
    OutOfCpu {
        /// The limit in milliseconds.
        limit_ms: u128,
    },
    /// It took longer than its wall-clock limit.
    #[error("the plugin did not answer within {limit_ms} ms; a plugin that needs more is given it by spec.limits.timeout")]
    TimedOut {
        /// The limit in milliseconds.
        limit_ms: u128,
    },
    /// It asked for more memory than its limit.
    #[error(
        "the plugin asked for {wanted} bytes of memory, its limit is {limit}; a plugin that needs more is given it by spec.limits.memory"
    )]
    OutOfMemory {
        /// Bytes that it would have had.
        wanted: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Its calls nested too deeply.
    #[error("the plugin's call stack overflowed; report it to its author together with the owner's spec")]
    StackOverflow,
    /// Its instance has a table, or more instances, memories or tables, than the host gives to any plugin.
    #[error("the plugin's instance is too large for the sandbox: {detail}")]
    TooManyResources {
        /// What and how much.
        detail: String,
    },
    /// Its answer has more bytes than the limit.
    #[error("the plugin's answer is larger than {limit} bytes; it must ask for less at once")]
    ResponseTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A list of its answer has more entries than the limit.
    #[error("the plugin's answer has {found} {what}, at most {limit} are taken")]
    TooMany {
        /// Which list.
        what: String,
        /// Its entries.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A JSON text of its answer is not strict JSON within the limits.
    #[error("{at} of the plugin's answer is not acceptable JSON: {detail}")]
    InvalidJson {
        /// Where, `objects[3].manifest`.
        at: String,
        /// What is wrong.
        detail: String,
    },
    /// A value of its answer is not what the contract says.
    #[error("{at} of the plugin's answer: {detail}")]
    InvalidValue {
        /// Where.
        at: String,
        /// Expected and found.
        detail: String,
    },
    /// Its answer breaks the canonical ABI: text that is not UTF-8, a pointer out of bounds.
    #[error("the plugin's answer cannot be read: {detail}")]
    Malformed {
        /// The engine's description.
        detail: String,
    },
    /// It does not export what was called.
    #[error("the plugin does not export {interface}, which its descriptor or a slot led to")]
    MissingInterface {
        /// The interface.
        interface: &'static str,
    },
    /// Two calls of `describe` gave different descriptors.
    #[error("the plugin describes itself differently each time ({difference}); a plugin's answers depend on their input alone")]
    DescriptorUnstable {
        /// The first part that differs.
        difference: String,
    },
    /// Two calls with the same input gave different answers.
    #[error("the plugin answered the same input differently; a plugin's answers depend on their input alone")]
    NotDeterministic,
}

impl CallError {
    /// CamelCase, bounded: for conditions and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Busy { .. } => Failure::BUSY,
            Self::Trapped { .. } => "PluginTrapped",
            Self::OutOfCpu { .. } => "CpuLimitExceeded",
            Self::TimedOut { .. } => Failure::TIMED_OUT,
            Self::OutOfMemory { .. } => "MemoryLimitExceeded",
            Self::StackOverflow => "StackOverflow",
            Self::TooManyResources { .. } => "InstanceTooLarge",
            Self::ResponseTooLarge { .. } => "ResponseTooLarge",
            Self::TooMany { .. } => "TooManyItems",
            Self::InvalidJson { .. } => "InvalidJson",
            Self::InvalidValue { .. } => "InvalidAnswer",
            Self::Malformed { .. } => "MalformedAnswer",
            Self::MissingInterface { .. } => "MissingInterface",
            Self::DescriptorUnstable { .. } => "DescriptorUnstable",
            Self::NotDeterministic => "NotDeterministic",
        }
    }

    pub(crate) fn invalid(at: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::InvalidValue { at: at.into(), detail: detail.into() }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self { class: FailureClass::Plugin, reason: error.reason().to_owned(), message: error.to_string(), field: None }
    }
}

/// `text` cut to what a message carries, without control characters.
pub(crate) fn excerpt(text: &str) -> String {
    let mut cut: String = text.chars().take(EXCERPT).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(EXCERPT).is_some() {
        cut.push('…');
    }
    cut
}
