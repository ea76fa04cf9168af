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
            kubectl.run(&["wait", "--for=condition=Established", "--timeout=300s", "crd/openbaoclusters.openbao.org"]).await.unwrap();
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
    for name in
        ["minimal", "production", "unseal-static", "unseal-awskms", "unseal-gcpkms", "unseal-azurekv", "unseal-transit", "plugin-catalog"]
    {
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

/// Plugins of the catalogue, each with some fields otherwise; null is absent.
fn plugins(others: &[&str]) -> String {
    let each = others.iter().map(|fields| {
        let mut plugin = json!({"type": "secret", "name": "a", "version": "v1.0.0", "sha256": "0".repeat(64), "command": "a", "image": "a", "path": "/a"});
        let others: Value = serde_yaml::from_str(fields).unwrap();
        plugin.as_object_mut().unwrap().extend(others.as_object().cloned().unwrap_or_default());
        plugin.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        plugin
    });
    json!({"pluginCatalog": each.collect::<Vec<_>>()}).to_string()
}

fn plugin(fields: &str) -> String {
    plugins(&[fields])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_refused_with_its_reason() {
    let kubectl = served("refused").await;
    for (spec, reason) in [
        ("imageVerification: {policy: Block}", "exactly one of publicKey and keyless"),
        ("imageVerification: {publicKey: cosign.pub}", "publicKey"),
        ("imageVerification: {keyless: {issuer: a, subject: b}}", "trustedRoot"),
        ("replicas: 0", "replicas must be 1, 3, 5 or 7"),
        ("replicas: 2", "replicas must be 1, 3, 5 or 7"),
        ("replicas: 4", "replicas must be 1, 3, 5 or 7"),
        ("replicas: 9", "replicas must be 1, 3, 5 or 7"),
        ("replicas: -1", "replicas must be 1, 3, 5 or 7"),
        ("replicas: three", "spec.replicas"),
        ("version: v2.4.0", "spec.version"),
        ("version: latest", "spec.version"),
        ("storage: {size: big}", "spec.storage.size"),
        ("storage: {size: '0'}", "size must be a quantity of at least 1Mi"),
        ("storage: {size: -1Gi}", "spec.storage.size"),
        ("unseal: {type: awskms, region: us-east-1}", "awskms needs unseal.keyId"),
        ("unseal: {type: awskms, keyId: ''}", "spec.unseal.keyId"),
        ("unseal: {type: awskms, keyId: 5}", "spec.unseal.keyId"),
        ("unseal: {type: awskms, keyId: a, region: [x]}", "spec.unseal.region"),
        ("unseal: {type: gcpkms, project: p, location: l, keyRing: r}", "gcpkms needs"),
        ("unseal: {type: gcpckms, project: p, location: l, cryptoKey: r}", "gcpkms needs"),
        ("unseal: {type: gcpkms, project: p, keyRing: r, cryptoKey: k}", "unseal.location"),
        ("unseal: {type: azurekv, tenantId: t, vaultName: v}", "azurekv needs"),
        ("unseal: {type: transit, address: 'https://a', keyName: k}", "transit needs"),
        ("unseal: {type: transit, address: 'ftp://a', keyName: k, token: {secretName: s, key: k}}", "spec.unseal.address"),
        ("unseal: {type: transit, address: 'https://a', keyName: k, token: secret}", "spec.unseal.token"),
        ("unseal: {type: 'AWS KMS'}", "spec.unseal.type"),
        ("unseal: {type: awskms, keyId: null}", "awskms needs unseal.keyId"),
        ("unseal: {type: awskms, keyId: '  '}", "spec.unseal.keyId"),
        ("unseal: {type: awskms, keyId: a, roleArn: 5}", ".spec.unseal.roleArn"),
        ("unseal: {type: awskms, keyId: a, roleArn: 'arn:aws:a', credentialsSecretRef: {name: s}}", "give one kind of credentials"),
        ("unseal: {type: awskms, keyId: a, credentials: {accessKeyId: {secretName: My Secret, key: k}}}", "accessKeyId.secretName"),
        ("unseal: {type: awskms, keyId: a, credentials: {accessKeyId: {secretName: s, key: a b}}}", "accessKeyId.key"),
        ("unseal: {type: awskms, keyId: a, credentialsSecretRef: {name: ../../etc}}", "spec.unseal.credentialsSecretRef.name"),
        ("unseal: {type: transit, address: \"https://a\\nb\", keyName: k, token: {secretName: s, key: k}}", "spec.unseal.address"),
        (
            "unseal: {type: transit, address: 'https://a', keyName: k, token: {secretName: s, key: k}, tlsSkipVerify: 'yes'}",
            "tlsSkipVerify",
        ),
        ("unseal: {keyId: alias/a, region: us-east-1}", "unseal.type is static, which is its default"),
        ("unseal: {currentKey: {secretName: s, key: k}}", "unseal.currentKey needs unseal.currentKeyId"),
        ("unseal: {previousKeyId: v1}", "unseal.previousKey and unseal.previousKeyId come together"),
        ("unseal: {currentKey: {secretName: s, key: k}, currentKeyId: a, restoreFrom: b}", "give one of the two"),
        ("tls: {mode: Secret}", "tls.mode Secret needs tls.secretName"),
        ("tls: {mode: CertManager, issuerRef: {name: a}, secretName: s}", "tls.mode CertManager needs"),
        ("tls: {mode: CertManager, issuerRef: {name: a}, dnsNames: [a.b]}", "tls.mode CertManager needs"),
        ("tls: {mode: ACME, dnsNames: [a.b]}", "tls.mode ACME needs"),
        ("tls: {mode: None}", "spec.tls.mode"),
        ("tls: {secretName: mine}", "tls.secretName is read only with"),
        ("tls: {mode: Secret, secretName: mine, acme: {}}", "tls.acme is read only with"),
        ("tls: {mode: Secret, secretName: mine, issuerRef: {name: a}}", "tls.issuerRef is read only with"),
        ("tls: {mode: Secret, secretName: mine, ipAddresses: [10.0.0.1]}", "tls.ipAddresses is read only with"),
        ("tls: {mode: ACME, acme: {}, dnsNames: ['*.example.com']}", "cannot get a certificate for a wildcard"),
        ("tls: {mode: ACME, acme: {email: \"a@b\\nui = false\"}, dnsNames: [a.b]}", "spec.tls.acme.email"),
        ("tls: {mode: ACME, acme: {directory: 'https://a\" b'}, dnsNames: [a.b]}", "spec.tls.acme.directory"),
        ("tls: {ipAddresses: [somewhere]}", "spec.tls.ipAddresses[0]"),
        ("tls: {dnsNames: ['a b']}", "spec.tls.dnsNames[0]"),
        ("tls: {certificate: {validDays: 10}}", "renewBeforeDays must be below validDays"),
        ("audit: [{type: file, path: a}]", "needs options.file_path"),
        ("audit: [{type: http, path: a}, {type: http, path: a}]", "duplicate"),
        ("telemetry: {prometheusRetentionTime: soon}", "spec.telemetry.prometheusRetentionTime"),
        ("telemetry: {serviceMonitor: {enabled: true}}", "needs a way in"),
        (
            "telemetry: {unauthenticatedMetricsAccess: true, serviceMonitor: {enabled: true, tokenSecretRef: {secretName: s, key: k}}}",
            "needs a way in",
        ),
        ("telemetry: {unauthenticatedMetricsAccess: true, serviceMonitor: {enabled: true, interval: 16s}}", "at least twice"),
        (&plugin("type: kms"), "spec.pluginCatalog[0].type"),
        (&plugin("name: a/b"), "spec.pluginCatalog[0].name"),
        (&plugin("name: null"), "spec.pluginCatalog[0].name"),
        (&plugin("version: 1.0.0"), "spec.pluginCatalog[0].version"),
        (&plugin("version: v1.0"), "spec.pluginCatalog[0].version"),
        (&plugin("sha256: abc"), "spec.pluginCatalog[0].sha256"),
        (&plugin("command: ../a"), "spec.pluginCatalog[0].command"),
        (&plugin("command: a --verbose"), "spec.pluginCatalog[0].command"),
        (&plugin("env: {'A B': c}"), "names of variables are"),
        (&plugin("image: null"), "path is where the binary lies in the image"),
        (&plugin("path: bin/a"), "spec.pluginCatalog[0].path"),
        (&plugins(&["", ""]), "duplicate"),
        (
            &plugins(&["", "{name: b, sha256: '1111111111111111111111111111111111111111111111111111111111111111'}"]),
            "two plugins of one command",
        ),
        (&plugins(&["", "{name: b, image: null, path: null}"]), "either every plugin has an image"),
        ("audit: [{type: file, path: a, options: {file_path: /bao/audit/a.log}}]", "needs auditStorage"),
        ("audit: [{type: file, path: a//b, options: {file_path: stdout}}]", "spec.audit[0].path"),
        ("maxLeaseTtl: 24h", "defaultLeaseTtl must be above zero and at most maxLeaseTtl"),
        ("defaultLeaseTtl: 800h", "defaultLeaseTtl must be above zero and at most maxLeaseTtl"),
        ("{maxLeaseTtl: 24h, defaultLeaseTtl: 0s}", "defaultLeaseTtl must be above zero and at most maxLeaseTtl"),
        ("maxLeaseTtl: 99999999999999999999h", "spec.maxLeaseTtl"),
        ("listener: {tlsCipherSuites: [TLS_NOT_A_SUITE]}", "spec.listener.tlsCipherSuites[0]"),
        (
            "listener: {tlsMinVersion: tls13, tlsCipherSuites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]}",
            "listener.tlsCipherSuites are those of TLS 1.2",
        ),
        ("initialization: {requests: [{name: a, path: v1/sys/mounts/kv}]}", "leave v1/ out"),
        ("initialization: {mode: Captured, requests: [{name: a, path: sys/mounts/kv}]}", "with mode Captured send them yourself"),
        ("initialization: {recovery: {shares: 3, threshold: 2}}", "recovery keys are made with mode Captured alone"),
        ("initialization: {mode: Captured, recovery: {shares: 3, threshold: 4}}", "threshold must not be more than shares"),
        ("initialization: {mode: Captured, recovery: {shares: 3, threshold: 1}}", "threshold must be at least 2"),
        ("initialization: {mode: Captured, recovery: {shares: 0, threshold: 0}}", "spec.initialization.recovery.shares"),
        ("image: 'openbao/openbao 2.4.0'", "spec.image"),
        ("image: \"openbao/openbao:2.4.0\\n\"", "spec.image"),
        ("imagePullSecrets: [{name: My Secret}]", "spec.imagePullSecrets[0].name"),
        ("version: 2.2.9", "version must be 2.3.0 or later"),
        ("version: 3.0.0", "version must be 2.3.0 or later"),
        ("storage: {size: '0.0001'}", "size must be a quantity of at least 1Mi"),
        ("storage: {size: '10Ｇi'}", "spec.storage.size"),
        ("storage: {size: 99999999999999999999Gi}", "spec.storage.size"),
        ("storage: {storageClass: Fast SSD}", "spec.storage.storageClass"),
        ("service: {loadBalancerSourceRanges: [10.0.0.0/8]}", "read only with service.type LoadBalancer"),
        ("service: {type: LoadBalancer, loadBalancerSourceRanges: [office]}", "spec.service.loadBalancerSourceRanges[0]"),
        ("networkPolicy: {ingressFrom: [{}]}", "spec.networkPolicy.ingressFrom[0]"),
        ("networkPolicy: {ingressFrom: [{ipBlock: {cidr: office}}]}", "spec.networkPolicy.ingressFrom[0].ipBlock.cidr"),
        ("networkPolicy: {egress: [{ports: [{port: 99999}]}]}", "spec.networkPolicy.egress[0].ports[0].port"),
        ("pod: {labels: {team: a b}}", "spec.pod.labels.team"),
        ("pod: {nodeSelector: {disk: 'ssd!'}}", "spec.pod.nodeSelector.disk"),
        ("pod: {resources: {requests: {cpu: 2}, limits: {cpu: 1500m}}}", "a request cannot be above its limit"),
        ("pod: {resources: {requests: {memory: much}}}", "spec.pod.resources.requests.memory"),
        ("pod: {resources: {limits: {memory: -1Gi}}}", "spec.pod.resources.limits.memory"),
        ("pod: {resources: {limits: {cpu: -1}}}", "spec.pod.resources.limits.cpu"),
        ("pod: {priorityClassName: Very High}", "spec.pod.priorityClassName"),
        ("pod: {tolerations: [{operator: Maybe}]}", "spec.pod.tolerations[0].operator"),
        ("pod: {topologySpreadConstraints: [{maxSkew: 0, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]}", "maxSkew"),
        ("pod: {topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: Maybe}]}", "whenUnsatisfiable"),
        ("pod: {tolerations: [{key: 5}]}", "spec.pod.tolerations[0].key"),
        ("plugins: [{component: openbao}]", "spec.plugins[0].plugin"),
        ("plugins: [{component: öpenbao, plugin: openbao}]", "spec.plugins[0].component"),
        ("replicas: 3.5", "spec.replicas"),
        ("replicas: 3000000001", "replicas must be 1, 3, 5 or 7"),
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
        "unseal: {type: awskms, keyId: 'arn:aws:kms:eu-central-1:1:key/a', roleArn: 'arn:aws-cn:iam::1:role/a'}",
        "unseal: {type: azurekeyvault, tenantId: t, vaultName: v, keyName: k, clientId: c, resource: managedhsm.azure.net}",
        "unseal: {type: ocikms, keyId: a, clientId: c, credentials: {a: {secretName: s, key: k}}}",
        "{maxLeaseTtl: 1h30m, defaultLeaseTtl: 90m}",
        "{maxLeaseTtl: 8760h}",
        "service: {type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0/8, 'fd00::/8']}",
        "tls: {ipAddresses: [10.0.0.1, 'fd00::1'], dnsNames: ['*.example.com', localhost]}",
        "listener: {tlsCipherSuites: [TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305]}",
        "{auditStorage: {size: 1Gi}, audit: [{type: file, path: a/b, options: {file_path: /bao/audit/a.log}}, {type: http, path: c}]}",
        "pod: {resources: {requests: {cpu: 100m, memory: 1Gi, example.com/gpu: 1}, limits: {memory: 1024Mi}}}",
        "unseal: {type: transit, address: 'https://a', keyName: k, credentialsSecretRef: {name: s}}",
        "pod: {resources: {requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 1500m}}}",
        "pod: {affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone}]}}}",
        "networkPolicy: {ingressFrom: [{ipBlock: {cidr: 10.0.0.0/8}}], egress: [{ports: [{port: 443}, {port: https, protocol: TCP}]}]}",
        "extensions: {backup: {schedule: daily, deep: {er: [1, a]}}}",
        "plugins: [{component: openbao, plugin: openbao}]",
        "telemetry: {unauthenticatedMetricsAccess: true, serviceMonitor: {enabled: true}}",
        "telemetry: {serviceMonitor: {enabled: false}}",
        &plugins(&["", "version: v1.0.1-rc.1+x", "type: auth", "{type: database, command: b, args: [--a, '$(b)'], env: {A_1: 'c d'}}"]),
        &plugin("{image: null, path: null}"),
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
    rendered(&kubectl, "a").await;
    for (after, reason) in [
        (
            "{replicas: 3, auditStorage: {size: 1Gi}, storage: {size: 10Gi, storageClass: fast}, unseal: {type: awskms, keyId: a}}",
            "auditStorage cannot be added to or taken from",
        ),
        ("{replicas: 2, storage: {size: 10Gi, storageClass: fast}, unseal: {type: awskms, keyId: a}}", "replicas must be 1, 3, 5 or 7"),
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
    // Nodes come and go.
    for replicas in [5, 1] {
        let after = format!("{{replicas: {replicas}, storage: {{size: 20Gi, storageClass: fast}}, unseal: {{type: awskms, keyId: b}}}}");
        apply(&kubectl, &cluster("a", &after), false).await.unwrap();
    }
}

/// What the operator writes when a cluster was rendered for the first time.
async fn rendered(kubectl: &Kubectl, name: &str) {
    let patch = json!({"status": {"nodes": "0/3"}}).to_string();
    kubectl.run(&["patch", "obc", name, "--subresource=status", "--type=merge", "-p", &patch]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_was_meant_otherwise_can_be_changed_until_there_are_nodes() {
    let kubectl = served("mistaken").await;
    apply(&kubectl, &cluster("a", "unseal: {type: awskmss, keyId: a}"), false).await.unwrap();
    // As the operator tells it of a provider that nobody has.
    let failed = json!({"status": {"phase": "Failed", "conditions": [
        {"type": "Ready", "status": "False", "reason": "ProviderUnknown", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    ]}});
    kubectl.run(&["patch", "obc", "a", "--subresource=status", "--type=merge", "-p", &failed.to_string()]).await.unwrap();
    apply(&kubectl, &cluster("a", "unseal: {type: awskms, keyId: a}"), false).await.unwrap();
    rendered(&kubectl, "a").await;
    let told = apply(&kubectl, &cluster("a", "unseal: {type: ocikms, keyId: a}"), false).await.expect_err("there are nodes");
    assert!(told.contains("unseal.type is immutable once there are nodes"), "{told}");
    assert!(told.contains("change-unseal-provider.md"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_can_be_changed_in_a_cluster_that_was_paused_before() {
    let kubectl = served("migrated").await;
    apply(&kubectl, &cluster("a", "unseal: {type: awskms, keyId: a}"), false).await.unwrap();
    rendered(&kubectl, "a").await;
    let at_once = "{paused: true, unseal: {type: static}}";
    let told = apply(&kubectl, &cluster("a", at_once), false).await.expect_err("it may be rendered before the pause is seen");
    assert!(told.contains("unseal.type is immutable"), "{told}");
    apply(&kubectl, &cluster("a", "{paused: true, unseal: {type: awskms, keyId: a}}"), false).await.unwrap();
    let told = apply(&kubectl, &cluster("a", "unseal: {type: static}"), false).await.expect_err("not together with the end of the pause");
    assert!(told.contains("unseal.type is immutable"), "{told}");
    apply(&kubectl, &cluster("a", at_once), false).await.unwrap();
    apply(&kubectl, &cluster("a", "{paused: false, unseal: {type: static}}"), false).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_has_nothing_to_warn_of() {
    let kubectl = ControlPlane::shared().await.unwrap().kubectl().unwrap();
    let crd = serde_json::to_string(&banhbaoring_openbao_api::crd()).unwrap();
    let told = kubectl.run_with_input(&["apply", "--server-side", "--warnings-as-errors", "-f", "-"], &crd).await;
    told.unwrap_or_else(|error| panic!("{error}"));
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
    let status = json!({"status": {"phase": "Running", "nodes": "3/3", "operation": {"kind": "Upgrade", "step": "Restarting", "node": "a-2"}, "conditions": [
        {"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    ], "components": [{"name": "openbao", "anything": 1}, {"name": "-"}, {"name": "-"}]}});
    kubectl.run(&["patch", "obc", "a", "--subresource=status", "--type=merge", "-p", &status.to_string()]).await.unwrap();
    let table = kubectl.run(&["get", "obc"]).await.unwrap();
    let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    assert_eq!(lines.next().unwrap(), ["NAME", "VERSION", "REPLICAS", "OPERATION", "UNSEAL", "PHASE", "READY", "AGE"]);
    assert_eq!(lines.next().unwrap()[..7], ["a", "2.4.0", "3/3", "Upgrade", "static", "Running", "True"]);
    let kept = kubectl.run(&["get", "obc", "a", "-o", "jsonpath={.status.components[0].anything}"]).await.unwrap();
    assert_eq!(kept.trim(), "1");
}
