//! The kind `Hello` as a CustomResourceDefinition. Written by hand to show what crosses; `kube`'s derive makes the same from a type.

use serde_json::{Value, json};

/// The definition.
pub(crate) fn hello() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "hellos.examples.banhbaoring.io"},
        "spec": {
            "group": "examples.banhbaoring.io",
            "scope": "Namespaced",
            "names": {"kind": "Hello", "listKind": "HelloList", "plural": "hellos", "singular": "hello"},
            "versions": [{
                "name": "v1alpha1",
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "additionalPrinterColumns": [
                    {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
                    {"name": "Ready", "type": "integer", "jsonPath": ".status.readyReplicas"},
                ],
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "required": ["spec"],
                    "properties": {
                        "spec": {
                            "type": "object",
                            "required": ["greeting"],
                            "properties": {
                                "greeting": {"type": "string", "minLength": 1, "maxLength": 256},
                                "replicas": {"type": "integer", "minimum": 0, "maximum": 100, "default": 1},
                                "image": {"type": "string", "minLength": 1, "maxLength": 512},
                            },
                        },
                        // Atomic: the host writes the whole of it.
                        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "x-kubernetes-map-type": "atomic"},
                    },
                }},
            }],
        },
    })
}
