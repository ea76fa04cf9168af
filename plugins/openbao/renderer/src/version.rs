//! Versions of OpenBao and what each of them can. The one place that knows in which version a feature came.

use std::fmt;

use banhbaoring_sdk::Failure;

/// A version of OpenBao that this renderer knows how to configure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerVersion {
    major: u64,
    minor: u64,
}

/// What came with a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// `audit` blocks.
    DeclarativeAudit,
    /// `seal "static"`.
    StaticSeal,
    /// `initialize` blocks.
    SelfInitialization,
    /// `plugin "kms"` blocks beside the seal.
    KmsPlugin,
    /// `tls_auto_reload` of a listener.
    TlsAutoReload,
}

/// Seals that are built in up to 2.6 and plugins from 2.7 on.
const MOVED_OUT: [&str; 6] = ["alicloudkms", "awskms", "azurekeyvault", "gcpckms", "ocikms", "pkcs11"];

const OLDEST: ServerVersion = ServerVersion { major: 2, minor: 3 };
const MOVE_OUT: ServerVersion = ServerVersion { major: 2, minor: 7 };

impl ServerVersion {
    /// Reads `spec.version`. Before 2.3 the configuration differs too much; 3 is unknown.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let version = semver::Version::parse(text).map_err(|error| {
            Failure::invalid("spec.version", format!("expected a semantic version such as 2.4.0, found `{text}`: {error}"))
        })?;
        let version = Self { major: version.major, minor: version.minor };
        if version < OLDEST || version.major > OLDEST.major {
            return Err(Failure::unsupported(
                "UnsupportedVersion",
                format!("OpenBao {text} is not known to this plugin; expected a version from {OLDEST} on and below 3.0: choose one, or update the plugin"),
            )
            .at("spec.version"));
        }
        Ok(version)
    }

    /// It has the feature.
    pub fn has(self, feature: Feature) -> bool {
        self >= feature.since()
    }

    /// It has the feature, or the owner's field that asked for it cannot be served.
    /// `instead` says what to do besides raising the version.
    pub fn require(self, feature: Feature, field: &str, instead: &str) -> Result<(), Failure> {
        if self.has(feature) {
            return Ok(());
        }
        Err(Failure::unsupported(
            "VersionLacksFeature",
            format!("{feature} came with OpenBao {}, and spec.version is {self}: raise spec.version, or {instead}", feature.since()),
        )
        .at(field))
    }

    /// The seal works only beside a `plugin "kms"` block.
    pub fn needs_kms_plugin(self, stanza: &str) -> bool {
        self >= MOVE_OUT && MOVED_OUT.contains(&stanza)
    }
}

impl Feature {
    fn since(self) -> ServerVersion {
        let minor = match self {
            Self::DeclarativeAudit | Self::StaticSeal | Self::SelfInitialization => 4,
            Self::KmsPlugin => 6,
            Self::TlsAutoReload => 7,
        };
        ServerVersion { major: 2, minor }
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeclarativeAudit => "an audit device in the configuration",
            Self::StaticSeal => "the static seal",
            Self::SelfInitialization => "a node that initialises itself",
            Self::KmsPlugin => "a seal from a plugin",
            Self::TlsAutoReload => "the reload of certificates",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Feature, ServerVersion};
    use banhbaoring_sdk::FailureClass;

    fn version(text: &str) -> ServerVersion {
        ServerVersion::parse(text).unwrap()
    }

    #[test]
    fn each_feature_has_its_first_version() {
        for (feature, lacks, has) in [
            (Feature::DeclarativeAudit, "2.3.9", "2.4.0"),
            (Feature::StaticSeal, "2.3.2", "2.4.0-beta20250825"),
            (Feature::SelfInitialization, "2.3.2", "2.4.0"),
            (Feature::KmsPlugin, "2.5.3", "2.6.0"),
            (Feature::TlsAutoReload, "2.6.2", "2.7.0"),
        ] {
            assert!(!version(lacks).has(feature), "{feature} {lacks}");
            assert!(version(has).has(feature), "{feature} {has}");
            let failure = version(lacks).require(feature, "spec.audit", "do without").unwrap_err();
            assert_eq!((failure.class, failure.field.as_deref()), (FailureClass::Unsupported, Some("spec.audit")));
        }
    }

    #[test]
    fn the_seals_of_the_clouds_are_plugins_from_2_7_on_and_the_others_stay() {
        for stanza in ["awskms", "gcpckms", "azurekeyvault", "ocikms", "pkcs11", "alicloudkms"] {
            assert!(!version("2.6.9").needs_kms_plugin(stanza));
            assert!(version("2.7.0").needs_kms_plugin(stanza));
        }
        for stanza in ["static", "transit", "kmip"] {
            assert!(!version("2.7.0").needs_kms_plugin(stanza));
        }
    }

    #[test]
    fn versions_that_are_not_known_are_refused_by_name() {
        for text in ["2.2.9", "1.20.0", "3.0.0", "v2.4.0", "latest", "2.4", ""] {
            let failure = ServerVersion::parse(text).unwrap_err();
            assert_eq!(failure.field.as_deref(), Some("spec.version"), "{text}");
        }
    }
}
