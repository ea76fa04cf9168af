//! What a plugin says that it judges on its way into the API server: well-formed, unambiguous, and no more than it asks to be granted.

use std::collections::BTreeSet;

use banhbaoring_api::Grants;

use super::covers::admission_is_granted;
use super::{DescribeError, definition, names};
use crate::admit::flow;
use crate::admit::syntax::{is_label, is_pointer};
use crate::contract::{AdmissionDescriptor, Descriptor};

/// CEL expressions of one admission.
const EXPRESSIONS: usize = 32;
/// Bytes of a CEL expression.
const EXPRESSION: usize = 4096;
/// Bytes of what people are told.
const MESSAGE: usize = 1024;

pub(super) fn check(descriptor: &Descriptor, asked: &Grants) -> Result<(), DescribeError> {
    let own: Vec<String> = descriptor.kinds.iter().map(|kind| definition::name_of(&kind.crd)).collect();
    let mut judged = BTreeSet::new();
    for (i, admission) in descriptor.admissions.iter().enumerate() {
        let field = |name: &str| format!("admissions[{i}].{name}");
        names::kind(&field("kind"), &admission.kind)?;
        if admission.operations.is_empty() {
            return Err(DescribeError::invalid(field("operations"), "at least one", "none"));
        }
        for operation in &admission.operations {
            // A review does not say which of several is asked.
            if !judged.insert((admission.kind.as_str(), operation.name())) {
                let found = format!("{} of {} twice", operation.name(), admission.kind);
                return Err(DescribeError::invalid(field("operations"), "each operation of a kind once", &found));
            }
        }
        touches(admission, &field)?;
        expressions(admission, &own, &field)?;
        if !asked.admission.iter().any(|grant| admission_is_granted(grant, admission)) {
            let operations: Vec<String> = admission.operations.iter().map(|operation| operation.name().to_owned()).collect();
            let found = format!("{} {} {}", admission.kind, flow(&operations), flow(&admission.may_touch));
            return Err(DescribeError::invalid("permissions.admission", "all that is in `admissions`", &found));
        }
    }
    Ok(())
}

fn touches(admission: &AdmissionDescriptor, field: &impl Fn(&str) -> String) -> Result<(), DescribeError> {
    if !admission.mutating && !admission.may_touch.is_empty() {
        return Err(DescribeError::invalid(field("may-touch"), "none, because it does not mutate", "pointers"));
    }
    // Who an object is, who owns it and how it fares are nobody's to change on its way.
    let is_out_of_reach = |pointer: &String| {
        let first = pointer.split('/').nth(1).unwrap_or_default();
        let is_described = ["/metadata/labels", "/metadata/annotations"]
            .iter()
            .any(|root| pointer.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
        !is_pointer(pointer) || ["", "apiVersion", "kind", "status"].contains(&first) || (first == "metadata" && !is_described)
    };
    match admission.may_touch.iter().find(|pointer| is_out_of_reach(pointer)) {
        None => Ok(()),
        Some(pointer) => {
            let expected = "JSON pointers into the object without apiVersion, kind, status and metadata (but for labels and annotations)";
            Err(DescribeError::invalid(field("may-touch"), expected, pointer))
        }
    }
}

fn expressions(admission: &AdmissionDescriptor, own: &[String], field: &impl Fn(&str) -> String) -> Result<(), DescribeError> {
    let AdmissionDescriptor { match_conditions, validations, .. } = admission;
    if match_conditions.len() + validations.len() > EXPRESSIONS {
        return Err(DescribeError::invalid(field("match-conditions"), format!("at most {EXPRESSIONS} expressions in all"), "more"));
    }
    let all = match_conditions.iter().map(|(_, expression)| expression).chain(validations.iter().map(|one| &one.expression));
    if let Some(odd) = all.into_iter().find(|expression| expression.trim().is_empty() || expression.len() > EXPRESSION) {
        return Err(DescribeError::invalid(field("expressions"), format!("CEL of at most {EXPRESSION} bytes"), odd));
    }
    if let Some((name, _)) = match_conditions.iter().find(|(name, _)| !is_label(name)) {
        return Err(DescribeError::invalid(field("match-conditions"), "names of lower-case letters, digits and '-'", name));
    }
    if let Some(odd) = validations.iter().find(|one| one.message.trim().is_empty() || one.message.len() > MESSAGE) {
        return Err(DescribeError::invalid(field("validations"), format!("messages of at most {MESSAGE} bytes"), &odd.message));
    }
    // A rule that an API server judges by itself locks everybody out where it is wrong: a kind of somebody else's is not the plugin's to lock.
    if !validations.is_empty() && (admission.mutating || !own.contains(&admission.kind)) {
        return Err(DescribeError::invalid(
            field("validations"),
            "none but for a kind that it brings and does not mutate",
            &admission.kind,
        ));
    }
    Ok(())
}
