//! `PluginPolicy`: what a platform team demands of plugins whose reference matches. All matching policies apply; the strictest wins.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::grants::Grants;
use crate::plugin::{Authority, VerifyMode};

/// Signatures, ceiling of grants and allowed imports for the plugins that match.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "plugins.banhbaoring.io",
    version = "v1alpha1",
    kind = "PluginPolicy",
    plural = "pluginpolicies",
    shortname = "plgpol",
    category = "banhbaoring",
    derive = "PartialEq",
    doc = "What a platform team demands of the plugins whose reference matches.",
    printcolumn = r#"{"name":"Images","type":"string","jsonPath":".spec.images"}"#,
    printcolumn = r#"{"name":"Mode","type":"string","jsonPath":".spec.mode"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct PluginPolicySpec {
    /// Globs of references without `oci://`; `*` stays within a path segment, `**` crosses them. An empty list matches nothing.
    #[schemars(length(max = 64))]
    pub images: Vec<String>,
    /// One of these must have signed. Empty: this policy demands no signature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub authorities: Vec<Authority>,
    /// What follows from a missing signature.
    #[serde(default)]
    pub mode: VerifyMode,
    /// Nothing beyond this can be granted to a plugin that matches; absent: no ceiling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Grants>,
    /// What a component may import.
    #[serde(default)]
    pub allowed_imports: AllowedImports,
}

/// What a component may import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AllowedImports {
    /// Nothing.
    #[default]
    None,
}
