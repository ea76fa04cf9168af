//! What is said of a write of a cluster: what the component would refuse is refused, what is stored already stays writable, and what cannot be taken back is
//! told. The goldens in `tests/reviews` run through the sandbox elsewhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};

use banhbaoring_openbao_api::GROUP_KIND;
use banhbaoring_plugin_openbao::Exports;
use banhbaoring_sdk::wit::{ReviewRequest, ReviewResponse};
use banhbaoring_sdk::{FailureClass, Plugin, testing};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{example, owner, render, request, seals};

const KEY_WARNING: &str = "the unseal key will lie in a Secret of this namespace: keep a copy of it outside of the cluster";

fn write(old: Option<&Value>, new: Option<&Value>) -> ReviewRequest {
    let mut request = testing::review_request(GROUP_KIND, old, new);
    request.platform.apis.push("cert-manager.io/v1/Certificate".to_owned());
    request.platform.apis.sort();
    request
}

fn review(old: Option<&Value>, new: Option<&Value>) -> ReviewResponse {
    Exports::review(write(old, new)).unwrap()
}

fn created(spec: &str) -> ReviewResponse {
    review(None, Some(&owner(spec)))
}

/// Why the write is refused; empty where it is not.
fn refusal(response: &ReviewResponse) -> &str {
    assert_eq!(response.allowed, response.message.is_empty(), "{response:?}");
    &response.message
}

/// A cluster whose nodes run so, the first of them leading.
fn running(spec: &str, versions: &[&str]) -> Value {
    let mut cluster = owner(spec);
    let member = |(index, version): (usize, &&str)| json!({"name": format!("prod-{index}"), "version": version, "active": index == 0});
    let members: Vec<Value> = versions.iter().enumerate().map(member).collect();
    cluster["status"] = json!({"version": "2.99.0", "initialized": true, "members": members});
    cluster
}

/// A cluster whose status says what would go with it now.
fn told(spec: &str, policy: &str) -> Value {
    let mut cluster = owner(spec);
    cluster["status"] = json!({"deletionPolicy": policy});
    cluster
}

/// Of every kind of verdict one.
fn cases() -> Vec<(&'static str, ReviewRequest)> {
    let invalid = owner("{replicas: 3, tls: {ipAddresses: [10.0.0.300]}}");
    let mut annotated = invalid.clone();
    annotated["metadata"]["annotations"] = json!({"team": "store"});
    let protected = owner("{deletionProtection: true, deletionPolicy: DeleteAll}");
    let version = |version: &str| running(&format!("version: {version}"), &["2.5.1", "2.5.1", "2.5.1"]);
    vec![
        ("create-production", write(None, Some(&example("production")))),
        ("create-static-delete-all", write(None, Some(&owner("deletionPolicy: DeleteAll")))),
        ("create-refused", write(None, Some(&invalid))),
        ("create-version-unknown", write(None, Some(&owner("version: 2.2.9")))),
        ("update-refused", write(Some(&owner("replicas: 3")), Some(&invalid))),
        ("update-of-metadata-of-what-was-wrong", write(Some(&invalid), Some(&annotated))),
        ("update-of-what-was-wrong-elsewhere", {
            write(Some(&invalid), Some(&owner("{replicas: 3, tls: {ipAddresses: [10.0.0.300]}, paused: true}")))
        }),
        ("update-to-an-older-version", write(Some(&version("2.5.1")), Some(&version("2.4.0")))),
        ("delete-protected", write(Some(&protected), None)),
        ("delete-before-the-volumes-are-kept", write(Some(&told("deletionPolicy: Retain", "DeletePVCs")), None)),
        ("delete-retain", write(Some(&owner("{}")), None)),
        ("delete-all", write(Some(&owner("deletionPolicy: DeleteAll")), None)),
    ]
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reviews")
}

#[test]
fn each_verdict_is_as_it_was() {
    for (name, request) in cases() {
        let path = folder().join(name).join("request.yaml");
        if std::env::var_os("UPDATE_GOLDENS").is_some() {
            testing::write(&path, &request).unwrap();
        }
        let stored: ReviewRequest = testing::read(&path).unwrap();
        assert!(stored == request, "{} is not what the case gives any more; run with UPDATE_GOLDENS=1", path.display());
    }
    testing::check_review::<Exports>(folder()).unwrap();
    let mut stored: Vec<_> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    stored.sort();
    let mut known: Vec<_> = cases().into_iter().map(|(name, _)| name).collect();
    known.sort_unstable();
    assert_eq!(stored, known, "no case is left over");
}

#[test]
fn what_the_component_refuses_is_refused_at_the_write_in_the_same_words() {
    for spec in [
        "version: 2.2.9",
        "version: latest",
        "replicas: 2",
        "tls: {ipAddresses: [10.0.0.300]}",
        "tls: {mode: Secret}",
        "tls: {mode: CertManager, secretName: a}",
        "tls: {mode: CertManager, secretName: a, issuerRef: {name: b}}",
        "tls: {mode: ACME}",
        "pod: {labels: {a b: x}}",
        "pod: {labels: {openbao.org/cluster: x}}",
        "pod: {annotations: {openbao.org/a: x}}",
        "service: {type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0/33]}",
        "audit: [{type: file, path: a}]",
        "audit: [{type: file, path: a, options: {file_path: /tmp/a}}]",
        "audit: [{type: file, path: a, options: {file_path: /bao/audit/a}}]",
        "initialization: {requests: [{name: a, path: sys/a, data: {b: {eval_type: string}}}]}",
        "pluginCatalog: [{type: auth, name: a, version: v1.0.0, sha256: abc, command: a}]",
        "{version: 2.3.2, unseal: {type: awskms}, initialization: {mode: SelfInit}}",
        "{version: 2.3.2, unseal: {type: awskms}, audit: [{type: file, path: a, options: {file_path: stdout}}]}",
    ] {
        let owner = owner(spec);
        let failure = render(&request(&owner, Some(seals::awskms()))).unwrap_err();
        assert_ne!(failure.class, FailureClass::Internal, "{spec}");
        let expected = format!("{}: {}", failure.field.as_deref().unwrap(), failure.message);
        assert_eq!(refusal(&review(None, Some(&owner))), expected, "{spec}");
    }
}

#[test]
fn what_a_name_cannot_be_is_refused() {
    let mut cluster = owner("");
    cluster["metadata"]["name"] = "a.b".into();
    assert!(refusal(&review(None, Some(&cluster))).starts_with("metadata.name: expected a DNS label"));
}

#[test]
fn a_spec_that_does_not_fit_its_type_is_refused_by_field() {
    assert!(refusal(&created("replicas: three")).starts_with("spec.replicas: "), "{}", created("replicas: three").message);
}

#[test]
fn what_depends_on_the_unseal_provider_is_left_to_the_component() {
    for version in ["2.3.0", "2.4.0", "2.5.3", "2.6.2", "2.7.0", "2.9.0"] {
        for provider in ["static", "awskms", "gcpkms", "azurekv", "transit", "ocikms", "pkcs11"] {
            let verdict = created(&format!("{{version: {version}, unseal: {{type: {provider}}}}}"));
            assert_eq!(refusal(&verdict), "", "{version} {provider}");
            assert_eq!(verdict.warnings.len(), usize::from(provider == "static"));
        }
    }
    // Whether cert-manager will be there is no question of what stands in the spec.
    let edge = owner("{unseal: {type: awskms}, tls: {mode: CertManager, secretName: a, issuerRef: {name: b}, dnsNames: [a.example.com]}}");
    let verdict = Exports::review(testing::review_request(GROUP_KIND, None, Some(&edge))).unwrap();
    assert_eq!(
        (verdict.allowed, verdict.warnings.as_slice()),
        (true, ["tls.mode CertManager: cert-manager is not installed; the cluster waits for it".to_owned()].as_slice())
    );
    assert!(review(None, Some(&edge)).warnings.is_empty());
}

#[test]
fn what_was_wrong_before_may_stay_wrong() {
    let wrong = owner("{replicas: 3, tls: {ipAddresses: [10.0.0.300]}}");
    let mut same = wrong.clone();
    same["metadata"]["finalizers"] = json!(["a.b/c"]);
    assert_eq!(review(Some(&wrong), Some(&same)), review(Some(&owner("")), Some(&owner(""))), "nothing is said of it");

    let paused = owner("{replicas: 3, tls: {ipAddresses: [10.0.0.300]}, paused: true}");
    let verdict = review(Some(&wrong), Some(&paused));
    assert!(verdict.allowed && verdict.warnings[0].starts_with("not served, as before: spec.tls.ipAddresses[0]: "), "{verdict:?}");

    let otherwise = owner("{replicas: 3, tls: {ipAddresses: [10.0.0.301]}}");
    assert!(refusal(&review(Some(&wrong), Some(&otherwise))).starts_with("spec.tls.ipAddresses[0]: "));
    let more = owner("{replicas: 2, tls: {ipAddresses: [10.0.0.300]}}");
    assert!(refusal(&review(Some(&wrong), Some(&more))).starts_with("spec.replicas: "));

    let unreadable = owner("replicas: 3");
    let (mut before, mut after) = (unreadable.clone(), unreadable);
    before["spec"]["replicas"] = "three".into();
    after["spec"]["replicas"] = "three".into();
    after["spec"]["paused"] = true.into();
    assert!(review(Some(&before), Some(&after)).allowed);
}

#[test]
fn a_cluster_that_is_being_deleted_can_be_written() {
    let before = owner("replicas: 3");
    let mut after = owner("replicas: 2");
    assert!(!review(Some(&before), Some(&after)).allowed);
    after["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    assert!(review(Some(&before), Some(&after)).allowed);
}

#[test]
fn a_store_does_not_go_back_to_a_version_that_may_not_read_it() {
    let spec = |version: &str| format!("{{version: {version}}}");
    let asked =
        |versions: &[&str], from: &str, to: &str| review(Some(&running(&spec(from), versions)), Some(&running(&spec(to), versions)));
    let verdict = asked(&["2.5.1", "2.5.1", "2.5.1"], "2.5.1", "2.4.0");
    assert_eq!(
        refusal(&verdict),
        "spec.version: expected 2.5 or newer, found 2.4.0: 2.5.1 writes the store, and an older minor version need not be able to read that; restore a snapshot from before into a new cluster"
    );
    // A patch back, and forward.
    for to in ["2.5.0", "2.6.0"] {
        assert_eq!(refusal(&asked(&["2.5.1", "2.5.1", "2.5.1"], "2.5.1", to)), "", "{to}");
    }
    // A stuck upgrade ends by going back: the leader is the last to be restarted.
    assert_eq!(refusal(&asked(&["2.4.0", "2.4.0", "2.5.1"], "2.5.1", "2.4.0")), "");
    assert_ne!(refusal(&asked(&["2.5.1", "2.4.0", "2.4.0"], "2.5.1", "2.4.0")), "");
    // Nobody ever ran what was rendered.
    assert_eq!(refusal(&asked(&[], "2.6.0", "2.4.0")), "");
    assert_eq!(refusal(&asked(&["not a version"], "2.6.0", "2.4.0")), "");
    // Without a leader the oldest counts.
    let leaderless = |spec: &str, versions: &[&str]| {
        let mut cluster = running(spec, versions);
        cluster["status"]["members"][0]["active"] = false.into();
        cluster
    };
    for (versions, allowed) in [(["2.5.1", "2.4.0"], true), (["2.5.1", "2.5.1"], false)] {
        let verdict = review(Some(&leaderless(&spec("2.5.1"), &versions)), Some(&leaderless(&spec("2.4.0"), &versions)));
        assert_eq!(verdict.allowed, allowed, "{versions:?}");
    }
    // A sealed node has written nothing, and neither has one that nobody initialised.
    for sealed in [true, false] {
        let told = |spec: &str| {
            let mut cluster = leaderless(spec, &["2.5.1"]);
            cluster["status"]["members"][0]["sealed"] = sealed.into();
            cluster
        };
        let verdict = review(Some(&told(&spec("2.5.1"))), Some(&told(&spec("2.4.0"))));
        assert_eq!(verdict.allowed, sealed, "sealed: {sealed}");
    }
    let never_begun = |spec: &str| {
        let mut cluster = leaderless(spec, &["2.5.1"]);
        cluster["status"]["initialized"] = false.into();
        cluster
    };
    assert!(review(Some(&never_begun(&spec("2.5.1"))), Some(&never_begun(&spec("2.4.0")))).allowed);
    // What went back in spite of it stays writable.
    let (before, mut after) = (running(&spec("2.4.0"), &["2.5.1"]), running(&spec("2.4.0"), &["2.5.1"]));
    after["spec"]["paused"] = true.into();
    assert!(review(Some(&before), Some(&after)).allowed);
}

#[test]
fn a_protected_cluster_is_not_deleted_and_its_protection_can_be_lifted() {
    let protected = owner("deletionProtection: true");
    assert_eq!(
        refusal(&review(Some(&protected), None)),
        "spec.deletionProtection: expected false, found true: nobody can delete this cluster; set spec.deletionProtection to false, then delete it"
    );
    let lifted = owner("deletionProtection: false");
    assert!(review(Some(&protected), Some(&lifted)).allowed);
    assert!(review(Some(&lifted), None).allowed);
    let rule = &Exports::describe().admissions[0].validations[0];
    assert_eq!(rule.message, refusal(&review(Some(&protected), None)), "the API server says the same by itself");
    // Whatever else is stored.
    assert!(!review(Some(&json!({"spec": {"deletionProtection": true, "replicas": "three"}})), None).allowed);
    for odd in [json!({}), json!({"spec": null}), json!({"spec": {"deletionProtection": null}}), owner("replicas: 2")] {
        assert!(review(Some(&odd), None).allowed, "{odd}");
    }
}

#[test]
fn a_cluster_is_not_deleted_before_what_its_spec_keeps_would_stay() {
    let verdict = review(Some(&told("deletionPolicy: Retain", "DeletePVCs")), None);
    let said = refusal(&verdict);
    assert!(said.starts_with("spec.deletionPolicy: expected Retain in status.deletionPolicy, found DeletePVCs: "), "{said}");
    for next in ["Wait until", "paused", "kubectl patch statefulset", "--subresource=status"] {
        assert!(said.contains(next), "{next}: {said}");
    }
    assert!(verdict.warnings.is_empty(), "nothing is promised of what does not happen: {verdict:?}");
    let policies = ["Retain", "DeletePVCs", "DeleteAll"];
    for (keeps, spec) in policies.into_iter().enumerate() {
        for (goes, policy) in policies.into_iter().enumerate() {
            let verdict = review(Some(&told(&format!("deletionPolicy: {spec}"), policy)), None);
            assert_eq!(verdict.allowed, goes <= keeps, "{spec}, and {policy} is in force");
        }
    }
    assert!(!review(Some(&told("{}", "DeletePVCs")), None).allowed, "Retain is what nobody has to say");
    let mut deleting = told("deletionPolicy: Retain", "DeletePVCs");
    deleting["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    assert!(review(Some(&deleting), None).allowed, "it is too late");
    // An older operator told nothing, and a later one may tell more.
    for odd in [owner("deletionPolicy: Retain"), told("{}", "DeleteSomething"), json!({"status": {"deletionPolicy": "DeleteAll"}})] {
        assert!(review(Some(&odd), None).allowed, "{odd}");
    }
    let mut later = told("{}", "DeleteAll");
    later["spec"]["deletionPolicy"] = "Snapshot".into();
    assert!(review(Some(&later), None).allowed);
    let rule = &Exports::describe().admissions[0].validations[1];
    assert!(rule.message.starts_with("spec.deletionPolicy: expected ") && rule.message.len() <= 1024, "{}", rule.message);
    let next = said.split_once("found DeletePVCs").unwrap().1;
    assert!(rule.message.ends_with(next), "the API server says the same by itself: {}", rule.message);
}

#[test]
fn who_writes_is_told_once_what_cannot_be_taken_back() {
    let all = "deletionPolicy: DeleteAll";
    assert_eq!(
        created(all).warnings,
        ["deletionPolicy DeleteAll: deleting this cluster deletes its volumes and its certificate authority", KEY_WARNING]
    );
    assert_eq!(review(Some(&owner("")), Some(&owner(all))).warnings.len(), 1);
    assert!(review(Some(&owner(all)), Some(&owner("{deletionPolicy: DeleteAll, ui: false}"))).warnings.is_empty());
    assert!(created("unseal: {type: awskms, keyId: a}").warnings.is_empty());
    assert!(created("unseal: {type: static, currentKey: {secretName: a, key: b}, currentKeyId: c}").warnings.is_empty(), "they made it");
    for (policy, stays) in [("Retain", true), ("DeletePVCs", false), ("DeleteAll", false)] {
        let warnings = review(Some(&owner(&format!("deletionPolicy: {policy}"))), None).warnings;
        assert_eq!((warnings.len(), warnings[0].contains(policy), warnings[0].contains("Retain")), (1, true, stays), "{warnings:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Nothing about the seal that stands in for the provider's answer leaks into a verdict.
    #[test]
    fn a_write_is_refused_exactly_where_the_component_refuses_what_stands_in_the_spec(
        version in prop::sample::select(vec!["2.2.0", "2.3.1", "2.3.2", "2.4.0", "2.5.0", "2.6.1", "2.7.0", "3.0.0", "x"]),
        replicas in prop::sample::select(vec![1, 3, 5, 2]),
        tls in prop::sample::select(vec!["{}", "{dnsNames: [a.example.com]}", "{mode: Secret, secretName: a}", "{mode: Secret}", "{mode: ACME, dnsNames: [a]}", "{mode: CertManager}", "{ipAddresses: [a]}"]),
        audit in prop::sample::select(vec!["[]", "[{type: file, path: a, options: {file_path: stdout}}]", "[{type: file, path: a}]"]),
        initialization in prop::sample::select(vec!["{}", "{mode: Manual}", "{mode: SelfInit}", "{requests: [{name: a, path: b, data: {c: null}}]}"]),
        seal in prop::sample::select(vec![seals::generated_key("prod"), seals::awskms(), seals::from_plugin(seals::awskms()), seals::transit()]),
        long in ".{0,200}",
    ) {
        let mut cluster = owner(&format!("{{version: '{version}', replicas: {replicas}, tls: {tls}, audit: {audit}, initialization: {initialization}}}"));
        cluster["spec"]["pod"] = json!({"annotations": {"note": long}});
        let verdict = review(None, Some(&cluster));
        for warning in &verdict.warnings {
            prop_assert!(warning.len() <= 120 && verdict.warnings.len() <= 3, "{}", warning);
        }
        match render(&request(&cluster, Some(seal))) {
            Ok(_) => prop_assert_eq!(refusal(&verdict), ""),
            // It says the first thing that it finds; something else may be wrong as well.
            Err(failure) if failure.field.as_deref().unwrap().starts_with("spec.unseal") => {
                prop_assert!(!refusal(&verdict).starts_with("spec.unseal"), "{}", verdict.message);
            }
            Err(failure) => prop_assert_eq!(refusal(&verdict), format!("{}: {}", failure.field.unwrap(), failure.message)),
        }
    }
}
