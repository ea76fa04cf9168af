//! Grants on resources: group, resource, verbs, whose objects, in which namespaces. No wildcard means anything here.

use banhbaoring_api::grants::{Relation, ResourceGrant};

use super::asker::Asker;
use super::refusal::{Findings, Reason, flow, shown};
use crate::contract::{ApplyMode, Object, ObjectReference};
use crate::kinds::KindInfo;

/// What is asked of a resource.
pub(super) struct Access<'a> {
    pub(super) reference: &'a ObjectReference,
    pub(super) kind: &'a KindInfo,
    pub(super) verbs: &'a [&'a str],
    pub(super) relation: Relation,
}

impl Asker<'_> {
    /// Checks that every verb is granted, by whichever grants together.
    pub(super) fn access(&self, findings: &mut Findings, access: &Access<'_>) {
        let Access { reference, kind, verbs, relation } = access;
        let group = reference.group();
        let candidates: Vec<&ResourceGrant> =
            self.plugin.grants.resources.iter().filter(|grant| names(grant, group, &kind.plural) && grant.relation >= *relation).collect();
        let in_namespace = |grant: &ResourceGrant| !kind.namespaced || self.grants_namespace(grant, reference.namespace.as_deref());
        let missing = |in_scope: &dyn Fn(&ResourceGrant) -> bool| -> Vec<&str> {
            let granted = |verb: &&&str| candidates.iter().any(|grant| in_scope(grant) && grant.verbs.iter().any(|v| v == **verb));
            verbs.iter().filter(|verb| !granted(verb)).copied().collect()
        };
        let lacking = missing(&in_namespace);
        if lacking.is_empty() {
            return;
        }
        let elsewhere = missing(&|_| true).is_empty();
        let reason = if elsewhere { Reason::NamespaceNotGranted } else { Reason::ResourceNotGranted };
        let granted: Vec<String> = self
            .plugin
            .grants
            .resources
            .iter()
            .filter(|grant| names(grant, group, &kind.plural))
            .map(|grant| format!("{} {} in {}", relation_name(grant.relation), flow(&grant.verbs), flow(&namespaces(grant))))
            .collect();
        findings.add(
            reason,
            Some(reference),
            format!(
                "{reference} needs the verbs {}; granted on {} of group \"{}\": {}; add to the Plugin's grants: resources: {}",
                flow(verbs),
                kind.plural,
                shown(group),
                if granted.is_empty() { "nothing".to_owned() } else { granted.join(", ") },
                self.line(access, &lacking),
            ),
        );
    }

    fn grants_namespace(&self, grant: &ResourceGrant, namespace: Option<&str>) -> bool {
        let Some(namespace) = namespace else { return false };
        let of_owner = self.namespace() == Some(namespace);
        (grant.namespaces.is_empty() && of_owner)
            || grant.namespaces.iter().any(|granted| if granted == "owner" { of_owner } else { granted == namespace })
    }

    /// Namespaces in which a resource is granted with that relation, for a question about all of them.
    pub(super) fn granted_namespaces(&self, group: &str, plural: &str, verbs: &[&str], relation: Relation) -> Vec<String> {
        let all = |grant: &&ResourceGrant| {
            names(grant, group, plural) && grant.relation >= relation && verbs.iter().all(|verb| grant.verbs.iter().any(|v| v == verb))
        };
        let mut found: Vec<String> = self
            .plugin
            .grants
            .resources
            .iter()
            .filter(all)
            .flat_map(namespaces)
            .filter_map(|name| if name == "owner" { self.namespace().map(ToOwned::to_owned) } else { Some(name) })
            .collect();
        found.sort();
        found.dedup();
        found
    }

    /// The widest relation in which a resource is granted in a namespace.
    pub(super) fn widest_relation(&self, group: &str, kind: &KindInfo, namespace: Option<&str>, verbs: &[&str]) -> Option<Relation> {
        [Relation::Any, Relation::Referenced, Relation::Owned].into_iter().find(|relation| {
            verbs.iter().all(|verb| {
                self.plugin.grants.resources.iter().any(|grant| {
                    names(grant, group, &kind.plural)
                        && grant.relation >= *relation
                        && (!kind.namespaced || self.grants_namespace(grant, namespace))
                        && grant.verbs.iter().any(|v| v == verb)
                })
            })
        })
    }

    fn line(&self, access: &Access<'_>, verbs: &[&str]) -> String {
        let Access { reference, kind, relation, .. } = access;
        let mut line = format!("[{{apiGroups: {}, resources: [{}], verbs: {}", flow(&[reference.group()]), kind.plural, flow(verbs));
        if *relation != Relation::Owned {
            line.push_str(&format!(", relation: {}", relation_name(*relation)));
        }
        match &reference.namespace {
            Some(namespace) if kind.namespaced && Some(namespace.as_str()) != self.namespace() => {
                line.push_str(&format!(", namespaces: {}", flow(&[namespace])));
            }
            _ => {}
        }
        line.push_str("}]");
        line
    }
}

/// Verbs that the host needs over the life of an object.
pub(super) fn verbs_of(object: &Object) -> Vec<&'static str> {
    let mut verbs = match object.mode {
        ApplyMode::Apply => vec!["get", "create", "patch"],
        ApplyMode::CreateOnly => vec!["get", "create"],
        ApplyMode::IfExists => vec!["get", "patch"],
    };
    // What the host makes it prunes; what existed before it only patches.
    if (!object.keep && object.mode != ApplyMode::IfExists) || object.recreate.is_some() {
        verbs.push("delete");
    }
    if object.recreate.is_some() && !verbs.contains(&"create") {
        verbs.push("create");
    }
    verbs
}

fn names(grant: &ResourceGrant, group: &str, plural: &str) -> bool {
    grant.api_groups.iter().any(|granted| granted == group) && grant.resources.iter().any(|granted| granted == plural)
}

fn namespaces(grant: &ResourceGrant) -> Vec<String> {
    if grant.namespaces.is_empty() { vec!["owner".to_owned()] } else { grant.namespaces.clone() }
}

pub(crate) fn relation_name(relation: Relation) -> &'static str {
    match relation {
        Relation::Owned => "owned",
        Relation::Referenced => "referenced",
        Relation::Any => "any",
    }
}
