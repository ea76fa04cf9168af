//! The plugin that `cargo xtask bench` measures the operator with: a `Stack` is 8 ConfigMaps, 2 Services, a Deployment and a ServiceAccount,
//! the same twelve objects that other operators were measured with. Its pods are never wanted (`replicas: 0`), because the API server is what
//! is measured. Nothing that anybody would use lives here.

use banhbaoring_sdk::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

/// ConfigMaps of a stack.
const CONFIG_MAPS: usize = 8;
/// Services of a stack.
const SERVICES: usize = 2;
/// The host watches children as the plugin's account.
const VERBS: [&str; 6] = ["get", "list", "watch", "create", "patch", "delete"];
const IMAGE: &str = "registry.k8s.io/pause:3.10";

/// The spec of a `Stack`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Stands in the first ConfigMap and nowhere else: changing it changes one object.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub message: String,
}

/// The component.
pub struct Stack;

impl Component for Stack {
    const NAME: &'static str = "stack";
    type Owner = DynamicObject;
    type Config = Config;

    fn describe() -> ComponentDescriptor {
        ComponentDescriptor::at("").kind("bench.banhbaoring.io/Stack")
    }

    fn reconcile(cx: &Context<Self>) -> Result<Response, Failure> {
        let name = cx.name();
        let labels = json!({"app.kubernetes.io/name": "stack", "app.kubernetes.io/instance": name});
        let metadata = |name: &str| json!({"name": name, "namespace": cx.namespace(), "labels": labels});
        let mut response = Response::ready();
        for index in 0..CONFIG_MAPS {
            let message = if index == 0 { cx.config().message.as_str() } else { "" };
            response = response.apply(&json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(&format!("{name}-{index}")),
                "data": {"stack": name, "index": index.to_string(), "message": message},
            }));
        }
        for index in 0..SERVICES {
            response = response.apply(&json!({
                "apiVersion": "v1", "kind": "Service", "metadata": metadata(&format!("{name}-{index}")),
                "spec": {
                    // Without an address of its own: the range of addresses of a small API server ends at 65,536.
                    "clusterIP": "None",
                    "selector": labels,
                    "ports": [{"name": "http", "port": 8080 + index, "targetPort": 8080}],
                },
            }));
        }
        response = response.apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(name)}));
        Ok(response.apply(&deployment(name, &metadata(name), &labels)))
    }
}

fn deployment(name: &str, metadata: &Value, labels: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": name,
                    "automountServiceAccountToken": false,
                    "securityContext": {"runAsNonRoot": true, "runAsUser": 65535, "seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [{
                        "name": "stack",
                        "image": IMAGE,
                        "envFrom": [{"configMapRef": {"name": format!("{name}-0")}}],
                        "ports": [{"name": "http", "containerPort": 8080}],
                        "securityContext": {
                            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
                        },
                    }],
                },
            },
        },
    })
}

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "stacks.bench.banhbaoring.io"},
        "spec": {
            "group": "bench.banhbaoring.io",
            "scope": "Namespaced",
            "names": {"kind": "Stack", "listKind": "StackList", "plural": "stacks", "singular": "stack"},
            "versions": [{
                "name": "v1alpha1",
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "properties": {
                        "spec": {"type": "object", "properties": {"message": {"type": "string", "maxLength": 256}}},
                        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "x-kubernetes-map-type": "atomic"},
                    },
                }},
            }],
        },
    })
}

export_plugin!(
    name: "stack",
    summary: "What cargo xtask bench measures the operator with",
    components: [Stack],
    kinds: [KindSource::watch(&definition())],
    images: {"stack": IMAGE},
    permissions: json!({
        "resources": [
            {
                "apiGroups": [""], "resources": ["configmaps", "services", "serviceaccounts"],
                "verbs": VERBS, "namespaces": ["owner"],
            },
            {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": VERBS, "namespaces": ["owner"]},
        ],
        "pods": {"serviceAccounts": ["own"], "images": [IMAGE]},
        "kinds": ["bench.banhbaoring.io/Stack"],
    }),
);
