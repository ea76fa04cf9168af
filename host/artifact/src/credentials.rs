//! Registry credentials from `.dockerconfigjson` and `.dockercfg`, and which of them belongs to a repository.
//!
//! Nothing here talks to a registry, and no secret leaves through `Debug`, `Display` or an error.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::reference::Repository;

/// Larger files are no credentials.
const MAX_BYTES: usize = 1 << 20;
const MAX_ENTRIES: usize = 1000;

/// What is wrong with a credentials file. Never quotes its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// Not the JSON that the Secret's type promises.
    #[error(
        "the pull secret's {form} is not readable: expected {expected}, found an error at line {line} column {column}; recreate it with `kubectl create secret docker-registry`"
    )]
    Malformed {
        /// The key of the Secret.
        form: &'static str,
        /// The shape that belongs there.
        expected: &'static str,
        /// Line of the error.
        line: usize,
        /// Column of the error.
        column: usize,
    },
    /// More than 1 MiB or more than 1000 registries.
    #[error("the pull secret's {form} is too large: expected at most 1 MiB and 1000 registries; split it")]
    TooLarge {
        /// The key of the Secret.
        form: &'static str,
    },
    /// An `auth` field is not base64 of `user:password`.
    #[error("the pull secret's entry for {registry:?} is not readable: expected auth to be base64 of user:password; recreate it")]
    Auth {
        /// The registry whose entry is wrong.
        registry: String,
    },
}

impl CredentialsError {
    /// Condition reason; one of a fixed set.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        "InvalidPullSecret"
    }
}

/// What one registry is told. Prints without its secrets.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// Nothing.
    Anonymous,
    /// User and password; also exchanged for a token where the registry asks for one.
    Basic { username: String, password: String },
    /// A refresh token, exchanged for an access token.
    IdentityToken(String),
    /// An access token, sent as it is.
    RegistryToken(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic(<redacted>)",
            Self::IdentityToken(_) => "IdentityToken(<redacted>)",
            Self::RegistryToken(_) => "RegistryToken(<redacted>)",
        })
    }
}

#[derive(Clone)]
struct Entry {
    host: String,
    path: String,
    credential: Credential,
}

/// Credentials of any number of registries. `Debug` names the registries and nothing else.
#[derive(Clone, Default)]
pub struct Credentials {
    entries: Vec<Entry>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries.iter().map(|entry| format!("{}/{}", entry.host, entry.path))).finish()
    }
}

impl Credentials {
    /// No credentials: public repositories only.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// User and password of one registry (`host[:port]`, optionally with a path).
    #[must_use]
    pub fn basic(registry: &str, username: &str, password: &str) -> Self {
        let credential = Credential::Basic { username: username.to_owned(), password: password.to_owned() };
        Self { entries: vec![entry(registry, credential)] }
    }

    /// From the value of `.dockerconfigjson`: `{"auths": {"registry": {…}}}`.
    ///
    /// # Errors
    /// Not that shape, too large, or an `auth` that is not base64 of `user:password`.
    pub fn from_dockerconfigjson(bytes: &[u8]) -> Result<Self, CredentialsError> {
        #[derive(Deserialize)]
        struct File {
            #[serde(default)]
            auths: BTreeMap<String, DockerAuth>,
        }
        let form = ".dockerconfigjson";
        let file: File = parse(bytes, form, r#"{"auths": {"registry": {"auth": "…"}}}"#)?;
        Self::from_entries(file.auths, form)
    }

    /// From the value of the older `.dockercfg`: `{"registry": {…}}` without `auths`.
    ///
    /// # Errors
    /// As [`Self::from_dockerconfigjson`].
    pub fn from_dockercfg(bytes: &[u8]) -> Result<Self, CredentialsError> {
        let form = ".dockercfg";
        Self::from_entries(parse(bytes, form, r#"{"registry": {"auth": "…"}}"#)?, form)
    }

    /// Adds the entries of `more` behind these; where both fit a repository equally well, these win.
    #[must_use]
    pub fn or(mut self, more: Self) -> Self {
        self.entries.extend(more.entries);
        self
    }

    fn from_entries(auths: BTreeMap<String, DockerAuth>, form: &'static str) -> Result<Self, CredentialsError> {
        if auths.len() > MAX_ENTRIES {
            return Err(CredentialsError::TooLarge { form });
        }
        let mut entries = Vec::new();
        for (registry, auth) in auths {
            if let Some(credential) = auth.credential(&registry)? {
                entries.push(entry(&registry, credential));
            }
        }
        Ok(Self { entries })
    }

    /// The credential for a repository: an exact host wins over a wildcard, then the longest path.
    pub(crate) fn of(&self, repository: &Repository) -> Credential {
        let host = canonical_host(repository.host());
        let mut best: Option<((bool, usize), &Entry)> = None;
        for entry in &self.entries {
            let exact = entry.host == host;
            if !(exact || wildcard(&entry.host, host)) || !path_covers(&entry.path, repository.path()) {
                continue;
            }
            let rank = (exact, entry.path.len());
            if best.is_none_or(|(found, _)| rank > found) {
                best = Some((rank, entry));
            }
        }
        best.map_or(Credential::Anonymous, |(_, entry)| entry.credential.clone())
    }
}

fn parse<T: for<'de> Deserialize<'de>>(bytes: &[u8], form: &'static str, expected: &'static str) -> Result<T, CredentialsError> {
    if bytes.len() > MAX_BYTES {
        return Err(CredentialsError::TooLarge { form });
    }
    // serde's message may quote a value, which here is a secret.
    serde_json::from_slice(bytes).map_err(|error| CredentialsError::Malformed {
        form,
        expected,
        line: error.line(),
        column: error.column(),
    })
}

#[derive(Deserialize)]
struct DockerAuth {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    auth: String,
    #[serde(default)]
    identitytoken: String,
    #[serde(default)]
    registrytoken: String,
}

impl DockerAuth {
    fn credential(self, registry: &str) -> Result<Option<Credential>, CredentialsError> {
        if !self.identitytoken.is_empty() {
            return Ok(Some(Credential::IdentityToken(self.identitytoken)));
        }
        if !self.registrytoken.is_empty() {
            return Ok(Some(Credential::RegistryToken(self.registrytoken)));
        }
        if !self.auth.is_empty() {
            let wrong = || CredentialsError::Auth { registry: registry.chars().take(200).collect() };
            let decoded = STANDARD.decode(self.auth.trim()).map_err(|_| wrong())?;
            let text = String::from_utf8(decoded).map_err(|_| wrong())?;
            let (username, password) = text.split_once(':').ok_or_else(wrong)?;
            let password = password.trim_end_matches('\0');
            return Ok(Some(Credential::Basic { username: username.to_owned(), password: password.to_owned() }));
        }
        if !self.username.is_empty() {
            return Ok(Some(Credential::Basic { username: self.username, password: self.password }));
        }
        // An empty entry is what a credential helper leaves behind.
        Ok(None)
    }
}

fn entry(registry: &str, credential: Credential) -> Entry {
    let bare = registry.strip_prefix("https://").or_else(|| registry.strip_prefix("http://")).unwrap_or(registry);
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let path = path.trim_matches('/');
    // `https://index.docker.io/v1/` is the API's address, not a path of repositories.
    let path = if matches!(path, "v1" | "v2") { "" } else { path };
    Entry { host: canonical_host(host).to_owned(), path: path.to_owned(), credential }
}

fn canonical_host(host: &str) -> &str {
    match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        other => other,
    }
}

/// `*.example.com` covers one label, as the kubelet has it.
fn wildcard(pattern: &str, host: &str) -> bool {
    if !pattern.contains('*') {
        return false;
    }
    let (pattern_labels, host_labels): (Vec<_>, Vec<_>) = (pattern.split('.').collect(), host.split('.').collect());
    pattern_labels.len() == host_labels.len() && pattern_labels.iter().zip(&host_labels).all(|(p, h)| *p == "*" || p == h)
}

fn path_covers(prefix: &str, path: &str) -> bool {
    prefix.is_empty() || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(text: &str) -> Repository {
        text.parse().unwrap()
    }

    fn basic(username: &str, password: &str) -> Credential {
        Credential::Basic { username: username.to_owned(), password: password.to_owned() }
    }

    #[test]
    fn the_two_shapes_of_docker_credentials_are_told_apart() {
        let inner = format!(r#"{{"r.example.com": {{"auth": "{}"}}}}"#, STANDARD.encode("user:pa:ss"));
        let new = Credentials::from_dockerconfigjson(format!(r#"{{"auths": {inner}}}"#).as_bytes()).unwrap();
        let old = Credentials::from_dockercfg(inner.as_bytes()).unwrap();
        for credentials in [new, old] {
            assert_eq!(credentials.of(&repository("r.example.com/a/b")), basic("user", "pa:ss"));
            assert_eq!(credentials.of(&repository("other.example.com/a")), Credential::Anonymous);
        }
        let wrong_shape = Credentials::from_dockerconfigjson(inner.as_bytes()).unwrap();
        assert_eq!(wrong_shape.of(&repository("r.example.com/a")), Credential::Anonymous);
    }

    #[test]
    fn the_longest_path_of_the_same_host_and_port_wins() {
        let file = br#"{
            "https://r.example.com": {"username": "whole", "password": "1"},
            "r.example.com/team": {"username": "team", "password": "2"},
            "r.example.com/team/sub": {"username": "sub", "password": "3"},
            "r.example.com:8443": {"username": "port", "password": "4"},
            "*.example.com": {"username": "wild", "password": "5"},
            "https://index.docker.io/v1/": {"username": "hub", "password": "6"},
            "empty.example.com": {}
        }"#;
        let credentials = Credentials::from_dockercfg(file).unwrap();
        let user = |name: &str| match credentials.of(&repository(name)) {
            Credential::Basic { username, .. } => username,
            other => format!("{other:?}"),
        };
        assert_eq!(user("r.example.com/x"), "whole");
        assert_eq!(user("r.example.com/team/x"), "team");
        assert_eq!(user("r.example.com/teammate/x"), "whole");
        assert_eq!(user("r.example.com/team/sub"), "sub");
        assert_eq!(user("r.example.com:8443/team/sub"), "port");
        assert_eq!(user("q.example.com/x"), "wild");
        assert_eq!(user("a.b.example.com/x"), "Anonymous");
        assert_eq!(user("docker.io/library/x"), "hub");
    }

    #[test]
    fn no_secret_is_printed_by_debug_or_an_error() {
        let credentials = Credentials::basic("r.example.com", "user", "hunter2");
        let printed = format!("{credentials:?} {:?}", credentials.of(&repository("r.example.com/x")));
        assert!(!printed.contains("hunter2") && !printed.contains("user"), "{printed}");

        let bad = br#"{"auths": {"r.example.com": {"auth": ["hunter2"]}}}"#;
        let error = Credentials::from_dockerconfigjson(bad).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        let bad = format!(r#"{{"r": {{"auth": "{}"}}}}"#, STANDARD.encode("hunter2"));
        let error = Credentials::from_dockercfg(bad.as_bytes()).unwrap_err();
        assert_eq!(error, CredentialsError::Auth { registry: "r".to_owned() });
    }
}
