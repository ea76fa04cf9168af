//! Needs: questions are admitted before they are asked. Contents of Secrets are nobody's answer.

use std::collections::BTreeSet;

use banhbaoring_api::grants::Relation;
use banhbaoring_contract::http::Method;
use banhbaoring_contract::need::{self, GitCredentials, NeedSpec};
use banhbaoring_contract::reference::ObjectRef;
use serde::de::DeserializeOwned;

use super::asker::Asker;
use super::refusal::{Findings, Reason, flow, shown};
use super::resources::{Access, relation_name};
use super::syntax::{is_camel_case, is_label, is_pointer, is_subdomain};
use super::{NeedScope, PermittedNeed, PermittedRequest, Whose, http, images};
use crate::contract::{Json, Need, NeedMode, ObjectReference};
use crate::kinds::KindInfo;
use crate::runs;

/// Needs per answer.
const NEEDS: usize = 64;
/// Parts of a Secret that say nothing of its values.
const SECRET_FIELDS: &[&str] =
    &["/metadata/name", "/metadata/labels", "/metadata/creationTimestamp", "/metadata/deletionTimestamp", "/type"];

pub(super) fn check(asker: &Asker<'_>, findings: &mut Findings, needs: &[Need]) -> Vec<PermittedNeed> {
    if needs.len() > NEEDS {
        findings.add(Reason::TooMuch, None, format!("{} needs; at most {NEEDS}", needs.len()));
        return Vec::new();
    }
    let mut ids = BTreeSet::new();
    let mut permitted = Vec::new();
    for need in needs {
        if need.id.is_empty() || need.id.len() > 253 || !ids.insert(need.id.as_str()) {
            findings.add(Reason::NeedInvalid, None, format!("the need {} has no id of its own", shown(&need.id)));
        }
        if need.project.len() > 64 || !need.project.iter().all(|pointer| is_pointer(pointer)) {
            findings.add(Reason::NeedInvalid, None, format!("the need {} projects something that is not a JSON pointer", shown(&need.id)));
        }
        if let Some(scope) = scope(asker, findings, need) {
            permitted.push(PermittedNeed { need: need.clone(), scope });
        }
    }
    permitted
}

fn scope(asker: &Asker<'_>, findings: &mut Findings, need: &Need) -> Option<NeedScope> {
    match need.kind.as_str() {
        need::Object::KIND => {
            let spec = parsed::<need::Object>(findings, need)?;
            object(asker, findings, need, &spec)
        }
        need::Objects::KIND => {
            let spec = parsed::<need::Objects>(findings, need)?;
            objects(asker, findings, need, &spec)
        }
        need::Outputs::KIND => {
            let spec = parsed::<need::Outputs>(findings, need)?;
            match resolve(asker, &spec.owner) {
                Ok((reference, kind)) => {
                    let relation = asker.relation_to(&reference);
                    asker.access(findings, &Access { reference: &reference, kind: &kind, verbs: &["get"], relation });
                    let whose = whose_is(asker, &reference, &kind, &["get"], relation);
                    Some(NeedScope::Outputs(reference, whose, spec.component))
                }
                Err(unresolved) => unresolved.scope(findings, need),
            }
        }
        need::Http::KIND => {
            let spec = parsed::<need::Http>(findings, need)?;
            http::check(asker, findings, &spec.endpoint, Method::Get, &format!("the need {}", shown(&need.id)));
            if need.mode == NeedMode::Watch {
                let message =
                    format!("the need {} would watch a server over HTTP, which tells nothing by itself; poll it", shown(&need.id));
                findings.add(Reason::NeedInvalid, None, message);
            }
            let request = PermittedRequest { endpoint: spec.endpoint, method: Method::Get, body: Json::Null, capture: Vec::new() };
            Some(NeedScope::Http(Box::new(request)))
        }
        need::Image::KIND => {
            let spec = parsed::<need::Image>(findings, need)?;
            images::check(asker, findings, need, &spec);
            Some(NeedScope::Image(Box::new(spec)))
        }
        need::Git::KIND => {
            let spec = parsed::<need::Git>(findings, need)?;
            git(asker, findings, need, &spec);
            Some(NeedScope::Other)
        }
        need::Job::KIND => {
            let spec = parsed::<need::Job>(findings, need)?;
            if !is_subdomain(&spec.key) {
                findings.add(Reason::NeedInvalid, None, format!("the need {} asks for a run without a valid key", shown(&need.id)));
            }
            let job = runs::job(&asker.owner.reference, &spec.key);
            asker.access(findings, &Access { reference: &job, kind: &runs::kind(), verbs: &["get"], relation: Relation::Owned });
            Some(NeedScope::Job(job, spec.key))
        }
        other => Some(NeedScope::Unsupported(format!("this host knows no need of the kind {}", shown(other)))),
    }
}

fn parsed<T: DeserializeOwned + NeedSpec>(findings: &mut Findings, need: &Need) -> Option<T> {
    match serde_json::from_value(need.spec.clone()) {
        Ok(spec) => Some(spec),
        Err(error) => {
            let message = format!("the need {} does not fit the schema of {}: {}", shown(&need.id), T::KIND, shown(&error.to_string()));
            findings.add(Reason::NeedInvalid, None, message);
            None
        }
    }
}

/// Why a reference names nothing that can be asked for.
pub(super) enum Unresolved {
    /// It is malformed.
    Invalid(String),
    /// Nobody serves its kind: that is an answer, not a fault.
    NotServed(String),
}

impl Unresolved {
    fn scope(self, findings: &mut Findings, need: &Need) -> Option<NeedScope> {
        match self {
            Self::NotServed(message) => Some(NeedScope::Unsupported(message)),
            Self::Invalid(message) => {
                findings.add(Reason::NeedInvalid, None, format!("the need {}: {message}", shown(&need.id)));
                None
            }
        }
    }
}

/// The object that a reference of a need or an action names.
pub(super) fn resolve(asker: &Asker<'_>, named: &ObjectRef) -> Result<(ObjectReference, KindInfo), Unresolved> {
    // Names of foreign objects may be of the wider path form (`system:…`).
    let well_formed = (1..=253).contains(&named.name.len())
        && named.name.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b'%'))
        && named.name != "."
        && named.name != "..";
    if !well_formed || !is_camel_case(&named.kind) {
        return Err(Unresolved::Invalid(format!("{} {} names no object", shown(&named.kind), shown(&named.name))));
    }
    let Some(kind) = asker.kinds.get(&named.api_version, &named.kind) else {
        let message = format!("{} {} is not served by this cluster", shown(&named.api_version), shown(&named.kind));
        return Err(Unresolved::NotServed(message));
    };
    let namespace = match (kind.namespaced, &named.namespace, asker.namespace()) {
        (false, None, _) => None,
        (false, Some(_), _) => return Err(Unresolved::Invalid(format!("{} is cluster-scoped", named.kind))),
        (true, Some(namespace), _) if is_label(namespace) => Some(namespace.clone()),
        (true, Some(_), _) => return Err(Unresolved::Invalid("the namespace is not a valid name".to_owned())),
        (true, None, Some(owner)) => Some(owner.to_owned()),
        (true, None, None) => return Err(Unresolved::Invalid("the owner is cluster-scoped, so the namespace must be set".to_owned())),
    };
    let reference =
        ObjectReference { api_version: named.api_version.clone(), kind: named.kind.clone(), namespace, name: named.name.clone() };
    Ok((reference, kind))
}

/// A need that is kept current is fed by a shared watch.
fn verbs(mode: NeedMode, of_many: bool) -> &'static [&'static str] {
    match (mode, of_many) {
        (NeedMode::Watch, false) => &["get", "list", "watch"],
        (NeedMode::Watch, true) => &["list", "watch"],
        (_, false) => &["get"],
        (_, true) => &["list"],
    }
}

fn object(asker: &Asker<'_>, findings: &mut Findings, need: &Need, spec: &need::Object) -> Option<NeedScope> {
    let (reference, kind) = match resolve(asker, &spec.reference) {
        Ok(resolved) => resolved,
        Err(unresolved) => return unresolved.scope(findings, need),
    };
    secret_fields(findings, &reference, need, &[]);
    let relation = asker.relation_to(&reference);
    let verbs = verbs(need.mode, false);
    asker.access(findings, &Access { reference: &reference, kind: &kind, verbs, relation });
    let whose = whose_is(asker, &reference, &kind, verbs, relation);
    Some(NeedScope::Object(reference, whose))
}

/// Which grant an object is read under: where it is only as one of the owner's own, it has to be recorded as one.
pub(super) fn whose_is(asker: &Asker<'_>, reference: &ObjectReference, kind: &KindInfo, verbs: &[&str], relation: Relation) -> Whose {
    if relation != Relation::Owned || asker.is_owner(reference) {
        return Whose::Any;
    }
    let widest = asker.widest_relation(reference.group(), kind, reference.namespace.as_deref(), verbs);
    match widest {
        Some(Relation::Any) => Whose::Any,
        Some(Relation::Referenced) if asker.is_named(reference) => Whose::Any,
        _ => asker.stateful_set_of(reference).map_or_else(|| Whose::Known(BTreeSet::new()), Whose::OfStatefulSet),
    }
}

fn objects(asker: &Asker<'_>, findings: &mut Findings, need: &Need, spec: &need::Objects) -> Option<NeedScope> {
    let Some(kind) = asker.kinds.get(&spec.api_version, &spec.kind) else {
        let message = format!("{} {} is not served by this cluster", shown(&spec.api_version), shown(&spec.kind));
        return Some(NeedScope::Unsupported(message));
    };
    if spec.filter.len() > 16 || spec.match_labels.len() > 16 || !spec.filter.iter().all(|filter| is_pointer(&filter.pointer)) {
        findings.add(Reason::NeedInvalid, None, format!("the need {} has a malformed filter", shown(&need.id)));
    }
    let everywhere = spec.namespace.as_deref() == Some("*");
    let namespace = match (kind.namespaced, spec.namespace.as_deref()) {
        (false, _) => None,
        (true, Some("*") | None) => asker.namespace().map(ToOwned::to_owned),
        (true, Some(named)) => Some(named.to_owned()),
    };
    let subject = ObjectReference {
        api_version: spec.api_version.clone(),
        kind: spec.kind.clone(),
        namespace: namespace.clone(),
        name: "*".to_owned(),
    };
    let filtered: Vec<&str> = spec.filter.iter().map(|filter| filter.pointer.as_str()).collect();
    secret_fields(findings, &subject, need, &filtered);
    let verbs = verbs(need.mode, true);
    if everywhere && kind.namespaced {
        let relation = [Relation::Any, Relation::Referenced, Relation::Owned]
            .into_iter()
            .map(|relation| (relation, asker.granted_namespaces(subject.group(), &kind.plural, verbs, relation)))
            .find(|(_, namespaces)| !namespaces.is_empty());
        if let Some((relation, namespaces)) = relation {
            return Some(asker.among(namespaces, relation));
        }
    } else if let Some(relation) = asker.widest_relation(subject.group(), &kind, namespace.as_deref(), verbs) {
        return Some(asker.among(namespace.into_iter().collect(), relation));
    }
    let before = findings.count();
    asker.access(findings, &Access { reference: &subject, kind: &kind, verbs, relation: Relation::Owned });
    if findings.count() == before {
        // Granted verb by verb in different places: not as one question.
        let message =
            format!("the need {}: {} are not granted together as {}", shown(&need.id), flow(verbs), relation_name(Relation::Owned));
        findings.add(Reason::ResourceNotGranted, Some(&subject), message);
    }
    None
}

impl Asker<'_> {
    /// Objects that stand in a relation to the owner.
    fn among(&self, mut namespaces: Vec<String>, relation: Relation) -> NeedScope {
        let whose = match relation {
            Relation::Any => Whose::Any,
            Relation::Owned => Whose::Known(BTreeSet::new()),
            Relation::Referenced => {
                namespaces.retain(|namespace| self.is_namespace_named(Some(namespace)));
                Whose::Known(self.names())
            }
        };
        NeedScope::Objects { namespaces, whose }
    }
}

/// Values of Secrets never reach a plugin, neither as an answer nor by what a filter lets through.
fn secret_fields(findings: &mut Findings, reference: &ObjectReference, need: &Need, filtered: &[&str]) {
    if !(reference.group().is_empty() && reference.kind == "Secret") {
        return;
    }
    let harmless = |pointer: &str| {
        SECRET_FIELDS.iter().any(|field| pointer.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    };
    let projected = !need.project.is_empty() && need.project.iter().all(|pointer| harmless(pointer));
    if !projected || !filtered.iter().all(|pointer| harmless(pointer)) {
        findings.add(
            Reason::SecretNotReadable,
            Some(reference),
            format!("the need {} would read a Secret; project only {}", shown(&need.id), flow(SECRET_FIELDS)),
        );
    }
}

fn git(asker: &Asker<'_>, findings: &mut Findings, need: &Need, spec: &need::Git) {
    let granted = &asker.plugin.grants.git;
    let host = git_host(&spec.url);
    if !host.is_some_and(|host| granted.iter().any(|grant| grant == host)) {
        findings.add(
            Reason::GitNotGranted,
            None,
            format!(
                "the need {} asks {}; expected https:// or ssh:// and a granted host; granted git: {}; add to the Plugin's grants: git: {}",
                shown(&need.id),
                shown(&spec.url),
                flow(granted),
                flow(&[host.unwrap_or("HOST")])
            ),
        );
    }
    let keys = match &spec.credentials {
        None => Vec::new(),
        Some(GitCredentials::Basic { username, password }) => vec![username, password],
        Some(GitCredentials::Ssh { private_key, known_hosts }) => vec![private_key, known_hosts],
    };
    for key in keys {
        asker.secret(findings, None, asker.namespace(), &key.secret, &format!("the need {}: credentials", shown(&need.id)));
    }
}

/// Host of an https or ssh URL without credentials in it.
fn git_host(url: &str) -> Option<&str> {
    let (rest, ssh) = match (url.strip_prefix("https://"), url.strip_prefix("ssh://")) {
        (Some(rest), _) => (rest, false),
        (_, Some(rest)) => (rest, true),
        _ => return None,
    };
    if url.len() > 1024 || !url.bytes().all(|b| b.is_ascii_graphic()) || url.contains(['\\', '%', '?', '#']) {
        return None;
    }
    let authority = rest.split('/').next()?;
    let host = match authority.split_once('@') {
        Some((user, host)) if ssh && !user.contains(':') => host,
        Some(_) => return None,
        None => authority,
    };
    let host = host.split_once(':').map_or(host, |(host, port)| if port.bytes().all(|b| b.is_ascii_digit()) { host } else { "" });
    is_subdomain(host).then_some(host)
}

/// Where a value of a need's kind may be read by its pointer.
pub(crate) fn reads_secret(api_version: &str, kind: &str, pointers: &[String]) -> bool {
    api_version == "v1"
        && kind == "Secret"
        && !pointers.iter().all(|pointer| {
            SECRET_FIELDS.iter().any(|field| pointer.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_git_host_cannot_be_dressed_up() {
        assert_eq!(git_host("https://git.example.com/a/b.git"), Some("git.example.com"));
        assert_eq!(git_host("ssh://git@git.example.com:22/a"), Some("git.example.com"));
        for url in [
            "http://git.example.com/a",
            "https://git.example.com@evil.test/a",
            "file:///etc/passwd",
            "https://user:pw@git.example.com/",
            "https://git.example.com\\@evil.test/",
            "ext::sh -c",
            "https://git.example.com:x@evil.test/",
        ] {
            assert!(git_host(url).is_none_or(|host| host != "git.example.com"), "{url}");
        }
    }
}
