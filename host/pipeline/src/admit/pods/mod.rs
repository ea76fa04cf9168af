//! Pod templates, wherever a built-in workload has them: what their pods may be and what they may reach. Without `hostAccess` a pod
//! satisfies Pod Security `restricted`, and fields that are not known here are refused.

mod container;
mod references;
mod restricted;
mod volumes;

use serde_json::Value;

use super::asker::Asker;
use super::objects::metadata_of;
use super::refusal::{Findings, Reason};
use crate::contract::{ApplyMode, Json, Object, ObjectReference};

/// Pointers to the pod templates of a kind; the empty pointer for a Pod, which is one itself.
pub(super) fn template_paths(group: &str, kind: &str) -> Vec<&'static str> {
    match (group, kind) {
        ("", "Pod") => vec![""],
        ("", "PodTemplate") => vec!["/template"],
        ("", "ReplicationController") | ("apps", "DaemonSet" | "Deployment" | "ReplicaSet" | "StatefulSet") | ("batch", "Job") => {
            vec!["/spec/template"]
        }
        ("batch", "CronJob") => vec!["/spec/jobTemplate/spec/template"],
        _ => Vec::new(),
    }
}

/// One pod template under check.
pub(super) struct Template<'a> {
    /// The workload.
    pub(super) reference: &'a ObjectReference,
    /// `spec` of the pod.
    pub(super) spec: &'a Json,
    /// `metadata` of the pod.
    pub(super) metadata: Option<&'a Json>,
    /// Names of claims that the workload makes for its pods.
    pub(super) claim_templates: Vec<&'a str>,
}

impl Template<'_> {
    /// All containers with their path, whatever they are called.
    pub(super) fn containers(&self) -> impl Iterator<Item = (String, &Json)> {
        ["initContainers", "containers", "ephemeralContainers"].into_iter().flat_map(|list| {
            let items = self.spec.get(list).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
            items.iter().enumerate().map(move |(i, container)| (format!("{list}[{i}]"), container))
        })
    }
}

/// Checks all pod templates of an object.
pub(super) fn check(asker: &Asker<'_>, findings: &mut Findings, object: &Object, reference: &ObjectReference) {
    let manifest = &object.manifest;
    // Its history would be rolled back to, unseen.
    if reference.group() == "apps" && reference.kind == "ControllerRevision" {
        let message = format!("{reference}: a ControllerRevision holds a pod template that cannot be checked");
        findings.add(Reason::KindNotAllowed, Some(reference), message);
    }
    if let Some(metadata) = manifest.pointer("/spec/jobTemplate/metadata") {
        metadata_of(findings, reference, metadata, "spec.jobTemplate.metadata", &["labels", "annotations"]);
    }
    for path in template_paths(reference.group(), &reference.kind) {
        let template = manifest.pointer(path);
        match template.and_then(|template| template.get("spec")) {
            Some(spec @ Value::Object(_)) => {
                let claim_templates = claim_templates(reference, manifest);
                let metadata = template.and_then(|template| template.get("metadata"));
                one(asker, findings, &Template { reference, spec, metadata, claim_templates });
            }
            None | Some(Value::Null) if object.mode == ApplyMode::IfExists => {
                metadata_alone(asker, findings, reference, template.and_then(|template| template.get("metadata")));
            }
            _ => findings.add(Reason::PodInvalid, Some(reference), format!("{reference}: expected a pod template with a spec at {path}")),
        }
    }
}

/// Checks a pod template that stands alone, as an action brings it.
pub(super) fn check_template(asker: &Asker<'_>, findings: &mut Findings, reference: &ObjectReference, template: &Json) {
    match template.get("spec") {
        Some(spec @ Value::Object(_)) => {
            one(asker, findings, &Template { reference, spec, metadata: template.get("metadata"), claim_templates: Vec::new() });
        }
        _ => findings.add(Reason::PodInvalid, Some(reference), format!("{reference}: expected a pod template with a spec")),
    }
}

fn one(asker: &Asker<'_>, findings: &mut Findings, template: &Template<'_>) {
    let reference = template.reference;
    if asker.plugin.grants.pods.is_none() {
        findings.add(
            Reason::PodNotGranted,
            Some(reference),
            format!(
                "{reference} makes pods; granted: none; add to the Plugin's grants: pods: {{serviceAccounts: [own], secretRefs: [own]}}"
            ),
        );
        return;
    }
    of_template(findings, reference, template.metadata);
    if !asker.pods().host_access {
        let mut problems = Vec::new();
        restricted::check(template, &mut problems);
        volumes::check_types(template, &mut problems);
        if preempts_the_system(asker, template.spec) {
            problems.push("priorityClassName is one of the system's and the owner's spec does not name it".to_owned());
        }
        beyond_restricted(findings, reference, problems);
    }
    container::check(asker, findings, template);
    references::check(asker, findings, template);
    volumes::check(asker, findings, template);
}

/// Checks metadata that is merged into a template which exists.
fn metadata_alone(asker: &Asker<'_>, findings: &mut Findings, reference: &ObjectReference, metadata: Option<&Json>) {
    of_template(findings, reference, metadata);
    if !asker.pods().host_access {
        let mut problems = Vec::new();
        restricted::annotations(metadata, &mut problems);
        beyond_restricted(findings, reference, problems);
    }
}

fn of_template(findings: &mut Findings, reference: &ObjectReference, metadata: Option<&Json>) {
    // The metadata of a Pod is the object's own.
    if let Some(metadata) = metadata.filter(|_| reference.kind != "Pod") {
        metadata_of(findings, reference, metadata, "template.metadata", &["name", "labels", "annotations"]);
    }
}

fn beyond_restricted(findings: &mut Findings, reference: &ObjectReference, problems: Vec<String>) {
    if problems.is_empty() {
        return;
    }
    let more = problems.len().saturating_sub(8);
    let mut told = problems.into_iter().take(8).collect::<Vec<_>>().join("; ");
    if more > 0 {
        told.push_str(&format!("; and {more} more"));
    }
    findings.add(
        Reason::HostAccessNotGranted,
        Some(reference),
        format!(
            "{reference}: without host access a pod satisfies Pod Security restricted, but {told}; mend the pod, or add to the \
             Plugin's grants: pods: {{hostAccess: true}}"
        ),
    );
}

/// Pods of such a class push others off their nodes: the owner's user may want that, a plugin not by itself.
fn preempts_the_system(asker: &Asker<'_>, spec: &Json) -> bool {
    match spec.get("priorityClassName") {
        None | Some(Value::Null) => false,
        Some(class) => !class.as_str().is_some_and(|name| !name.starts_with("system-") || asker.spec.string(name)),
    }
}

fn claim_templates<'a>(reference: &ObjectReference, manifest: &'a Json) -> Vec<&'a str> {
    if (reference.group(), reference.kind.as_str()) != ("apps", "StatefulSet") {
        return Vec::new();
    }
    let templates = manifest.pointer("/spec/volumeClaimTemplates").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    templates.iter().filter_map(|claim| claim.pointer("/metadata/name").and_then(Json::as_str)).collect()
}
