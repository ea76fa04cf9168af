//! The node's DNS: CoreDNS in a pod, as every cluster has it. It knows the cluster's names and says of all others that they do not exist.

use serde_json::{Value, json};

use super::slot::Slot;

pub(super) const IMAGE: &str = "banhbaoring.test/coredns:1";
pub(super) const NAMESPACE: &str = "kube-system";
pub(super) const DEPLOYMENT: &str = "coredns";

// Without the second block it would be silent about other names, and who asks would wait.
const COREFILE: &str = "cluster.local:53 in-addr.arpa:53 ip6.arpa:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        ttl 1
    }
    cache 2
}
.:53 {
    errors
    template ANY ANY . {
        rcode NXDOMAIN
    }
}
";

/// Everything that is applied for it, and the class of volumes that claims get where they name none.
pub(super) fn manifests(slot: Slot) -> Value {
    let labels = json!({"k8s-app": "kube-dns"});
    let named = |name: &str| json!({"name": name, "namespace": NAMESPACE});
    let reads = |group: &str, resources: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": ["list", "watch"]});
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": named(DEPLOYMENT)},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "system:coredns"}, "rules": [
            reads("", &["endpoints", "services", "pods", "namespaces"]),
            reads("discovery.k8s.io", &["endpointslices"]),
        ]},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "system:coredns"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
            "subjects": [{"kind": "ServiceAccount", "name": DEPLOYMENT, "namespace": NAMESPACE}],
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": named(DEPLOYMENT), "data": {"Corefile": COREFILE}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": named(DEPLOYMENT), "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {
                "serviceAccountName": DEPLOYMENT,
                "dnsPolicy": "Default",
                "containers": [{
                    "name": "coredns",
                    "image": IMAGE,
                    "args": ["-conf", "/etc/coredns/Corefile"],
                    "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": true}],
                    "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
                    "securityContext": {
                        "allowPrivilegeEscalation": false,
                        "readOnlyRootFilesystem": true,
                        "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
                    },
                }],
                "volumes": [{"name": "config", "configMap": {"name": DEPLOYMENT}}],
            }},
        }},
        {"apiVersion": "v1", "kind": "Service", "metadata": named("kube-dns"), "spec": {
            "clusterIP": slot.dns(),
            "selector": labels,
            "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}],
        }},
        {
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "kubernetes.io/host-path",
            "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            "volumeBindingMode": "WaitForFirstConsumer",
        },
    ]})
}
