//! Whatever the schema lets through is rendered, the same every time, under names that Kubernetes takes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;

use banhbaoring_sdk::wit::Seal;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use support::{config, container, objects, owner, render, request, seals};

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]([-a-z0-9]{0,44}[a-z0-9])?", Just("a".repeat(46)), Just("a".to_owned())]
}

fn duration() -> impl Strategy<Value = String> {
    (1_u32..10_000, select(vec!["s", "m", "h"])).prop_map(|(number, unit)| format!("{number}{unit}"))
}

fn tls() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({})),
        Just(json!({"dnsNames": ["bao.example.com", "*.example.com", "localhost"], "ipAddresses": ["10.0.0.1", "::1"]})),
        Just(json!({"mode": "Secret", "secretName": "mine"})),
        Just(json!({"mode": "CertManager", "issuerRef": {"name": "x"}, "secretName": "edge", "dnsNames": ["bao.example.com"]})),
        Just(json!({"mode": "ACME", "acme": {"email": "a@b.c"}, "dnsNames": ["bao.example.com"]})),
    ]
}

fn spec() -> impl Strategy<Value = Value> {
    (
        (select(vec!["2.4.0", "2.5.3", "2.6.0-rc1", "2.6.2+build.7"]), select(vec![1, 3, 5, 7]), any::<bool>(), tls()),
        (
            proptest::option::of(duration()),
            proptest::option::of(1_u32..=10),
            proptest::option::of("[a-zA-Z_][a-zA-Z0-9_]{0,20}"),
            any::<String>(),
        ),
        (
            select(vec!["Retain", "DeletePVCs", "DeleteAll"]),
            select(vec!["ClusterIP", "NodePort", "LoadBalancer"]),
            any::<bool>(),
            any::<bool>(),
        ),
    )
        .prop_map(|((version, replicas, ui, tls), (ttl, multiplier, prefix, text), (deletion, service, policy, audit))| {
            let mut spec = json!({
                "version": version, "replicas": replicas, "ui": ui, "tls": tls, "deletionPolicy": deletion,
                "service": {"type": service, "loadBalancerSourceRanges": ["10.0.0.0/8"]},
                "networkPolicy": {"enabled": policy, "ingressFrom": [{"namespaceSelector": {}}]},
                "raft": {"performanceMultiplier": multiplier},
                "telemetry": {"metricsPrefix": prefix, "unauthenticatedMetricsAccess": policy},
            });
            if let Some(ttl) = ttl {
                spec["maxLeaseTtl"] = ttl.into();
            }
            if audit {
                spec["pluginCatalog"] = json!([
                    {"type": "secret", "name": "a.b_c-d", "version": "v1.2.3-rc.1+x", "sha256": "aB".repeat(32), "command": "a", "args": [text], "env": {"A": text}, "image": "a/b@c"},
                    {"type": "database", "name": "a", "version": "v0.0.0", "sha256": "0".repeat(64), "command": "b", "image": "a", "path": "/x/y"},
                ]);
                spec["audit"] =
                    json!([{"type": "file", "path": "a/b", "description": text, "options": {"file_path": "stdout", "prefix": text}}]);
            }
            spec
        })
}

fn seal() -> impl Strategy<Value = Seal> {
    let known = select(vec![seals::generated_key("prod"), seals::awskms(), seals::gcpckms(), seals::azurekeyvault(), seals::transit()]);
    (known, any::<String>(), any::<i64>()).prop_map(|(mut seal, text, number)| {
        seal.attributes
            .push(banhbaoring_sdk::wit::SealAttribute { key: "any_text".to_owned(), value: banhbaoring_sdk::wit::Scalar::Text(text) });
        seal.attributes.push(banhbaoring_sdk::wit::SealAttribute {
            key: "any_number".to_owned(),
            value: banhbaoring_sdk::wit::Scalar::Integer(number),
        });
        seal
    })
}

/// The longest that Kubernetes takes for a name of the kind.
fn longest(kind: &str) -> usize {
    // The controller adds a hash to a StatefulSet's name in a label, and an ordinal in a pod's.
    match kind {
        "StatefulSet" => 52,
        "Service" => 63,
        _ => 253,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_valid_spec_is_rendered_the_same_every_time(name in name(), spec in spec(), seal in seal()) {
        let mut owner = owner("");
        owner["metadata"]["name"] = name.clone().into();
        owner["spec"] = spec;
        let request = request(&owner, Some(seal));
        let response = render(&request).map_err(|failure| TestCaseError::fail(format!("{failure:?}")))?;
        prop_assert!(render(&request).as_ref() == Ok(&response));

        let mut names = BTreeSet::new();
        for object in objects(&response) {
            let kind = object["kind"].as_str().unwrap();
            let name = object["metadata"]["name"].as_str().unwrap();
            prop_assert!(name.len() <= longest(kind), "{kind} {name}");
            prop_assert!(names.insert((kind.to_owned(), name.to_owned())), "{kind} {name} twice");
            for value in object["metadata"]["labels"].as_object().unwrap().values() {
                prop_assert!(value.as_str().unwrap().len() <= 63);
            }
        }
        for secret in &response.secrets {
            prop_assert!(secret.name.len() <= 253);
        }
        let mut variables = BTreeSet::new();
        for variable in container(&response)["env"].as_array().unwrap() {
            prop_assert!(variables.insert(variable["name"].as_str().unwrap().to_owned()), "{variable} twice");
        }
        let text = config(&response);
        prop_assert!(!text.contains("${"), "{text}");
        for label in format!("openbao-cluster-{name}.local").split('.') {
            prop_assert!(label.len() <= 63, "{label}");
        }
    }

    /// The API server refuses these first; a file that is rendered without one must not slip through.
    #[test]
    fn a_name_that_would_not_do_is_refused(name in "[a-z][-a-z0-9]{46,80}|[0-9][a-z]{0,5}|[a-z]{1,5}-|[a-z]{1,5}\\.[a-z]{1,5}|[A-Z]{1,5}") {
        let mut owner = owner("");
        owner["metadata"]["name"] = name.into();
        let failure = render(&request(&owner, Some(seals::generated_key("prod")))).unwrap_err();
        prop_assert_eq!(failure.field.as_deref(), Some("metadata.name"));
    }
}
