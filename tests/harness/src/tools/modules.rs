//! The list of Go modules that are built and of Debian packages that a node needs. Nothing else lives here.

use super::{GoBinary, GoModule};

const fn binary(name: &'static str, package: &'static str) -> GoBinary {
    GoBinary { name, package }
}

// Without the version `kubectl version` fails and the API server reports v0.0.0-master.
const KUBERNETES_LDFLAGS: &str = "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36 -X k8s.io/component-base/version.gitTreeState=clean -X k8s.io/component-base/version.gitCommit=none";

/// Every Go module that is built, the quick ones first: a mistake of the machine shows early.
pub const GO_MODULES: &[GoModule] = &[
    GoModule {
        folder: "etcd",
        about: "etcd",
        binaries: &[binary("etcd", "go.etcd.io/etcd/server/v3")],
        ldflags: "-s -w",
        environment: &[],
        packages: &[],
        usual_seconds: 45,
    },
    GoModule {
        folder: "registry",
        about: "the OCI registry of the distribution project",
        binaries: &[binary("registry", "github.com/distribution/distribution/v3/cmd/registry")],
        ldflags: "-s -w",
        environment: &[],
        packages: &[],
        usual_seconds: 120,
    },
    GoModule {
        folder: "referrers-registry",
        about: "an OCI registry with the Referrers API",
        binaries: &[binary("referrers-registry", ".")],
        ldflags: "-s -w",
        environment: &[],
        packages: &[],
        usual_seconds: 20,
    },
    GoModule {
        folder: "cni",
        about: "plugins that connect pods to a network",
        binaries: &[
            binary("bridge", "github.com/containernetworking/plugins/plugins/main/bridge"),
            binary("loopback", "github.com/containernetworking/plugins/plugins/main/loopback"),
            binary("host-local", "github.com/containernetworking/plugins/plugins/ipam/host-local"),
            binary("portmap", "github.com/containernetworking/plugins/plugins/meta/portmap"),
        ],
        ldflags: "-s -w",
        environment: &[],
        packages: &[],
        usual_seconds: 15,
    },
    GoModule {
        folder: "probe",
        about: "the program of pods that are only there to be looked at",
        binaries: &[binary("probe", ".")],
        ldflags: "-s -w",
        environment: &[("CGO_ENABLED", "0")],
        packages: &[],
        usual_seconds: 5,
    },
    GoModule {
        folder: "runc",
        about: "runc",
        binaries: &[binary("runc", "github.com/opencontainers/runc")],
        ldflags: "-s -w",
        environment: &[("GOFLAGS", "-tags=seccomp -buildvcs=false")],
        packages: &["gcc", "libc6-dev", "libseccomp-dev", "pkg-config"],
        usual_seconds: 20,
    },
    GoModule {
        folder: "containerd",
        about: "containerd",
        binaries: &[
            binary("containerd", "github.com/containerd/containerd/v2/cmd/containerd"),
            binary("containerd-shim-runc-v2", "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2"),
        ],
        ldflags: "-s -w",
        environment: &[],
        packages: &[],
        usual_seconds: 60,
    },
    GoModule {
        folder: "coredns",
        about: "CoreDNS",
        binaries: &[binary("coredns", ".")],
        ldflags: "-s -w",
        environment: &[("CGO_ENABLED", "0")],
        packages: &[],
        usual_seconds: 70,
    },
    GoModule {
        folder: "helm",
        about: "helm 4.3.1",
        binaries: &[binary("helm", "helm.sh/helm/v4/cmd/helm")],
        ldflags: "-s -w -X helm.sh/helm/v4/internal/version.version=v4.3.1",
        environment: &[("CGO_ENABLED", "0")],
        packages: &[],
        usual_seconds: 180,
    },
    GoModule {
        folder: "k8s",
        about: "kube-apiserver, kube-controller-manager, kubectl",
        binaries: &[
            binary("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
            binary("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
            binary("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
        ],
        ldflags: KUBERNETES_LDFLAGS,
        environment: &[],
        packages: &[],
        usual_seconds: 600,
    },
    // A second place of the same module: who has the servers above need not link them again. It shares their compiled packages.
    GoModule {
        folder: "k8s",
        about: "kubelet, kube-proxy, kube-scheduler",
        binaries: &[
            binary("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
            binary("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
            binary("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
        ],
        ldflags: KUBERNETES_LDFLAGS,
        environment: &[],
        packages: &[],
        usual_seconds: 120,
    },
    GoModule {
        folder: "bao",
        about: "bao 2.4.0",
        binaries: &[binary("bao", "github.com/openbao/openbao")],
        ldflags: "-s -w -X github.com/openbao/openbao/version.fullVersion=2.4.0",
        environment: &[("CGO_ENABLED", "0")],
        packages: &[],
        usual_seconds: 300,
    },
    GoModule {
        folder: "bao-plugin",
        about: "a plugin for bao",
        binaries: &[binary("bao-greeter", "tools-bao-plugin")],
        ldflags: "-s -w",
        environment: &[("CGO_ENABLED", "0")],
        packages: &[],
        usual_seconds: 60,
    },
    GoModule {
        folder: "cosign3",
        about: "cosign 3.1.3",
        binaries: &[binary("cosign3", "github.com/sigstore/cosign/v3/cmd/cosign")],
        ldflags: "-s -w",
        environment: &[],
        packages: &[],
        usual_seconds: 300,
    },
    // Pinned to what cosign 3 is compiled from, and after it: little more than linking is left.
    GoModule {
        folder: "timestamp-authority",
        about: "the timestamp authority of Sigstore",
        binaries: &[binary("timestamp-server", ".")],
        ldflags: "-s -w",
        environment: &[],
        packages: &[],
        usual_seconds: 30,
    },
    GoModule {
        folder: "fulcio",
        about: "Fulcio 1.8.7, the certificate authority of Sigstore",
        binaries: &[binary("fulcio", "github.com/sigstore/fulcio")],
        ldflags: "-s -w",
        environment: &[],
        packages: &[],
        usual_seconds: 30,
    },
    GoModule {
        folder: "cosign2",
        about: "cosign 2.6.5",
        binaries: &[binary("cosign2", "github.com/sigstore/cosign/v2/cmd/cosign")],
        ldflags: "-s -w",
        environment: &[],
        packages: &[],
        usual_seconds: 180,
    },
];

/// Debian packages that a node needs while it runs: `nft` of kube-proxy, `ip` and `nsenter` of its namespaces, the shell of images.
pub const NODE_PACKAGES: &[&str] = &["busybox-static", "iproute2", "nftables", "util-linux"];
