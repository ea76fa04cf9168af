//! Names of artifacts: repositories, tags, sha256 digests and the choice between digest, version range and tag.
//!
//! Parsing and printing only; nothing here does I/O (asking a registry lives in `source`, ranges in `version_range`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::version_range::VersionRange;

/// A reference longer than this is refused before it is looked at.
const MAX_REFERENCE: usize = 1024;

/// What is wrong with a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The text is not `oci://host[:port]/path[:tag][@sha256:…]`.
    #[error("{input:?} is not an OCI reference: expected oci://host[:port]/path[:tag][@sha256:…], found {found}; correct the url")]
    Malformed {
        /// What was given, cut to 200 characters.
        input: String,
        /// What is wrong with it.
        found: String,
    },
    /// The text is not `sha256:` followed by 64 lower-case hexadecimal digits.
    #[error(
        "{input:?} is not a digest: expected sha256: and 64 lower-case hexadecimal digits; copy the digest that the registry or `plugin push` printed"
    )]
    Digest {
        /// What was given, cut to 200 characters.
        input: String,
    },
    /// The text is not a tag.
    #[error("{input:?} is not a tag: expected at most 128 characters of A-Z a-z 0-9 _ . - that do not begin with . or -")]
    Tag {
        /// What was given, cut to 200 characters.
        input: String,
    },
    /// The text is not a version range.
    #[error(
        "{input:?} is not a version range: {found}; expected for example 1.2.3, 1.x, ~1.2, ^1.2, \">=1.0.0 <2.0.0\" or ranges joined by ||"
    )]
    Range {
        /// What was given, cut to 200 characters.
        input: String,
        /// What the parser said.
        found: String,
    },
}

impl ReferenceError {
    /// Condition reason; one of a fixed set.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        "InvalidReference"
    }
}

pub(crate) fn shortened(input: &str) -> String {
    input.chars().take(200).collect()
}

/// A sha256 digest. Printed as `sha256:<64 hex>`; other algorithms are refused because cosign's signatures name sha256 only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// 64 lower-case hexadecimal digits without the `sha256:`.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// The tag under which registries without the Referrers API keep the index of referrers: `sha256-<hex>`.
    pub(crate) fn fallback_tag(&self) -> Tag {
        Tag(format!("sha256-{}", self.hex()))
    }

    /// The tag under which cosign's version 2 form keeps signatures: `sha256-<hex>.sig`.
    pub(crate) fn signature_tag(&self) -> Tag {
        Tag(format!("sha256-{}.sig", self.hex()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ReferenceError::Digest { input: shortened(text) };
        let digits = text.strip_prefix("sha256:").ok_or_else(wrong)?;
        if digits.len() != 64 || !digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| wrong())?;
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A tag: at most 128 characters of `A-Z a-z 0-9 _ . -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag(String);

impl Tag {
    /// The tag's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        let begins = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
        if begins && text.len() <= 128 && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ReferenceError::Tag { input: shortened(text) })
        }
    }
}

/// A repository in a registry: `host[:port]` and the path below it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    host: String,
    path: String,
}

impl Repository {
    /// The registry as written, `host[:port]`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path of the repository in its registry, without a leading slash.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The `host[:port]` that answers the API; differs from [`Self::host`] for Docker Hub alone.
    pub(crate) fn api_host(&self) -> &str {
        match self.host.as_str() {
            "docker.io" => "registry-1.docker.io",
            other => other,
        }
    }

    /// Whether the registry can only be this very machine.
    pub(crate) fn is_loopback(&self) -> bool {
        match url::Url::parse(&format!("http://{}/", self.host)).ok().as_ref().and_then(url::Url::host) {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    /// Accepts `host[:port]/path` with or without `oci://`, without tag and digest.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |found: &str| ReferenceError::Malformed { input: shortened(text), found: found.to_owned() };
        if text.len() > MAX_REFERENCE {
            return Err(wrong("more than 1024 characters"));
        }
        let bare = text.strip_prefix("oci://").unwrap_or(text);
        if bare.contains("://") {
            return Err(wrong("another scheme than oci://"));
        }
        let (host, path) = bare.split_once('/').ok_or_else(|| wrong("no path after the registry"))?;
        if !is_registry(host) {
            return Err(wrong(
                "a registry that is not host[:port] in its plainest form: lower case, no final dot, no :443, docker.io for its other names",
            ));
        }
        if path.len() > 255 || !path.split('/').all(is_path_component) {
            return Err(wrong("a path that is not lower-case letters, digits and single separators . _ -"));
        }
        Ok(Self { host: host.to_owned(), path: path.to_owned() })
    }
}

/// Policies and credentials are found by what is written: of a registry that could be written in two ways they would cover one.
fn is_registry(host: &str) -> bool {
    let plain = host.len() <= 255 && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'));
    // A parsed address writes names and numbers in one way and leaves out the port that https has anyway.
    let parsed = url::Url::parse(&format!("https://{host}/")).ok().filter(|url| plain && url.path() == "/");
    let name = parsed.as_ref().and_then(url::Url::host_str).filter(|name| !name.is_empty() && !name.ends_with('.'));
    let port = name.and_then(|name| host.strip_prefix(name));
    port.is_some_and(|port| {
        port.is_empty() || port.strip_prefix(':').is_some_and(|port| !port.is_empty() && port != "443" && !port.starts_with('0'))
    }) && !matches!(host, "index.docker.io" | "registry-1.docker.io")
}

fn is_path_component(component: &str) -> bool {
    let bytes = component.as_bytes();
    let word = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    bytes.first().is_some_and(word)
        && bytes.last().is_some_and(word)
        && bytes.iter().all(|b| word(b) || matches!(b, b'.' | b'_' | b'-'))
        && !component.contains("..")
}

/// Which artifact of a repository is meant. Where several are given, digest wins over range wins over tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// Exactly this manifest.
    Digest(Digest),
    /// The highest tag that is a version within the range.
    Range(VersionRange),
    /// Whatever the tag points to now.
    Tag(Tag),
}

impl Selector {
    /// From the fields of a reference as resources write them; nothing given means the tag `latest`.
    ///
    /// # Errors
    /// The field that wins is malformed. Fields that lose are checked too, so that a typing error never waits for its day.
    pub fn from_fields(digest: Option<&str>, range: Option<&str>, tag: Option<&str>) -> Result<Self, ReferenceError> {
        let digest = digest.map(Digest::from_str).transpose()?;
        let range = range.map(VersionRange::from_str).transpose()?;
        let tag = Tag::from_str(tag.unwrap_or("latest"))?;
        Ok(match (digest, range) {
            (Some(digest), _) => Self::Digest(digest),
            (None, Some(range)) => Self::Range(range),
            (None, None) => Self::Tag(tag),
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => write!(f, "@{digest}"),
            Self::Range(range) => write!(f, " in {range}"),
            Self::Tag(tag) => write!(f, ":{tag}"),
        }
    }
}

/// A repository and which of its artifacts: `oci://host[:port]/path[:tag][@sha256:…]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Where to look.
    pub repository: Repository,
    /// What to take.
    pub selector: Selector,
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (text, None),
        };
        let after_host = named.strip_prefix("oci://").map_or(0, |_| "oci://".len());
        let path_begins = named.get(after_host..).and_then(|rest| rest.find('/')).map(|at| at + after_host);
        let colon = path_begins.and_then(|begin| named.get(begin..).and_then(|p| p.find(':')).map(|at| at + begin));
        let (repository, tag) = match colon {
            Some(at) => (named.get(..at).unwrap_or_default(), named.get(at + 1..)),
            None => (named, None),
        };
        Ok(Self { repository: repository.parse()?, selector: Selector::from_fields(digest, None, tag)? })
    }
}

impl Reference {
    /// From the name of a container image as pods write it: without a scheme, the registry may be left out and is `docker.io` then.
    /// The rules are those of github.com/distribution/reference.
    ///
    /// # Errors
    /// [`ReferenceError::Malformed`] and the others, as for `oci://`.
    pub fn from_image(text: &str) -> Result<Self, ReferenceError> {
        if text.contains("://") {
            return Err(ReferenceError::Malformed { input: shortened(text), found: "a scheme, which images do not have".to_owned() });
        }
        let named = text.split('@').next().unwrap_or_default();
        let first = named.split('/').next().unwrap_or_default();
        let has_registry = named.contains('/') && (first.contains(['.', ':']) || first == "localhost");
        match (has_registry, named.contains('/')) {
            (true, _) => {
                // Other names of Docker Hub that people still write.
                let rest = ["index.docker.io/", "registry-1.docker.io/"].iter().find_map(|other| text.strip_prefix(other));
                rest.map_or_else(|| text.parse(), |rest| format!("docker.io/{rest}").parse())
            }
            (false, true) => format!("docker.io/{text}").parse(),
            (false, false) => format!("docker.io/library/{text}").parse(),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.repository, self.selector)
    }
}

#[cfg(test)]
mod tests;
