//! What the chart renders, and what an API server says of its pods.

use banhbaoring_testing::control_plane::ControlPlane;
use banhbaoring_tests::Banhbaoring;
use serde_json::{Value, json};

use crate::support::{of_kind, render, with_plugins};

/// The pod that a Deployment would make. Its account is not there: nothing but admission is asked.
fn pod(deployment: &Value) -> Value {
    let mut template = deployment["spec"]["template"].clone();
    template["apiVersion"] = "v1".into();
    template["kind"] = "Pod".into();
    template["metadata"]["name"] = "operator".into();
    template["spec"]["serviceAccountName"] = "default".into();
    template
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pod_is_admitted_where_pod_security_is_restricted() {
    let cluster = ControlPlane::shared().await.unwrap();
    let namespace = cluster.namespace("restricted").await.unwrap();
    let kubectl = cluster.kubectl().unwrap().in_namespace(&namespace);
    let label = "pod-security.kubernetes.io/enforce=restricted";
    kubectl.run(&["label", "namespace", &namespace, label, "pod-security.kubernetes.io/enforce-version=latest"]).await.unwrap();
    let rendered = render(&with_plugins(), &[]).await.unwrap();
    let templates: Vec<&Value> = rendered.iter().filter(|object| object.pointer("/spec/template/spec/containers").is_some()).collect();
    assert_eq!(templates.len(), 1, "a Deployment and nothing else has pods");
    let dry_run = ["create", "--dry-run=server", "-f", "-"];
    for template in templates {
        let pod = pod(template);
        kubectl.run_with_input(&dry_run, &pod.to_string()).await.unwrap();
        // The namespace does refuse what is not restricted.
        for (pointer, worse) in [
            ("/spec/securityContext/runAsNonRoot", json!(false)),
            ("/spec/securityContext/seccompProfile", Value::Null),
            ("/spec/containers/0/securityContext/capabilities", Value::Null),
            ("/spec/containers/0/securityContext/allowPrivilegeEscalation", json!(true)),
        ] {
            let mut loose = pod.clone();
            *loose.pointer_mut(pointer).unwrap() = worse;
            let error = kubectl.run_with_input(&dry_run, &loose.to_string()).await.expect_err(pointer);
            assert!(error.to_string().contains("violates PodSecurity"), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_container_writes_to_two_small_volumes_only_and_the_key_is_not_in_the_one_with_the_code() {
    let rendered = render(&json!({}), &[]).await.unwrap();
    let spec = &of_kind(&rendered, "Deployment")[0]["spec"]["template"]["spec"];
    let container = &spec["containers"][0];
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    let volumes = spec["volumes"].as_array().unwrap();
    assert!(volumes.iter().all(|volume| volume["emptyDir"]["sizeLimit"].is_string()), "{volumes:?}");
    let arguments: Vec<&str> = container["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap()).collect();
    let value = |name: &str| arguments.iter().find_map(|argument| argument.strip_prefix(name)).unwrap();
    let volume_of = |path: &str| {
        let mounts = container["volumeMounts"].as_array().unwrap();
        let mount = mounts.iter().find(|mount| path.starts_with(mount["mountPath"].as_str().unwrap()));
        mount.unwrap_or_else(|| panic!("{path} is on the read-only root: {mounts:?}"))["name"].clone()
    };
    assert_ne!(volume_of(value("--data=")), volume_of(value("--cache-key=")));

    // The binary knows every argument: it stops reading at `--help`, and at the first that it does not know.
    let output = Banhbaoring::find().unwrap().call(&[&arguments[..], &["--help"]].concat(), &[]).await.unwrap();
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{arguments:?}");
    let paths: Vec<&Value> = ["livenessProbe", "readinessProbe"].iter().map(|probe| &container[probe]["httpGet"]["path"]).collect();
    assert_eq!(paths, ["/healthz", "/readyz"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_depends_on_values_and_on_the_cluster_is_there_when_it_makes_sense() {
    let monitored = ["--api-versions", "monitoring.coreos.com/v1"];
    for (values, more, kind, count) in [
        (json!({"replicas": 1}), &[][..], "PodDisruptionBudget", 0),
        (json!({"replicas": 2}), &[], "PodDisruptionBudget", 1),
        (json!({}), &[], "ServiceMonitor", 0),
        (json!({}), &monitored, "ServiceMonitor", 1),
        (json!({"serviceMonitor": {"enabled": false}}), &monitored, "ServiceMonitor", 0),
        (json!({}), &[], "ConfigMap", 0),
        (json!({"grafanaDashboard": {"enabled": true}}), &[], "ConfigMap", 1),
        (json!({"networkPolicy": {"enabled": false}}), &[], "NetworkPolicy", 0),
        (json!({}), &[], "NetworkPolicy", 1),
    ] {
        let rendered = render(&values, more).await.unwrap();
        assert_eq!(of_kind(&rendered, kind).len(), count, "{kind} with {values}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboards_are_where_grafana_looks_for_them_and_whole() {
    let values = json!({"grafanaDashboard": {"enabled": true, "labels": {"team": "a"}, "annotations": {"grafana_folder": "OpenBao"}}});
    let rendered = render(&values, &[]).await.unwrap();
    let map = of_kind(&rendered, "ConfigMap")[0];
    assert_eq!((&map["metadata"]["labels"]["grafana_dashboard"], &map["metadata"]["labels"]["team"]), (&json!("1"), &json!("a")));
    assert_eq!(map["metadata"]["annotations"], json!({"grafana_folder": "OpenBao"}));
    let data = map["data"].as_object().unwrap();
    assert_eq!(data.keys().collect::<Vec<_>>(), ["openbao.json", "operator.json"]);
    let mut uids = Vec::new();
    for (name, text) in data {
        let file = std::fs::read_to_string(banhbaoring_tests::helm::chart().join("dashboards").join(name)).unwrap();
        assert_eq!(text.as_str().unwrap(), file, "{name} came through templating as it is");
        let dashboard: Value = serde_json::from_str(&file).unwrap();
        uids.push(dashboard["uid"].as_str().unwrap().to_owned());
        for panel in dashboard["panels"].as_array().unwrap() {
            assert!(!panel["title"].as_str().unwrap().is_empty() && !panel["targets"].as_array().unwrap().is_empty(), "{name}: {panel}");
        }
    }
    uids.dedup();
    assert_eq!(uids.len(), 2, "one does not replace the other");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_wins_over_a_tag_and_a_plugin_that_is_switched_off_leaves_no_right_behind() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let mut values = with_plugins();
    values["image"] = json!({"repository": "registry.example.com/operator", "tag": "v9", "digest": digest});
    values["firstParty"]["plugins"] = json!({"openbao": {"digest": digest, "tag": "v9"}, "unseal-awskms": {"enabled": false}});
    let rendered = render(&values, &[]).await.unwrap();
    let image = &of_kind(&rendered, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image, &format!("registry.example.com/operator@{digest}"));
    let plugins = of_kind(&rendered, "Plugin");
    let openbao = plugins.iter().find(|plugin| plugin["metadata"]["name"] == "openbao").unwrap();
    assert_eq!(openbao["spec"]["source"]["oci"]["ref"], json!({"digest": digest}));
    let left: Vec<String> = rendered.iter().map(Value::to_string).filter(|object| object.contains("unseal-awskms")).collect();
    assert!(left.is_empty(), "{left:?}");
}
