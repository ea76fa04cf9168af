//! Kinds whose content gives rights or reaches further than their resource says: Services, accounts, Secrets, Ingresses, volumes.
//! Roles are `rbac`'s, workloads `pods`'.

use banhbaoring_api::grants::Relation;
use serde_json::Value;

use super::asker::Asker;
use super::objects::metadata_of;
use super::refusal::{Findings, Reason, flow, shown};
use super::syntax::is_reserved_key;
use crate::contract::{Json, ObjectReference};
use crate::glob;

/// Types of Secrets that a controller fills with credentials, or takes as such.
const FORBIDDEN_SECRET_TYPES: &[&str] = &["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"];

pub(super) fn check(asker: &Asker<'_>, findings: &mut Findings, manifest: &Json, reference: &ObjectReference) {
    match (reference.group(), reference.kind.as_str()) {
        ("", "Service") => service(findings, manifest, reference),
        ("", "ServiceAccount") => service_account(asker, findings, manifest, reference),
        ("", "Secret") => secret(findings, manifest, reference),
        ("", "PersistentVolumeClaim") => claim_source(asker, findings, manifest, reference, &reference.to_string()),
        ("", "PersistentVolume") => persistent_volume(asker, findings, reference),
        ("apps", "StatefulSet") => claim_templates(asker, findings, manifest, reference),
        ("networking.k8s.io", "Ingress") => ingress(asker, findings, manifest, reference),
        _ => {}
    }
}

fn service(findings: &mut Findings, manifest: &Json, reference: &ObjectReference) {
    let spec = manifest.get("spec").unwrap_or(&Value::Null);
    let set = |field: &str| match spec.get(field) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(_) => true,
    };
    let kind = spec.get("type").filter(|kind| !kind.is_null());
    let known = kind.is_none_or(|kind| matches!(kind.as_str(), Some("ClusterIP" | "NodePort" | "LoadBalancer")));
    if !known || set("externalName") || set("externalIPs") {
        findings.add(
            Reason::ServiceNotAllowed,
            Some(reference),
            format!("{reference}: ExternalName and externalIPs lead traffic to where no grant reaches; no grant allows them"),
        );
    }
}

fn service_account(asker: &Asker<'_>, findings: &mut Findings, manifest: &Json, reference: &ObjectReference) {
    let granted = asker.pods();
    if reference.name == "default" && !granted.service_accounts.iter().any(|name| name == "default") {
        findings.add(
            Reason::ServiceAccountNotGranted,
            Some(reference),
            format!("{reference} is every pod's account in the namespace; render one of your own, or add to the Plugin's grants: pods: {{serviceAccounts: [default]}}"),
        );
    }
    for (key, value) in manifest.pointer("/metadata/annotations").and_then(Json::as_object).into_iter().flatten() {
        let text = value.as_str().unwrap_or_default();
        let from_slot = asker.slot_annotations.contains(&(key.clone(), text.to_owned()));
        let by_glob = granted.account_annotations.iter().any(|glob| glob::matches(glob, key));
        if !(by_glob || from_slot || asker.spec.pair(key, text) || is_reserved_key(key)) {
            findings.add(
                Reason::AnnotationNotGranted,
                Some(reference),
                format!(
                    "{reference}: the annotation {} may give its pods rights in a cloud and comes neither from the owner's spec nor from a \
                     slot; granted: {}; add to the Plugin's grants: pods: {{accountAnnotations: {}}}",
                    shown(key),
                    flow(&granted.account_annotations),
                    flow(&[key])
                ),
            );
        }
    }
    for list in ["secrets", "imagePullSecrets"] {
        for item in manifest.get(list).and_then(Json::as_array).into_iter().flatten() {
            let name = item.get("name").and_then(Json::as_str).unwrap_or_default();
            asker.secret(findings, Some(reference), reference.namespace.as_deref(), name, &format!("{reference}: {list}"));
        }
    }
}

fn secret(findings: &mut Findings, manifest: &Json, reference: &ObjectReference) {
    let kind = manifest.get("type").filter(|kind| !kind.is_null());
    if kind.is_some_and(|kind| kind.as_str().is_none_or(|kind| FORBIDDEN_SECRET_TYPES.contains(&kind))) {
        findings.add(
            Reason::KindNotAllowed,
            Some(reference),
            format!("{reference}: a Secret of that type is a credential of the cluster; no grant allows it"),
        );
    }
}

fn persistent_volume(asker: &Asker<'_>, findings: &mut Findings, reference: &ObjectReference) {
    if !asker.pods().host_access {
        findings.add(
            Reason::HostAccessNotGranted,
            Some(reference),
            format!("{reference} can be any path of a node or any disk; add to the Plugin's grants: pods: {{hostAccess: true}}"),
        );
    }
}

fn claim_templates(asker: &Asker<'_>, findings: &mut Findings, manifest: &Json, reference: &ObjectReference) {
    match manifest.pointer("/spec/volumeClaimTemplates") {
        None | Some(Value::Null) => {}
        Some(Value::Array(templates)) => {
            for (i, template) in templates.iter().enumerate() {
                claim_source(asker, findings, template, reference, &format!("{reference}: volumeClaimTemplates[{i}]"));
            }
        }
        Some(_) => {
            findings.add(Reason::PodInvalid, Some(reference), format!("{reference}: volumeClaimTemplates is not a list"));
        }
    }
}

fn ingress(asker: &Asker<'_>, findings: &mut Findings, manifest: &Json, reference: &ObjectReference) {
    let entries = manifest.pointer("/spec/tls").and_then(Json::as_array).into_iter().flatten();
    for name in entries.filter_map(|entry| entry.get("secretName")).filter_map(Json::as_str).filter(|name| !name.is_empty()) {
        asker.secret(findings, Some(reference), reference.namespace.as_deref(), name, &format!("{reference}: spec.tls"));
    }
}

/// Checks the use of a volume claim by name.
pub(super) fn claim(asker: &Asker<'_>, findings: &mut Findings, reference: &ObjectReference, name: &str, path: &str) {
    let namespace = reference.namespace.as_deref();
    let made_by_set = |set: &str| {
        let ordinal = name.rsplit_once('-').filter(|(_, ordinal)| !ordinal.is_empty() && ordinal.bytes().all(|b| b.is_ascii_digit()));
        ordinal.is_some_and(|(rest, _)| rest.strip_suffix(set).is_some_and(|rest| rest.ends_with('-')))
    };
    let own =
        asker.own.has("", "PersistentVolumeClaim", namespace, name) || asker.own.named("apps", "StatefulSet", namespace).any(made_by_set);
    let in_spec = namespace == asker.namespace() && asker.spec.string(name);
    let granted = || {
        asker.plugin.grants.resources.iter().any(|grant| {
            grant.relation == Relation::Any
                && grant.api_groups.iter().any(String::is_empty)
                && grant.resources.iter().any(|resource| resource == "persistentvolumeclaims")
                && (grant.namespaces.is_empty() && namespace == asker.namespace()
                    || grant
                        .namespaces
                        .iter()
                        .any(|granted| Some(granted.as_str()) == namespace || (granted == "owner" && namespace == asker.namespace())))
        })
    };
    if !(own || in_spec || granted()) {
        findings.add(
            Reason::ClaimNotGranted,
            Some(reference),
            format!(
                "{path} uses the claim {}, which none of this owner's components made and its spec does not name; add to the Plugin's \
                 grants: resources: [{{apiGroups: [\"\"], resources: [persistentvolumeclaims], verbs: [get], relation: any}}]",
                shown(name)
            ),
        );
    }
}

/// Checks where the data of a claim comes from.
pub(super) fn claim_source(asker: &Asker<'_>, findings: &mut Findings, template: &Json, reference: &ObjectReference, path: &str) {
    if let (Some(metadata), false) = (template.get("metadata"), reference.kind == "PersistentVolumeClaim") {
        metadata_of(findings, reference, metadata, &format!("{path} metadata"), &["name", "labels", "annotations"]);
    }
    let spec = template.get("spec").unwrap_or(&Value::Null);
    for field in ["dataSource", "dataSourceRef"] {
        let Some(source) = spec.get(field).filter(|source| !source.is_null()) else { continue };
        let name = source.get("name").and_then(Json::as_str).unwrap_or_default();
        if source.get("namespace").is_some_and(|namespace| !namespace.is_null()) {
            let message = format!("{path} takes its data from another namespace; no grant allows that");
            findings.add(Reason::ClaimNotGranted, Some(reference), message);
        } else {
            claim(asker, findings, reference, name, &format!("{path}.{field}"));
        }
    }
    let volume = spec.get("volumeName").filter(|volume| !volume.is_null() && volume.as_str() != Some(""));
    if volume.is_some_and(|volume| !volume.as_str().is_some_and(|volume| asker.spec.string(volume))) {
        let message = format!("{path} binds a volume that the owner's spec does not name");
        findings.add(Reason::ClaimNotGranted, Some(reference), message);
    }
}
