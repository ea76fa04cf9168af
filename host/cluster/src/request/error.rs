//! What a refusal of the API server means for us. Bounded classes; messages name account, verb and resource.

use kube::core::Status;

use super::Target;
use crate::client::ClientError;
use crate::discovery::DiscoveryError;

/// Why a request did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The object is not as it was when it was observed: changed, replaced or gone.
    #[error("{target}: the object is not the one that was observed ({message}); it is observed again")]
    Conflict {
        /// The request.
        target: String,
        /// What the API server said.
        message: String,
    },
    /// There is one of that name.
    #[error("{target}: an object of that name exists")]
    AlreadyExists {
        /// The request.
        target: String,
    },
    /// There is none.
    #[error("{target}: not found ({message})")]
    NotFound {
        /// The request.
        target: String,
        /// What the API server said; it may be the namespace that is missing.
        message: String,
    },
    /// RBAC or an admission policy does not allow it.
    #[error(
        "{account} may not {verb} {resource} in {namespace}: {message}; bind a role that allows it to the account, or narrow what the plugin asks for"
    )]
    Forbidden {
        /// `service account namespace/name`, or `the host`.
        account: String,
        /// Verb.
        verb: String,
        /// `statefulsets.apps`.
        resource: String,
        /// `namespace x`, or `the cluster`.
        namespace: String,
        /// What the API server said.
        message: String,
    },
    /// A field cannot be changed once it is set.
    #[error(
        "{target}: {field} cannot be changed once it is set ({message}); change it back, or delete the object by hand if it may be lost"
    )]
    ImmutableField {
        /// The request.
        target: String,
        /// `spec.selector`.
        field: String,
        /// What the API server said.
        message: String,
    },
    /// The object is not valid.
    #[error("{target}: refused as invalid at {}: {message}", shown(fields))]
    Invalid {
        /// The request.
        target: String,
        /// Fields that the API server named.
        fields: Vec<String>,
        /// What it said.
        message: String,
    },
    /// It may work when asked again.
    #[error("{target}: {message}; it is tried again")]
    Transient {
        /// The request.
        target: String,
        /// What happened.
        message: String,
    },
    /// The kind is not served.
    #[error("{message}")]
    NotServed {
        /// What to do.
        message: String,
    },
    /// It cannot be addressed.
    #[error("{message}")]
    Address {
        /// Expected and found.
        message: String,
    },
    /// What came back is not JSON. It is not shown, because it may hold a Secret.
    #[error("{target}: the answer is not the JSON of an object")]
    Unreadable {
        /// The request.
        target: String,
    },
    /// Any other refusal.
    #[error("{target}: refused with {code} {message}")]
    Refused {
        /// The request.
        target: String,
        /// HTTP status.
        code: u16,
        /// What the API server said.
        message: String,
    },
}

fn shown(fields: &[String]) -> String {
    if fields.is_empty() { "an unnamed field".to_owned() } else { fields.join(", ") }
}

impl ApiError {
    /// CamelCase, bounded.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "Conflict",
            Self::AlreadyExists { .. } => "AlreadyExists",
            Self::NotFound { .. } => "NotFound",
            Self::Forbidden { .. } => "Forbidden",
            Self::ImmutableField { .. } => "ImmutableField",
            Self::Invalid { .. } => "Invalid",
            Self::Transient { .. } => "Unavailable",
            Self::NotServed { .. } => "KindNotServed",
            Self::Address { .. } => "InvalidReference",
            Self::Unreadable { .. } => "UnreadableAnswer",
            Self::Refused { .. } => "Refused",
        }
    }

    /// As plugins are told: the class of an answer or of what came of an action.
    pub fn class(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not-found",
            Self::Forbidden { .. } => "not-permitted",
            Self::NotServed { .. } => "unsupported",
            Self::Address { .. } | Self::Invalid { .. } | Self::ImmutableField { .. } => "invalid",
            Self::Conflict { .. } | Self::AlreadyExists { .. } => "conflict",
            Self::Transient { .. } | Self::Unreadable { .. } | Self::Refused { .. } => "unavailable",
        }
    }

    /// Whether it may go away by itself, soon.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::Transient { .. } | Self::NotFound { .. } | Self::NotServed { .. })
    }

    pub(super) fn from_client(target: &Target, error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::from_status(target, &status),
            // The text of a body that could not be parsed is in the error.
            kube::Error::SerdeError(_) => Self::Unreadable { target: target.to_string() },
            other => Self::Transient { target: target.to_string(), message: other.to_string() },
        }
    }

    fn from_status(target: &Target, status: &Status) -> Self {
        let on = target.to_string();
        let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
        let mut fields: Vec<String> = causes.iter().map(|cause| cause.field.clone()).filter(|field| !field.is_empty()).collect();
        fields.sort();
        fields.dedup();
        // Values of a Secret that is refused must not travel on in a message.
        let message = if target.resource == "secrets" && matches!(status.code, 400 | 422 | 500) {
            "the message may hold values of the Secret and is not shown".to_owned()
        } else {
            bounded(&status.message)
        };
        if status.code == 500
            && let Some(field) = malformed_field(&status.message)
        {
            return Self::Invalid { target: on, fields: vec![field], message };
        }
        match status.code {
            401 | 403 => Self::Forbidden {
                account: target
                    .account
                    .as_ref()
                    .map_or_else(|| "the host".to_owned(), |account| format!("service account {}/{}", account.namespace, account.name)),
                verb: target.verb.to_owned(),
                resource: target.resource.clone(),
                namespace: target.namespace.as_ref().map_or_else(|| "the cluster".to_owned(), |namespace| format!("namespace {namespace}")),
                message,
            },
            404 => Self::NotFound { target: on, message },
            409 if status.reason == "AlreadyExists" => Self::AlreadyExists { target: on },
            409 => Self::Conflict { target: on, message },
            422 if fields.iter().any(|field| field == "metadata.uid") => {
                Self::Conflict { target: on, message: "its uid is another".to_owned() }
            }
            422 => {
                let immutable = causes.iter().find(|cause| speaks_of_immutability(&cause.message));
                match immutable {
                    Some(cause) => Self::ImmutableField { target: on, field: cause.field.clone(), message: bounded(&cause.message) },
                    None if fields.is_empty() && speaks_of_immutability(&status.message) => {
                        Self::ImmutableField { target: on, field: "a field that was not named".to_owned(), message }
                    }
                    None => Self::Invalid { target: on, fields, message },
                }
            }
            400 => Self::Invalid { target: on, fields, message },
            408 | 429 | 500..=599 => Self::Transient { target: on, message },
            code => Self::Refused { target: on, code, message },
        }
    }
}

/// A body of server-side apply that does not fit the schema (another type, an unknown field, a key twice) is answered 500 without a reason, as if
/// the server had failed. The field is between the object and the cause: `(ns/name; v1, Kind=ConfigMap): .data.key: expected string`.
fn malformed_field(message: &str) -> Option<String> {
    let is_ours =
        ["failed to create typed patch object (", "failed to convert new object ("].iter().any(|words| message.starts_with(words));
    let (_, rest) = message.split_once("): ").filter(|_| is_ours)?;
    let field = rest.strip_prefix('.').and_then(|rest| rest.split_once(": ")).map_or("an unnamed field", |(field, _)| field);
    Some(bounded(field))
}

/// The API server has no reason code for it; these are the words of the built-in validations and of the CEL rules that people write.
fn speaks_of_immutability(message: &str) -> bool {
    let message = message.to_lowercase();
    ["immutable", "may not change once set", "may not be changed", "cannot change roleref", "updates to statefulset spec"]
        .iter()
        .any(|words| message.contains(words))
}

fn bounded(message: &str) -> String {
    const SHOWN: usize = 1024;
    match message.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

impl From<DiscoveryError> for ApiError {
    fn from(error: DiscoveryError) -> Self {
        match error {
            DiscoveryError::NotServed { .. } => Self::NotServed { message: error.to_string() },
            DiscoveryError::Unavailable(message) => Self::Transient { target: "discovery".to_owned(), message },
        }
    }
}

impl From<ClientError> for ApiError {
    fn from(error: ClientError) -> Self {
        Self::Address { message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_body_is_the_plugins_fault_and_names_its_field() {
        let message = "failed to create typed patch object (p/x; apps/v1, Kind=Deployment): .spec.template.spec.containers[name=\"c\"].env: duplicate entries for key [name=\"A\"]";
        assert_eq!(malformed_field(message).as_deref(), Some("spec.template.spec.containers[name=\"c\"].env"));
        assert_eq!(malformed_field("etcdserver: request timed out"), None);
    }

    #[test]
    fn a_refused_secret_does_not_show_its_values() {
        let target = Target { verb: "patch", resource: "secrets".into(), namespace: Some("n".into()), name: "s".into(), account: None };
        let status = Status::failure(
            "failed to create typed patch object (n/s; v1, Kind=Secret): .data.k: expected string, got &value{hunter2}",
            "",
        )
        .with_code(500);
        let error = ApiError::from_client(&target, kube::Error::Api(status.boxed()));
        assert_eq!(error.reason(), "Invalid");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert!(error.to_string().contains("data.k"), "{error}");
    }
}
