//! What a real API server lets through and what it refuses, by the schema and the CEL rules of the kind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use banhbaoring_testing::control_plane::ControlPlane;
use banhbaoring_testing::kubectl::Kubectl;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// A control plane that serves the kind, and a namespace of this test.
async fn served(prefix: &str) -> Kubectl {
    static SERVED: OnceCell<()> = OnceCell::const_new();
    let plane = ControlPlane::shared().await.unwrap();
    SERVED
        .get_or_init(|| async {
            let crd = serde_json::to_string(&banhbaoring_openbao_api::crd()).unwrap();
            let kubectl = plane.kubectl().unwrap();
            kubectl.run_with_input(&["apply", "--server-side", "--validate=strict", "-f", "-"], &crd).await.unwrap();
            kubectl.run(&["wait", "--for=condition=Established", "--timeout=60s", "crd/openbaoclusters.openbao.org"]).await.unwrap();
        })
        .await;
    let namespace = plane.namespace(prefix).await.unwrap();
    plane.kubectl().unwrap().in_namespace(namespace)
}

fn cluster(name: &str, spec: &str) -> Value {
    let spec: Value = serde_yaml::from_str(spec).unwrap();
    json!({"apiVersion": "openbao.org/v1alpha1", "kind": "OpenBaoCluster", "metadata": {"name": name}, "spec": if spec.is_null() { json!({}) } else { spec }})
}

async fn apply(kubectl: &Kubectl, object: &Value, dry_run: bool) -> Result<Value, String> {
    let mut arguments = vec!["apply", "--server-side", "--validate=strict", "-o", "json", "-f", "-"];
    if dry_run {
        arguments.push("--dry-run=server");
    }
    let told = kubectl.run_with_input(&arguments, &object.to_string()).await.map_err(|error| error.to_string())?;
    Ok(serde_json::from_str(&told).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_taken() {
    let kubectl = served("examples").await;
    for name in ["minimal", "production", "unseal-static", "unseal-awskms", "unseal-gcpkms", "unseal-azurekv", "unseal-transit"] {
        let path = format!("{}/../../../examples/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        kubectl
            .run(&["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", &path])
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defaults_are_filled_in() {
    let kubectl = served("defaults").await;
    let stored = apply(&kubectl, &cluster("a", ""), true).await.unwrap();
    for (pointer, value) in [
        ("/spec/version", json!("2.4.0")),
        ("/spec/replicas", json!(3)),
        ("/spec/storage/size", json!("10Gi")),
        ("/spec/unseal/type", json!("static")),
        ("/spec/tls/mode", json!("OperatorManaged")),
        ("/spec/tls/certificate/validDays", json!(90)),
        ("/spec/deletionPolicy", json!("Retain")),
        ("/spec/networkPolicy/enabled", json!(true)),
        ("/spec/service/type", json!("ClusterIP")),
        ("/spec/ui", json!(true)),
    ] {
        assert_eq!(stored.pointer(pointer), Some(&value), "{pointer} in {stored}");
    }
    let partly = apply(
        &kubectl,
        &cluster("b", "{unseal: {currentKeyId: v2}, storage: {storageClass: fast}, tls: {certificate: {validDays: 60}}}"),
        true,
    )
    .await
    .unwrap();
    assert_eq!(partly.pointer("/spec/unseal/type"), Some(&json!("static")), "{partly}");
    assert_eq!(partly.pointer("/spec/storage/size"), Some(&json!("10Gi")), "{partly}");
    assert_eq!(partly.pointer("/spec/tls/certificate/renewBeforeDays"), Some(&json!(30)), "{partly}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_refused_with_its_reason() {
    let kubectl = served("refused").await;
    for (spec, reason) in [
        ("replicas: 0", "replicas must be 1, 3, 5 or 7"),
        ("replicas: 2", "replicas must be 1, 3, 5 or 7"),
        ("replicas: 4", "replicas must be 1, 3, 5 or 7"),
        ("replicas: 9", "replicas must be 1, 3, 5 or 7"),
        ("replicas: -1", "replicas must be 1, 3, 5 or 7"),
        ("replicas: three", "spec.replicas"),
        ("version: v2.4.0", "spec.version"),
        ("version: latest", "spec.version"),
        ("storage: {size: big}", "spec.storage.size"),
        ("storage: {size: '0'}", "size must be a quantity above zero"),
        ("storage: {size: -1Gi}", "spec.storage.size"),
        ("unseal: {type: awskms, region: us-east-1}", "awskms needs unseal.keyId"),
        ("unseal: {type: awskms, keyId: ''}", "spec.unseal.keyId"),
        ("unseal: {type: awskms, keyId: 5}", "spec.unseal.keyId"),
        ("unseal: {type: awskms, keyId: a, region: [x]}", "spec.unseal.region"),
        ("unseal: {type: gcpkms, project: p, keyRing: r}", "gcpkms needs"),
        ("unseal: {type: gcpckms, project: p, cryptoKey: r}", "gcpkms needs"),
        ("unseal: {type: azurekv, tenantId: t, vaultName: v}", "azurekv needs"),
        ("unseal: {type: transit, address: 'https://a', keyName: k}", "transit needs"),
        ("unseal: {type: transit, address: 'ftp://a', keyName: k, token: {secretName: s, key: k}}", "spec.unseal.address"),
        ("unseal: {type: transit, address: 'https://a', keyName: k, token: secret}", "spec.unseal.token"),
        ("unseal: {type: 'AWS KMS'}", "spec.unseal.type"),
        ("tls: {mode: Secret}", "tls.mode Secret needs tls.secretName"),
        ("tls: {mode: CertManager, issuerRef: {name: a}, secretName: s}", "tls.mode CertManager needs"),
        ("tls: {mode: CertManager, issuerRef: {name: a}, dnsNames: [a.b]}", "tls.mode CertManager needs"),
        ("tls: {mode: ACME, dnsNames: [a.b]}", "tls.mode ACME needs"),
        ("tls: {mode: None}", "spec.tls.mode"),
        ("tls: {dnsNames: ['a b']}", "spec.tls.dnsNames[0]"),
        ("tls: {certificate: {validDays: 10}}", "renewBeforeDays must be below validDays"),
        ("audit: [{type: file, path: a}]", "needs options.file_path"),
        ("audit: [{type: http, path: a}, {type: http, path: a}]", "duplicate"),
        ("telemetry: {prometheusRetentionTime: soon}", "spec.telemetry.prometheusRetentionTime"),
        ("pod: {tolerations: [{key: 5}]}", "spec.pod.tolerations[0].key"),
        ("plugins: [{component: openbao}]", "spec.plugins[0].plugin"),
        ("replica: 3", ".spec.replica: field not declared in schema"),
    ] {
        let refused = apply(&kubectl, &cluster("a", spec), true).await;
        let told = refused.err().unwrap_or_else(|| panic!("{spec} was taken"));
        assert!(told.contains(reason), "{spec}: expected {reason:?} in {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_written_is_taken() {
    let kubectl = served("taken").await;
    for spec in [
        "unseal: {type: ocikms, keyId: ocid1, cryptoEndpoint: 'https://a', nested: {deep: [1]}}",
        "unseal: {type: static, currentKey: {secretName: s, key: k}, currentKeyId: v2}",
        "unseal: {type: transit, address: 'https://a', keyName: k, credentialsSecretRef: {name: s}}",
        "pod: {resources: {requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 1500m}}}",
        "pod: {affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone}]}}}",
        "networkPolicy: {ingressFrom: [{ipBlock: {cidr: 10.0.0.0/8}}], egress: [{ports: [{port: 443}, {port: https, protocol: TCP}]}]}",
        "extensions: {backup: {schedule: daily, deep: {er: [1, a]}}}",
        "plugins: [{component: openbao, plugin: openbao}]",
        "storage: {size: 1.5Ti}",
        "version: 2.4.0-beta20250825+build.1",
    ] {
        let stored = apply(&kubectl, &cluster("a", spec), true).await.unwrap_or_else(|told| panic!("{spec}: {told}"));
        let asked = cluster("a", spec);
        // Nothing that a provider or an extension reads was pruned.
        for part in ["unseal", "extensions"] {
            for (key, value) in asked["spec"][part].as_object().into_iter().flatten() {
                assert_eq!(&stored["spec"][part][key], value, "{spec}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_undone_cannot_be_asked_for() {
    let kubectl = served("changes").await;
    let before = "{replicas: 3, storage: {size: 10Gi, storageClass: fast}, unseal: {type: awskms, keyId: a}}";
    apply(&kubectl, &cluster("a", before), false).await.unwrap();
    for (after, reason) in [
        ("{replicas: 1, storage: {size: 10Gi, storageClass: fast}, unseal: {type: awskms, keyId: a}}", "replicas cannot shrink"),
        ("{replicas: 3, storage: {size: 10239Mi, storageClass: fast}, unseal: {type: awskms, keyId: a}}", "size cannot shrink"),
        ("{replicas: 3, storage: {size: 10G, storageClass: fast}, unseal: {type: awskms, keyId: a}}", "size cannot shrink"),
        ("{replicas: 3, storage: {size: 10Gi, storageClass: slow}, unseal: {type: awskms, keyId: a}}", "storageClass is immutable"),
        ("{replicas: 3, storage: {size: 10Gi}, unseal: {type: awskms, keyId: a}}", "storageClass is immutable"),
        ("{replicas: 3, storage: {size: 10Gi, storageClass: fast}, unseal: {type: static}}", "unseal.type is immutable"),
        ("{replicas: 3, storage: {size: 10Gi, storageClass: fast}}", "unseal.type is immutable"),
    ] {
        let told = apply(&kubectl, &cluster("a", after), false).await.err().unwrap_or_else(|| panic!("{after} was taken"));
        assert!(told.contains(reason), "{after}: expected {reason:?} in {told}");
    }
    apply(&kubectl, &cluster("a", "{replicas: 5, storage: {size: 20Gi, storageClass: fast}, unseal: {type: awskms, keyId: b}}"), false)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_which_no_service_can_be_made_is_refused() {
    let kubectl = served("names").await;
    for name in ["a.b", "1a", &"a".repeat(47)] {
        let told = apply(&kubectl, &cluster(name, ""), true).await.expect_err(name);
        assert!(told.contains("metadata.name must be a DNS label"), "{name}: {told}");
    }
    apply(&kubectl, &cluster(&"a".repeat(46), ""), true).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_tells_the_story() {
    let kubectl = served("table").await;
    apply(&kubectl, &cluster("a", ""), false).await.unwrap();
    let status = json!({"status": {"phase": "Running", "nodes": "3/3", "conditions": [
        {"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    ], "components": [{"name": "openbao", "anything": 1}, {"name": "-"}, {"name": "-"}]}});
    kubectl.run(&["patch", "obc", "a", "--subresource=status", "--type=merge", "-p", &status.to_string()]).await.unwrap();
    let table = kubectl.run(&["get", "obc"]).await.unwrap();
    let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    assert_eq!(lines.next().unwrap(), ["NAME", "VERSION", "REPLICAS", "UNSEAL", "PHASE", "READY", "AGE"]);
    assert_eq!(lines.next().unwrap()[..6], ["a", "2.4.0", "3/3", "static", "Running", "True"]);
    let kept = kubectl.run(&["get", "obc", "a", "-o", "jsonpath={.status.components[0].anything}"]).await.unwrap();
    assert_eq!(kept.trim(), "1");
}
