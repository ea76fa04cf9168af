//! Volumes: which types, whose claims, and paths that stay inside. Secrets and tokens in them are `references`'.

use serde_json::Value;

use super::Template;
use crate::admit::asker::Asker;
use crate::admit::refusal::{Findings, Reason, shown};
use crate::admit::syntax::is_relative_path;
use crate::admit::typed;
use crate::contract::Json;

/// Types that reach nothing of the node.
const TYPES: &[&str] = &["configMap", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"];
const PROJECTED: &[&str] = &["clusterTrustBundle", "configMap", "downwardAPI", "secret", "serviceAccountToken"];

fn volumes<'a>(template: &Template<'a>) -> impl Iterator<Item = &'a serde_json::Map<String, Json>> {
    template.spec.get("volumes").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_object)
}

/// Adds volume types that need host access: everything that is not known to be harmless.
pub(super) fn check_types(template: &Template<'_>, problems: &mut Vec<String>) {
    for volume in volumes(template) {
        for (kind, source) in volume.iter().filter(|(key, value)| *key != "name" && !value.is_null()) {
            if !TYPES.contains(&kind.as_str()) {
                problems.push(format!("a volume is of the type {}", shown(kind)));
            }
            if kind == "projected" {
                for source in source.get("sources").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_object) {
                    for kind in source.iter().filter(|(_, value)| !value.is_null()).map(|(kind, _)| kind) {
                        if !PROJECTED.contains(&kind.as_str()) {
                            problems.push(format!("a volume projects {}", shown(kind)));
                        }
                    }
                }
            }
        }
    }
}

/// Checks claims, images and paths.
pub(super) fn check(asker: &Asker<'_>, findings: &mut Findings, template: &Template<'_>) {
    let reference = template.reference;
    for volume in volumes(template) {
        let name = volume.get("name").and_then(Json::as_str).unwrap_or_default();
        let path = format!("{reference}: the volume {}", shown(name));
        if let Some(claim) = volume.get("persistentVolumeClaim").filter(|claim| !claim.is_null()) {
            match claim.get("claimName").and_then(Json::as_str) {
                Some(claim) if is_of_workload(template, claim) => {}
                Some(claim) => typed::claim(asker, findings, reference, claim, &path),
                None => findings.add(Reason::PodInvalid, Some(reference), format!("{path} names no claim")),
            }
        }
        if let Some(claim) = volume.get("ephemeral").and_then(|ephemeral| ephemeral.get("volumeClaimTemplate")) {
            typed::claim_source(asker, findings, claim, reference, &path);
        }
        if let Some(image) = volume.get("image").filter(|image| !image.is_null()) {
            let image = image.get("reference").and_then(Json::as_str).unwrap_or_default();
            asker.image(findings, Some(reference), image, &path);
        }
        let escapes = volume.values().any(leads_out);
        if escapes {
            findings.add(Reason::PodInvalid, Some(reference), format!("{path} has an item whose path leads out of it"));
        }
    }
}

/// Claims that a StatefulSet makes for its own pods: `<template>-<set>-<ordinal>`.
fn is_of_workload(template: &Template<'_>, claim: &str) -> bool {
    template.claim_templates.iter().any(|name| {
        claim
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('-'))
            .and_then(|rest| rest.strip_prefix(template.reference.name.as_str()))
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|ordinal| !ordinal.is_empty() && ordinal.bytes().all(|b| b.is_ascii_digit()))
    })
}

fn leads_out(source: &Json) -> bool {
    let bad = |path: Option<&Json>| match path {
        None | Some(Value::Null) => false,
        Some(path) => !path.as_str().is_some_and(is_relative_path),
    };
    let items = |source: &Json| source.get("items").and_then(Json::as_array).into_iter().flatten().any(|item| bad(item.get("path")));
    let projected = source.get("sources").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_object);
    items(source)
        || projected.flat_map(serde_json::Map::iter).any(|(kind, source)| {
            items(source) || (matches!(kind.as_str(), "serviceAccountToken" | "clusterTrustBundle") && bad(source.get("path")))
        })
}
