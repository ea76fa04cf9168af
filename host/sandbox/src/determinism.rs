//! Purity, held to: the same input has the same answer. A component that imports nothing has no source of difference (a fresh instance
//! each time, canonical NaNs, deterministic relaxed SIMD, no threads, no clock); these checks are for the day on which that is wrong.

use std::sync::Arc;

use banhbaoring_pipeline::contract::{Descriptor, Failure, Request, Response, Seal, SealRequest};
use banhbaoring_pipeline::plugins::ActivePlugin;
use banhbaoring_pipeline::render::Render;

use crate::error::CallError;

/// Calls `describe` twice and gives the answer if both are equal.
pub(crate) fn stable_descriptor(mut describe: impl FnMut() -> Result<Descriptor, CallError>) -> Result<Descriptor, CallError> {
    let (first, second) = (describe()?, describe()?);
    if first == second {
        return Ok(second);
    }
    let difference = [
        ("name", first.name != second.name),
        ("version", first.version != second.version),
        ("kinds", first.kinds != second.kinds),
        ("components", first.components != second.components),
        ("unseal-providers", first.unseal_providers != second.unseal_providers),
        ("admissions", first.admissions != second.admissions),
        ("webhooks", first.webhooks != second.webhooks),
        ("images", first.images != second.images),
        ("permissions", first.permissions != second.permissions),
        ("config-schema", first.config_schema != second.config_schema),
    ]
    .into_iter()
    .find_map(|(part, differs)| differs.then_some(part))
    .unwrap_or("summary, homepage or license");
    Err(CallError::DescriptorUnstable { difference: difference.to_owned() })
}

/// Asks every question twice and refuses answers that differ. Twice the cost: for a plugin's first calls, for candidates, for tests.
#[derive(Debug, Clone)]
pub struct Checked<R>(pub R);

fn agree<T: PartialEq>(mut ask: impl FnMut() -> Result<Arc<T>, Failure>) -> Result<Arc<T>, Failure> {
    match (ask(), ask()) {
        (Ok(first), Ok(second)) if first == second => Ok(first),
        (Err(first), Err(second)) if first == second => Err(first),
        // A limit of wall clock or a wait for an instance depends on the machine and not on the plugin.
        (Err(failure), _) | (_, Err(failure)) if failure.is_of_the_machine() => Err(failure),
        _ => Err(CallError::NotDeterministic.into()),
    }
}

impl<R: Render> Render for Checked<R> {
    fn reconcile(&self, plugin: &ActivePlugin, request: &Request) -> Result<Arc<Response>, Failure> {
        agree(|| self.0.reconcile(plugin, request))
    }

    fn render_seal(&self, plugin: &ActivePlugin, provider: &str, request: &SealRequest) -> Result<Arc<Seal>, Failure> {
        agree(|| self.0.render_seal(plugin, provider, request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(summary: &str, version: &str) -> Descriptor {
        Descriptor {
            name: "a".to_owned(),
            version: version.to_owned(),
            summary: summary.to_owned(),
            homepage: None,
            license: None,
            kinds: Vec::new(),
            components: Vec::new(),
            unseal_providers: Vec::new(),
            admissions: Vec::new(),
            webhooks: Vec::new(),
            images: Vec::new(),
            permissions: serde_json::Value::Null,
            config_schema: None,
        }
    }

    #[test]
    fn two_equal_descriptors_are_one() {
        let mut calls = 0;
        let described = stable_descriptor(|| {
            calls += 1;
            Ok(descriptor("s", "1.0.0"))
        });
        assert_eq!((described, calls), (Ok(descriptor("s", "1.0.0")), 2));
    }

    #[test]
    fn two_different_descriptors_are_none_and_the_difference_is_named() {
        for (second, part) in [(descriptor("s", "1.0.1"), "version"), (descriptor("t", "1.0.0"), "summary, homepage or license")] {
            let mut answers = vec![second, descriptor("s", "1.0.0")];
            let described = stable_descriptor(|| Ok(answers.pop().unwrap()));
            assert_eq!(described, Err(CallError::DescriptorUnstable { difference: part.to_owned() }));
        }
    }
}
