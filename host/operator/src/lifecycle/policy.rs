//! Which policies apply to a plugin and what they and its own spec add up to. Pure: keys are given, nothing is fetched.

use banhbaoring_api::Grants;
use banhbaoring_api::plugin::{Authority, PluginSpec, Verify, VerifyMode};
use banhbaoring_api::policy::PluginPolicySpec;
use banhbaoring_pipeline::describe::intersect;
use banhbaoring_pipeline::glob::matches;

/// One list of authorities, one of which must have signed, and what follows if none has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// `Plugin` or `PluginPolicy/<name>`: conditions say who demands it.
    pub source: String,
    /// One of these.
    pub authorities: Vec<Authority>,
    /// Refuse or warn.
    pub mode: VerifyMode,
}

/// The demands of a plugin itself and of every matching policy, in that order.
///
/// Without any authority anywhere nothing could be verified: then a demand with an empty list says so, and nothing satisfies it.
pub fn demands(reference: &str, verify: &Verify, policies: &[(String, PluginPolicySpec)]) -> Vec<Demand> {
    let mut demands: Vec<Demand> = Vec::new();
    if !verify.authorities.is_empty() {
        demands.push(Demand { source: "Plugin".to_owned(), authorities: verify.authorities.clone(), mode: verify.mode });
    }
    for (name, policy) in matching(reference, policies) {
        if !policy.authorities.is_empty() {
            demands.push(Demand { source: format!("PluginPolicy/{name}"), authorities: policy.authorities.clone(), mode: policy.mode });
        }
    }
    if demands.is_empty() {
        demands.push(Demand { source: "Plugin".to_owned(), authorities: Vec::new(), mode: verify.mode });
    }
    demands
}

/// What the Plugin grants, cut to the ceiling of every matching policy.
pub fn granted(spec: &PluginSpec, policies: &[(String, PluginPolicySpec)]) -> Grants {
    let ceilings: Vec<Grants> =
        matching(&spec.source.oci.url, policies).into_iter().filter_map(|(_, policy)| policy.ceiling.clone()).collect();
    intersect(&spec.grants, &ceilings)
}

/// Namespaces whose owners the plugin may serve; empty: all.
pub fn allowed_namespaces(spec: &PluginSpec) -> Vec<String> {
    spec.allowed_owners.clone().unwrap_or_default().namespaces
}

/// Policies whose globs match, by name.
pub fn matching<'a>(reference: &str, policies: &'a [(String, PluginPolicySpec)]) -> Vec<(&'a str, &'a PluginPolicySpec)> {
    let plain = reference.strip_prefix("oci://").unwrap_or(reference);
    policies
        .iter()
        .filter(|(_, policy)| policy.images.iter().any(|glob| matches(glob, plain)))
        .map(|(name, policy)| (name.as_str(), policy))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(images: &[&str], authorities: usize, mode: VerifyMode) -> PluginPolicySpec {
        PluginPolicySpec {
            images: images.iter().map(|image| (*image).to_owned()).collect(),
            authorities: (0..authorities).map(|n| Authority { name: format!("a{n}"), key: None, keyless: None }).collect(),
            mode,
            ceiling: None,
            allowed_imports: banhbaoring_api::policy::AllowedImports::None,
        }
    }

    #[test]
    fn a_star_stays_within_a_segment_and_two_cross_them() {
        assert!(matches("ghcr.io/acme/*", "ghcr.io/acme/store"));
        assert!(!matches("ghcr.io/acme/*", "ghcr.io/acme/deep/store"));
        assert!(matches("ghcr.io/**", "ghcr.io/acme/deep/store"));
        assert!(matches("ghcr.io/*/store", "ghcr.io/acme/store"));
        assert!(!matches("ghcr.io/acme", "ghcr.io/acme-evil"));
        assert!(!matches("ghcr.io/*", "evil.io/ghcr.io/x"));
        assert!(!matches("", "anything"));
    }

    #[test]
    fn every_matching_policy_adds_its_demand_to_the_plugins_own() {
        let verify = Verify { mode: VerifyMode::Warn, authorities: policy(&[], 1, VerifyMode::Warn).authorities };
        let policies = vec![
            ("all".to_owned(), policy(&["**"], 1, VerifyMode::Enforce)),
            ("other".to_owned(), policy(&["other.io/*"], 1, VerifyMode::Enforce)),
            ("silent".to_owned(), policy(&["**"], 0, VerifyMode::Enforce)),
        ];
        let found: Vec<_> = demands("oci://ghcr.io/acme/x", &verify, &policies).into_iter().map(|d| (d.source, d.mode)).collect();
        assert_eq!(found, [("Plugin".to_owned(), VerifyMode::Warn), ("PluginPolicy/all".to_owned(), VerifyMode::Enforce)]);
    }

    #[test]
    fn a_plugin_for_which_nobody_names_an_authority_is_verified_by_nobody() {
        let demands = demands("oci://ghcr.io/acme/x", &Verify::default(), &[]);
        assert_eq!(demands.len(), 1);
        assert!(demands[0].authorities.is_empty());
        assert_eq!(demands[0].mode, VerifyMode::Enforce);
    }
}
