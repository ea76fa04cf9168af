//! Ranges of versions over tags, read as Flux's OCIRepository reads them.
//!
//! Which tags there are is asked by `source`.

use std::fmt;
use std::str::FromStr;

use semver::{Version, VersionReq};

use crate::reference::{ReferenceError, Tag, shortened};

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
    fn ranges_read_as_flux_reads_them() {
        let tags = ["latest", "v1.0.0", "1.2.3", "1.2.9", "1.3.0", "2.0.0", "2.1.0-rc.1", "3.0.0_build.5", "sha256-ab"];
        let pick = |range: &str| range.parse::<VersionRange>().unwrap().highest(tags).map(|(tag, _)| tag.to_string()).unwrap_or_default();
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
