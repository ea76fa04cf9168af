//! Where OpenBao finds plugins, and which of them it brings and registers by itself. What is in its catalogue is [`crate::plugin_catalog`]'s.

use banhbaoring_sdk::wit::KmsPluginSource;

use super::PLUGIN_DIR;
use crate::cluster::Cluster;
use crate::hcl::Body;

/// Settings at the top.
pub(super) fn settings(top: Body, cluster: &Cluster) -> Body {
    let seal = cluster.seal.kms_plugin.as_ref();
    if seal.is_none() && cluster.spec.plugin_catalog.is_empty() {
        return top;
    }
    let top = top.attribute("plugin_directory", PLUGIN_DIR);
    match seal.map(|plugin| &plugin.source) {
        None => top,
        Some(KmsPluginSource::Image(_)) => top.attribute("plugin_auto_download", true).attribute("plugin_auto_register", true),
        Some(KmsPluginSource::Command(_)) => top.attribute("plugin_auto_register", true),
    }
}
