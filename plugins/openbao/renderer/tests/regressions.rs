//! Every defect of earlier operators that a renderer of OpenBao can repeat, by name. The numbers are those of the list of defects of the
//! earlier BanhBaoRing operator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use banhbaoring_sdk::wit::{AnswerOutcome, EnvValue, EnvVar, FailureClass, KmsPluginSource, ReadinessState, State};
use serde_json::{Value, json};
use support::world::World;
use support::{config, container, object, objects, owner, refused, render, rendered, request, seals, stateful_set, template};

#[test]
fn defect_1_every_node_has_a_raft_id_of_its_own_from_the_environment() {
    let response = rendered("");
    assert!(!config(&response).contains("node_id"), "{}", config(&response));
    assert!(!config(&response).contains("${"), "HCL 1 expands nothing: {}", config(&response));
    let env = container(&response)["env"].clone();
    let id = env.as_array().unwrap().iter().find(|variable| variable["name"] == "BAO_RAFT_NODE_ID").unwrap();
    assert_eq!(id["valueFrom"]["fieldRef"]["fieldPath"], "metadata.name");
}

#[test]
fn defect_2_a_node_that_waits_to_be_initialised_is_ready() {
    let path = container(&rendered(""))["readinessProbe"]["httpGet"]["path"].as_str().unwrap().to_owned();
    assert!(path.contains("uninitcode=204") && path.contains("standbyok=true"), "{path}");
    assert!(!path.contains("sealedcode"), "a sealed node serves nobody: {path}");
    for probe in ["livenessProbe", "startupProbe"] {
        let path = container(&rendered(""))[probe]["httpGet"]["path"].as_str().unwrap().to_owned();
        assert!(path.contains("uninitcode=204") && path.contains("sealedcode=204"), "no restart mends these: {path}");
    }
    let headless = object(&rendered(""), "Service", "prod");
    assert_eq!(headless["spec"]["publishNotReadyAddresses"], true);
    assert_eq!(object(&rendered(""), "StatefulSet", "prod")["spec"]["podManagementPolicy"], "Parallel");
}

#[test]
fn defect_3_nothing_has_to_be_read_from_the_answer_of_an_init_job_and_the_way_in_is_there_before_the_store() {
    let response = rendered("");
    assert!(!objects(&response).iter().any(|object| object["kind"] == "Job"));
    let admin = response.secrets.iter().find(|secret| secret.name == "prod-admin").unwrap();
    let keys: Vec<&str> = admin.entries.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["username", "password"]);
    let status: Value = serde_json::from_str(&response.status).unwrap();
    assert_eq!(status["adminSecret"], "prod-admin");
}

#[test]
fn defect_4_every_name_that_is_referred_to_is_made_or_given() {
    let response = rendered("tls: {mode: Secret, secretName: my-tls}");
    let mut made: BTreeSet<String> = response.secrets.iter().map(|secret| secret.name.clone()).collect();
    made.extend(["prod-unseal-key".to_owned(), "my-tls".to_owned()]);
    let mut maps: BTreeSet<String> = objects(&response)
        .iter()
        .filter(|object| object["kind"] == "ConfigMap")
        .map(|object| object["metadata"]["name"].as_str().unwrap().to_owned())
        .collect();
    maps.extend(response.secrets.iter().flat_map(|secret| &secret.publish).map(|publication| publication.config_map.clone()));
    maps.insert("kube-root-ca.crt".to_owned());
    for volume in template(&response)["spec"]["volumes"].as_array().unwrap() {
        if let Some(secret) = volume["secret"]["secretName"].as_str() {
            assert!(made.contains(secret), "{secret} is mounted and not made");
        }
        if let Some(map) = volume["configMap"]["name"].as_str() {
            assert!(maps.contains(map), "{map} is mounted and not made");
        }
    }
    assert_eq!(template(&response)["spec"]["serviceAccountName"], "prod");
    object(&response, "ServiceAccount", "prod");
    assert_eq!(object(&response, "StatefulSet", "prod")["spec"]["serviceName"], object(&response, "Service", "prod")["metadata"]["name"]);
}

#[test]
fn defect_6_the_active_service_selects_the_leader_alone() {
    let response = rendered("");
    assert_eq!(object(&response, "Service", "prod-active")["spec"]["selector"]["openbao-active"], "true");
    for other in ["prod", "prod-public"] {
        assert_eq!(object(&response, "Service", other)["spec"]["selector"].get("openbao-active"), None);
    }
    let labels = template(&response)["metadata"]["labels"].clone();
    assert_eq!(labels.get("openbao-active"), None, "OpenBao sets it by itself");
    for (key, value) in object(&response, "Service", "prod")["spec"]["selector"].as_object().unwrap() {
        assert_eq!(&labels[key], value);
    }
}

#[test]
fn defect_7_a_variable_is_defined_before_it_is_referred_to() {
    let response = render(&request(&owner(""), Some(seals::awskms()))).unwrap();
    let mut defined = BTreeSet::new();
    let mut referred = 0;
    for variable in container(&response)["env"].as_array().unwrap() {
        for part in variable["value"].as_str().unwrap_or_default().split("$(").skip(1) {
            let name = part.split(')').next().unwrap();
            assert!(defined.contains(name), "{name} is used before it is there");
            referred += 1;
        }
        defined.insert(variable["name"].as_str().unwrap().to_owned());
    }
    assert!(referred > 0, "the addresses name the pod");
}

#[test]
fn defect_8_a_variable_of_the_seal_is_set_once() {
    let mut seal = seals::awskms();
    seal.env.extend(seal.env.clone());
    let response = render(&request(&owner("unseal: {type: awskms, keyId: a}"), Some(seal))).unwrap();
    let mut count = BTreeMap::new();
    for variable in container(&response)["env"].as_array().unwrap() {
        *count.entry(variable["name"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    assert!(count.values().all(|count| *count == 1), "{count:?}");
    assert_eq!(count.get("AWS_ACCESS_KEY_ID"), Some(&1));

    let mut seal = seals::awskms();
    seal.env.push(seals::secret_env("AWS_ACCESS_KEY_ID", "another", "key"));
    let failure = render(&request(&owner(""), Some(seal))).unwrap_err();
    assert_eq!((failure.reason.as_str(), failure.field.as_deref()), ("UnusableSealEnvironment", Some("spec.unseal")));
}

#[test]
fn defect_11_nobody_switches_off_the_check_of_the_transit_servers_certificate() {
    let response = render(&request(&owner(""), Some(seals::transit()))).unwrap();
    assert!(config(&response).contains("disable_renewal = false\n"), "{}", config(&response));
    assert!(!config(&response).contains("tls_skip_verify"), "nobody asked for it: {}", config(&response));
}

#[test]
fn nodes_find_each_other_in_their_own_namespace_and_by_a_name_that_the_certificate_carries() {
    let response = rendered("");
    let text = config(&response);
    assert!(text.contains(r#"auto_join = "provider=k8s namespace=bao label_selector=\"openbao.org/cluster=prod\"""#), "{text}");
    assert!(text.contains("leader_tls_servername = \"openbao-cluster-prod.local\""), "{text}");
    let server = response.secrets.iter().find(|secret| secret.name == "prod-tls-server").unwrap();
    let spec: Value = serde_json::from_str(&server.entries[0].spec).unwrap();
    let names: Vec<_> = spec["dnsNames"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    for name in [
        "openbao-cluster-prod.local",
        "localhost",
        "prod",
        "prod.bao.svc",
        "*.prod.bao.svc",
        "prod-active.bao.svc",
        "prod-public.bao.svc.cluster.local",
    ] {
        assert!(names.contains(&name), "{name} is missing in {names:?}");
    }
    assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len(), "{names:?}");
    let role = object(&response, "Role", "prod");
    assert!(role["rules"][0]["verbs"].as_array().unwrap().contains(&json!("list")), "{role}");
    assert_eq!(template(&response)["metadata"]["labels"]["openbao.org/cluster"], "prod");
}

#[test]
fn both_families_of_addresses_are_served() {
    let text = config(&rendered(""));
    assert!(text.contains("address = \"[::]:8200\"\n  cluster_address = \"[::]:8201\""), "{text}");
    assert!(!text.contains("0.0.0.0"), "{text}");
}

#[test]
fn a_pod_is_as_tight_as_the_restricted_profile_and_tighter() {
    let response = rendered("");
    let pod = template(&response)["spec"].clone();
    assert_eq!(
        pod["securityContext"],
        json!({"runAsNonRoot": true, "runAsUser": 100, "runAsGroup": 1000, "fsGroup": 1000, "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"}})
    );
    assert_eq!(
        container(&response)["securityContext"],
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": true, "runAsNonRoot": true})
    );
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(object(&response, "ServiceAccount", "prod")["automountServiceAccountToken"], false);
    let account = pod["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == "account").unwrap().clone();
    assert_eq!(account["projected"]["sources"][0]["serviceAccountToken"], json!({"path": "token", "expirationSeconds": 3600}));
    assert!(container(&response)["command"][2].as_str().unwrap().starts_with("umask 0077;"));
}

#[test]
fn a_drain_is_held_up_from_three_nodes_on_and_never_with_one() {
    assert_eq!(object(&rendered("replicas: 3"), "PodDisruptionBudget", "prod-pdb")["spec"]["maxUnavailable"], 1);
    assert!(!objects(&rendered("replicas: 1")).iter().any(|object| object["kind"] == "PodDisruptionBudget"));
}

#[test]
fn a_changed_configuration_rolls_the_pods_and_nothing_else_does() {
    let hash = |spec: &str| template(&rendered(spec))["metadata"]["annotations"]["openbao.org/config-hash"].as_str().unwrap().to_owned();
    let base = hash("");
    assert_eq!(base.len(), 64);
    assert_ne!(base, hash("ui: false"));
    assert_ne!(base, hash("logLevel: debug"));
    for same in ["replicas: 5", "service: {type: LoadBalancer}", "networkPolicy: {enabled: false}", "storage: {size: 20Gi}"] {
        assert_eq!(base, hash(same), "{same}");
    }
}

#[test]
fn a_renewed_certificate_reaches_the_nodes_in_every_version() {
    let of = |spec: &str| {
        let response = render(&request(&owner(spec), Some(seals::transit()))).unwrap();
        (template(&response)["metadata"]["annotations"]["openbao.org/tls-hash"].clone(), config(&response))
    };
    let (hash, text) = of("version: 2.6.2");
    assert_eq!((hash, text.contains("tls_auto_reload")), (json!("$(hash:prod-tls-server/tls.crt)"), false));
    let (hash, text) = of("version: 2.7.0");
    assert_eq!((hash, text.contains("tls_auto_reload = true")), (Value::Null, true));
}

#[test]
fn a_size_that_grew_does_not_break_the_stateful_set_and_is_told() {
    let mut request = request(&owner("storage: {size: 20Gi}"), Some(seals::generated_key("prod")));
    let live = json!({"/spec/volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": "10Gi"}}}}], "/status/readyReplicas": 3});
    request.children = vec![stateful_set(ReadinessState::Ready, &live)];
    let response = render(&request).unwrap();
    let claim = object(&response, "StatefulSet", "prod")["spec"]["volumeClaimTemplates"][0].clone();
    assert_eq!(claim["spec"]["resources"]["requests"]["storage"], "10Gi");
    let condition = response.conditions.iter().find(|condition| condition.condition_type == "StorageSized").unwrap();
    assert_eq!(condition.reason, "NotSeen", "nobody says that it is as asked before the volumes are seen");
}

#[test]
fn a_seal_can_neither_hide_our_files_nor_take_our_names() {
    let with = |change: &dyn Fn(&mut banhbaoring_sdk::wit::Seal)| {
        let mut seal = seals::generated_key("prod");
        change(&mut seal);
        render(&request(&owner(""), Some(seal))).unwrap_err()
    };
    for path in ["/bao/data", "/bao/data/raft", "/etc/bao", "/", "etc/x", "/etc/../bao/data", "/tmp", "/etc/bao/config/x", "/x/"] {
        let failure = with(&|seal| seal.volumes[0].mount_path = path.to_owned());
        assert_eq!(failure.reason, "UnusableSealVolume", "{path}");
    }
    assert_eq!(with(&|seal| seal.volumes[0].name = "data".to_owned()).reason, "UnusableSealVolume");
    let env = |name: &str| EnvVar { name: name.to_owned(), value: EnvValue::Literal("x".to_owned()) };
    for name in banhbaoring_plugin_openbao::objects::ENV_OF_OURS {
        assert_eq!(with(&|seal| seal.env.push(env(name))).reason, "UnusableSealEnvironment");
    }
    for label in ["openbao-active", "openbao.org/cluster", "app.kubernetes.io/name"] {
        assert_eq!(with(&|seal| seal.pod_labels.push(seals::pair(label, "x"))).reason, "UnusableSealLabels", "{label}");
    }
    for key in ["a b", "", "a = \"b\"\nui"] {
        assert_eq!(with(&|seal| seal.attributes[0].key = key.to_owned()).class, FailureClass::InvalidConfig, "{key}");
    }
    assert!(with(&|seal| seal.attributes.push(seal.attributes[0].clone())).message.contains("twice"));
}

#[test]
fn a_dollar_in_a_value_of_the_seal_is_no_reference() {
    let mut seal = seals::gcpckms();
    seal.env[0].value = EnvValue::Literal("$(BAO_API_ADDR) $$(BAO_API_ADDR)".to_owned());
    seal.attributes[0].value = banhbaoring_sdk::wit::Scalar::Text("${HOSTNAME}".to_owned());
    let response = render(&request(&owner(""), Some(seal))).unwrap();
    let env = container(&response)["env"].clone();
    assert!(env.as_array().unwrap().iter().any(|variable| variable["value"] == "$$(BAO_API_ADDR) $$$$(BAO_API_ADDR)"), "{env}");
    assert!(config(&response).contains(r#"project = "\u0024{HOSTNAME}""#), "{}", config(&response));
}

#[test]
fn a_port_of_a_service_that_somebody_adds_is_drift() {
    let response = rendered("");
    let of = |kind: &str| -> Vec<Vec<String>> {
        let of_kind = |object: &&banhbaoring_sdk::wit::Object| serde_json::from_str::<Value>(&object.manifest).unwrap()["kind"] == kind;
        response.objects.iter().filter(of_kind).map(|object| object.exclusive.clone()).collect()
    };
    assert_eq!(of("Service"), vec![vec!["/spec/ports".to_owned()]; 3]);
    assert_eq!(of("StatefulSet"), [[] as [String; 0]], "injectors add containers and volumes");
}

#[test]
fn a_kms_plugin_that_lies_in_the_image_is_not_hidden_by_the_place_for_those_that_are_fetched() {
    let mounts = |source: KmsPluginSource| {
        let mut seal = seals::from_plugin(seals::awskms());
        seal.kms_plugin.as_mut().unwrap().source = source;
        let response = render(&request(&owner("version: 2.7.0"), Some(seal))).unwrap();
        assert!(config(&response).contains("plugin_directory = \"/bao/plugins\""), "{}", config(&response));
        container(&response)["volumeMounts"].to_string().contains("/bao/plugins")
    };
    assert!(mounts(KmsPluginSource::Image("example.com/kms".to_owned())));
    assert!(!mounts(KmsPluginSource::Command("kms".to_owned())));
}

#[test]
fn labels_that_services_live_by_cannot_be_taken() {
    for label in ["openbao.org/cluster", "openbao-active", "app.kubernetes.io/name"] {
        let failure = refused(&format!("pod: {{labels: {{{label}: x}}}}"));
        assert_eq!(failure.field.unwrap(), format!("spec.pod.labels.{label}"));
    }
    refused("pod: {annotations: {openbao.org/config-hash: x}}");
}

#[test]
fn an_audit_device_that_could_not_write_is_refused() {
    let file = |path: &str| format!("audit: [{{type: file, path: a, options: {{file_path: {path}}}}}]");
    for path in ["/var/log/audit.log", "/bao/audit/../data/x", "/bao/audit", "/bao/auditor/x", "relative"] {
        assert_eq!(
            refused(&format!("auditStorage: {{size: 1Gi}}\n{}", file(path))).field.as_deref(),
            Some("spec.audit[0].options.file_path"),
            "{path}"
        );
    }
    assert_eq!(refused(&file("/bao/audit/a.log")).field.as_deref(), Some("spec.auditStorage"));
    let text = config(&rendered(&file("stdout")));
    assert!(text.contains("audit \"file\" \"a\" {"), "{text}");
    let failure = render(&request(&owner(&format!("version: 2.3.2\n{}", file("stdout"))), Some(seals::transit()))).unwrap_err();
    assert_eq!((failure.reason.as_str(), failure.field.as_deref()), ("VersionLacksFeature", Some("spec.audit")));
}

#[test]
fn defect_5_what_the_nodes_tell_becomes_the_state_from_which_the_phase_follows() {
    let told = |labels: &[Value]| {
        let mut request = World::calm("").request();
        request.previous = None;
        for (ordinal, answer) in request.answers.iter_mut().filter(|answer| answer.id.starts_with("node-")).enumerate() {
            let AnswerOutcome::Ok(view) = &answer.outcome else { panic!("{answer:?}") };
            let mut view: Value = view.parse().unwrap();
            let fields = view["value"].as_object_mut().unwrap();
            fields.retain(|pointer, _| !pointer.starts_with("/metadata/labels/openbao-"));
            fields.extend(labels.get(ordinal).and_then(Value::as_object).cloned().into_iter().flatten());
            answer.outcome = AnswerOutcome::Ok(view.to_string());
        }
        render(&request).unwrap()
    };
    let labels = |active: &str, initialized: &str, sealed: &str| json!({"/metadata/labels/openbao-active": active, "/metadata/labels/openbao-initialized": initialized, "/metadata/labels/openbao-sealed": sealed});
    assert_eq!(told(&[json!({})]).state, State::Ready, "pods that tell nothing leave the word to the StatefulSet");
    let waiting = told(&[labels("false", "false", "true"), labels("false", "false", "true")]);
    assert_eq!((waiting.state, waiting.reason.as_str()), (State::Progressing, "WaitingForInitialization"));
    let sealed = told(&[labels("true", "true", "false"), labels("false", "true", "true")]);
    assert_eq!((sealed.state, sealed.reason.as_str()), (State::Progressing, "NodesSealed"));
    let well = told(&[labels("false", "true", "false"), labels("true", "true", "false")]);
    assert_eq!(well.state, State::Ready);
    let status: Value = serde_json::from_str(&well.status).unwrap();
    assert_eq!((&status["leader"], &status["nodes"], &status["sealed"]), (&json!("prod-1"), &json!("3/3"), &json!(false)));
}

#[test]
fn what_is_asked_about_the_cluster_is_asked_by_name() {
    let response = rendered("replicas: 3");
    assert!(response.needs.iter().all(|need| need.kind == "object" && !need.project.is_empty()), "{:?}", response.needs);
    assert_eq!(response.needs.len(), 3);
}

#[test]
fn every_kind_that_is_rendered_is_asked_for_in_the_permissions() {
    let permissions = banhbaoring_plugin_openbao::permissions::permissions();
    let granted: BTreeSet<(String, String)> = permissions["resources"]
        .as_array()
        .unwrap()
        .iter()
        // What the StatefulSet makes is the owner's as well, and not rendered.
        .filter(|grant| grant["relation"] == "owned" && grant["verbs"].as_array().unwrap().contains(&json!("create")))
        .flat_map(|grant| {
            grant["resources"]
                .as_array()
                .unwrap()
                .iter()
                .map(|resource| (grant["apiGroups"][0].as_str().unwrap().to_owned(), resource.as_str().unwrap().to_owned()))
        })
        .collect();
    let mut used = BTreeSet::from([(String::new(), "secrets".to_owned())]);
    let spec = "{tls: {mode: CertManager, dnsNames: [a.b], issuerRef: {name: x}, secretName: edge},
        telemetry: {unauthenticatedMetricsAccess: true, serviceMonitor: {enabled: true}}}";
    let mut everything = request(&owner(spec), Some(seals::generated_key("prod")));
    everything.platform.apis.push("monitoring.coreos.com/v1/ServiceMonitor".to_owned());
    for object in objects(&render(&everything).unwrap()) {
        let api = object["apiVersion"].as_str().unwrap();
        let group = api.split_once('/').map_or("", |(group, _)| group);
        let kind = object["kind"].as_str().unwrap().to_lowercase();
        let plural = if kind.ends_with('y') { format!("{}ies", kind.trim_end_matches('y')) } else { format!("{kind}s") };
        used.insert((group.to_owned(), plural));
    }
    assert_eq!(granted, used, "neither more nor less");
    let role = object(&rendered(""), "Role", "prod");
    assert_eq!(role["rules"], permissions["rbac"]);
}

#[test]
fn a_missing_cert_manager_and_a_missing_provider_are_told() {
    let mut request = request(
        &owner("tls: {mode: CertManager, dnsNames: [a.b], issuerRef: {name: x}, secretName: edge}"),
        Some(seals::generated_key("prod")),
    );
    request.platform.apis.retain(|api| !api.starts_with("cert-manager.io"));
    let failure = render(&request).unwrap_err();
    assert_eq!((failure.reason.as_str(), failure.field.as_deref()), ("CertManagerMissing", Some("spec.tls.mode")));
    request.slots.clear();
    let blocked = render(&request).unwrap();
    assert_eq!((blocked.state, blocked.reason.as_str(), blocked.objects.len()), (State::Blocked, "UnsealProviderMissing", 0));
}
