//! Components: names, pointers, dependencies within themselves, slots, declared conditions and metrics.

use std::collections::BTreeSet;

use banhbaoring_api::condition::owner::{PAUSED, READY, RECONCILED};

use super::DescribeError;
use super::names::{kind, label, unique};
use super::schema;
use crate::admit::reads_secret;
use crate::admit::syntax::{is_camel_case, is_identifier, is_pointer};
use crate::contract::{ComponentDescriptor, Descriptor, MetricDescriptor, Slot};

/// The interface that slots can ask for.
const SLOT_INTERFACE: &str = "unseal-provider";
/// Conditions that the host sets on every owner.
const HOST_CONDITIONS: &[&str] = &[PAUSED, READY, RECONCILED];
const HOST_STATUS: &[&str] = &["conditions", "observedGeneration", "components", "phase"];
const MANY: usize = 64;

pub(super) fn check(descriptor: &Descriptor) -> Result<(), DescribeError> {
    let mut names = BTreeSet::new();
    for (i, component) in descriptor.components.iter().enumerate() {
        let field = format!("components[{i}]");
        if !names.insert((component.kind.as_str(), component.name.as_str())) {
            return Err(DescribeError::invalid(format!("{field}.name"), "a name that is used once for its kind", &component.name));
        }
        one(&field, component)?;
    }
    Ok(())
}

fn one(field: &str, component: &ComponentDescriptor) -> Result<(), DescribeError> {
    let ComponentDescriptor {
        name,
        kind: of,
        config_path,
        after,
        criticality: _,
        phase_on_failure,
        status_path,
        condition_types,
        slots,
        config_schema,
        children,
        metrics,
        clock_seconds,
        consumable: _,
    } = component;
    label(&format!("{field}.name"), name)?;
    kind(&format!("{field}.kind"), of)?;
    pointer(&format!("{field}.config-path"), config_path)?;
    pointer(&format!("{field}.status-path"), status_path)?;
    let top = status_path.split('/').nth(1).unwrap_or_default();
    if HOST_STATUS.contains(&top) {
        return Err(DescribeError::invalid(format!("{field}.status-path"), "a field that is not the host's", status_path));
    }
    for (what, count) in [
        ("after", after.len()),
        ("condition-types", condition_types.len()),
        ("slots", slots.len()),
        ("children", children.len()),
        ("metrics", metrics.len()),
    ] {
        if count > MANY {
            return Err(DescribeError::invalid(format!("{field}.{what}"), format!("at most {MANY}"), &count.to_string()));
        }
    }
    let mut seen = BTreeSet::new();
    for dependency in after {
        label(&format!("{field}.after"), &dependency.component)?;
        unique(&mut seen, &format!("{field}.after"), &dependency.component)?;
        if dependency.component == *name {
            return Err(DescribeError::invalid(format!("{field}.after"), "other components", name));
        }
    }
    if phase_on_failure.as_ref().is_some_and(|phase| !is_camel_case(phase)) {
        let found = phase_on_failure.as_deref().unwrap_or_default();
        return Err(DescribeError::invalid(format!("{field}.phase-on-failure"), "a CamelCase phase", found));
    }
    let mut seen = BTreeSet::new();
    for condition in condition_types {
        let field = format!("{field}.condition-types");
        if !is_camel_case(condition) || HOST_CONDITIONS.contains(&condition.as_str()) {
            return Err(DescribeError::invalid(field, "a CamelCase type that is not the host's", condition));
        }
        unique(&mut seen, &field, condition)?;
    }
    self::slots(&format!("{field}.slots"), slots)?;
    schema::check(&format!("{field}.config-schema"), config_schema.as_ref())?;
    for child in children {
        let field = format!("{field}.children");
        for wanted in &child.fields {
            pointer(&field, wanted)?;
            if exposes_hash(wanted) {
                return Err(DescribeError::invalid(
                    field,
                    "no field that holds a pod template's annotations: hashes of Secrets are there",
                    wanted,
                ));
            }
        }
        if reads_secret(&child.api_version, &child.kind, &child.fields) {
            return Err(DescribeError::invalid(field, "no contents of Secrets", &child.fields.join(", ")));
        }
    }
    self::metrics(&format!("{field}.metrics"), metrics)?;
    if *clock_seconds == Some(0) {
        return Err(DescribeError::invalid(format!("{field}.clock-seconds"), "at least 1", "0"));
    }
    Ok(())
}

fn slots(field: &str, slots: &[Slot]) -> Result<(), DescribeError> {
    let mut seen = BTreeSet::new();
    for slot in slots {
        label(field, &slot.name)?;
        unique(&mut seen, field, &slot.name)?;
        if slot.interface_name != SLOT_INTERFACE {
            return Err(DescribeError::invalid(field, format!("the interface {SLOT_INTERFACE}"), &slot.interface_name));
        }
        pointer(field, &slot.selector)?;
        pointer(field, &slot.config_path)?;
        if let Some(provider) = &slot.default_provider {
            label(field, provider)?;
        }
    }
    Ok(())
}

fn metrics(field: &str, metrics: &[MetricDescriptor]) -> Result<(), DescribeError> {
    let mut seen = BTreeSet::new();
    for metric in metrics {
        let name = metric.name.as_str();
        let well_formed = (1..=128).contains(&name.len()) && is_identifier(&name.chars().take(63).collect::<String>()) && name.is_ascii();
        if !well_formed || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(DescribeError::invalid(field, "a Prometheus name", name));
        }
        unique(&mut seen, field, name)?;
        let mut labels = BTreeSet::new();
        for label in &metric.labels {
            unique(&mut labels, field, label)?;
        }
        if metric.labels.len() > 10 || metric.labels.iter().any(|label| !is_identifier(label) || label.starts_with("__")) {
            return Err(DescribeError::invalid(field, "at most 10 Prometheus label names", &metric.labels.join(", ")));
        }
    }
    Ok(())
}

fn pointer(field: &str, text: &str) -> Result<(), DescribeError> {
    if is_pointer(text) { Ok(()) } else { Err(DescribeError::invalid(field, "a JSON pointer", text)) }
}

/// Whether the field is, is below, or holds the annotations of a pod template.
fn exposes_hash(pointer: &str) -> bool {
    ["/spec/template/metadata/annotations", "/spec/jobTemplate/spec/template/metadata/annotations"].iter().any(|annotations| {
        let below = |path: &str, root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        below(pointer, annotations) || below(annotations, pointer)
    })
}
