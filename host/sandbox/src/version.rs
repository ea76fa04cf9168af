//! The registry of contract versions. A published version is frozen; the next one is a module beside [`crate::v0_1`] and a variant here.
//! Which version a component speaks is read from the names of its exports.

use banhbaoring_pipeline::contract::{Descriptor, Failure, Request, Response, ReviewRequest, ReviewResponse, Seal, SealRequest};
use wasmtime::component::InstancePre;

use crate::call::{Caller, Guest};
use crate::error::CallError;
use crate::load::LoadError;
use crate::v0_1;

/// The export that tells the version.
pub(crate) const METADATA_PREFIX: &str = "banhbaoring:plugin/metadata@";

/// A version of the contract that this host speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContractVersion {
    /// `banhbaoring:plugin@0.1.*`.
    V0_1,
}

impl ContractVersion {
    /// The version of `banhbaoring:plugin/metadata@<version>`, if this host speaks it.
    pub(crate) fn of_metadata(export: &str) -> Option<Self> {
        let version = semver::Version::parse(export.strip_prefix(METADATA_PREFIX)?).ok()?;
        // A prerelease is no published version, and compatible with nothing.
        match (version.major, version.minor, version.pre.is_empty()) {
            (0, 1, true) => Some(Self::V0_1),
            _ => None,
        }
    }

    /// All of them, for messages.
    pub(crate) fn supported() -> &'static str {
        "0.1"
    }
}

impl std::fmt::Display for ContractVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::V0_1 => f.write_str("0.1"),
        }
    }
}

/// An interface of the contract that a plugin may export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Interface {
    /// `describe`.
    Metadata,
    /// `reconcile`.
    Component,
    /// `render`.
    UnsealProvider,
    /// `review`.
    Admission,
    /// `receive`.
    Webhook,
}

impl Interface {
    /// Its name in the WIT.
    pub fn name(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Component => "component",
            Self::UnsealProvider => "unseal-provider",
            Self::Admission => "admission",
            Self::Webhook => "webhook",
        }
    }
}

/// A plugin through the version that it speaks.
pub(crate) enum Versioned {
    V0_1(v0_1::Plugin),
}

impl Versioned {
    pub(crate) fn new(version: ContractVersion, pre: InstancePre<Guest>) -> Result<Self, LoadError> {
        match version {
            ContractVersion::V0_1 => v0_1::Plugin::new(pre).map(Self::V0_1),
        }
    }

    pub(crate) fn interfaces(&self) -> Vec<Interface> {
        match self {
            Self::V0_1(plugin) => plugin.interfaces(),
        }
    }

    pub(crate) fn describe(&self, caller: &Caller) -> Result<Descriptor, CallError> {
        match self {
            Self::V0_1(plugin) => plugin.describe(caller),
        }
    }

    pub(crate) fn reconcile(&self, caller: &Caller, request: &Request) -> Result<Result<Response, Failure>, CallError> {
        match self {
            Self::V0_1(plugin) => plugin.reconcile(caller, request),
        }
    }

    pub(crate) fn render_seal(&self, caller: &Caller, request: &SealRequest) -> Result<Result<Seal, Failure>, CallError> {
        match self {
            Self::V0_1(plugin) => plugin.render_seal(caller, request),
        }
    }

    pub(crate) fn review(&self, caller: &Caller, request: &ReviewRequest) -> Result<Result<ReviewResponse, Failure>, CallError> {
        match self {
            Self::V0_1(plugin) => plugin.review(caller, request),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_of_a_known_version_are_spoken_and_other_versions_are_not() {
        let of = |v: &str| ContractVersion::of_metadata(&format!("{METADATA_PREFIX}{v}"));
        assert_eq!(of("0.1.0"), Some(ContractVersion::V0_1));
        assert_eq!(of("0.1.9"), Some(ContractVersion::V0_1));
        for other in ["0.2.0", "1.1.0", "0.1.0-alpha", "0.1", "", "x"] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
