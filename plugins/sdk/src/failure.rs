//! How a plugin says that it cannot serve an owner. A failure waits for a change (`invalid-config`, `unsupported`) or is a defect of
//! the plugin (`internal`).

use crate::wit::{Failure, FailureClass};

impl Failure {
    /// The owner's spec cannot be served as written. `field` is the path into the owner (`spec.unseal.keyId`); `message` says what was
    /// expected, what was found and what to do next.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { class: FailureClass::InvalidConfig, reason: "InvalidConfig".to_owned(), message: message.into(), field: Some(field.into()) }
    }

    /// This plugin or platform cannot do what was asked. `reason` is CamelCase.
    pub fn unsupported(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { class: FailureClass::Unsupported, reason: reason.into(), message: message.into(), field: None }
    }

    /// The plugin found itself in a state that it cannot explain. `reason` is CamelCase.
    pub fn internal(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { class: FailureClass::Internal, reason: reason.into(), message: message.into(), field: None }
    }

    /// The same failure with another reason, CamelCase.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// The same failure, pointing at a field of the owner.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }
}
