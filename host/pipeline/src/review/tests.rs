//! What is asked, and what of an answer counts.

use serde_json::{Value, json};

use super::*;
use crate::contract::{Json, Platform, ReviewPatch, Validation};
use crate::sample;

const KIND: &str = "example.org/Stack";

fn host() -> NamespacedName {
    NamespacedName { namespace: "host".to_owned(), name: "operator".to_owned() }
}

fn admission(mutating: bool) -> AdmissionDescriptor {
    AdmissionDescriptor {
        kind: KIND.to_owned(),
        operations: vec![Operation::Create, Operation::Update],
        mutating,
        match_conditions: vec![("has-spec".to_owned(), "has(object.spec)".to_owned())],
        may_touch: if mutating { vec!["/spec/size".to_owned(), "/metadata/labels".to_owned()] } else { vec![] },
        validations: vec![],
    }
}

fn plugin(admissions: Vec<AdmissionDescriptor>) -> ActivePlugin {
    let mut plugin = sample::plugin("stack", vec![]);
    plugin.descriptor.admissions = admissions;
    plugin.grants = serde_json::from_value(json!({"admission": [
        {"kind": KIND, "operations": ["CREATE", "UPDATE", "DELETE"], "mayTouch": ["/spec", "/metadata/labels"]},
    ]}))
    .unwrap();
    plugin
}

fn write<'a>(operation: Operation, user: &'a str) -> Write<'a> {
    Write { kind: KIND, operation, namespace: Some("team"), user }
}

#[test]
fn a_write_is_judged_by_the_admission_of_its_kind_and_operation() {
    let plugin = plugin(vec![admission(false)]);
    assert!(judging(&plugin, &host(), &write(Operation::Update, "somebody")).is_some());
    assert!(judging(&plugin, &host(), &write(Operation::Delete, "somebody")).is_none());
    let other = Write { kind: "example.org/Other", ..write(Operation::Update, "somebody") };
    assert!(judging(&plugin, &host(), &other).is_none());
}

#[test]
fn the_host_and_the_account_of_the_plugin_wait_for_nobody() {
    let plugin = plugin(vec![admission(false)]);
    for user in ["system:serviceaccount:host:operator", "system:serviceaccount:host:stack"] {
        assert!(judging(&plugin, &host(), &write(Operation::Update, user)).is_none(), "{user}");
    }
    assert!(judging(&plugin, &host(), &write(Operation::Update, "system:serviceaccount:team:operator")).is_some());
}

#[test]
fn what_is_not_granted_any_more_or_not_in_this_namespace_is_not_judged() {
    let mut cut = plugin(vec![admission(true)]);
    cut.grants.admission[0].may_touch = vec!["/metadata/labels".to_owned()];
    assert!(judging(&cut, &host(), &write(Operation::Update, "somebody")).is_none());
    let mut elsewhere = plugin(vec![admission(true)]);
    elsewhere.allowed_namespaces = vec!["other".to_owned()];
    assert!(judging(&elsewhere, &host(), &write(Operation::Update, "somebody")).is_none());
}

fn told(plugin: &ActivePlugin, version: &str, policies: bool) -> Configuration {
    let mut platform = Platform { kubernetes_version: version.to_owned(), ..Platform::default() };
    if policies {
        platform.apis = ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]
            .map(|kind| format!("admissionregistration.k8s.io/v1/{kind}"))
            .to_vec();
    }
    let reach = Reach::Service(NamespacedName { namespace: "host".to_owned(), name: "admission".to_owned() }, 443);
    let resources = [(KIND.to_owned(), ("v1".to_owned(), "stacks".to_owned()))].into();
    let input = ConfigurationInput {
        plugin,
        uid: "1-2-3",
        host: &host(),
        reach: &reach,
        ca_bundle: "Q0E=",
        platform: &platform,
        resources: &resources,
    };
    configuration(&input)
}

fn find<'a>(told: &'a Configuration, kind: &str) -> &'a Json {
    told.wanted.iter().find(|object| object["kind"] == kind).unwrap_or(&Value::Null)
}

#[test]
fn the_api_server_is_told_to_ask_and_to_go_on_where_nobody_answers() {
    let told = told(&plugin(vec![admission(false)]), "v1.36.3", true);
    let webhook = &find(&told, "ValidatingWebhookConfiguration")["webhooks"][0];
    assert_eq!(webhook["failurePolicy"], "Ignore");
    assert_eq!(webhook["clientConfig"]["service"]["path"], "/review/stack");
    assert_eq!(
        webhook["rules"],
        json!([{"apiGroups": ["example.org"], "apiVersions": ["v1"], "resources": ["stacks"], "operations": ["CREATE", "UPDATE"]}])
    );
    let conditions = webhook["matchConditions"].as_array().unwrap();
    assert_eq!(
        conditions[0]["expression"],
        r#"!(request.userInfo.username in ["system:serviceaccount:host:operator","system:serviceaccount:host:stack"])"#
    );
    assert_eq!(conditions[1]["expression"], "has(object.spec)");
    assert_eq!(find(&told, "ValidatingWebhookConfiguration")["metadata"]["ownerReferences"][0]["uid"], "1-2-3");
    assert_eq!(told.unwanted, ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "MutatingWebhookConfiguration"]);
}

#[test]
fn an_old_api_server_is_not_told_conditions_that_it_would_drop() {
    let plugin = plugin(vec![admission(false)]);
    for (version, has) in [("v1.27.9", false), ("v1.28.0-rc.1", true), ("v1.30.1+k3s1", true), ("odd", false)] {
        let told = told(&plugin, version, false);
        assert_eq!(find(&told, "ValidatingWebhookConfiguration")["webhooks"][0].get("matchConditions").is_some(), has, "{version}");
    }
}

#[test]
fn rules_are_judged_by_the_api_server_where_it_can_and_only_for_what_they_are_meant() {
    let mut ruled = admission(false);
    ruled.validations = vec![Validation { expression: "object.spec.size < 9".to_owned(), message: "at most 8".to_owned() }];
    let plugin = plugin(vec![ruled]);
    let told_with = told(&plugin, "v1.36.3", true);
    let policy = &find(&told_with, "ValidatingAdmissionPolicy")["spec"];
    assert_eq!(policy["failurePolicy"], "Fail");
    assert_eq!(
        policy["validations"][0]["expression"],
        "!(request.kind.group == 'example.org' && request.kind.kind == 'Stack' && request.operation in ['CREATE', 'UPDATE'] && (has(object.spec))) || (object.spec.size < 9)"
    );
    assert!(policy["matchConditions"][0]["expression"].as_str().unwrap().contains("host:operator"));
    assert_eq!(find(&told_with, "ValidatingAdmissionPolicyBinding")["spec"]["policyName"], "banhbaoring-stack");
    let told_without = told(&plugin, "v1.25.0", false);
    assert_eq!(find(&told_without, "ValidatingAdmissionPolicy"), &Value::Null);
    assert_eq!(told_without.unwanted, ["MutatingWebhookConfiguration"], "what is not served cannot be deleted");
}

#[test]
fn a_kind_that_nobody_serves_is_told() {
    let mut foreign = admission(false);
    foreign.kind = "example.org/Absent".to_owned();
    let mut plugin = plugin(vec![foreign]);
    plugin.grants.admission[0].kind = "example.org/Absent".to_owned();
    let told = told(&plugin, "v1.36.3", true);
    assert_eq!((told.wanted.len(), told.unserved.as_slice()), (0, &["example.org/Absent".to_owned()][..]));
}

fn patched(patches: &[(&str, Option<Json>)]) -> Result<Verdict, Failure> {
    let patches = patches.iter().map(|(path, value)| ReviewPatch { path: (*path).to_owned(), value: value.clone() }).collect();
    let response = ReviewResponse { allowed: true, patches, ..ReviewResponse::default() };
    verdict(&admission(true), Some(&json!({"metadata": {"name": "a"}, "spec": {"size": {"list": [1, 2]}}})), &response)
}

#[test]
fn a_patch_makes_what_is_missing_on_its_way_and_no_more() {
    let verdict = patched(&[
        ("/metadata/labels/a~1b", Some(json!("x"))),
        ("/metadata/labels/c", Some(json!("y"))),
        ("/spec/size/list/1", Some(json!(5))),
        ("/spec/size/list/-", Some(json!(6))),
        ("/spec/size/absent", None),
        ("/spec/size/list/0", None),
    ])
    .unwrap();
    assert_eq!(
        verdict.patch,
        Some(json!([
            {"op": "add", "path": "/metadata/labels", "value": {"a/b": "x"}},
            {"op": "add", "path": "/metadata/labels/c", "value": "y"},
            {"op": "replace", "path": "/spec/size/list/1", "value": 5},
            {"op": "add", "path": "/spec/size/list/-", "value": 6},
            {"op": "remove", "path": "/spec/size/list/0"},
        ]))
    );
    assert_eq!(patched(&[("/spec/size/absent", None)]).unwrap().patch, None);
}

#[test]
fn a_patch_beyond_what_may_be_touched_is_refused() {
    for path in ["/spec", "/spec/sizes", "/metadata/name", "", "/spec/size/list/9", "/spec/size/list/01", "/spec/size/list/0/x"] {
        let failure = patched(&[(path, Some(json!(1)))]).expect_err(path);
        assert_eq!(failure.reason, "PatchNotAllowed", "{path}: {}", failure.message);
    }
    let response = ReviewResponse {
        allowed: true,
        patches: vec![ReviewPatch { path: "/spec/size".to_owned(), value: Some(json!(1)) }],
        ..ReviewResponse::default()
    };
    assert!(verdict(&admission(false), Some(&json!({})), &response).is_err(), "it does not mutate");
    assert!(verdict(&admission(true), None, &response).is_err(), "it is being deleted");
}

#[test]
fn what_people_are_shown_is_bounded_and_one_line() {
    let response = ReviewResponse {
        allowed: false,
        message: "a\nb".to_owned() + &"é".repeat(3000),
        warnings: std::iter::repeat_n("ü".repeat(300), 40).chain(["  ".to_owned()]).collect(),
        ..ReviewResponse::default()
    };
    let verdict = verdict(&admission(false), None, &response).unwrap();
    assert!(verdict.message.starts_with("a b") && verdict.message.len() <= 2048);
    assert_eq!(verdict.warnings.len(), 16);
    assert!(verdict.warnings.iter().all(|warning| warning.len() <= 256 && warning.ends_with('…')));
}
