//! What pods may be: Pod Security `restricted` unless host access is granted.

use super::*;

/// Everything that makes a pod more than `restricted`, by pointer into the pod.
fn hostile() -> Vec<(&'static str, Json)> {
    let context = "/containers/0/securityContext";
    let at = |field: &str| -> &'static str { Box::leak(format!("{context}/{field}").into_boxed_str()) };
    vec![
        ("/volumes", json!([{"name": "host", "hostPath": {"path": "/"}}])),
        ("/volumes", json!([{"name": "host", "emptyDir": {}, "hostPath": {"path": "/"}}])),
        ("/volumes", json!([{"name": "x", "nfs": {"server": "10.0.0.1", "path": "/"}}])),
        ("/volumes", json!([{"name": "x", "csi": {"driver": "x"}}])),
        ("/volumes", json!([{"name": "x", "notYetInvented": {}}])),
        ("/volumes", json!([{"name": "x", "projected": {"sources": [{"podCertificate": {"signerName": "x"}}]}}])),
        ("/hostNetwork", json!(true)),
        ("/hostNetwork", json!("true")),
        ("/hostPID", json!(true)),
        ("/hostIPC", json!(true)),
        ("/hostUsers", json!("no")),
        ("/nodeName", json!("control-plane")),
        ("/priorityClassName", json!("system-node-critical")),
        ("/resourceClaims", json!([{"name": "gpu"}])),
        ("/notYetInvented", json!(true)),
        ("/containers/0/notYetInvented", json!(true)),
        ("/containers/0/ports", json!([{"containerPort": 1, "hostPort": 1}])),
        ("/containers/0/livenessProbe", json!({"httpGet": {"host": "169.254.169.254", "port": 80}})),
        ("/containers/0/lifecycle", json!({"preStop": {"tcpSocket": {"host": "10.0.0.1", "port": 80}}})),
        ("/containers/0/volumeMounts", json!([{"name": "x", "mountPath": "/x", "mountPropagation": "Bidirectional"}])),
        (context, Json::Null),
        (at("privileged"), json!(true)),
        (at("privileged"), json!("yes")),
        (at("allowPrivilegeEscalation"), json!(true)),
        (at("allowPrivilegeEscalation"), Json::Null),
        (at("capabilities"), json!({"drop": ["ALL"], "add": ["SYS_ADMIN"]})),
        (at("capabilities"), json!({"drop": ["NET_RAW"]})),
        (at("capabilities"), json!({"drop": ["ALL"], "add": "SYS_ADMIN"})),
        (at("procMount"), json!("Unmasked")),
        (at("seccompProfile"), json!({"type": "Unconfined"})),
        (at("appArmorProfile"), json!({"type": "Unconfined"})),
        (at("runAsUser"), json!(0)),
        (at("runAsUser"), json!("0")),
        (at("runAsNonRoot"), json!(false)),
        (at("seLinuxOptions"), json!({"type": "spc_t"})),
        (at("windowsOptions"), json!({"hostProcess": true})),
        (at("notYetInvented"), json!(true)),
        ("/securityContext/runAsNonRoot", Json::Null),
        ("/securityContext/runAsUser", json!(0)),
        ("/securityContext/seccompProfile", Json::Null),
        ("/securityContext/seccompProfile", json!({"type": "Unconfined"})),
        ("/securityContext/sysctls", json!([{"name": "kernel.msgmax", "value": "1"}])),
        ("/securityContext/windowsOptions", json!({"hostProcess": true})),
        ("/initContainers", json!([{"name": "i", "image": "quay.io/store/store:2.4"}])),
        ("/ephemeralContainers", json!([{"name": "i", "image": "quay.io/store/store:2.4"}])),
    ]
}

#[test]
fn a_pod_beyond_restricted_is_refused_without_host_access() {
    allowed(workload(pod()));
    for (pointer, value) in hostile() {
        let refusal = refusal_under(grants(), workload(pod_with(pointer, value.clone())));
        let refusal = refusal.unwrap_or_else(|| panic!("{pointer} = {value} went through"));
        assert_eq!(refusal.reason, "HostAccessNotGranted", "{pointer} = {value}: {}", refusal.message);
        assert!(refusal.message.contains("hostAccess: true"));
    }
}

#[test]
fn host_access_opens_the_host_and_nothing_else() {
    let mut grants = grants();
    grants.pods.as_mut().unwrap().host_access = true;
    let volumes = json!([{"name": "host", "hostPath": {"path": "/"}}]);
    assert_eq!(refusal_under(grants.clone(), workload(pod_with("/volumes", volumes))), None);
    for (reason, pointer, value) in [
        ("SecretNotGranted", "/volumes", json!([{"name": "x", "csi": {"driver": "x", "nodePublishSecretRef": {"name": "foreign"}}}])),
        ("SecretNotGranted", "/volumes", json!([{"name": "x", "rbd": {"secretRef": {"name": "foreign"}}}])),
        ("SecretNotGranted", "/volumes", json!([{"name": "x", "azureFile": {"secretName": "foreign"}}])),
        ("SecretNotGranted", "/notYetInvented", json!({"fancySecretRef": {"name": "foreign"}})),
        ("ImageNotGranted", "/containers/0/image", json!("docker.io/evil/x")),
        ("ImageNotGranted", "/volumes", json!([{"name": "x", "image": {"reference": "docker.io/evil/x"}}])),
        ("ServiceAccountNotGranted", "/serviceAccountName", json!("admin")),
    ] {
        assert_eq!(refusal_under(grants.clone(), workload(pod_with(pointer, value))).unwrap().reason, reason, "{pointer}");
    }
}

#[test]
fn every_workload_is_looked_into() {
    let mut grants = grants();
    grants.resources.push(serde_json::from_value(json!({"apiGroups": ["", "apps", "batch"],
        "resources": ["pods", "podtemplates", "replicationcontrollers", "deployments", "statefulsets", "daemonsets", "replicasets", "jobs", "cronjobs"],
        "verbs": ["get", "create", "patch", "delete"]})).unwrap());
    let bad = pod_with("/hostNetwork", json!(true));
    for (api_version, kind, path) in [
        ("v1", "PodTemplate", vec!["template"]),
        ("v1", "ReplicationController", vec!["spec", "template"]),
        ("apps/v1", "Deployment", vec!["spec", "template"]),
        ("apps/v1", "StatefulSet", vec!["spec", "template"]),
        ("apps/v1", "DaemonSet", vec!["spec", "template"]),
        ("apps/v1", "ReplicaSet", vec!["spec", "template"]),
        ("batch/v1", "Job", vec!["spec", "template"]),
        ("batch/v1", "CronJob", vec!["spec", "jobTemplate", "spec", "template"]),
        ("v1", "Pod", vec![]),
    ] {
        let manifest = |pod: &Json| {
            let nested = path.iter().rev().fold(json!({"spec": pod}), |inner, key| json!({ *key: inner }));
            let mut manifest = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "prod"}});
            manifest.as_object_mut().unwrap().extend(nested.as_object().unwrap().clone());
            response(vec![account(), manifest])
        };
        assert_eq!(refusal_under(grants.clone(), manifest(&pod())), None, "{kind}");
        assert_eq!(refusal_under(grants.clone(), manifest(&bad)).unwrap().reason, "HostAccessNotGranted", "{kind}");
        let empty = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "prod"}});
        assert_eq!(refusal_under(grants.clone(), response(vec![empty])).unwrap().reason, "PodInvalid", "{kind} without a template");
    }
}

#[test]
fn a_plugin_without_a_pod_grant_makes_no_pods() {
    let grants = Grants { pods: None, ..grants() };
    assert_eq!(refusal_under(grants, workload(pod())).unwrap().reason, "PodNotGranted");
}

#[test]
fn a_pod_that_hides_its_parts_behind_the_wrong_type_is_refused() {
    for (pointer, value) in [
        ("/containers", json!({"name": "x"})),
        ("/containers", json!([])),
        ("/initContainers", json!({"0": {}})),
        ("/volumes", json!({"hostPath": {"path": "/"}})),
        ("/containers/0/env", json!({"name": "x"})),
        ("/containers/0/volumeMounts", json!("x")),
        ("/containers/0/ports", json!([7])),
    ] {
        let refusal = refusal_under(grants(), workload(pod_with(pointer, value))).unwrap();
        assert_eq!(refusal.reason, "PodInvalid", "{pointer}: {}", refusal.message);
    }
}

#[test]
fn a_sub_path_cannot_lead_out_of_its_volume() {
    for (field, path) in [("subPath", "../../etc"), ("subPath", "/etc"), ("subPathExpr", "a/../../b"), ("subPath", "a//b")] {
        let mounts = json!([{"name": "x", "mountPath": "/x", field: path}]);
        refused(workload(pod_with("/containers/0/volumeMounts", mounts)), Reason::PodInvalid, field);
    }
    let volumes = json!([{"name": "x", "configMap": {"name": "x", "items": [{"key": "k", "path": "../x"}]}}]);
    refused(workload(pod_with("/volumes", volumes)), Reason::PodInvalid, "leads out");
    let volumes = json!([{"name": "x", "projected": {"sources": [{"serviceAccountToken": {"path": "/token"}}]}}]);
    refused(workload(pod_with("/volumes", volumes)), Reason::PodInvalid, "leads out");
}

#[test]
fn a_variable_is_set_once() {
    let env = json!([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]);
    refused(workload(pod_with("/containers/0/env", env)), Reason::PodInvalid, "twice");
    let env = json!([{"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": "x"}}}]);
    refused(workload(pod_with("/containers/0/env", env)), Reason::PodInvalid, "fileKeyRef");
}

#[test]
fn an_image_is_granted_by_glob_or_named_by_the_owner() {
    for image in ["docker.io/evil/x", "quay.io/store.evil.test/x", "quay.io/store/a/b", "", "quay.io/store/x y", "quay.io/store/"] {
        let refusal = refusal_under(grants(), workload(pod_with("/containers/0/image", json!(image))));
        assert_eq!(refusal.unwrap().reason, "ImageNotGranted", "{image}");
    }
    let of_owner = || workload(pod_with("/containers/0/image", json!("registry.example.com/mirror/store:2")));
    refused(of_owner(), Reason::ImageNotGranted, "images: [owner-spec]");
    let mut grants = grants();
    grants.pods.as_mut().unwrap().images = vec!["owner-spec".to_owned()];
    assert_eq!(refusal_under(grants, of_owner()), None);
}

#[test]
fn only_the_owners_user_asks_for_a_priority_of_the_system() {
    let store = plugin("store", grants());
    let mut observation = observation();
    observation.owner.object["spec"]["priorityClassName"] = json!("system-cluster-critical");
    let answer = workload(pod_with("/priorityClassName", json!("system-cluster-critical")));
    let desired = Desired { components: vec![rendered("server", &store, answer)] };
    assert_eq!(admit(&desired, &observation).refused, vec![]);
    assert_eq!(admit(&desired, &super::observation()).refused[0].reason, "HostAccessNotGranted");
}

#[test]
fn a_template_carries_no_finalizers() {
    let mut set = stateful_set(pod());
    set["spec"]["template"]["metadata"]["finalizers"] = json!(["x/y"]);
    refused(response(vec![account(), set]), Reason::MetadataNotAllowed, "finalizers");
}

#[test]
fn an_annotation_that_the_nodes_runtime_obeys_needs_host_access() {
    let mut by_host = grants();
    by_host.pods.as_mut().unwrap().host_access = true;
    by_host.resources[0].relation = Relation::Any;
    let partial = Grants { pods: None, ..by_host.clone() };
    for key in [
        "cdi.k8s.io/disk",
        "io.kubernetes.cri-o.Devices",
        "link-logs.crio.io",
        "devices.nri.io/container.x",
        "io.katacontainers.config.hypervisor.path",
    ] {
        let template = json!({"metadata": {"annotations": {key: "x"}}, "spec": pod()});
        let whole = response(vec![account(), with(stateful_set(pod()), "/spec/template", template)]);
        refused(whole.clone(), Reason::HostAccessNotGranted, key);
        assert_eq!(refusal_under(by_host.clone(), whole), None, "{key}");
        let mut merged = response(vec![json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "prod"},
            "spec": {"template": {"metadata": {"annotations": {key: "x"}}}}})]);
        merged.objects[0].mode = ApplyMode::IfExists;
        assert_eq!(refusal_under(partial.clone(), merged).unwrap().reason, "HostAccessNotGranted", "{key}");
    }
}

#[test]
fn metadata_that_is_merged_into_a_template_is_checked_as_that_of_a_whole_one() {
    let mut any = grants();
    any.resources[0].relation = Relation::Any;
    let merged = |metadata: Json| {
        let mut answer = response(vec![json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "prod"},
            "spec": {"template": {"metadata": metadata}}})]);
        answer.objects[0].mode = ApplyMode::IfExists;
        refusal_under(any.clone(), answer).map(|refusal| refusal.reason)
    };
    assert_eq!(merged(json!({"annotations": {"rolled": "today"}})), None);
    assert_eq!(merged(json!({"finalizers": ["x/y"]})).as_deref(), Some("MetadataNotAllowed"));
    assert_eq!(merged(json!({"labels": {"banhbaoring.io/owner-uid": "x"}})).as_deref(), Some("MetadataNotAllowed"));
}

#[test]
fn only_a_stateful_set_makes_claims() {
    let claims = |kind: &str| {
        let volumes = json!([{"name": "d", "persistentVolumeClaim": {"claimName": "data-prod-0"}}]);
        let mut workload = with(stateful_set(pod_with("/volumes", volumes)), "/kind", json!(kind));
        workload["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}}]);
        let mut grants = grants();
        grants.resources[0].resources.push("deployments".to_owned());
        refusal_under(grants, response(vec![account(), workload])).map(|refusal| refusal.reason)
    };
    assert_eq!(claims("StatefulSet"), None);
    assert_eq!(claims("Deployment").as_deref(), Some("ClaimNotGranted"));
}

#[test]
fn a_foreign_volume_claim_is_refused() {
    let claim = |name: &str| workload(pod_with("/volumes", json!([{"name": "d", "persistentVolumeClaim": {"claimName": name}}])));
    refused(claim("somebody-elses"), Reason::ClaimNotGranted, "somebody-elses");
    allowed(claim("edge"));
    allowed(claim("data-prod-0"));
    let mut set = stateful_set(pod());
    set["spec"]["volumeClaimTemplates"] =
        json!([{"metadata": {"name": "data"}, "spec": {"dataSource": {"kind": "PersistentVolumeClaim", "name": "foreign"}}}]);
    refused(response(vec![account(), set]), Reason::ClaimNotGranted, "foreign");
}

#[test]
fn a_placeholder_stands_only_in_annotations_of_pods_and_only_for_secrets_that_they_may_use() {
    let annotated = |value: &str| {
        let mut set = stateful_set(pod());
        set["spec"]["template"]["metadata"]["annotations"] = json!({"checksum": value});
        Response { secrets: vec![generated("prod-key")], ..response(vec![account(), set]) }
    };
    allowed(annotated("$(hash:prod-key/key)"));
    refused(annotated("$(hash:foreign/key)"), Reason::SecretNotGranted, "foreign");
    refused(annotated("x $(hash:prod-key/key)"), Reason::ObjectInvalid, "whole value");
    let service =
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "prod", "annotations": {"x": "$(hash:prod-key/key)"}}});
    refused(response(vec![service]), Reason::ObjectInvalid, "whole value");
}
