//! What a platform team sets for every cluster, in `Plugin.spec.config`.

use schemars::JsonSchema;
use serde::Deserialize;

/// `Plugin.spec.config` of this plugin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PluginConfig {
    /// Repository of the image where a cluster names none; the tag is the cluster's version.
    #[serde(default = "image_repository")]
    pub image_repository: String,
    /// Ask registries about signatures over plain http. Loopback alone, unless the host allows more.
    #[serde(default)]
    pub insecure_registry: bool,
}

impl Default for PluginConfig {
    fn default() -> Self {
        Self { image_repository: image_repository(), insecure_registry: false }
    }
}

fn image_repository() -> String {
    crate::DEFAULT_REPOSITORY.to_owned()
}
