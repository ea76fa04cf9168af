//! Whether some grants cover others, and the smallest lines that are missing.

use std::collections::{BTreeMap, BTreeSet};

use banhbaoring_api::Grants;
use banhbaoring_api::grants::{AdmissionGrant, HttpGrant, PodGrant, Relation, ResourceGrant};

use crate::admit::{flow, is_reference_prefix, relation_name, rule_is_granted, shown};
use crate::contract::AdmissionDescriptor;
use crate::glob;

/// A grant that is asked for and not there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// Field of the grants, `resources`, `pods.images`.
    pub dimension: &'static str,
    /// YAML to add below `spec.grants`.
    pub line: String,
}

/// Words in `pods` that are no names and no globs.
pub(super) const WORDS: &[&str] = &["own", "input", "owner-spec"];

/// Whether `granted` covers `asked`.
///
/// # Errors
/// Everything that is missing, smallest lines, sorted by dimension.
pub fn covers(granted: &Grants, asked: &Grants) -> Result<(), Vec<Missing>> {
    // Destructured, so that a new dimension cannot be forgotten.
    let Grants { resources: asked_resources, pods, rbac, kinds, http, audiences, images, git, admission } = asked;
    let mut missing = Vec::new();
    resources(&granted.resources, asked_resources, &mut missing);
    if let Some(asked) = pods {
        self::pods(granted.pods.as_ref(), asked, &mut missing);
    }
    for rule in rbac {
        if let Err(message) = rule_is_granted(rule, &granted.rbac) {
            let line = message.split_once("grants: ").map_or(message.clone(), |(_, line)| line.to_owned());
            missing.push(Missing { dimension: "rbac", line });
        }
    }
    words("kinds", &granted.kinds, kinds, |granted, asked| granted == asked, &mut missing);
    for grant in http {
        if !granted.http.iter().any(|other| http_covers(other, grant)) && !http_is_empty(grant) {
            missing.push(Missing { dimension: "http", line: format!("http: [{}]", http_line(grant)) });
        }
    }
    words("audiences", &granted.audiences, audiences, |granted, asked| granted == asked, &mut missing);
    words("images", &granted.images, images, is_reference_prefix, &mut missing);
    words("git", &granted.git, git, |granted, asked| granted == asked, &mut missing);
    for grant in admission {
        if !granted.admission.iter().any(|other| admission_covers(other, grant)) {
            let line = format!(
                "admission: [{{kind: {}, operations: {}, mayTouch: {}}}]",
                shown(&grant.kind),
                flow(&grant.operations),
                flow(&grant.may_touch)
            );
            missing.push(Missing { dimension: "admission", line });
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(missing) }
}

/// Namespaces of a grant; none means the owner's.
pub(super) fn namespaces(grant: &ResourceGrant) -> BTreeSet<String> {
    if grant.namespaces.is_empty() { BTreeSet::from(["owner".to_owned()]) } else { grant.namespaces.iter().cloned().collect() }
}

/// Whether one grant alone covers another.
pub(super) fn resource_covers(granted: &ResourceGrant, asked: &ResourceGrant) -> bool {
    let all = |granted: &[String], asked: &[String]| asked.iter().all(|one| granted.contains(one));
    granted.relation >= asked.relation
        && all(&granted.api_groups, &asked.api_groups)
        && all(&granted.resources, &asked.resources)
        && all(&granted.verbs, &asked.verbs)
        && namespaces(granted).is_superset(&namespaces(asked))
}

fn resources(granted: &[ResourceGrant], asked: &[ResourceGrant], missing: &mut Vec<Missing>) {
    let mut lacking: BTreeMap<(&str, &str, Relation, String), BTreeSet<&str>> = BTreeMap::new();
    for grant in asked {
        for group in &grant.api_groups {
            for resource in &grant.resources {
                for namespace in namespaces(grant) {
                    for verb in &grant.verbs {
                        let has = granted.iter().any(|other| {
                            other.relation >= grant.relation
                                && other.api_groups.contains(group)
                                && other.resources.contains(resource)
                                && other.verbs.contains(verb)
                                && namespaces(other).contains(&namespace)
                        });
                        if !has {
                            lacking.entry((group, resource, grant.relation, namespace.clone())).or_default().insert(verb);
                        }
                    }
                }
            }
        }
    }
    for ((group, resource, relation, namespace), verbs) in lacking {
        let verbs: Vec<&str> = verbs.into_iter().collect();
        let line = format!(
            "resources: [{{apiGroups: {}, resources: {}, verbs: {}, relation: {}, namespaces: {}}}]",
            flow(&[group]),
            flow(&[resource]),
            flow(&verbs),
            relation_name(relation),
            flow(&[namespace])
        );
        missing.push(Missing { dimension: "resources", line });
    }
}

fn pods(granted: Option<&PodGrant>, asked: &PodGrant, missing: &mut Vec<Missing>) {
    let PodGrant { host_access, service_accounts, secret_refs, images, account_annotations, pod_labels } = asked;
    let Some(granted) = granted else {
        missing.push(Missing { dimension: "pods", line: "pods: {}".to_owned() });
        return pods(Some(&PodGrant::default()), asked, missing);
    };
    if *host_access && !granted.host_access {
        missing.push(Missing { dimension: "pods.hostAccess", line: "pods: {hostAccess: true}".to_owned() });
    }
    let mut list = |dimension: &'static str, field: &str, granted: &[String], asked: &[String], covers: fn(&str, &str) -> bool| {
        let lacking: Vec<&String> = asked.iter().filter(|asked| !granted.iter().any(|granted| covers(granted, asked))).collect();
        for one in lacking {
            missing.push(Missing { dimension, line: format!("pods: {{{field}: {}}}", flow(&[one])) });
        }
    };
    list("pods.serviceAccounts", "serviceAccounts", &granted.service_accounts, service_accounts, |granted, asked| granted == asked);
    list("pods.secretRefs", "secretRefs", &granted.secret_refs, secret_refs, |granted, asked| granted == asked);
    list("pods.images", "images", &granted.images, images, glob_covers);
    list("pods.accountAnnotations", "accountAnnotations", &granted.account_annotations, account_annotations, glob::covers);
    list("pods.podLabels", "podLabels", &granted.pod_labels, pod_labels, glob::covers);
}

/// As [`glob::covers`], but words stand for themselves.
pub(super) fn glob_covers(granted: &str, asked: &str) -> bool {
    if WORDS.contains(&granted) || WORDS.contains(&asked) { granted == asked } else { glob::covers(granted, asked) }
}

fn words(dimension: &'static str, granted: &[String], asked: &[String], covers: fn(&str, &str) -> bool, missing: &mut Vec<Missing>) {
    for one in asked {
        if !granted.iter().any(|granted| covers(granted, one)) {
            missing.push(Missing { dimension, line: format!("{dimension}: {}", flow(&[one])) });
        }
    }
}

fn http_is_empty(grant: &HttpGrant) -> bool {
    grant.methods.is_empty() || grant.paths.is_empty()
}

pub(super) fn http_covers(granted: &HttpGrant, asked: &HttpGrant) -> bool {
    granted.service == asked.service
        && granted.host == asked.host
        && asked.methods.iter().all(|method| granted.methods.contains(method))
        && asked.paths.iter().all(|path| granted.paths.iter().any(|prefix| path.starts_with(prefix.as_str())))
}

fn http_line(grant: &HttpGrant) -> String {
    let to = match (&grant.service, &grant.host) {
        (Some(service), _) => format!("service: {}", shown(service)),
        (None, Some(host)) => format!("host: {}", shown(host)),
        (None, None) => "service: owned".to_owned(),
    };
    format!("{{{to}, methods: {}, paths: {}}}", flow(&grant.methods), flow(&grant.paths))
}

/// Whether a grant allows what a descriptor says that it judges.
pub(crate) fn admission_is_granted(granted: &AdmissionGrant, asked: &AdmissionDescriptor) -> bool {
    let AdmissionDescriptor { kind, operations, may_touch, mutating: _, match_conditions: _, validations: _ } = asked;
    let operations = operations.iter().map(|operation| operation.name().to_owned()).collect();
    admission_covers(granted, &AdmissionGrant { kind: kind.clone(), operations, may_touch: may_touch.clone() })
}

pub(super) fn admission_covers(granted: &AdmissionGrant, asked: &AdmissionGrant) -> bool {
    let below = |pointer: &str, root: &str| pointer.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    granted.kind == asked.kind
        && asked.operations.iter().all(|operation| granted.operations.contains(operation))
        && asked.may_touch.iter().all(|pointer| granted.may_touch.iter().any(|root| below(pointer, root)))
}
