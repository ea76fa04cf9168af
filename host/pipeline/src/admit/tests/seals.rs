//! Answers of unseal providers, under the provider's own grants.

use crate::contract::{
    Egress, EnvValue, EnvVar, KeyPath, KmsPlugin, KmsPluginSource, Scalar, SealAttribute, SealVolume, SecretKey, SecretVolume, TokenVolume,
    VolumeSource,
};

use super::*;

fn provider_grants() -> Grants {
    serde_json::from_value(json!({
        "resources": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create", "patch", "delete"]}],
        "pods": {"secretRefs": ["own", "owner-spec"], "images": ["quay.io/kms/*"], "accountAnnotations": ["cloud.example/role"], "podLabels": ["cloud.example/*"]},
        "audiences": ["kms"],
    }))
    .unwrap()
}

#[allow(clippy::result_large_err, reason = "as what it calls")]
fn judge(seal: Seal) -> Result<(), Refusal> {
    admit_seal(&plugin("provider", provider_grants()), &observation().owner, &seal)
}

#[track_caller]
fn bad(seal: Seal, reason: Reason, about: &str) {
    let refusal = judge(seal).expect_err("this must be refused");
    assert_eq!(refusal.reason, reason.as_str(), "{}", refusal.message);
    assert!(refusal.message.contains(about), "{} does not speak of {about}", refusal.message);
    assert_eq!(refusal.plugin, "provider");
}

fn env(name: &str, value: &str) -> Seal {
    Seal { env: vec![EnvVar { name: name.to_owned(), value: EnvValue::Literal(value.to_owned()) }], ..seal() }
}

fn secret_env(secret: &str) -> Seal {
    let value = EnvValue::SecretKey(SecretKey { secret: secret.to_owned(), key: "token".to_owned() });
    Seal { env: vec![EnvVar { name: "KMS_TOKEN".to_owned(), value }], ..seal() }
}

fn mounted(path: &str, secret: &str) -> SealVolume {
    let source = VolumeSource::Secret(SecretVolume { secret: secret.to_owned(), items: vec![] });
    SealVolume { name: "key".to_owned(), mount_path: path.to_owned(), source }
}

fn attribute(key: &str, value: &str) -> Seal {
    Seal { attributes: vec![SealAttribute { key: key.to_owned(), value: Scalar::Text(value.to_owned()) }], ..seal() }
}

#[test]
fn a_plain_provider_is_admitted() {
    let mut good = seal();
    good.attributes.push(SealAttribute { key: "current_key".to_owned(), value: Scalar::Text("file:///etc/store/unseal/key".to_owned()) });
    good.volumes.push(mounted("/etc/store/unseal", "prod-key"));
    good.volumes.push(SealVolume {
        name: "token".to_owned(),
        mount_path: "/var/run/secrets/kms".to_owned(),
        source: VolumeSource::Token(TokenVolume { audience: "kms".to_owned(), path: "token".to_owned(), expiration_seconds: 3600 }),
    });
    good.env = secret_env("from-spec").env;
    good.secrets.push(generated("prod-key"));
    good.service_account_annotations.push(("cloud.example/role".to_owned(), "arn:x".to_owned()));
    good.pod_labels.push(("cloud.example/use".to_owned(), "true".to_owned()));
    good.egress.push(Egress { cidr: Some("10.0.0.0/8".to_owned()), port: 443 });
    good.credentials = SealCredentials::Secrets(vec!["from-spec".to_owned()]);
    assert_eq!(judge(good), Ok(()));
}

#[test]
fn ld_preload_and_its_kin_are_refused() {
    for name in [
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "PATH",
        "HOME",
        "GODEBUG",
        "GOTRACEBACK",
        "STORE_CONFIG_PATH",
        "STORE_LOCAL_CONFIG",
        "HTTPS_PROXY",
        "SSL_CERT_FILE",
        "KUBERNETES_SERVICE_HOST",
        "STORE_RAFT_NODE_ID",
        "STORE_API_ADDR",
        "GLIBC_TUNABLES",
        "http_proxy",
        "A-B",
        "",
        "1A",
        "A B",
        "BASH_ENV",
        "STORE_LOG_LEVEL",
    ] {
        bad(env(name, "x"), Reason::EnvironmentNotAllowed, "more than the seal");
    }
    for name in ["AWS_REGION", "GOOGLE_PROJECT", "AZURE_TENANT_ID", "VAULT_TRANSIT_SEAL_TOKEN", "AWS_WEB_IDENTITY_TOKEN"] {
        assert_eq!(judge(env(name, "x")), Ok(()), "{name}");
    }
    bad(env("KMS_X", "$(OTHER_SECRET)"), Reason::EnvironmentNotAllowed, "$(");
    let mut twice = env("KMS_X", "1");
    twice.env.push(twice.env[0].clone());
    bad(twice, Reason::EnvironmentNotAllowed, "twice");
}

#[test]
fn a_provider_uses_secrets_under_its_own_grants() {
    bad(secret_env("foreign"), Reason::SecretNotGranted, "foreign");
    bad(Seal { volumes: vec![mounted("/etc/store/x", "foreign")], ..seal() }, Reason::SecretNotGranted, "foreign");
    bad(Seal { credentials: SealCredentials::Secrets(vec!["foreign".to_owned()]), ..seal() }, Reason::SecretNotGranted, "foreign");
    let poor = plugin("poor", Grants::default());
    assert!(admit_seal(&poor, &observation().owner, &secret_env("from-spec")).is_err());
    let own = Seal { secrets: vec![generated("prod-key")], ..seal() };
    assert_eq!(admit_seal(&poor, &observation().owner, &own).unwrap_err().reason, "ResourceNotGranted");
}

#[test]
fn a_component_gets_no_slot_answer_that_its_provider_was_not_granted() {
    let store = plugin("store", grants());
    let mut with_slot = rendered("server", &store, store_answer());
    with_slot.slots = vec![slot(&plugin("provider", provider_grants()), env("LD_PRELOAD", "/x.so"))];
    let refusal = permitted(vec![with_slot]).refused.pop().unwrap();
    assert_eq!(
        (refusal.component.as_str(), refusal.plugin.as_str(), refusal.reason.as_str()),
        ("server", "provider", "EnvironmentNotAllowed")
    );
}

fn store_answer() -> Response {
    super::store()
}

#[test]
fn a_slot_names_secrets_that_the_component_may_use_as_input() {
    let mut grants = grants();
    grants.pods.as_mut().unwrap().secret_refs = vec!["input".to_owned()];
    let component = |slots: Vec<RenderedSlot>| {
        let answer = workload(pod_with("/volumes", json!([{"name": "x", "secret": {"secretName": "slot-key"}}])));
        Rendered { slots, ..rendered("server", &plugin("store", grants.clone()), answer) }
    };
    let provider = plugin("provider", provider_grants());
    let filled = slot(&provider, Seal { secrets: vec![generated("slot-key")], ..seal() });
    let permitted = permitted(vec![component(vec![filled])]);
    assert_eq!(permitted.refused, vec![]);
    assert_eq!(permitted.components[0].secrets[0].plugin.name, "provider", "the Secret is made under the provider's account");
    assert_eq!(super::permitted(vec![component(vec![])]).refused[0].reason, "SecretNotGranted");
}

#[test]
fn files_of_a_seal_stay_where_the_system_has_none() {
    for path in [
        "/",
        "/etc",
        "/etc/ssl/certs",
        "/usr/bin",
        "/proc/1",
        "/dev",
        "/tmp",
        "etc/x/y",
        "/etc/store/../ssl",
        "/var/run/secrets/kubernetes.io/serviceaccount",
    ] {
        bad(Seal { volumes: vec![mounted(path, "from-spec")], ..seal() }, Reason::MountNotAllowed, "mounted");
    }
    let mut item = mounted("/etc/store/x", "from-spec");
    item.source = VolumeSource::Secret(SecretVolume {
        secret: "from-spec".to_owned(),
        items: vec![KeyPath { key: "k".to_owned(), path: "../../passwd".to_owned() }],
    });
    bad(Seal { volumes: vec![item], ..seal() }, Reason::MountNotAllowed, "leads out");
    let nested = vec![mounted("/etc/store/x", "from-spec"), SealVolume { name: "b".to_owned(), ..mounted("/etc/store/x/y", "from-spec") }];
    bad(Seal { volumes: nested, ..seal() }, Reason::MountNotAllowed, "mounted");
}

#[test]
fn a_value_points_at_no_file_beside_the_seals_own() {
    bad(attribute("key", "file:///etc/store/tls/tls.key"), Reason::MountNotAllowed, "tls.key");
    bad(attribute("key", "/var/run/secrets/kubernetes.io/serviceaccount/token"), Reason::MountNotAllowed, "token");
    bad(env("KMS_FILE", "/etc/passwd"), Reason::MountNotAllowed, "passwd");
    bad(attribute("key", "env://ROOT_TOKEN"), Reason::SealInvalid, "ROOT_TOKEN");
    assert_eq!(judge(attribute("key_id", "alias/my-key")), Ok(()));
}

#[test]
fn attributes_cannot_break_out_of_their_stanza() {
    bad(attribute("a\"\n}", "x"), Reason::SealInvalid, "identifier");
    bad(attribute("a", "x\n}\nlistener"), Reason::SealInvalid, "control");
    let mut twice = attribute("a", "1");
    twice.attributes.push(twice.attributes[0].clone());
    bad(twice, Reason::SealInvalid, "twice");
    bad(Seal { stanza: "static\" {}".to_owned(), ..seal() }, Reason::SealInvalid, "stanza");
}

#[test]
fn annotations_labels_and_audiences_need_grants() {
    let annotated = |key: &str| Seal { service_account_annotations: vec![(key.to_owned(), "x".to_owned())], ..seal() };
    bad(annotated("eks.example/role-arn"), Reason::AnnotationNotGranted, "accountAnnotations: [eks.example/role-arn]");
    bad(annotated("banhbaoring.io/component"), Reason::MetadataNotAllowed, "host's own");
    let labelled = |key: &str| Seal { pod_labels: vec![(key.to_owned(), "x".to_owned())], ..seal() };
    bad(labelled("app"), Reason::LabelNotGranted, "podLabels");
    bad(labelled("banhbaoring.io/owner-uid"), Reason::MetadataNotAllowed, "host's own");
    let token = |audience: &str, seconds: u32| {
        let source =
            VolumeSource::Token(TokenVolume { audience: audience.to_owned(), path: "token".to_owned(), expiration_seconds: seconds });
        Seal { volumes: vec![SealVolume { source, ..mounted("/mnt/token", "x") }], ..seal() }
    };
    assert_eq!(judge(token("kms", 3600)), Ok(()));
    bad(token("kubernetes", 3600), Reason::AudienceNotGranted, "kubernetes");
    bad(token("", 3600), Reason::AudienceNotGranted, "audience");
    bad(token("kms", 1), Reason::MountNotAllowed, "600");
}

#[test]
fn the_plugin_block_runs_nothing_but_a_granted_image() {
    let block = |source: KmsPluginSource, sha256: &str| Seal {
        kms_plugin: Some(KmsPlugin {
            name: "awskms".to_owned(),
            source,
            version: "v1.0.0".to_owned(),
            sha256: sha256.to_owned(),
            binary_name: None,
            args: vec![],
            env: vec![],
        }),
        ..seal()
    };
    let digest = "a".repeat(64);
    assert_eq!(judge(block(KmsPluginSource::Image("quay.io/kms/aws:1".to_owned()), &digest)), Ok(()));
    bad(block(KmsPluginSource::Image("docker.io/evil/x".to_owned()), &digest), Reason::ImageNotGranted, "evil");
    bad(block(KmsPluginSource::Command("../../bin/sh".to_owned()), &digest), Reason::SealInvalid, "command");
    bad(block(KmsPluginSource::Command("kms".to_owned()), "abc"), Reason::SealInvalid, "sha256");
    let mut proxied = block(KmsPluginSource::Command("kms".to_owned()), &digest);
    proxied.kms_plugin.as_mut().unwrap().env.push(("HTTPS_PROXY".to_owned(), "http://proxy.example.com".to_owned()));
    assert_eq!(judge(proxied), Ok(()));
    let mut preload = block(KmsPluginSource::Command("kms".to_owned()), &digest);
    preload.kms_plugin.as_mut().unwrap().env.push(("LD_PRELOAD".to_owned(), "x".to_owned()));
    bad(preload, Reason::EnvironmentNotAllowed, "LD_PRELOAD");
}

#[test]
fn egress_is_a_block_and_a_port() {
    for (cidr, port) in [(Some("10.0.0.0"), 1), (Some("10.0.0.0/33"), 1), (Some("x/8"), 1), (Some("10.0.0.0/+8"), 1), (None, 0)] {
        bad(Seal { egress: vec![Egress { cidr: cidr.map(ToOwned::to_owned), port }], ..seal() }, Reason::SealInvalid, "egress");
    }
}

#[test]
fn a_token_that_a_slot_projects_is_the_providers_to_be_granted() {
    let source = VolumeSource::Token(TokenVolume { audience: "kms".to_owned(), path: "token".to_owned(), expiration_seconds: 3600 });
    let projected = Seal { volumes: vec![SealVolume { source, ..mounted("/mnt/token", "x") }], ..seal() };
    let volumes = json!([{"name": "x", "projected": {"sources": [{"serviceAccountToken": {"audience": "kms", "path": "token"}}]}}]);
    let component = |provider: Grants| {
        let slots = vec![slot(&plugin("provider", provider), projected.clone())];
        permitted(vec![Rendered {
            slots,
            ..rendered("server", &plugin("store", grants()), workload(pod_with("/volumes", volumes.clone())))
        }])
        .refused
    };
    assert_eq!(component(provider_grants()), vec![]);
    assert_eq!(component(Grants { audiences: vec![], ..provider_grants() })[0].plugin, "provider");
}
