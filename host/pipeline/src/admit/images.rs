//! The need `image`: which registries may be asked, and what may be read to ask them and to check who signed. Nothing is asked here.

use banhbaoring_contract::http::TrustRoot;
use banhbaoring_contract::need;
use banhbaoring_contract::reference::ObjectRef;

use super::asker::Asker;
use super::needs::{Unresolved, resolve};
use super::refusal::{Findings, Reason, flow, shown};
use super::resources::Access;
use crate::contract::Need;

pub(super) fn check(asker: &Asker<'_>, findings: &mut Findings, need: &Need, spec: &need::Image) {
    let granted = &asker.plugin.grants.images;
    let reference = spec.reference.as_str();
    let well_formed = (1..=512).contains(&reference.len())
        && reference.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/' | b':' | b'@'))
        && !reference.contains("..");
    if !well_formed || !granted.iter().any(|prefix| is_prefix(prefix, reference)) {
        findings.add(
            Reason::RegistryNotGranted,
            None,
            format!(
                "the need {} asks a registry for {}; granted images: {}; add to the Plugin's grants: images: {}",
                shown(&need.id),
                shown(reference),
                flow(granted),
                flow(&[reference.split(['@', ':']).next().unwrap_or_default()])
            ),
        );
    }
    for name in &spec.pull_secrets {
        asker.secret(findings, None, asker.namespace(), name, &format!("the need {}: pullSecrets", shown(&need.id)));
    }
    if let Some(root) = spec.verify.as_ref().and_then(|verify| verify.keyless.as_ref()?.trusted_root.as_ref()) {
        trusted_root(asker, findings, need, root);
    }
}

/// What an identity is judged by is read under the grant that would let the plugin use or read it otherwise.
fn trusted_root(asker: &Asker<'_>, findings: &mut Findings, need: &Need, root: &TrustRoot) {
    match root {
        TrustRoot::Secret(from) => {
            asker.secret(findings, None, asker.namespace(), &from.secret, &format!("the need {}: trustedRoot", shown(&need.id)));
        }
        TrustRoot::ConfigMap(from) => {
            let named = ObjectRef {
                api_version: "v1".to_owned(),
                kind: "ConfigMap".to_owned(),
                namespace: asker.namespace().map(ToOwned::to_owned),
                name: from.config_map.clone(),
            };
            match resolve(asker, &named) {
                Ok((reference, kind)) => {
                    let relation = asker.relation_to(&reference);
                    asker.access(findings, &Access { reference: &reference, kind: &kind, verbs: &["get"], relation });
                }
                Err(Unresolved::Invalid(message) | Unresolved::NotServed(message)) => {
                    findings.add(Reason::NeedInvalid, None, format!("the need {}: trustedRoot: {message}", shown(&need.id)));
                }
            }
        }
    }
}

/// A prefix ends where a part of the reference ends: `registry.example.com` is none of `registry.example.com.evil.test/x`.
pub(crate) fn is_prefix(prefix: &str, reference: &str) -> bool {
    !prefix.is_empty()
        && reference.strip_prefix(prefix).is_some_and(|rest| prefix.ends_with('/') || rest.is_empty() || rest.starts_with(['/', ':', '@']))
}

#[cfg(test)]
mod tests {
    use super::is_prefix;

    #[test]
    fn a_registry_is_not_granted_by_one_that_begins_alike() {
        assert!(
            is_prefix("registry.example.com", "registry.example.com/a:1")
                && is_prefix("registry.example.com/a/", "registry.example.com/a/b")
        );
        assert!(!is_prefix("registry.example.com", "registry.example.com.evil.test/a") && !is_prefix("", "anything"));
    }
}
