//! The version of OpenBao as far as gates care: major and minor. A pre-release counts as what it precedes, because it has the same
//! built-in seals.

use std::fmt;

/// Major, minor and patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenBaoVersion {
    major: u64,
    minor: u64,
    patch: u64,
}

impl OpenBaoVersion {
    /// Reads `2.4.4`, `v2.4.4`, `2.4`, `2.7.0-beta20260101`; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let core = text.split(['-', '+']).next().unwrap_or(text);
        let mut parts = core.split('.').map(|part| part.parse::<u64>().ok());
        let version = Self { major: parts.next()??, minor: parts.next()??, patch: parts.next().unwrap_or(Some(0))? };
        parts.next().is_none().then_some(version)
    }

    /// It is this version or newer.
    pub fn at_least(self, major: u64, minor: u64) -> bool {
        (self.major, self.minor) >= (major, minor)
    }
}

impl fmt::Display for OpenBaoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::OpenBaoVersion;

    #[test]
    fn versions_as_people_write_them_are_read() {
        for (text, read) in [("2.4.4", "2.4.4"), ("v2.4", "2.4.0"), ("2.7.0-beta20260101", "2.7.0"), ("2.5.1+hsm", "2.5.1")] {
            assert_eq!(OpenBaoVersion::parse(text).unwrap().to_string(), read);
        }
        for text in ["", "latest", "2", "2.x", "2.4.4.4", "-2.4", "2..4"] {
            assert_eq!(OpenBaoVersion::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_pre_release_has_passed_the_gate() {
        assert!(OpenBaoVersion::parse("2.7.0-beta1").unwrap().at_least(2, 7));
        assert!(!OpenBaoVersion::parse("2.6.9").unwrap().at_least(2, 7));
        assert!(OpenBaoVersion::parse("3.0.0").unwrap().at_least(2, 7));
    }
}
