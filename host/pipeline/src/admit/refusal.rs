//! What is wrong with an answer, collected so that somebody who mends grants sees all of it at once.

use crate::admit::Refusal;
use crate::contract::ObjectReference;

/// Why something is refused. A bounded vocabulary: it becomes a condition's reason and a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// No grant for the verbs on the resource.
    ResourceNotGranted,
    /// Granted, but not in that namespace.
    NamespaceNotGranted,
    /// Not an object that can be applied: apiVersion, kind, name or a pointer is missing or malformed.
    ObjectInvalid,
    /// Metadata that only the host or the API server writes.
    MetadataNotAllowed,
    /// Nobody serves that kind, or the host cannot know its resource.
    KindUnknown,
    /// A kind that no plugin may render.
    KindNotAllowed,
    /// The object belongs to another component.
    ObjectClaimedTwice,
    /// The plugin may not make pods at all.
    PodNotGranted,
    /// A pod template that is malformed.
    PodInvalid,
    /// A pod template beyond Pod Security `restricted`.
    HostAccessNotGranted,
    /// An account that is not the owner's own.
    ServiceAccountNotGranted,
    /// A Secret that is not the owner's own.
    SecretNotGranted,
    /// A volume claim that is not the owner's own.
    ClaimNotGranted,
    /// An audience of a token.
    AudienceNotGranted,
    /// An image.
    ImageNotGranted,
    /// A role beyond what was granted.
    RoleNotGranted,
    /// A binding of a role or to a subject that is not its own.
    BindingNotGranted,
    /// An annotation of a service account.
    AnnotationNotGranted,
    /// A label of the store's pods.
    LabelNotGranted,
    /// A Service that leads out of the cluster by name or address.
    ServiceNotAllowed,
    /// A generated Secret that is malformed.
    SecretInvalid,
    /// Something secret would be published.
    PublicationNotAllowed,
    /// A need that is malformed.
    NeedInvalid,
    /// Contents of Secrets are for nobody.
    SecretNotReadable,
    /// An action that is malformed.
    ActionInvalid,
    /// An HTTP destination, method or path.
    HttpNotGranted,
    /// A registry of an `image` need.
    RegistryNotGranted,
    /// A git host.
    GitNotGranted,
    /// More of something than a component may ask for.
    TooMuch,
    /// A condition that the descriptor does not declare.
    ConditionNotDeclared,
    /// A metric that the descriptor does not declare.
    MetricNotDeclared,
    /// An event, reason or message that is malformed.
    ReportInvalid,
    /// Status or outputs that are not an object, too large, or reach into the host's part.
    StatusNotAllowed,
    /// A seal that is malformed.
    SealInvalid,
    /// An environment variable that would change more than the seal.
    EnvironmentNotAllowed,
    /// A mount outside of where a seal may put files.
    MountNotAllowed,
}

impl Reason {
    /// CamelCase name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ResourceNotGranted => "ResourceNotGranted",
            Self::NamespaceNotGranted => "NamespaceNotGranted",
            Self::ObjectInvalid => "ObjectInvalid",
            Self::MetadataNotAllowed => "MetadataNotAllowed",
            Self::KindUnknown => "KindUnknown",
            Self::KindNotAllowed => "KindNotAllowed",
            Self::ObjectClaimedTwice => "ObjectClaimedTwice",
            Self::PodNotGranted => "PodNotGranted",
            Self::PodInvalid => "PodInvalid",
            Self::HostAccessNotGranted => "HostAccessNotGranted",
            Self::ServiceAccountNotGranted => "ServiceAccountNotGranted",
            Self::SecretNotGranted => "SecretNotGranted",
            Self::ClaimNotGranted => "ClaimNotGranted",
            Self::AudienceNotGranted => "AudienceNotGranted",
            Self::ImageNotGranted => "ImageNotGranted",
            Self::RoleNotGranted => "RoleNotGranted",
            Self::BindingNotGranted => "BindingNotGranted",
            Self::AnnotationNotGranted => "AnnotationNotGranted",
            Self::LabelNotGranted => "LabelNotGranted",
            Self::ServiceNotAllowed => "ServiceNotAllowed",
            Self::SecretInvalid => "SecretInvalid",
            Self::PublicationNotAllowed => "PublicationNotAllowed",
            Self::NeedInvalid => "NeedInvalid",
            Self::SecretNotReadable => "SecretNotReadable",
            Self::ActionInvalid => "ActionInvalid",
            Self::HttpNotGranted => "HttpNotGranted",
            Self::RegistryNotGranted => "RegistryNotGranted",
            Self::GitNotGranted => "GitNotGranted",
            Self::TooMuch => "TooMuch",
            Self::ConditionNotDeclared => "ConditionNotDeclared",
            Self::MetricNotDeclared => "MetricNotDeclared",
            Self::ReportInvalid => "ReportInvalid",
            Self::StatusNotAllowed => "StatusNotAllowed",
            Self::SealInvalid => "SealInvalid",
            Self::EnvironmentNotAllowed => "EnvironmentNotAllowed",
            Self::MountNotAllowed => "MountNotAllowed",
        }
    }
}

/// What was found in one answer.
#[derive(Debug, Default)]
pub(super) struct Findings {
    found: Vec<(Reason, Option<ObjectReference>, String)>,
    more: usize,
}

/// So many are told; the rest is counted.
const TOLD: usize = 5;
/// Limit of a refusal's message in characters.
const MESSAGE: usize = 4096;

impl Findings {
    /// Adds one.
    pub(super) fn add(&mut self, reason: Reason, subject: Option<&ObjectReference>, message: String) {
        if self.found.len() < TOLD {
            if !self.found.iter().any(|(_, _, told)| *told == message) {
                self.found.push((reason, subject.cloned(), message));
            }
        } else {
            self.more += 1;
        }
    }

    /// How many were found, each counted once.
    pub(super) fn count(&self) -> usize {
        self.found.len() + self.more
    }

    /// The refusal that follows; `None` if nothing was found.
    pub(super) fn refusal(self, component: &str, plugin: &str) -> Option<Refusal> {
        let (reason, subject, _) = self.found.first()?.clone();
        let told: Vec<&str> = self.found.iter().map(|(_, _, message)| message.as_str()).collect();
        let mut message = told.join("; also: ");
        if self.more > 0 {
            message.push_str(&format!("; and {} more", self.more));
        }
        if message.chars().count() > MESSAGE {
            message = message.chars().take(MESSAGE).collect();
        }
        Some(Refusal { component: component.to_owned(), plugin: plugin.to_owned(), reason: reason.as_str().to_owned(), subject, message })
    }
}

/// Text of a plugin as it may stand in a message: short, without control characters.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(128).flat_map(char::escape_debug).collect();
    if text.chars().nth(128).is_some() {
        shown.push('…');
    }
    shown
}

/// A list as YAML flow, `[get, patch]`.
pub(crate) fn flow<S: AsRef<str>>(items: &[S]) -> String {
    let items: Vec<String> =
        items.iter().map(|item| if item.as_ref().is_empty() { "\"\"".to_owned() } else { shown(item.as_ref()) }).collect();
    format!("[{}]", items.join(", "))
}
