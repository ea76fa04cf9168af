//! Plugins of OpenBao: what is registered in its catalogue, and where the binaries come from. KMS plugins, which a node needs before it is unsealed and which
//! no catalogue knows, are [`crate::provider`]'s.

use std::collections::BTreeMap;
use std::fmt;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// One version of a plugin.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("!has(self.path) || has(self.image)").message("path is where the binary lies in the image: give the image as well, or leave path out where OpenBao's own image has the binary in /bao/plugins"))]
#[serde(rename_all = "camelCase")]
pub struct CatalogPlugin {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: CatalogPluginType,
    /// Its name, under which a mount asks for it; `secp256k1`.
    #[schemars(regex(pattern = r"^[a-z0-9]([-._a-z0-9]*[a-z0-9])?$"), length(min = 1, max = 63))]
    pub name: String,
    /// Its version, `v1.2.3`: what the plugin says of itself, if it does. A mount asks for one, so an upgrade is a second entry, and the first one goes once
    /// no mount asks for it any more.
    #[schemars(
        regex(
            pattern = r"^v(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})(-[0-9A-Za-z]+([.-][0-9A-Za-z]+)*)?(\+[0-9A-Za-z]+([.-][0-9A-Za-z]+)*)?$"
        ),
        length(max = 64)
    )]
    pub version: String,
    /// SHA-256 of the binary, 64 hexadecimal characters. A node with another binary does not start.
    #[schemars(regex(pattern = r"^[0-9a-fA-F]{64}$"), length(max = 64))]
    pub sha256: String,
    /// Name of the binary in `/bao/plugins`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_][-A-Za-z0-9._]*$"), length(min = 1, max = 128))]
    pub command: String,
    /// Its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 1024)))]
    pub args: Vec<String>,
    /// Its environment. Not for credentials: they would stand in this resource.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::options")]
    #[x_kube(validation = Rule::new("self.all(name, name.matches('^[A-Za-z_][A-Za-z0-9_]*$'))").message("names of variables are letters, digits and `_`"))]
    pub env: BTreeMap<String, String>,
    /// OCI image with the binary, from which `cp` of that image copies it. Absent: OpenBao's own image has it in `/bao/plugins`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[a-zA-Z0-9][-a-zA-Z0-9._:/@]*$"), length(min = 1, max = 512))]
    pub image: Option<String>,
    /// Where the binary lies in the image. Absent: `/` and the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(/[-A-Za-z0-9._]+)+$"), length(min = 2, max = 512))]
    pub path: Option<String>,
}

/// Types of plugins, as the catalogue names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CatalogPluginType {
    /// A secrets engine.
    Secret,
    /// An auth method.
    Auth,
    /// A database of the secrets engine `database`.
    Database,
}

impl fmt::Display for CatalogPluginType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret => "secret",
            Self::Auth => "auth",
            Self::Database => "database",
        })
    }
}

impl fmt::Display for CatalogPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {}", self.kind, self.name, self.version)
    }
}
