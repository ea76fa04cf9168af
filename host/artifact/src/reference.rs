//! Names of artifacts: repositories, tags, sha256 digests and the choice between digest, version range and tag.
//!
//! Parsing and printing only; nothing here does I/O (asking a registry lives in `source`).

use std::fmt;
use std::str::FromStr;

use semver::{Version, VersionReq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

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
    #[error("{input:?} is not a digest: expected sha256: and 64 lower-case hexadecimal digits; copy the digest that the registry or `plugin push` printed")]
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
    #[error("{input:?} is not a version range: {found}; expected for example 1.2.3, 1.x, ~1.2, ^1.2, \">=1.0.0 <2.0.0\" or ranges joined by ||")]
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

fn shortened(input: &str) -> String {
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
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
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
            return Err(wrong("a registry that is not host[:port]"));
        }
        if path.len() > 255 || !path.split('/').all(is_path_component) {
            return Err(wrong("a path that is not lower-case letters, digits and single separators . _ -"));
        }
        Ok(Self { host: host.to_owned(), path: path.to_owned() })
    }
}

fn is_registry(host: &str) -> bool {
    let plain = !host.is_empty()
        && host.len() <= 255
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'));
    plain
        && url::Url::parse(&format!("https://{host}/"))
            .is_ok_and(|url| url.host().is_some() && url.path() == "/" && !host.ends_with(':'))
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

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.repository, self.selector)
    }
}

/// A range of versions as Flux's OCIRepository writes it: comparators joined by spaces or commas, alternatives by `||`;
/// a bare `1.2.3` means exactly that version and a bare `1.2` means `~1.2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange {
    text: String,
    alternatives: Vec<VersionReq>,
}

impl VersionRange {
    /// The highest of `tags` within the range, with its version. Tags that are no versions are passed over; a leading
    /// `v` is allowed, and `_` stands for `+` because tags cannot contain it. Of two tags with the same version the
    /// alphabetically first wins.
    #[must_use]
    pub fn highest<'t>(&self, tags: impl IntoIterator<Item = &'t str>) -> Option<(Tag, Version)> {
        tags.into_iter()
            .filter_map(|tag| {
                let version = Version::parse(&tag.strip_prefix('v').unwrap_or(tag).replacen('_', "+", 1)).ok()?;
                Some((Tag::from_str(tag).ok()?, version))
            })
            .filter(|(_, version)| self.alternatives.iter().any(|range| range.matches(version)))
            .max_by(|(tag_a, a), (tag_b, b)| a.cmp(b).then_with(|| tag_b.cmp(tag_a)))
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for VersionRange {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |found: String| ReferenceError::Range { input: shortened(text), found };
        if text.trim().is_empty() || text.len() > 256 {
            return Err(wrong("empty or longer than 256 characters".to_owned()));
        }
        let alternatives = text
            .split("||")
            .map(|part| VersionReq::parse(&comparators(part)).map_err(|e| wrong(e.to_string())))
            .collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), alternatives })
    }
}

/// Rewrites one alternative into the form that `semver` reads, where bare versions mean a caret and spaces do not join.
fn comparators(part: &str) -> String {
    let mut tokens: Vec<String> = Vec::new();
    let mut pending = String::new();
    for token in part.split([' ', ',']).filter(|token| !token.is_empty()) {
        pending.push_str(token);
        // An operator may stand apart from its version: ">= 1.0".
        if token.bytes().all(|b| matches!(b, b'<' | b'>' | b'=' | b'^' | b'~')) {
            continue;
        }
        tokens.push(std::mem::take(&mut pending));
    }
    if !pending.is_empty() {
        tokens.push(pending);
    }
    let exact = |token: &String| {
        let bare = token.strip_prefix('v').unwrap_or(token);
        let begins_with_digit = bare.bytes().next().is_some_and(|b| b.is_ascii_digit());
        let core = bare.split(['-', '+']).next().unwrap_or_default();
        let wild = core.split('.').any(|number| matches!(number, "x" | "X" | "*"));
        match (begins_with_digit, wild, core.split('.').count()) {
            (true, false, 3) => format!("={bare}"),
            (true, false, _) => format!("~{bare}"),
            _ => token.clone(),
        }
    };
    tokens.iter().map(exact).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_with_port_tag_and_digest_selects_the_digest() {
        let digest = Digest::of(b"x");
        let parsed: Reference = format!("oci://127.0.0.1:5000/team/plugin:1.2@{digest}").parse().unwrap();
        assert_eq!(parsed.repository.host(), "127.0.0.1:5000");
        assert_eq!(parsed.repository.path(), "team/plugin");
        assert_eq!(parsed.selector, Selector::Digest(digest));
        assert!(parsed.repository.is_loopback());
    }

    #[test]
    fn a_reference_without_tag_means_latest() {
        let parsed: Reference = "oci://registry.example.com/a".parse().unwrap();
        assert_eq!(parsed.to_string(), "registry.example.com/a:latest");
        assert!(!parsed.repository.is_loopback());
    }

    #[test]
    fn malformed_references_are_refused() {
        for bad in [
            "", "oci://", "oci://host", "oci://host/", "https://host/path", "oci://host/UPPER", "oci://host/a//b",
            "oci://host/a/../b", "oci://user@host/a", "oci://host:/a", "oci://ho st/a", "oci://host/a:", "oci://host/a:-x",
            "oci://host/a@sha256:123", "oci://host/a@sha512:00", "oci://host/a:b:c", "oci://host?x/a", "oci://host/a?b",
            "oci://[::1/a", "oci://host/.a",
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad:?} was accepted");
        }
        assert!("x".repeat(5000).parse::<Reference>().is_err());
    }

    #[test]
    fn digests_with_upper_case_or_multibyte_text_are_refused() {
        for bad in [format!("sha256:{}", "A".repeat(64)), format!("sha256:{}", "é".repeat(32)), "sha256:".to_owned()] {
            assert!(bad.parse::<Digest>().is_err());
        }
    }

    #[test]
    fn digest_wins_over_range_wins_over_tag_and_losers_are_checked_too() {
        let digest = Digest::of(b"").to_string();
        assert!(matches!(Selector::from_fields(Some(&digest), Some("1.x"), Some("a")), Ok(Selector::Digest(_))));
        assert!(matches!(Selector::from_fields(None, Some("1.x"), Some("a")), Ok(Selector::Range(_))));
        assert!(matches!(Selector::from_fields(None, None, Some("a")), Ok(Selector::Tag(_))));
        assert!(Selector::from_fields(Some(&digest), Some("nonsense"), None).is_err());
    }

    #[test]
    fn ranges_read_as_flux_reads_them() {
        let tags = ["latest", "v1.0.0", "1.2.3", "1.2.9", "1.3.0", "2.0.0", "2.1.0-rc.1", "3.0.0_build.5", "sha256-ab"];
        let pick = |range: &str| {
            range.parse::<VersionRange>().unwrap().highest(tags).map(|(tag, _)| tag.to_string()).unwrap_or_default()
        };
        assert_eq!(pick("1.2.3"), "1.2.3");
        assert_eq!(pick("1.2"), "1.2.9");
        assert_eq!(pick("1.x"), "1.3.0");
        assert_eq!(pick("~1.2.0"), "1.2.9");
        assert_eq!(pick("^1.0"), "1.3.0");
        assert_eq!(pick(">=1.0.0 <2.0.0"), "1.3.0");
        assert_eq!(pick(">= 1.0.0, < 1.3"), "1.2.9");
        assert_eq!(pick("1.0.0 || 2.x"), "2.0.0");
        assert_eq!(pick(">=2.1.0-rc.0 <3"), "2.1.0-rc.1");
        assert_eq!(pick("*"), "3.0.0_build.5");
        assert_eq!(pick(">9"), "");
        assert!("1.0 - 2.0".parse::<VersionRange>().is_err());
        assert!("latest".parse::<VersionRange>().is_err());
    }
}
