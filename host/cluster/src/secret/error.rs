//! Why material could not be made. Messages name keys and generators, never values.

/// Why material could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The spec of an entry cannot be used.
    #[error("key {key}: generator {generator} cannot use its spec: {message}; mend it in the plugin")]
    Spec {
        /// Key of the entry.
        key: String,
        /// Its generator.
        generator: String,
        /// Expected and found.
        message: String,
    },
    /// This host cannot make it.
    #[error("generator {generator} is not supported by this host: {message}")]
    Unsupported {
        /// The generator.
        generator: String,
        /// What there is instead.
        message: String,
    },
    /// Entries refer to each other in a circle, or to nothing.
    #[error(
        "key {key}: refers to {refers_to}, which is neither made before it nor there; name a key of the same Secret or one of `secrets`"
    )]
    Reference {
        /// Key of the entry.
        key: String,
        /// What it refers to.
        refers_to: String,
    },
    /// A Secret that is needed is not one that this owner's components made.
    #[error("Secret {secret} is needed and is not one that this owner's components made, or it was replaced; its material is not used")]
    NotOurs {
        /// The Secret.
        secret: String,
    },
    /// A Secret that is needed lacks a key, or is not there yet.
    #[error("Secret {secret} with key {key} is needed and is not there yet")]
    Missing {
        /// The Secret.
        secret: String,
        /// The key.
        key: String,
    },
    /// What was made once is gone.
    #[error(
        "Secret {secret} lost its key {key}, which was made once; it is not made anew, because what depends on it would be lost silently. Put the original \
         back into the Secret, from a copy or from a pod that still has it"
    )]
    Lost {
        /// The Secret.
        secret: String,
        /// The key.
        key: String,
    },
    /// A library refused. Its message is about form, not about values.
    #[error("key {key}: {message}")]
    Made {
        /// Key of the entry.
        key: String,
        /// What it said.
        message: String,
    },
}

impl SecretError {
    /// CamelCase, bounded.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Spec { .. } => "GeneratorInvalid",
            Self::Unsupported { .. } => "GeneratorUnsupported",
            Self::Reference { .. } => "GeneratorReference",
            Self::NotOurs { .. } => "SecretNotOurs",
            Self::Missing { .. } => "SecretMissing",
            Self::Lost { .. } => "IdentityLost",
            Self::Made { .. } => "GeneratorFailed",
        }
    }

    /// Whether it may go away by itself, soon.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }
}
