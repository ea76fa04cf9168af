//! Volumes of a pod and where they are mounted: ours, and those that the unseal provider asked for.

use std::collections::BTreeSet;

use banhbaoring_openbao_api::TlsMode;
use banhbaoring_sdk::Failure;
use banhbaoring_sdk::wit::{KmsPluginSource, SealVolume, VolumeSource as SealSource};
use k8s_openapi::api::core::v1::{
    ConfigMapProjection, ConfigMapVolumeSource, DownwardAPIProjection, DownwardAPIVolumeFile, EmptyDirVolumeSource, KeyToPath,
    ObjectFieldSelector, ProjectedVolumeSource, SecretVolumeSource, ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection,
};

use crate::cluster::{AUDIT_CLAIM, Cluster, DATA_CLAIM};
use crate::config::{ACME_CA_DIR, AUDIT_DIR, DATA_DIR, EDGE_TLS_DIR, PLUGIN_DIR, TLS_DIR};
use crate::initialization::{INIT_DIR, is_by_itself};

/// Readable by the process's group (the volume belongs to fsGroup) and nobody else.
const GROUP_READ: i32 = 0o440;
const ACCOUNT_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The volume of plugins that are brought to a node.
pub(super) const PLUGIN_VOLUME: &str = "plugins";
const CONFIG_DIR: &str = "/etc/bao/config";

/// A pod's volumes and its container's mounts, in the same order.
pub(super) struct Mounted {
    pub(super) volumes: Vec<Volume>,
    pub(super) mounts: Vec<VolumeMount>,
}

pub(super) fn of(cluster: &Cluster) -> Result<Mounted, Failure> {
    let mut mounted = Mounted { volumes: Vec::new(), mounts: vec![mount(DATA_CLAIM, DATA_DIR, false)] };
    if cluster.spec.audit_storage.is_some() {
        mounted.mounts.push(mount(AUDIT_CLAIM, AUDIT_DIR, false));
    }
    mounted.read_only("config", CONFIG_DIR, config_map("config", &cluster.config_map()));
    if is_by_itself(cluster)? {
        mounted.read_only("init", INIT_DIR, config_map("init", &cluster.init_config_map()));
    }
    mounted.read_only("tls", TLS_DIR, secret("tls", &cluster.server_secret(), Vec::new()));
    if let Some(edge) = cluster.edge_secret() {
        mounted.read_only("tls-edge", EDGE_TLS_DIR, secret("tls-edge", &edge, Vec::new()));
    }
    if let (TlsMode::Acme, Some(authority)) =
        (cluster.spec.tls.mode, cluster.spec.tls.acme.as_ref().and_then(|acme| acme.ca_config_map.as_ref()))
    {
        mounted.read_only("acme-ca", ACME_CA_DIR, config_map("acme-ca", authority));
    }
    mounted.read_only("account", ACCOUNT_DIR, account());
    mounted.scratch("tmp", "/tmp");
    // One that is named by its command lies in the image, at the very place that an empty volume would hide.
    if matches!(cluster.seal.kms_plugin.as_ref().map(|plugin| &plugin.source), Some(KmsPluginSource::Image(_))) {
        mounted.scratch(PLUGIN_VOLUME, PLUGIN_DIR);
    } else if cluster.copies_plugins() {
        mounted.read_only(PLUGIN_VOLUME, PLUGIN_DIR, empty(PLUGIN_VOLUME));
    }
    for volume in &cluster.seal.volumes {
        mounted.add_seal(volume)?;
    }
    Ok(mounted)
}

impl Mounted {
    fn read_only(&mut self, name: &str, path: &str, volume: Volume) {
        self.volumes.push(volume);
        self.mounts.push(mount(name, path, true));
    }

    fn scratch(&mut self, name: &str, path: &str) {
        self.volumes.push(empty(name));
        self.mounts.push(mount(name, path, false));
    }

    /// A provider may add files, never hide ours: neither its name nor its place may meet one that is there.
    fn add_seal(&mut self, volume: &SealVolume) -> Result<(), Failure> {
        let SealVolume { name, mount_path, source } = volume;
        let wrong = |message: String| Err(Failure::invalid("spec.unseal", message).because("UnusableSealVolume"));
        let taken: BTreeSet<_> = self.mounts.iter().map(|mount| mount.name.as_str()).collect();
        if taken.contains(name.as_str()) {
            return wrong(format!("the unseal provider wants a volume `{name}`, a name that is taken: it must choose another"));
        }
        let plain = mount_path.starts_with('/') && mount_path.len() > 1 && !mount_path.ends_with('/');
        if !plain || mount_path.split('/').skip(1).any(|part| part.is_empty() || part == "." || part == "..") {
            return wrong(format!("the unseal provider wants to mount at `{mount_path}`; expected an absolute path without `..`"));
        }
        if let Some(other) = self.mounts.iter().find(|mount| within(mount_path, &mount.mount_path) || within(&mount.mount_path, mount_path))
        {
            return wrong(format!(
                "the unseal provider wants to mount at `{mount_path}`, which meets `{}`: it must choose another place",
                other.mount_path
            ));
        }
        let source = match source {
            SealSource::Secret(of) => {
                let items = of.items.iter().map(|item| KeyToPath { key: item.key.clone(), path: item.path.clone(), mode: None }).collect();
                secret(name, &of.secret, items)
            }
            SealSource::Token(token) => projected(
                name,
                vec![VolumeProjection {
                    service_account_token: Some(ServiceAccountTokenProjection {
                        audience: Some(token.audience.clone()),
                        expiration_seconds: Some(i64::from(token.expiration_seconds)),
                        path: token.path.clone(),
                    }),
                    ..VolumeProjection::default()
                }],
            ),
        };
        self.read_only(name, mount_path, source);
        Ok(())
    }
}

fn within(inner: &str, outer: &str) -> bool {
    inner == outer || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
}

fn empty(name: &str) -> Volume {
    Volume { name: name.to_owned(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() }
}

pub(super) fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), read_only: read_only.then_some(true), ..VolumeMount::default() }
}

fn config_map(name: &str, config_map: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: config_map.to_owned(),
            default_mode: Some(GROUP_READ),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn secret(name: &str, secret: &str, items: Vec<KeyToPath>) -> Volume {
    Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.to_owned()),
            default_mode: Some(GROUP_READ),
            items: Some(items).filter(|items| !items.is_empty()),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// What the automatic mount would give, with a token that lives an hour instead of a year.
fn account() -> Volume {
    projected(
        "account",
        vec![
            VolumeProjection {
                service_account_token: Some(ServiceAccountTokenProjection {
                    expiration_seconds: Some(3600),
                    path: "token".to_owned(),
                    ..ServiceAccountTokenProjection::default()
                }),
                ..VolumeProjection::default()
            },
            VolumeProjection {
                config_map: Some(ConfigMapProjection {
                    name: "kube-root-ca.crt".to_owned(),
                    items: Some(vec![KeyToPath { key: "ca.crt".to_owned(), path: "ca.crt".to_owned(), mode: None }]),
                    ..ConfigMapProjection::default()
                }),
                ..VolumeProjection::default()
            },
            VolumeProjection {
                downward_api: Some(DownwardAPIProjection {
                    items: Some(vec![DownwardAPIVolumeFile {
                        path: "namespace".to_owned(),
                        field_ref: Some(ObjectFieldSelector {
                            field_path: "metadata.namespace".to_owned(),
                            ..ObjectFieldSelector::default()
                        }),
                        ..DownwardAPIVolumeFile::default()
                    }]),
                }),
                ..VolumeProjection::default()
            },
        ],
    )
}

fn projected(name: &str, sources: Vec<VolumeProjection>) -> Volume {
    Volume {
        name: name.to_owned(),
        projected: Some(ProjectedVolumeSource { default_mode: Some(GROUP_READ), sources: Some(sources) }),
        ..Volume::default()
    }
}
