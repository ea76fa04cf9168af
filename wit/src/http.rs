//! An HTTP exchange as the host performs it for a plugin, shared by the need `http` and the action `http`: where it may go, what is
//! injected that the plugin must not see, and what of the answer comes back. Default-deny: nothing comes back but the status code and
//! the pointers listed in `expose`.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::reference::{ConfigMapKeyRef, SecretKeyRef};

/// Where a request goes and how. Method and body belong to the need or the action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Endpoint {
    /// A Service of this owner, or a host that the grants name.
    pub destination: Destination,
    /// `http` or `https`.
    #[serde(default)]
    pub scheme: Scheme,
    /// Absolute path, `/v1/sys/health`.
    pub path: String,
    /// Query parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// Headers without credentials: those are injected.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// How the server's certificate is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// How the request authenticates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Credential>,
    /// Values put in by the host that the plugin never sees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inject: Vec<Injection>,
    /// JSON pointers into the answer's body that come back to the plugin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expose: Vec<String>,
    /// Limit for the whole exchange in seconds; the host caps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
}

/// The scheme of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// Plain text.
    Http,
    /// TLS.
    #[default]
    Https,
}

/// A Service that this owner's components made, or a host that the grants name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Destination {
    /// Resolved by the host to addresses of pods that this owner's components made, never by DNS.
    Service(ServiceDestination),
    /// Resolved by DNS; refused unless a grant names it.
    Host(HostDestination),
}

/// A Service of the owner or of one of its inputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceDestination {
    /// Name of the Service.
    pub name: String,
    /// Absent: the owner's namespace. Another one only where an input came from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Port of the Service, by number.
    pub port: u16,
    /// One stable hostname behind a headless Service: `prod-0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
}

/// A host outside of the owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostDestination {
    /// DNS name, without scheme and port.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// How the server's certificate is judged. There is no way to skip that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// Certificate authority in PEM; absent: the public roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<TrustRoot>,
    /// Name that the certificate must carry; absent: the destination's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// Where that lies by which somebody is trusted: a certificate authority in PEM, or a sigstore `trusted_root.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum TrustRoot {
    /// In a Secret.
    Secret(SecretKeyRef),
    /// In a ConfigMap.
    ConfigMap(ConfigMapKeyRef),
}

impl fmt::Display for TrustRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(from) => write!(f, "key {} in Secret {}", from.key, from.secret),
            Self::ConfigMap(from) => write!(f, "key {} in ConfigMap {}", from.key, from.config_map),
        }
    }
}

/// Authenticates a request. The value stays in the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Credential {
    /// Read from a Secret at every request.
    Secret(SecretCredential),
    /// Fetched by a login and kept in memory by the host until its lease ends.
    Login(Box<Login>),
}

/// A header whose value is a key of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretCredential {
    /// Where the value lies.
    pub from: SecretKeyRef,
    /// Header that carries it: `X-Vault-Token`.
    pub header: String,
    /// Written before the value: `Bearer `.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
}

/// A login whose answer holds a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Login {
    /// Path of the login on the same destination.
    pub path: String,
    /// Method of the login.
    pub method: Method,
    /// Body of the login before injection.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub body: Value,
    /// What the host puts into the login's headers and body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inject: Vec<Injection>,
    /// Pointer to the token in the login's answer: `/auth/client_token`.
    pub token_pointer: String,
    /// Pointer to its lifetime in seconds; absent: one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_pointer: Option<String>,
    /// Header that carries the token afterwards.
    pub header: String,
    /// Written before the token: `Bearer `.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
}

/// A value that the host puts into the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Injection {
    /// Pointer into `{"headers": …, "body": …}`: `/body/jwt`, `/headers/Authorization`.
    pub pointer: String,
    /// Where the value comes from.
    pub from: InjectionSource,
    /// Written before the value: `Bearer `.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
}

/// Where an injected value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum InjectionSource {
    /// A key of a Secret, as text.
    Secret(SecretKeyRef),
    /// A token of the plugin's own service account.
    Token(TokenSource),
}

/// A token of the plugin's service account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenSource {
    /// Audience; must be among the granted ones.
    pub audience: String,
}

/// Methods that a plugin may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads.
    Get,
    /// Makes or calls.
    Post,
    /// Makes or replaces.
    Put,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
    /// Lists, in the API of OpenBao and Vault.
    List,
}

impl Method {
    /// As it goes over the line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::List => "LIST",
        }
    }
}

/// Puts a part of the answer into a Secret without showing it to the plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Capture {
    /// Pointer into the answer's body.
    pub pointer: String,
    /// Name of the Secret in the owner's namespace.
    pub secret: String,
    /// Key in it.
    pub key: String,
}

/// What comes back of an exchange.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpAnswer {
    /// Status code.
    pub status: u16,
    /// The exposed parts of the body by pointer; absent ones are left out.
    #[serde(default)]
    pub exposed: BTreeMap<String, Value>,
}
