//! Questions of a plugin that judges a write. Under the same grants as those of its components; nothing is its object's own yet.

use super::asker::{Asker, Own};
use super::naming::SpecNames;
use super::refusal::{Findings, Reason, shown};
use super::{NeedScope, PermittedNeed, needs};
use crate::contract::{Failure, FailureClass, Need, NeedMode};
use crate::kinds::KindTable;
use crate::observation::Owner;
use crate::plugins::ActivePlugin;

/// What may be asked for the sake of a write of `object`.
///
/// # Errors
/// A need is malformed, not granted, or waits for changes although a write waits for it: the host's own class of failure.
pub fn admit_review(plugin: &ActivePlugin, object: &Owner, kinds: &KindTable, asked: &[Need]) -> Result<Vec<PermittedNeed>, Failure> {
    let (own, spec) = (Own::default(), SpecNames::of(object));
    let asker = Asker {
        plugin,
        owner: object,
        kinds,
        own: &own,
        answer: &own,
        spec: &spec,
        slot_secrets: std::collections::BTreeSet::new(),
        slot_annotations: std::collections::BTreeSet::new(),
        slot_audiences: std::collections::BTreeSet::new(),
        earlier: &[],
    };
    let mut findings = Findings::default();
    for need in asked.iter().filter(|need| need.mode != NeedMode::Fresh) {
        let message = format!("the need {} of a review is not of mode fresh; a write waits for it once", shown(&need.id));
        findings.add(Reason::NeedInvalid, None, message);
    }
    let permitted = needs::check(&asker, &mut findings, asked);
    match findings.refusal("review", &plugin.name) {
        Some(refusal) => Err(Failure { class: FailureClass::Plugin, reason: refusal.reason, message: refusal.message, field: None }),
        None => Ok(permitted.into_iter().map(at_once).collect()),
    }
}

/// What may take longer than a write waits, or belongs to an owner that is there, is not asked.
fn at_once(mut permitted: PermittedNeed) -> PermittedNeed {
    match permitted.scope {
        NeedScope::Object(..) | NeedScope::Objects { .. } | NeedScope::Http(_) | NeedScope::Unsupported(_) => {}
        NeedScope::Image(_) | NeedScope::Outputs(..) | NeedScope::Job(..) | NeedScope::Other => {
            permitted.scope = NeedScope::Unsupported(format!("a review cannot ask for {}", shown(&permitted.need.kind)));
        }
    }
    permitted
}
