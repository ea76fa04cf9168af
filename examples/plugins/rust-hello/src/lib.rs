//! A plugin to copy: it brings the kind `Hello` and serves it with one component that renders a ConfigMap and a Deployment.

mod crd;

use banhbaoring_sdk::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

/// The spec of a `Hello`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// What is said.
    #[schemars(length(min = 1, max = 256))]
    pub greeting: String,
    /// How many pods say it.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 100))]
    pub replicas: u32,
    /// Image of the pods.
    #[serde(default = "default_image")]
    #[schemars(length(min = 1, max = 512))]
    pub image: String,
}

fn one() -> u32 {
    1
}

fn default_image() -> String {
    DEFAULT_IMAGE.to_owned()
}

const DEFAULT_IMAGE: &str = "registry.k8s.io/pause:3.10";

/// The component.
pub struct Hello;

impl Component for Hello {
    const NAME: &'static str = "hello";
    type Owner = DynamicObject;
    type Config = Config;

    fn describe() -> ComponentDescriptor {
        ComponentDescriptor::at("").kind("examples.banhbaoring.io/Hello").condition_type("Said").child_fields(
            "apps/v1",
            "Deployment",
            ["/status/readyReplicas"],
        )
    }

    fn reconcile(cx: &Context<Self>) -> Result<Response, Failure> {
        let Config { greeting, replicas, image } = cx.config();
        if greeting.trim().is_empty() {
            return Err(Failure::invalid(cx.field("greeting"), "`greeting` is empty; write what shall be said"));
        }
        let name = cx.name();
        let ready = cx.child("Deployment", name).and_then(|child| child.field("/status/readyReplicas").as_u64()).unwrap_or(0);
        let labels = json!({"app.kubernetes.io/name": "hello", "app.kubernetes.io/instance": name});
        let metadata = json!({"name": name, "namespace": cx.namespace(), "labels": labels});
        let response = if ready >= u64::from(*replicas) {
            Response::ready()
        } else {
            Response::progressing("PodsStarting", format!("{ready} of {replicas} pods are ready"))
        };
        Ok(response
            .apply(&json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata,
                "data": {"greeting": greeting},
            }))
            .apply(&json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": labels},
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": {
                            "automountServiceAccountToken": false,
                            "securityContext": {
                                "runAsNonRoot": true, "runAsUser": 65535,
                                "seccompProfile": {"type": "RuntimeDefault"},
                            },
                            "containers": [{
                                "name": "hello",
                                "image": image,
                                "env": [{
                                    "name": "GREETING",
                                    "valueFrom": {"configMapKeyRef": {"name": name, "key": "greeting"}},
                                }],
                                "securityContext": {
                                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                                    "capabilities": {"drop": ["ALL"]},
                                },
                            }],
                        },
                    },
                },
            }))
            .output("configMap", name)
            .status(&json!({"greeting": greeting, "readyReplicas": ready}))
            .condition("Said", ready > 0, if ready > 0 { "PodsReady" } else { "NoPod" }, format!("{ready} pods say it")))
    }
}

export_plugin!(
    name: "hello",
    summary: "Says hello: the plugin to copy",
    components: [Hello],
    kinds: [KindSource::watch(&crd::hello())],
    images: {"hello": DEFAULT_IMAGE},
    permissions: json!({
        "resources": [
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch", "delete"], "namespaces": ["owner"]},
            {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "create", "patch", "delete"], "namespaces": ["owner"]},
        ],
        "pods": {"serviceAccounts": ["default"], "images": [DEFAULT_IMAGE, "owner-spec"]},
        "kinds": ["examples.banhbaoring.io/Hello"],
    }),
);
