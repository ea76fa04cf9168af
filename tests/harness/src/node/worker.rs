//! The servers of the node that do: containerd with its network, kubelet, kube-proxy.

use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::json;

use super::{NODE_NAME, Place, control::Identities, inside_path};
use crate::{Result, registry::Registry, server::Server};

const SOCKET: &str = "/run/containerd/containerd.sock";

/// The image of every pod's sandbox.
pub(super) const SANDBOX_IMAGE: &str = "banhbaoring.test/pause:1";

pub(super) fn containerd(place: &Place<'_>, registry: &Registry) -> Result<Server> {
    let runc = inside_path("runc")?;
    let plugins = folder_of("bridge")?;
    let shim = folder_of("containerd-shim-runc-v2")?;
    network(place)?;
    mirror(place, registry)?;
    let file = |name: &str| place.file(name);
    let config = format!(
        r#"version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "{SOCKET}"
[plugins.'io.containerd.internal.v1.opt']
  path = "{opt}"
[plugins.'io.containerd.nri.v1.nri']
  disable = true
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = "{registries}"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{SANDBOX_IMAGE}"
[plugins.'io.containerd.cri.v1.runtime']
  enable_selinux = false
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["{plugins}"]
  conf_dir = "{networks}"
[plugins.'io.containerd.cri.v1.runtime'.containerd]
  default_runtime_name = "runc"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = "{runc}"
  SystemdCgroup = false
"#,
        opt = file("opt"),
        registries = file("registries"),
        networks = file("networks"),
        runc = runc.display(),
    );
    let config = place.scratch.write("containerd.toml", config)?;
    let path = std::env::var("PATH").unwrap_or_default();
    place
        .tool("containerd")?
        .args(["--config".to_owned(), config.display().to_string()])
        .env("PATH", format!("{shim}:{path}:/usr/sbin:/sbin"))
        .start()
}

/// How pods are connected: a bridge inside, addresses from the node's network of pods, nothing beyond the machine.
fn network(place: &Place<'_>) -> Result<()> {
    let pods = place.namespaces.slot().pods();
    let list = json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge", "bridge": "pods", "isGateway": true, "ipMasq": false, "hairpinMode": true,
                "ipam": {"type": "host-local", "ranges": [[{"subnet": pods}]], "routes": [{"dst": "0.0.0.0/0"}]},
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    });
    place.folder("networks")?;
    place.scratch.write("networks/10-pods.conflist", list.to_string())?;
    Ok(())
}

/// Whatever registry an image names, it is pulled from ours: manifests need no change to run here, and nothing else could be reached.
fn mirror(place: &Place<'_>, registry: &Registry) -> Result<()> {
    let host = registry.host();
    let authority = place.scratch.write("registry.crt", registry.authority().unwrap_or_default())?;
    let (user, password) = registry.account().map_or(("", ""), |(user, password)| (user, password));
    let hosts = format!(
        r#"server = "https://{host}"
[host."https://{host}"]
  capabilities = ["pull", "resolve"]
  ca = "{}"
[host."https://{host}".header]
  Authorization = "Basic {}"
"#,
        authority.display(),
        BASE64_STANDARD.encode(format!("{user}:{password}")),
    );
    place.folder("registries/_default")?;
    place.scratch.write("registries/_default/hosts.toml", hosts)?;
    Ok(())
}

pub(super) fn kubelet(place: &Place<'_>, identities: &Identities) -> Result<Server> {
    let slot = place.namespaces.slot();
    let resolver = place.scratch.write("resolv.conf", "nameserver 127.0.0.1\n")?;
    // JSON is YAML.
    let config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": place.file("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": place.file("kubelet.crt"),
        "tlsPrivateKeyFile": place.file("kubelet.key"),
        "clusterDomain": "cluster.local",
        "clusterDNS": [slot.dns()],
        "resolvConf": resolver,
        "containerRuntimeEndpoint": format!("unix://{SOCKET}"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", slot.control_group()),
        "failCgroupV1": false,
        "failSwapOn": false,
        "podLogsDir": "/var/log/pods",
        "volumePluginDir": place.file("volume-plugins"),
        // The machine's disk and memory are not the node's. What little compilers left of them is no reason to turn pods away: 0% is never.
        "evictionHard": {"nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%", "memory.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "serializeImagePulls": false,
    });
    let config = place.scratch.write("kubelet.json", config.to_string())?;
    place
        .tool("kubelet")?
        .args([
            format!("--config={}", config.display()),
            format!("--kubeconfig={}", identities.kubelet.display()),
            format!("--hostname-override={NODE_NAME}"),
            format!("--node-ip={}", slot.node()),
            "--root-dir=/var/lib/kubelet".to_owned(),
        ])
        .start()
}

pub(super) fn proxy(place: &Place<'_>, identities: &Identities) -> Result<Server> {
    let config = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": place.namespaces.slot().pods(),
        "hostnameOverride": NODE_NAME,
        "clientConnection": {"kubeconfig": identities.proxy},
        // With the default a Service refuses for a second after its pod is Ready.
        "nftables": {"minSyncPeriod": "50ms", "syncPeriod": "30s"},
        // These are settings of the whole machine.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    });
    let config = place.scratch.write("kube-proxy.json", config.to_string())?;
    place.tool("kube-proxy")?.args([format!("--config={}", config.display())]).start()
}

fn folder_of(tool: &str) -> Result<String> {
    let path = inside_path(tool)?;
    Ok(path.parent().unwrap_or(Path::new("/")).display().to_string())
}
