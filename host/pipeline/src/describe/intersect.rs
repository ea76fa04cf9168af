//! What is granted by a Plugin and allowed by the ceiling of every policy that matches it: never more than any of them.

use std::collections::BTreeSet;

use banhbaoring_api::Grants;
use banhbaoring_api::grants::{AdmissionGrant, HttpGrant, PodGrant, PolicyRule, ResourceGrant};

use super::covers::{admission_covers, glob_covers, http_covers, namespaces, resource_covers};
use crate::admit::{is_reference_prefix, rule_is_granted};
use crate::glob;

/// The effective grants. Without a ceiling they are the grants themselves, in normal form.
pub fn intersect(grants: &Grants, ceiling: &[Grants]) -> Grants {
    ceiling.iter().fold(both(grants, grants), |granted, limit| both(&granted, limit))
}

fn both(a: &Grants, b: &Grants) -> Grants {
    Grants {
        resources: pairs(&a.resources, &b.resources, resource, resource_covers),
        pods: a.pods.as_ref().zip(b.pods.as_ref()).map(|(a, b)| pods(a, b)),
        rbac: pairs(&a.rbac, &b.rbac, rule, |wide, narrow| rule_is_granted(narrow, std::slice::from_ref(wide)).is_ok()),
        kinds: same(&a.kinds, &b.kinds),
        http: pairs(&a.http, &b.http, http, http_covers),
        audiences: same(&a.audiences, &b.audiences),
        images: narrower(&a.images, &b.images, is_reference_prefix),
        git: same(&a.git, &b.git),
        admission: pairs(&a.admission, &b.admission, admission, admission_covers),
    }
}

/// What every pair has in common, without what another one covers, in an order that does not depend on who came first.
fn pairs<T: Clone + PartialEq + std::fmt::Debug>(a: &[T], b: &[T], common: fn(&T, &T) -> Option<T>, covers: fn(&T, &T) -> bool) -> Vec<T> {
    let mut found: Vec<T> = Vec::new();
    for one in a {
        for other in b {
            found.extend(common(one, other).filter(|common| !found.contains(common)));
        }
    }
    found.sort_by_cached_key(|grant| format!("{grant:?}"));
    widest(found, covers)
}

/// Leaves out what another one covers; of two that cover each other the first stays.
fn widest<T: Clone>(found: Vec<T>, covers: impl Fn(&T, &T) -> bool) -> Vec<T> {
    let stays = |(i, one): &(usize, &T)| {
        !found.iter().enumerate().any(|(j, other)| *i != j && covers(other, one) && (j < *i || !covers(one, other)))
    };
    found.iter().enumerate().filter(stays).map(|(_, one)| one.clone()).collect()
}

fn same(a: &[String], b: &[String]) -> Vec<String> {
    narrower(a, b, |a, b| a == b)
}

/// Of each pair the one that the other covers.
fn narrower(a: &[String], b: &[String], covers: fn(&str, &str) -> bool) -> Vec<String> {
    let mut found = BTreeSet::new();
    for one in a {
        for other in b {
            if covers(one, other) {
                found.insert(other.clone());
            } else if covers(other, one) {
                found.insert(one.clone());
            }
        }
    }
    widest(found.into_iter().collect(), |wide: &String, narrow: &String| covers(wide, narrow))
}

fn resource(a: &ResourceGrant, b: &ResourceGrant) -> Option<ResourceGrant> {
    let namespaces: Vec<String> = namespaces(a).intersection(&namespaces(b)).cloned().collect();
    let grant = ResourceGrant {
        api_groups: same(&a.api_groups, &b.api_groups),
        resources: same(&a.resources, &b.resources),
        verbs: same(&a.verbs, &b.verbs),
        relation: a.relation.min(b.relation),
        namespaces,
    };
    let empty = grant.api_groups.is_empty() || grant.resources.is_empty() || grant.verbs.is_empty() || grant.namespaces.is_empty();
    (!empty).then_some(grant)
}

fn pods(a: &PodGrant, b: &PodGrant) -> PodGrant {
    PodGrant {
        host_access: a.host_access && b.host_access,
        service_accounts: same(&a.service_accounts, &b.service_accounts),
        secret_refs: same(&a.secret_refs, &b.secret_refs),
        images: narrower(&a.images, &b.images, glob_covers),
        account_annotations: narrower(&a.account_annotations, &b.account_annotations, glob::covers),
        pod_labels: narrower(&a.pod_labels, &b.pod_labels, glob::covers),
    }
}

fn rule(a: &PolicyRule, b: &PolicyRule) -> Option<PolicyRule> {
    let wild = |a: &str, b: &str| a == b || a == "*";
    // `*` covers no subresource, as in `admit`.
    let wild_resource = |a: &str, b: &str| a == b || (a == "*" && !b.contains('/'));
    let resource_names = match (a.resource_names.is_empty(), b.resource_names.is_empty()) {
        (true, _) => same(&b.resource_names, &b.resource_names),
        (_, true) => same(&a.resource_names, &a.resource_names),
        _ => {
            let names = same(&a.resource_names, &b.resource_names);
            if names.is_empty() {
                return None;
            }
            names
        }
    };
    let rule = PolicyRule {
        api_groups: narrower(&a.api_groups, &b.api_groups, wild),
        resources: narrower(&a.resources, &b.resources, wild_resource),
        verbs: narrower(&a.verbs, &b.verbs, wild),
        resource_names,
    };
    let empty = rule.api_groups.is_empty() || rule.resources.is_empty() || rule.verbs.is_empty();
    (!empty).then_some(rule)
}

fn http(a: &HttpGrant, b: &HttpGrant) -> Option<HttpGrant> {
    if a.service != b.service || a.host != b.host {
        return None;
    }
    let grant = HttpGrant {
        service: a.service.clone(),
        host: a.host.clone(),
        methods: same(&a.methods, &b.methods),
        paths: narrower(&a.paths, &b.paths, |prefix, path| path.starts_with(prefix)),
    };
    (!grant.methods.is_empty() && !grant.paths.is_empty()).then_some(grant)
}

fn admission(a: &AdmissionGrant, b: &AdmissionGrant) -> Option<AdmissionGrant> {
    let below = |root: &str, pointer: &str| pointer.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let grant = AdmissionGrant {
        kind: a.kind.clone(),
        operations: same(&a.operations, &b.operations),
        may_touch: narrower(&a.may_touch, &b.may_touch, below),
    };
    (a.kind == b.kind && !grant.operations.is_empty()).then_some(grant)
}
