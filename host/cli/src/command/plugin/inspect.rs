//! `inspect`: what a plugin is, imports and asks for; on request as the manifests that a platform team applies.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use banhbaoring_api::Grants;
use banhbaoring_api::grants::{PolicyRule, Relation, ResourceGrant};
use banhbaoring_artifact::{Artifact, Limits, Mode, Reference, Requirement, Selector};
use banhbaoring_pipeline::contract::{Descriptor, Json, Observation};
use banhbaoring_sandbox::{EngineSettings, Sandbox, TrustedComponent};
use serde_json::json;

use crate::args::{InspectFormat, RegistryArgs};
use crate::error::CliError;
use crate::output;
use crate::sources;

pub(super) async fn run(
    reference: &str,
    format: InspectFormat,
    account_namespace: &str,
    key: Option<&Path>,
    published_as: Option<&str>,
    registry: &RegistryArgs,
) -> Result<ExitCode, CliError> {
    let (component, found) = component(reference, key, registry).await?;
    let published = published_as.map(str::parse).transpose()?.or(found);
    let module = sources::module(&Sandbox::new(EngineSettings::default(), None)?, reference, &component)?;
    let descriptor = module.describe().map_err(|source| CliError::Call { place: reference.to_owned(), source })?;
    let text = match format {
        InspectFormat::Text => describe(&descriptor, module.size_bytes(), module.exports()),
        InspectFormat::Json => serde_json::to_string_pretty(&descriptor)
            .map_err(|error| CliError::Content { place: reference.to_owned(), detail: error.to_string() })?,
        InspectFormat::Manifests => {
            let source = published.ok_or_else(|| {
                CliError::Refused(
                    "-o manifests is about a published plugin: name it as oci://registry/repository:tag, or say with --published-as what it will be"
                        .to_owned(),
                )
            })?;
            manifests(&descriptor, &source, account_namespace, key, registry.insecure)?
        }
    };
    output::print(&text);
    Ok(ExitCode::SUCCESS)
}

/// Looking is not running: an unsigned plugin may be looked at, in a sandbox that gives it nothing.
async fn component(
    reference: &str,
    key: Option<&Path>,
    registry: &RegistryArgs,
) -> Result<(TrustedComponent, Option<Reference>), CliError> {
    if !reference.starts_with("oci://") {
        return Ok((sources::local(Path::new(reference))?, None));
    }
    let parsed: Reference = reference.parse()?;
    let source = sources::open(&parsed, registry)?;
    let digest = source.resolve(&parsed.selector).await?;
    let (authorities, mode) = match key {
        Some(key) => (sources::authorities(key)?, Mode::Enforce),
        None => (Vec::new(), Mode::Warn),
    };
    let requirement = Requirement { name: "command line".to_owned(), authorities, mode };
    let component = Artifact::fetch(&source, &digest, Limits::default()).await?.verify(&[requirement]).await?.pull().await?;
    Ok((TrustedComponent::local_file(component.bytes().to_vec()), Some(parsed)))
}

fn describe(descriptor: &Descriptor, size: usize, exports: &[String]) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:<18}{value}");
        }
    };
    line("name", descriptor.name.clone());
    line("version", descriptor.version.clone());
    line("summary", descriptor.summary.clone());
    line("homepage", descriptor.homepage.clone().unwrap_or_default());
    line("license", descriptor.license.clone().unwrap_or_default());
    line("size", format!("{} KiB", size / 1024));
    line("imports", "none".to_owned());
    line("exports", exports.join(", "));
    line("kinds", descriptor.kinds.iter().map(|kind| kind_name(&kind.crd)).collect::<Vec<_>>().join(", "));
    for component in &descriptor.components {
        let slots: Vec<String> = component.slots.iter().map(|slot| format!("{} at {}", slot.name, slot.selector)).collect();
        let slots = if slots.is_empty() { String::new() } else { format!(", slots: {}", slots.join(", ")) };
        line("component", format!("{} of {} ({:?}){slots}", component.name, component.kind, component.criticality));
    }
    for provider in &descriptor.unseal_providers {
        let aliases = if provider.aliases.is_empty() { String::new() } else { format!(" (also {})", provider.aliases.join(", ")) };
        line("unseal provider", format!("{}{aliases}", provider.name));
    }
    for image in &descriptor.images {
        line("image", format!("{}: {}", image.role, image.image));
    }
    let permissions = serde_yaml::to_string(&descriptor.permissions).unwrap_or_default();
    let _ = writeln!(text, "asks for");
    for permission in permissions.lines() {
        let _ = writeln!(text, "  {permission}");
    }
    text
}

fn kind_name(crd: &Json) -> String {
    let text = |pointer: &str| crd.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
    format!("{}/{}", text("/spec/group"), text("/spec/names/kind"))
}

/// Account, roles and Plugin: what a platform team reads, trims and applies.
fn manifests(
    descriptor: &Descriptor,
    reference: &Reference,
    namespace: &str,
    key: Option<&Path>,
    insecure: bool,
) -> Result<String, CliError> {
    let grants: Grants = serde_json::from_value(descriptor.permissions.clone())
        .map_err(|error| CliError::Content { place: descriptor.name.clone(), detail: error.to_string() })?;
    let account = format!("plugin-{}", descriptor.name);
    let mut verify = json!({"mode": "enforce"});
    if let Some(key) = key {
        let data = std::fs::read_to_string(key).map_err(|source| CliError::File { what: "cannot read", path: key.to_owned(), source })?;
        verify["authorities"] = json!([{"name": "release", "key": {"data": data}}]);
    }
    let version = match &reference.selector {
        Selector::Digest(digest) => json!({"digest": digest.to_string()}),
        Selector::Range(range) => json!({"semver": range.to_string()}),
        Selector::Tag(tag) => json!({"tag": tag.to_string()}),
    };
    let labels = json!({"app.kubernetes.io/part-of": "banhbaoring"});
    let documents = [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": namespace, "labels": labels}}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": format!("banhbaoring:{account}"), "labels": labels},
            "rules": rules(descriptor, &grants, &account)}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": format!("banhbaoring:{account}"), "labels": labels},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": format!("banhbaoring:{account}")},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}]}),
        json!({"apiVersion": "plugins.banhbaoring.io/v1alpha1", "kind": "Plugin", "metadata": {"name": descriptor.name, "labels": labels},
        "spec": {
            "source": {"oci": {"url": format!("oci://{}", reference.repository), "ref": version, "insecure": insecure}},
            "verify": verify,
            "grants": grants,
            "serviceAccountRef": {"namespace": namespace, "name": account},
        }}),
    ];
    let mut text = String::new();
    for document in documents {
        text.push_str("---\n");
        text.push_str(
            &serde_yaml::to_string(&document)
                .map_err(|error| CliError::Content { place: descriptor.name.clone(), detail: error.to_string() })?,
        );
    }
    Ok(text)
}

/// What the account needs so that the grants can be used: the same resources, its kinds, and what roles that it makes may contain.
fn rules(descriptor: &Descriptor, grants: &Grants, account: &str) -> Vec<PolicyRule> {
    let watches = descriptor.kinds.iter().any(|kind| kind.observation == Observation::Watch);
    let mut rules = Vec::new();
    for grant in &grants.resources {
        let rule = |resources: Vec<String>, verbs: Vec<String>| PolicyRule {
            api_groups: grant.api_groups.clone(),
            resources,
            verbs,
            resource_names: Vec::new(),
        };
        rules.push(rule(grant.resources.clone(), with_apply(&grant.verbs)));
        let watched = watched(grant);
        if watches && !watched.is_empty() {
            rules.push(rule(watched, ["list", "watch"].map(str::to_owned).to_vec()));
        }
    }
    rules.extend(requests(grants, account));
    // Nobody may make a role with more than they have themselves.
    rules.extend(grants.rbac.iter().cloned());
    for kind in &descriptor.kinds {
        let text = |pointer: &str| kind.crd.pointer(pointer).and_then(Json::as_str).unwrap_or_default().to_owned();
        let (group, plural) = (text("/spec/group"), text("/spec/names/plural"));
        let rule = |resource: String, verbs: &[&str]| PolicyRule {
            api_groups: vec![group.clone()],
            resources: vec![resource],
            verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
            resource_names: Vec::new(),
        };
        rules.push(rule(plural.clone(), &["get", "list", "watch", "patch"]));
        rules.push(rule(format!("{plural}/status"), &["get", "patch"]));
        rules.push(rule(format!("{plural}/finalizers"), &["update"]));
    }
    rules
}

/// What the host reads as the account beyond the grants: the pods behind an owner's Service, those of Jobs that it runs (they hold the exit code), and
/// the tokens that it puts into requests.
fn requests(grants: &Grants, account: &str) -> Vec<PolicyRule> {
    let rule = |group: &str, resource: &str, verb: &str, names: &[&str]| PolicyRule {
        api_groups: vec![group.to_owned()],
        resources: vec![resource.to_owned()],
        verbs: vec![verb.to_owned()],
        resource_names: names.iter().map(|name| (*name).to_owned()).collect(),
    };
    let mut rules = Vec::new();
    if grants.http.iter().any(|grant| grant.service.is_some()) {
        rules.extend([rule("", "services", "get", &[]), rule("", "pods", "list", &[]), rule("apps", "replicasets", "get", &[])]);
    } else if may_run(grants) {
        rules.push(rule("", "pods", "list", &[]));
    }
    if !grants.http.is_empty() && !grants.audiences.is_empty() {
        rules.push(rule("", "serviceaccounts/token", "create", &[account]));
    }
    rules
}

/// Whether Jobs may be made: a grant may mean them by a wildcard.
fn may_run(grants: &Grants) -> bool {
    let has = |list: &[String], name: &str| list.iter().any(|entry| entry == name || entry == "*");
    let makes_jobs =
        |grant: &ResourceGrant| has(&grant.api_groups, "batch") && has(&grant.resources, "jobs") && has(&grant.verbs, "create");
    grants.pods.is_some() && grants.resources.iter().any(makes_jobs)
}

/// The host creates by server-side apply, which RBAC counts as `create` and `patch`.
fn with_apply(verbs: &[String]) -> Vec<String> {
    let mut verbs = verbs.to_vec();
    if verbs.iter().any(|verb| verb == "create") && !verbs.iter().any(|verb| verb == "patch") {
        verbs.push("patch".to_owned());
    }
    verbs
}

/// Resources of a grant that the host has to watch beyond the grant's verbs: children of a watched kind. Never Secrets: whoever may watch them
/// may read them all.
fn watched(grant: &ResourceGrant) -> Vec<String> {
    let has = |verb: &str| grant.verbs.iter().any(|granted| granted == verb);
    if grant.relation != Relation::Owned || !has("get") || (has("list") && has("watch")) {
        return Vec::new();
    }
    grant.resources.iter().filter(|resource| *resource != "secrets").cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(verbs: &[&str]) -> ResourceGrant {
        let resources = ["configmaps", "secrets"].map(str::to_owned).to_vec();
        let verbs = verbs.iter().map(|verb| (*verb).to_owned()).collect();
        ResourceGrant { api_groups: vec![String::new()], resources, verbs, relation: Relation::Owned, namespaces: Vec::new() }
    }

    #[test]
    fn children_are_watched_but_never_secrets() {
        assert_eq!(watched(&grant(&["get", "create"])), ["configmaps"]);
    }

    #[test]
    fn what_may_not_be_read_or_belongs_to_others_is_not_watched() {
        assert!(watched(&grant(&["create"])).is_empty());
        assert!(watched(&ResourceGrant { relation: Relation::Any, ..grant(&["get"]) }).is_empty());
    }

    #[test]
    fn what_finds_the_pods_behind_a_service_comes_with_the_grant_to_ask_them() {
        let grants = |value: Json| serde_json::from_value::<Grants>(value).unwrap();
        let resources =
            |grants: &Grants| -> Vec<String> { requests(grants, "plugin-a").into_iter().flat_map(|rule| rule.resources).collect() };
        let service = json!([{"service": "owned", "methods": ["GET"], "paths": ["/"]}]);
        let host = json!([{"host": "kms.example.com", "methods": ["GET"], "paths": ["/"]}]);
        assert_eq!(resources(&grants(json!({ "http": service }))), ["services", "pods", "replicasets"]);
        assert_eq!(resources(&grants(json!({"http": host, "audiences": ["kms"]}))), ["serviceaccounts/token"]);
        assert_eq!(requests(&grants(json!({"http": host, "audiences": ["kms"]})), "plugin-a")[0].resource_names, ["plugin-a"]);
        assert!(resources(&grants(json!({"audiences": ["store"]}))).is_empty(), "tokens in pods are the kubelet's");
    }

    #[test]
    fn whoever_may_run_jobs_may_read_how_their_pods_ended() {
        let listed = |value: Json| {
            let rules = requests(&serde_json::from_value(value).unwrap(), "plugin-a");
            rules.into_iter().filter(|rule| rule.resources == ["pods"]).map(|rule| rule.verbs).collect::<Vec<_>>()
        };
        let jobs = |verbs: &[&str]| json!([{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": verbs}]);
        assert_eq!(listed(json!({"resources": jobs(&["get", "create"]), "pods": {}})), [["list"]]);
        let service = json!([{"service": "owned", "methods": ["GET"], "paths": ["/"]}]);
        assert_eq!(listed(json!({"resources": jobs(&["get", "create"]), "pods": {}, "http": service})), [["list"]], "once");
        assert!(listed(json!({"resources": jobs(&["get"]), "pods": {}})).is_empty());
        assert!(listed(json!({"resources": jobs(&["get", "create"])})).is_empty(), "without pods there is no Job");
    }

    #[test]
    fn what_was_granted_already_is_not_granted_twice() {
        assert!(watched(&grant(&["get", "list", "watch"])).is_empty());
    }
}
