//! Roles and bindings that a component renders: rules within the granted ones, bound to the owner's own accounts only.

use banhbaoring_api::grants::PolicyRule;
use serde_json::Value;

use super::asker::Asker;
use super::refusal::{Findings, Reason, flow, shown};
use crate::contract::{Json, ObjectReference};

const GROUP: &str = "rbac.authorization.k8s.io";
/// Verbs by which a role would reach beyond itself.
const ESCALATING: &[&str] = &["escalate", "bind", "impersonate"];
/// Resources on which `*` would include such a verb.
const ESCALATING_RESOURCES: &[&str] = &["*", "roles", "clusterroles", "users", "groups", "serviceaccounts", "uids"];

pub(super) fn check(asker: &Asker<'_>, findings: &mut Findings, manifest: &Json, reference: &ObjectReference) {
    if reference.group() != GROUP {
        return;
    }
    match reference.kind.as_str() {
        "Role" | "ClusterRole" => role(asker, findings, manifest, reference),
        "RoleBinding" | "ClusterRoleBinding" => binding(asker, findings, manifest, reference),
        _ => {
            findings.add(Reason::KindNotAllowed, Some(reference), format!("{reference}: not a kind of role or binding that is known here"))
        }
    }
}

fn role(asker: &Asker<'_>, findings: &mut Findings, manifest: &Json, reference: &ObjectReference) {
    let mut refuse = |message: String| findings.add(Reason::RoleNotGranted, Some(reference), format!("{reference}: {message}"));
    if manifest.get("aggregationRule").is_some_and(|rule| !rule.is_null()) {
        refuse("an aggregated role takes its rules from others; write the rules out".to_owned());
    }
    let labels = manifest.pointer("/metadata/labels").and_then(Json::as_object);
    if labels.is_some_and(|labels| labels.keys().any(|key| key.starts_with("rbac.authorization.k8s.io/"))) {
        refuse("the label would add its rules to the cluster's own roles; remove it".to_owned());
    }
    let rules = match manifest.get("rules") {
        None | Some(Value::Null) => return,
        Some(Value::Array(rules)) => rules,
        Some(_) => return refuse("rules is not a list".to_owned()),
    };
    for (i, rule) in rules.iter().enumerate() {
        match parse(rule) {
            Ok(rule) => {
                if let Err(message) = allowed(&rule, &asker.plugin.grants.rbac) {
                    refuse(format!("rules[{i}]: {message}"));
                }
            }
            Err(message) => refuse(format!("rules[{i}]: {message}")),
        }
    }
}

fn parse(rule: &Json) -> Result<PolicyRule, String> {
    if rule.get("nonResourceURLs").is_some_and(|urls| !urls.is_null() && urls.as_array().is_none_or(|urls| !urls.is_empty())) {
        return Err("nonResourceURLs cannot be granted".to_owned());
    }
    let mut rule = rule.clone();
    if let Some(fields) = rule.as_object_mut() {
        fields.retain(|key, value| !value.is_null() && key != "nonResourceURLs");
    }
    let rule: PolicyRule = serde_json::from_value(rule)
        .map_err(|_| "expected apiGroups, resources, verbs and perhaps resourceNames, lists of strings".to_owned())?;
    if rule.api_groups.is_empty() || rule.resources.is_empty() || rule.verbs.is_empty() {
        return Err("apiGroups, resources and verbs must not be empty".to_owned());
    }
    Ok(rule)
}

/// Whether a role may have that rule.
fn allowed(rule: &PolicyRule, granted: &[PolicyRule]) -> Result<(), String> {
    if let Some(verb) = rule.verbs.iter().find(|verb| ESCALATING.contains(&verb.as_str())) {
        return Err(format!("the verb {verb} reaches beyond the role; no grant allows it"));
    }
    if rule.verbs.iter().any(|verb| verb == "*") {
        let base = |resource: &str| resource.split('/').next().unwrap_or_default().to_owned();
        let escalating = |resource: &&String| ESCALATING_RESOURCES.contains(&base(resource).as_str());
        if let Some(resource) = rule.resources.iter().find(escalating) {
            return Err(format!("the verb * on {} includes escalate, bind or impersonate; name the verbs", shown(resource)));
        }
    }
    within(rule, granted)
}

/// Whether the granted rules together cover every group, resource, verb and name of `rule`.
///
/// # Errors
/// The first combination that is missing, with the line to add.
pub(crate) fn within(rule: &PolicyRule, granted: &[PolicyRule]) -> Result<(), String> {
    let names: Vec<Option<&str>> =
        if rule.resource_names.is_empty() { vec![None] } else { rule.resource_names.iter().map(|name| Some(name.as_str())).collect() };
    for group in &rule.api_groups {
        for resource in &rule.resources {
            for verb in &rule.verbs {
                for name in &names {
                    if !granted.iter().any(|grant| covers(grant, group, resource, verb, *name)) {
                        let of = name.map(|name| format!(", resourceNames: {}", flow(&[name]))).unwrap_or_default();
                        let line =
                            format!("{{apiGroups: {}, resources: {}, verbs: {}{of}}}", flow(&[group]), flow(&[resource]), flow(&[verb]));
                        return Err(format!(
                            "{} on {} of group \"{}\" is beyond the granted rules; add to the Plugin's grants: rbac: [{line}]",
                            shown(verb),
                            shown(resource),
                            shown(group)
                        ));
                    }
                }
            }
        }
    }
    Ok(())
}

/// A granted `*` covers every group and verb, and every resource that is not a subresource; an asked `*` only a granted one.
fn covers(grant: &PolicyRule, group: &str, resource: &str, verb: &str, name: Option<&str>) -> bool {
    let has = |list: &[String], text: &str| list.iter().any(|granted| granted == text || granted == "*");
    let resource_granted = grant.resources.iter().any(|granted| granted == resource || (granted == "*" && !resource.contains('/')));
    let name_granted = grant.resource_names.is_empty() || name.is_some_and(|name| grant.resource_names.iter().any(|n| n == name));
    has(&grant.api_groups, group) && resource_granted && has(&grant.verbs, verb) && name_granted
}

fn binding(asker: &Asker<'_>, findings: &mut Findings, manifest: &Json, reference: &ObjectReference) {
    let text = |pointer: &str| manifest.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
    let (group, kind, name) = (text("/roleRef/apiGroup"), text("/roleRef/kind"), text("/roleRef/name"));
    let namespace = if kind == "Role" { reference.namespace.as_deref() } else { None };
    let known = group == GROUP && matches!(kind, "Role" | "ClusterRole");
    if !known || !asker.answer_has(GROUP, kind, namespace, name) {
        findings.add(
            Reason::BindingNotGranted,
            Some(reference),
            format!(
                "{reference}: binds {} {}, which is not a role of the same answer; render the role beside its binding",
                shown(kind),
                shown(name)
            ),
        );
    }
    let subjects = match manifest.get("subjects") {
        None | Some(Value::Null) => return,
        Some(Value::Array(subjects)) => subjects,
        Some(_) => {
            return findings.add(Reason::BindingNotGranted, Some(reference), format!("{reference}: subjects is not a list"));
        }
    };
    for (i, subject) in subjects.iter().enumerate() {
        let text = |field: &str| subject.get(field).and_then(Json::as_str).unwrap_or_default();
        let namespace = Some(text("namespace")).filter(|namespace| !namespace.is_empty());
        if text("kind") != "ServiceAccount" || !text("apiGroup").is_empty() || namespace.is_none() {
            findings.add(
                Reason::BindingNotGranted,
                Some(reference),
                format!("{reference}: subjects[{i}] is not a ServiceAccount with its namespace; no users and no groups"),
            );
            continue;
        }
        asker.account(findings, Some(reference), namespace, text("name"), &format!("{reference}: subjects[{i}]"));
    }
}
