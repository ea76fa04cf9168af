//! The init containers that bring plugins of the catalogue to a node: one for each image copies its binary, and the last one looks whether all of them are
//! what the spec says.
//!
//! Seen on a real bao 2.4.0: a plugin whose binary has another checksum is registered all the same, with a line in the log; only a mount fails. So the checksum is
//! looked at here, before a node starts: a wrong one stops an upgrade at its first node, while all others go on with the binary that they have.

use std::collections::BTreeSet;

use banhbaoring_openbao_api::CatalogPlugin;
use k8s_openapi::api::core::v1::{Container, VolumeMount};

use super::container::restricted;
use super::volumes::{PLUGIN_VOLUME, mount};
use crate::cluster::Cluster;
use crate::config::PLUGIN_DIR;

/// Name of the container that looks at the checksums.
pub const VERIFIER: &str = "verify-plugins";

/// Takes the name, the file and the checksum of each plugin; what it says becomes the container's termination message. There is no `$(` in it, which a kubelet
/// would read as a reference.
const VERIFY: &str = r#"while [ $# -ge 3 ]; do
  sha256sum "$2" | {
    read -r found file
    [ "$found" = "$3" ] || { echo "plugin $1: expected sha256 $3, found ${found:-no file}" >&2; exit 1; }
  } || exit 1
  shift 3
done
"#;

pub(super) fn init_containers(cluster: &Cluster) -> Vec<Container> {
    let plugins = sorted(cluster);
    if plugins.is_empty() {
        return Vec::new();
    }
    let is_brought = cluster.copies_plugins();
    let mut files = BTreeSet::new();
    // Two names of one binary are one file.
    let brought = plugins.iter().filter(|plugin| files.insert(plugin.command.as_str()));
    let mut containers: Vec<Container> = brought
        .filter_map(|plugin| Some((plugin, plugin.image.as_ref()?)))
        .enumerate()
        .map(|(index, (plugin, image))| copier(cluster, index, plugin, image))
        .collect();
    let mut command: Vec<String> = ["/bin/sh", "-ec", VERIFY, VERIFIER].map(ToOwned::to_owned).into();
    for plugin in &plugins {
        command.extend([plugin.to_string(), file(plugin), plugin.sha256.to_ascii_lowercase()]);
    }
    containers.push(Container {
        name: VERIFIER.to_owned(),
        image: Some(cluster.image.to_owned()),
        command: Some(command),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: is_brought.then(|| vec![mount(PLUGIN_VOLUME, PLUGIN_DIR, true)]),
        ..contained(cluster)
    });
    containers
}

/// Its image needs no more than `cp`: no shell, and nothing of ours.
fn copier(cluster: &Cluster, index: usize, plugin: &CatalogPlugin, image: &str) -> Container {
    let from = plugin.path.clone().unwrap_or_else(|| format!("/{}", plugin.command));
    let mounts: Vec<VolumeMount> = vec![mount(PLUGIN_VOLUME, PLUGIN_DIR, false)];
    Container {
        name: format!("plugin-{index}"),
        image: Some(image.to_owned()),
        command: Some(vec!["cp".to_owned(), from, file(plugin)]),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(mounts),
        ..contained(cluster)
    }
}

/// As much as OpenBao itself gets: a pod is charged for the largest of its containers, and a quota may ask each for a number.
fn contained(cluster: &Cluster) -> Container {
    Container { resources: cluster.spec.pod.resources.clone(), security_context: Some(restricted()), ..Container::default() }
}

/// In an order that does not depend on how the list is written: another order is no other template.
fn sorted<'a>(cluster: &Cluster<'a>) -> Vec<&'a CatalogPlugin> {
    let mut plugins: Vec<&CatalogPlugin> = cluster.spec.plugin_catalog.iter().collect();
    plugins.sort_by(|a, b| (&a.command, a.kind, &a.name, &a.version).cmp(&(&b.command, b.kind, &b.name, &b.version)));
    plugins
}

fn file(plugin: &CatalogPlugin) -> String {
    format!("{PLUGIN_DIR}/{}", plugin.command)
}
