//! The schema files beside the WIT say what the Rust types say, and the types refuse what the schemas do not know.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use banhbaoring_contract::{action, generator, need, schemas};
use serde_json::{Value, json};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("v0.1/schemas")
}

#[test]
fn the_schema_files_are_fresh() {
    let update = std::env::var_os("UPDATE_SCHEMAS").is_some();
    let mut expected = BTreeSet::new();
    for published in schemas() {
        let path = directory().join(&published.path);
        let text = format!("{}\n", serde_json::to_string_pretty(&published.schema).unwrap());
        if update {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let found: Value = serde_json::from_str(
            &fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}; run with UPDATE_SCHEMAS=1", path.display())),
        )
        .unwrap();
        assert_eq!(found, published.schema, "{} is stale; run with UPDATE_SCHEMAS=1", path.display());
        expected.insert(path);
    }
    for folder in ["needs", "actions", "generators"] {
        for entry in fs::read_dir(directory().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            assert!(expected.contains(&path), "{} is published by nothing", path.display());
        }
    }
}

#[test]
fn every_kind_of_the_contract_is_published() {
    let paths: Vec<String> = schemas().into_iter().map(|p| p.path).collect();
    for kind in ["object", "objects", "outputs", "http", "image", "git", "job"] {
        assert!(paths.contains(&format!("needs/{kind}.json")), "{kind}");
    }
    for kind in ["http", "run", "patch", "adopt", "delete", "remove-finalizer"] {
        assert!(paths.contains(&format!("actions/{kind}.json")), "{kind}");
    }
    for name in ["bytes", "password", "key-pair", "ca", "certificate", "age-identity", "template", "hash"] {
        assert!(paths.contains(&format!("generators/{name}.json")), "{name}");
    }
}

#[test]
fn a_field_that_nobody_knows_is_refused() {
    let unknown = |result: Result<(), serde_json::Error>| {
        assert!(result.unwrap_err().to_string().contains("unknown field"));
    };
    unknown(serde_json::from_value::<generator::Bytes>(json!({"length": 32, "lenght": 16})).map(drop));
    unknown(serde_json::from_value::<need::Job>(json!({"key": "a", "namespace": "b"})).map(drop));
    unknown(serde_json::from_value::<action::Run>(json!({"key": "a", "podTemplate": {}, "deadlineSeconds": 1, "ttl": 1})).map(drop));
}

#[test]
fn specs_are_written_in_camel_case_and_read_back() {
    let spec = generator::Certificate {
        common_name: "prod".into(),
        dns_names: vec!["prod.bao.svc".into()],
        ip_addresses: Vec::new(),
        uris: Vec::new(),
        usages: Vec::new(),
        valid_days: 90,
        algorithm: generator::KeyAlgorithm::EcdsaP256,
        ca: generator::CaSource { secret: "prod-tls-ca".into(), private_key: "ca.key".into(), certificate: "ca.crt".into() },
        certificate: "tls.crt".into(),
        ca_certificate: Some("ca.crt".into()),
    };
    let written = serde_json::to_value(&spec).unwrap();
    assert_eq!(
        written,
        json!({
            "commonName": "prod", "dnsNames": ["prod.bao.svc"], "validDays": 90, "algorithm": "ecdsa-p256",
            "ca": {"secret": "prod-tls-ca", "privateKey": "ca.key", "certificate": "ca.crt"},
            "certificate": "tls.crt", "caCertificate": "ca.crt"
        })
    );
    assert_eq!(serde_json::from_value::<generator::Certificate>(written).unwrap(), spec);
}
