//! One request to the API server for one object: how it is addressed, sent with a deadline, and what its refusal means. What is asked and why is
//! decided elsewhere. Bodies are parsed here and not by the client library, which logs what it cannot parse, and a body may be a Secret.

mod collection;
mod error;

use std::future::Future;
use std::time::Duration;

use banhbaoring_api::plugin::NamespacedName;
use banhbaoring_pipeline::contract::ObjectReference;
use http::{Method, Request};
use kube::Client;
use serde_json::{Value, json};

pub(crate) use collection::Collection;
pub use error::ApiError;

use crate::client::Clients;
use crate::discovery::{Discovery, ServedKind};

const DEADLINE: Duration = Duration::from_secs(30);
const JSON: &str = "application/json";
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const APPLY: &str = "application/apply-patch+yaml";
const JSON_PATCH: &str = "application/json-patch+json";

/// What a request is about, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `get`, `patch`, …
    pub verb: &'static str,
    /// `statefulsets.apps`.
    pub resource: String,
    /// Absent for cluster-scoped objects.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// The account that was impersonated; absent: the host itself.
    pub account: Option<NamespacedName>,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        match &self.namespace {
            Some(namespace) => write!(f, " {namespace}/{}", self.name)?,
            None => write!(f, " {}", self.name)?,
        }
        match &self.account {
            Some(account) => write!(f, " as {}/{}", account.namespace, account.name),
            None => f.write_str(" as the host"),
        }
    }
}

/// Waits for an answer, not for ever, and gives a refusal its meaning.
pub(crate) async fn within<T>(target: &Target, answer: impl Future<Output = Result<T, kube::Error>>) -> Result<T, ApiError> {
    match tokio::time::timeout(DEADLINE, answer).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(ApiError::from_client(target, error)),
        Err(_) => Err(ApiError::Transient { target: target.to_string(), message: format!("no answer within {} s", DEADLINE.as_secs()) }),
    }
}

/// What is deleted together with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// How much of the object comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Metadata,
    Whole,
}

impl Answer {
    fn accept(self) -> &'static str {
        match self {
            Self::Metadata => METADATA,
            Self::Whole => JSON,
        }
    }
}

/// One object, under one account.
#[derive(Clone)]
pub(crate) struct Endpoint {
    client: Client,
    account: Option<NamespacedName>,
    kind: ServedKind,
    namespace: Option<String>,
    name: String,
}

impl Endpoint {
    /// Finds out how the object is addressed.
    pub(crate) async fn find(
        clients: &Clients,
        discovery: &Discovery,
        account: Option<&NamespacedName>,
        reference: &ObjectReference,
    ) -> Result<Self, ApiError> {
        let kind = discovery.kind(&reference.api_version, &reference.kind).await?;
        if !is_segment(&reference.name) || !reference.namespace.as_deref().is_none_or(is_segment) {
            return Err(ApiError::Address { message: format!("expected the name of an object, found {reference}") });
        }
        if kind.namespaced != reference.namespace.is_some() {
            let expected = if kind.namespaced { "a namespace" } else { "no namespace" };
            return Err(ApiError::Address { message: format!("expected {expected} for kind {}, found {reference}", kind.kind) });
        }
        let client = match account {
            Some(account) => clients.acting_as(account)?,
            None => clients.host().clone(),
        };
        Ok(Self { client, account: account.cloned(), kind, namespace: reference.namespace.clone(), name: reference.name.clone() })
    }

    /// An object of the host's own, which it looks after with its own client. `name` is made by the host and can stand in a path.
    pub(crate) fn of_host(host: Client, kind: ServedKind, namespace: &str, name: &str) -> Self {
        Self { client: host, account: None, kind, namespace: Some(namespace.to_owned()), name: name.to_owned() }
    }

    fn target(&self, verb: &'static str) -> Target {
        Target {
            verb,
            resource: self.kind.resource(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            account: self.account.clone(),
        }
    }

    fn collection(&self) -> String {
        collection_path(&self.kind, self.namespace.as_deref())
    }

    fn path(&self) -> String {
        format!("{}/{}", self.collection(), self.name)
    }

    async fn send(
        &self,
        verb: &'static str,
        uri: String,
        headers: &[(&str, &str)],
        method: Method,
        body: Vec<u8>,
    ) -> Result<Value, ApiError> {
        let target = self.target(verb);
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).map_err(|error| ApiError::Address { message: error.to_string() })?;
        let text = within(&target, self.client.request_text(request)).await?;
        serde_json::from_str(&text).map_err(|_| ApiError::Unreadable { target: target.to_string() })
    }

    /// The object, or `None` where there is none.
    pub(crate) async fn get(&self, answer: Answer) -> Result<Option<Value>, ApiError> {
        match self.send("get", self.path(), &[("accept", answer.accept())], Method::GET, Vec::new()).await {
            Ok(object) => Ok(Some(object)),
            Err(ApiError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Server-side apply, forced and strictly validated.
    pub(crate) async fn apply(&self, manifest: &Value, manager: &str, answer: Answer) -> Result<Value, ApiError> {
        let uri = format!("{}?fieldManager={}&force=true&fieldValidation=Strict", self.path(), percent_encoded(manager));
        let body = serde_json::to_vec(manifest).map_err(|_| ApiError::Unreadable { target: self.target("patch").to_string() })?;
        self.send("patch", uri, &[("accept", answer.accept()), ("content-type", APPLY)], Method::PATCH, body).await
    }

    /// A JSON patch; its `test` operations are what it depends on.
    pub(crate) async fn json_patch(&self, operations: &Value, answer: Answer) -> Result<Value, ApiError> {
        let body = serde_json::to_vec(operations).map_err(|_| ApiError::Unreadable { target: self.target("patch").to_string() })?;
        self.send("patch", self.path(), &[("accept", answer.accept()), ("content-type", JSON_PATCH)], Method::PATCH, body).await
    }

    /// Makes it where there is none of its name; `body` is the whole object. Answers with its metadata.
    pub(crate) async fn create(&self, body: Vec<u8>) -> Result<Value, ApiError> {
        self.send("create", self.collection(), &[("accept", METADATA), ("content-type", JSON)], Method::POST, body).await
    }

    /// Replaces it; `body` is the whole object and says the version that it replaces. Answers with its metadata.
    pub(crate) async fn replace(&self, body: Vec<u8>) -> Result<Value, ApiError> {
        self.send("update", self.path(), &[("accept", METADATA), ("content-type", JSON)], Method::PUT, body).await
    }

    /// Deletes exactly this object. `true` when it is gone, `false` when it waits for finalizers.
    pub(crate) async fn delete(&self, uid: &str, resource_version: Option<&str>, propagation: Propagation) -> Result<bool, ApiError> {
        let mut preconditions = json!({"uid": uid});
        if let Some(resource_version) = resource_version {
            preconditions["resourceVersion"] = json!(resource_version);
        }
        self.delete_as(&preconditions, propagation).await
    }

    /// Deletes it in exactly this version.
    pub(crate) async fn delete_version(&self, resource_version: &str) -> Result<bool, ApiError> {
        self.delete_as(&json!({"resourceVersion": resource_version}), Propagation::Background).await
    }

    async fn delete_as(&self, preconditions: &Value, propagation: Propagation) -> Result<bool, ApiError> {
        let policy = match propagation {
            Propagation::Background => "Background",
            Propagation::Foreground => "Foreground",
            Propagation::Orphan => "Orphan",
        };
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy, "preconditions": preconditions});
        let body = options.to_string().into_bytes();
        let answer = self.send("delete", self.path(), &[("accept", JSON), ("content-type", JSON)], Method::DELETE, body).await?;
        Ok(answer.get("kind").and_then(Value::as_str) == Some("Status") || answer.pointer("/metadata/deletionTimestamp").is_none())
    }
}

fn collection_path(kind: &ServedKind, namespace: Option<&str>) -> String {
    let root = if kind.group().is_empty() { "api" } else { "apis" };
    let namespace = namespace.map(|namespace| format!("/namespaces/{namespace}")).unwrap_or_default();
    format!("/{root}/{}{namespace}/{}", kind.api_version, kind.plural)
}

/// Whether it can stand as one segment of a path, and as nothing else.
fn is_segment(text: &str) -> bool {
    let harmless = |b: u8| b.is_ascii_graphic() && !matches!(b, b'/' | b'%' | b'?' | b'#' | b'\\');
    (1..=253).contains(&text.len()) && !matches!(text, "." | "..") && text.bytes().all(harmless)
}

/// As a value in a query.
fn percent_encoded(text: &str) -> String {
    text.bytes().map(|b| if b.is_ascii_alphanumeric() || b == b'-' { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// The text at a pointer; empty where there is none.
pub(crate) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// What metadata says of an object, trimmed to what decisions need.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) uid: String,
    pub(crate) resource_version: String,
    pub(crate) controller: Option<String>,
    pub(crate) deleting: bool,
    pub(crate) annotations: serde_json::Map<String, Value>,
    pub(crate) managed_fields: Vec<Value>,
}

impl Seen {
    /// From a whole object or metadata alone.
    pub(crate) fn of(object: &Value) -> Self {
        let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        let controller = owners
            .into_iter()
            .flatten()
            .find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true))
            .and_then(|owner| owner.get("uid"))
            .and_then(Value::as_str)
            .map(ToOwned::to_owned);
        Self {
            uid: text(object, "/metadata/uid").to_owned(),
            resource_version: text(object, "/metadata/resourceVersion").to_owned(),
            controller,
            deleting: object.pointer("/metadata/deletionTimestamp").is_some(),
            annotations: object.pointer("/metadata/annotations").and_then(Value::as_object).cloned().unwrap_or_default(),
            managed_fields: object.pointer("/metadata/managedFields").and_then(Value::as_array).cloned().unwrap_or_default(),
        }
    }
}
