//! What a schema cannot say is refused before anything is rendered, by field: what an API server finds out later leaves a cluster half changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use banhbaoring_sdk::wit::FailureClass;
use serde_json::json;
use support::{owner, refused, render, rendered, request, seals};

#[test]
fn what_no_api_server_would_take_is_refused_by_field() {
    let long = "x".repeat(70_000);
    for (spec, field) in [
        ("pod: {labels: {a b: x}}", "spec.pod.labels"),
        ("pod: {labels: {/a: x}}", "spec.pod.labels"),
        ("pod: {nodeSelector: {'': x}}", "spec.pod.nodeSelector"),
        ("pod: {annotations: {UPPER.example.com/a: x}}", "spec.pod.annotations"),
        (&format!("pod: {{annotations: {{a: {long}, b: {long}, c: {long}}}}}"), "spec.pod.annotations"),
        ("service: {annotations: {a/b/c: x}}", "spec.service.annotations"),
        ("serviceAccount: {annotations: {ä: x}}", "spec.serviceAccount.annotations"),
        ("tls: {ipAddresses: [10.0.0.1, 999.1.1.1]}", "spec.tls.ipAddresses[1]"),
        ("tls: {ipAddresses: ['::::']}", "spec.tls.ipAddresses[0]"),
        ("service: {type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0/33]}", "spec.service.loadBalancerSourceRanges[0]"),
        ("networkPolicy: {ingressFrom: [{ipBlock: {cidr: 10.0.0.0}}]}", "spec.networkPolicy.ingressFrom[0].ipBlock.cidr"),
        (
            "networkPolicy: {egress: [{to: [{ipBlock: {cidr: 'fd00::/8', except: ['fd00::/129']}}]}]}",
            "spec.networkPolicy.egress[0].to[0].ipBlock.except[0]",
        ),
        ("audit: [{type: file, path: a, options: {file_path: stdout, a b: c}}]", "spec.audit[0].options"),
        ("audit: [{type: file, path: a, options: {file_path: stdout, \"x = \\\"y\\\"\\n}\\nseal\": c}}]", "spec.audit[0].options"),
        (&plugin("name: \"a\\\" {}\\npath \\\"*\""), "spec.pluginCatalog[0].name"),
        (&plugin("version: latest"), "spec.pluginCatalog[0].version"),
        (&plugin("version: 1.0.0"), "spec.pluginCatalog[0].version"),
        (&plugin("sha256: abc"), "spec.pluginCatalog[0].sha256"),
        (&plugin("command: ../bin/sh"), "spec.pluginCatalog[0].command"),
        (&plugin("command: -rf"), "spec.pluginCatalog[0].command"),
        (&plugin("image: a b"), "spec.pluginCatalog[0].image"),
        (&plugin("path: $(HOME)/a"), "spec.pluginCatalog[0].path"),
        (&plugin("path: a"), "spec.pluginCatalog[0].path"),
        ("replicas: 2", "spec.replicas"),
        ("replicas: 0", "spec.replicas"),
        ("tls: {mode: Secret}", "spec.tls.secretName"),
    ] {
        let failure = refused(spec);
        assert_eq!((failure.class, failure.field.as_deref()), (FailureClass::InvalidConfig, Some(field)), "{spec:.200}");
        assert!(failure.message.len() < 500, "{spec:.200}: {}", failure.message);
    }
}

/// A plugin of the catalogue with one field otherwise.
fn plugin(field: &str) -> String {
    let mut plugin =
        json!({"type": "secret", "name": "a", "version": "v1.0.0", "sha256": "0".repeat(64), "command": "a", "image": "a", "path": "/a"});
    let other: serde_json::Value = serde_yaml::from_str(field).unwrap();
    plugin.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    json!({"pluginCatalog": [plugin]}).to_string()
}

#[test]
fn plugins_of_one_command_or_from_two_places_are_refused() {
    let plugin = |name: &str, command: &str, sha256: &str, image: Option<&str>| json!({"type": "auth", "name": name, "version": "v1.0.0", "sha256": sha256.repeat(64), "command": command, "image": image});
    let seal = seals::from_plugin(seals::awskms());
    let mut by_command = seal.clone();
    by_command.kms_plugin.as_mut().unwrap().source = banhbaoring_sdk::wit::KmsPluginSource::Command("kms".to_owned());
    let key = || seals::generated_key("prod");
    for (plugins, seal, field) in [
        (json!([plugin("a", "x", "0", None), plugin("b", "x", "1", None)]), key(), Some("spec.pluginCatalog[0].command")),
        (json!([plugin("a", "x", "0", None), plugin("b", "y", "1", Some("i"))]), key(), Some("spec.pluginCatalog")),
        (json!([plugin("a", "x", "0", Some("i"))]), by_command.clone(), Some("spec.pluginCatalog")),
        (json!([plugin("a", "x", "0", None)]), seal.clone(), Some("spec.pluginCatalog")),
        (json!([plugin("a", "x", "0", None)]), by_command, None),
        (json!([plugin("a", "x", "0", Some("i"))]), seal, None),
        (json!([plugin("a", "x", "a", None), plugin("b", "x", "A", None)]), key(), None),
    ] {
        let owner = owner(&json!({"version": "2.7.0", "pluginCatalog": plugins}).to_string());
        let failure = render(&request(&owner, Some(seal))).err();
        assert_eq!(failure.as_ref().and_then(|failure| failure.field.as_deref()), field, "{plugins}: {failure:?}");
    }
}

#[test]
fn what_looks_odd_and_is_right_is_rendered() {
    rendered(
        "{pod: {labels: {example.com/team_a: '', a.b: x}, annotations: {a: 'any ${thing} \"goes\"'}},
          tls: {ipAddresses: ['::ffff:10.0.0.1', 2001:db8::7]},
          service: {type: LoadBalancer, loadBalancerSourceRanges: [0.0.0.0/0, '::/0']},
          networkPolicy: {ingressFrom: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}}",
    );
}

#[test]
fn requests_that_no_config_map_would_hold_are_refused() {
    let mut owner = owner("");
    owner["spec"]["initialization"]["requests"] = json!([{"name": "large", "path": "sys/x", "data": {"a": "x".repeat(1_000_000)}}]);
    let failure = render(&request(&owner, Some(seals::generated_key("prod")))).unwrap_err();
    assert_eq!(failure.field.as_deref(), Some("spec.initialization.requests"));
}
