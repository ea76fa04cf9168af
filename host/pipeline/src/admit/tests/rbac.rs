//! Roles within the granted rules, bound to own accounts.

use super::*;

fn rule(value: Json) -> Response {
    response(vec![role(json!([value]))])
}

#[test]
fn a_role_beyond_the_granted_rules_is_refused() {
    let refusal =
        refused(rule(json!({"apiGroups": [""], "resources": ["pods", "secrets"], "verbs": ["get"]})), Reason::RoleNotGranted, "secrets");
    assert!(refusal.message.contains("rbac: [{apiGroups: [\"\"], resources: [secrets], verbs: [get]}]"), "{}", refusal.message);
    for beyond in [
        json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]}),
        json!({"apiGroups": ["apps"], "resources": ["pods"], "verbs": ["get"]}),
        json!({"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]}),
        json!({"apiGroups": ["*"], "resources": ["pods"], "verbs": ["get"]}),
        json!({"apiGroups": [""], "resources": ["*"], "verbs": ["get"]}),
        json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}),
        json!({"nonResourceURLs": ["/metrics"], "verbs": ["get"]}),
        json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "nonResourceURLs": ["/metrics"]}),
        json!({"apiGroups": [], "resources": [], "verbs": []}),
        json!({"apiGroups": "", "resources": "pods", "verbs": "get"}),
        json!("all"),
    ] {
        refused(rule(beyond), Reason::RoleNotGranted, "rules[0]");
    }
    allowed(rule(json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["list"], "resourceNames": ["prod-0"]})));
}

#[test]
fn escalating_verbs_are_refused_even_if_somebody_granted_them() {
    let mut grants = grants();
    grants.rbac = serde_json::from_value(json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])).unwrap();
    for verb in ["escalate", "bind", "impersonate"] {
        let answer = rule(json!({"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": [verb]}));
        assert_eq!(refusal_under(grants.clone(), answer).unwrap().reason, "RoleNotGranted", "{verb}");
    }
    for resource in ["*", "clusterroles", "serviceaccounts", "users"] {
        let answer = rule(json!({"apiGroups": ["*"], "resources": [resource], "verbs": ["*"]}));
        assert_eq!(refusal_under(grants.clone(), answer).unwrap().reason, "RoleNotGranted", "{resource}");
    }
    let token = rule(json!({"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]}));
    assert_eq!(refusal_under(grants, token).unwrap().reason, "RoleNotGranted", "a wildcard covers no subresource");
}

#[test]
fn names_in_a_granted_rule_bind() {
    let mut grants = grants();
    grants.rbac =
        serde_json::from_value(json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["one"]}])).unwrap();
    let asks = |names: Json| {
        refusal_under(grants.clone(), rule(json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": names})))
    };
    assert_eq!(asks(json!(["one"])), None);
    assert!(asks(json!(["two"])).is_some() && asks(json!(["one", "two"])).is_some() && asks(json!([])).is_some());
}

#[test]
fn a_role_that_grows_by_itself_is_refused() {
    let aggregated = with(role(json!([])), "/aggregationRule", json!({"clusterRoleSelectors": [{}]}));
    refused(response(vec![aggregated]), Reason::RoleNotGranted, "aggregated");
    let labelled = with(role(json!([])), "/metadata/labels", json!({"rbac.authorization.k8s.io/aggregate-to-admin": "true"}));
    refused(response(vec![labelled]), Reason::RoleNotGranted, "label");
}

fn bound(pointer: &str, value: Json) -> Response {
    response(vec![account(), role(json!([])), with(role_binding(), pointer, value)])
}

#[test]
fn only_a_role_of_the_same_answer_is_bound() {
    allowed(bound("/metadata/name", json!("prod")));
    refused(
        bound("/roleRef", json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"})),
        Reason::BindingNotGranted,
        "cluster-admin",
    );
    refused(bound("/roleRef/name", json!("somebody-elses")), Reason::BindingNotGranted, "somebody-elses");
    refused(bound("/roleRef/apiGroup", json!("")), Reason::BindingNotGranted, "Role");
    refused(bound("/roleRef/kind", json!("Everything")), Reason::BindingNotGranted, "Everything");
}

#[test]
fn only_own_accounts_are_subjects() {
    let other = json!([{"kind": "ServiceAccount", "name": "admin", "namespace": NAMESPACE}]);
    refused(bound("/subjects", other), Reason::ServiceAccountNotGranted, "admin");
    let elsewhere = json!([{"kind": "ServiceAccount", "name": "prod", "namespace": "team-b"}]);
    refused(bound("/subjects", elsewhere), Reason::ServiceAccountNotGranted, "prod");
    for subject in [
        json!([{"kind": "User", "name": "joe", "apiGroup": "rbac.authorization.k8s.io"}]),
        json!([{"kind": "Group", "name": "system:authenticated", "apiGroup": "rbac.authorization.k8s.io"}]),
        json!([{"kind": "ServiceAccount", "name": "prod"}]),
        json!(["prod"]),
        json!({"kind": "User"}),
    ] {
        refused(bound("/subjects", subject), Reason::BindingNotGranted, "subjects");
    }
}
