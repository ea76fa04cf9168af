//! Descriptors, grants, definitions.

mod admissions;
mod definitions;
mod lattice;

use banhbaoring_api::Grants;
use serde_json::json;

use super::*;
use crate::contract::{
    ChildView, ComponentDescriptor, Criticality, Dependency, Descriptor, Gate, Json, Kind, Observation, PhaseSource, Slot,
    UnsealProviderDescriptor,
};

pub(super) fn definition() -> Json {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "stores.shop.example.com"},
        "spec": {
            "group": "shop.example.com", "scope": "Namespaced",
            "names": {"kind": "Store", "plural": "stores"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "required": ["replicas"], "properties": {
                        "replicas": {"type": "integer", "minimum": 1, "maximum": 9},
                        "mode": {"type": "string", "enum": ["a", "b"]},
                        "tags": {"type": "array", "items": {"type": "string"}},
                        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    }},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                }}},
            }],
        },
    })
}

pub(super) fn component() -> ComponentDescriptor {
    ComponentDescriptor {
        name: "server".to_owned(),
        kind: "shop.example.com/Store".to_owned(),
        config_path: String::new(),
        after: vec![],
        criticality: Criticality::Required,
        phase_on_failure: None,
        status_path: String::new(),
        condition_types: vec!["Sealed".to_owned()],
        slots: vec![],
        config_schema: Some(json!({"type": "object"})),
        children: vec![],
        metrics: vec![],
        clock_seconds: None,
        consumable: false,
    }
}

pub(super) fn descriptor() -> Descriptor {
    Descriptor {
        name: "store".to_owned(),
        version: "1.2.3".to_owned(),
        summary: "A store".to_owned(),
        homepage: None,
        license: None,
        kinds: vec![Kind { crd: definition(), observation: Observation::Poll(60), finalizer: None, phase: PhaseSource::Aggregated }],
        components: vec![component()],
        unseal_providers: vec![UnsealProviderDescriptor {
            name: "gcpkms".to_owned(),
            aliases: vec!["gcpckms".to_owned()],
            config_schema: None,
        }],
        admissions: vec![],
        webhooks: vec![],
        images: vec![],
        permissions: json!({"resources": [{"apiGroups": [""], "resources": ["services"], "verbs": ["get", "create"]}], "pods": {"secretRefs": ["own"]}}),
        config_schema: None,
    }
}

pub(super) fn grants() -> Grants {
    serde_json::from_value(json!({"kinds": ["shop.example.com/Store"],
        "resources": [{"apiGroups": [""], "resources": ["services"], "verbs": ["get", "create", "patch"]}], "pods": {"secretRefs": ["own", "input"]}}))
    .unwrap()
}

#[track_caller]
pub(super) fn invalid(change: impl FnOnce(&mut Descriptor), field: &str) {
    let mut descriptor = descriptor();
    change(&mut descriptor);
    let error = check(&descriptor, &grants()).expect_err("this must be refused");
    assert_eq!(error.reason(), "DescriptorInvalid", "{error}");
    assert!(error.to_string().contains(field), "{error} does not speak of {field}");
}

#[test]
fn a_descriptor_within_its_grants_is_accepted() {
    assert_eq!(check(&descriptor(), &grants()), Ok(()));
}

#[test]
fn names_and_versions_must_be_well_formed() {
    invalid(|d| d.name = "Store".to_owned(), "name");
    invalid(|d| d.version = "1.2".to_owned(), "version");
    invalid(|d| d.summary = "x\ny".to_owned(), "summary");
    invalid(|d| d.components.push(component()), "components[1].name");
    invalid(|d| d.components[0].kind = "Store".to_owned(), "kind");
    invalid(|d| d.unseal_providers[0].aliases.push("gcpkms".to_owned()), "unseal-providers[0]");
    invalid(|d| d.components = vec![component(); 65], "components");
}

#[test]
fn components_say_only_what_can_be_true() {
    invalid(|d| d.components[0].config_path = "unseal".to_owned(), "config-path");
    invalid(|d| d.components[0].status_path = "/conditions/x".to_owned(), "status-path");
    invalid(|d| d.components[0].after = vec![Dependency { component: "server".to_owned(), gate: Gate::Ready }], "after");
    invalid(|d| d.components[0].condition_types = vec!["Ready".to_owned()], "condition-types");
    invalid(|d| d.components[0].condition_types = vec!["not camel".to_owned()], "condition-types");
    invalid(|d| d.components[0].clock_seconds = Some(0), "clock-seconds");
    let slot = Slot {
        name: "seal".to_owned(),
        interface_name: "magic".to_owned(),
        selector: "/x".to_owned(),
        config_path: "/x".to_owned(),
        default_provider: None,
    };
    invalid(|d| d.components[0].slots = vec![slot], "slots");
}

#[test]
fn children_show_neither_secrets_nor_hashes_of_them() {
    let view = |kind: &str, api_version: &str, field: &str| {
        let view = ChildView { api_version: api_version.to_owned(), kind: kind.to_owned(), fields: vec![field.to_owned()] };
        move |d: &mut Descriptor| d.components[0].children = vec![view]
    };
    invalid(view("Secret", "v1", "/data"), "children");
    invalid(view("Secret", "v1", "/metadata/annotations"), "children");
    for field in ["", "/spec", "/spec/template", "/spec/template/metadata/annotations/x"] {
        invalid(view("StatefulSet", "apps/v1", field), "children");
    }
    let mut good = descriptor();
    view("StatefulSet", "apps/v1", "/status/readyReplicas")(&mut good);
    assert_eq!(check(&good, &grants()), Ok(()));
}

#[test]
fn schemas_are_valid_and_look_nowhere_else() {
    invalid(|d| d.config_schema = Some(json!({"type": "banana"})), "config-schema");
    invalid(|d| d.config_schema = Some(json!({"$ref": "https://evil.test/schema.json"})), "config-schema");
    invalid(|d| d.components[0].config_schema = Some(json!({"properties": {"x": {"$ref": "file:///etc/passwd"}}})), "config-schema");
    invalid(|d| d.config_schema = Some(json!({"pattern": "(?=a)b"})), "config-schema");
    invalid(|d| d.config_schema = Some(json!({"description": "x".repeat(300_000)})), "config-schema");
    let mut good = descriptor();
    good.config_schema = Some(json!({"$defs": {"a": {"type": "string"}}, "properties": {"x": {"$ref": "#/$defs/a"}}}));
    assert_eq!(check(&good, &grants()), Ok(()));
}

#[test]
fn a_kind_is_granted_by_its_exact_name() {
    for kinds in [vec![], vec!["shop.example.com/*"], vec!["shop.example.com/Till"], vec!["*"]] {
        let grants = Grants { kinds: kinds.into_iter().map(ToOwned::to_owned).collect(), ..grants() };
        let error = check(&descriptor(), &grants).unwrap_err();
        assert_eq!(error, DescribeError::KindNotGranted { kind: "shop.example.com/Store".to_owned() });
    }
}

#[test]
fn what_is_missing_is_told_in_the_smallest_lines() {
    let mut descriptor = descriptor();
    descriptor.permissions = json!({"resources": [{"apiGroups": [""], "resources": ["services", "secrets"], "verbs": ["get", "delete"]}],
        "pods": {"secretRefs": ["own", "owner-spec"], "hostAccess": true}, "audiences": ["sts"]});
    let DescribeError::MissingGrant(missing) = check(&descriptor, &grants()).unwrap_err() else { panic!() };
    let lines: Vec<&str> = missing.iter().map(|missing| missing.line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "resources: [{apiGroups: [\"\"], resources: [secrets], verbs: [delete, get], relation: owned, namespaces: [owner]}]",
            "resources: [{apiGroups: [\"\"], resources: [services], verbs: [delete], relation: owned, namespaces: [owner]}]",
            "pods: {hostAccess: true}",
            "pods: {secretRefs: [owner-spec]}",
            "audiences: [sts]",
        ]
    );
    descriptor.permissions = json!({"everything": true});
    assert_eq!(check(&descriptor, &grants()).unwrap_err().reason(), "DescriptorInvalid");
}

#[test]
fn two_plugins_cannot_bring_one_kind_or_provider() {
    use crate::plugins::{ActivePlugin, PluginSet};
    let active = |name: &str, descriptor: Descriptor| ActivePlugin {
        name: name.to_owned(),
        digest: String::new(),
        descriptor,
        grants: Grants::default(),
        account: banhbaoring_api::plugin::NamespacedName { namespace: "x".to_owned(), name: "x".to_owned() },
        config: json!({}),
        allowed_namespaces: vec![],
    };
    let set = PluginSet::default().with(active("first", descriptor()));
    assert_eq!(conflicts(&set, &active("first", descriptor())), None, "a plugin's own predecessor is no conflict");
    let conflict = conflicts(&set, &active("second", descriptor())).unwrap();
    assert_eq!(conflict, Conflict::Kind { kind: "shop.example.com/Store".to_owned(), holder: "first".to_owned() });
    let without_kinds = Descriptor { kinds: vec![], ..descriptor() };
    assert!(matches!(conflicts(&set, &active("second", without_kinds.clone())), Some(Conflict::UnsealProvider { .. })));
    let alias = UnsealProviderDescriptor { name: "gcpckms".to_owned(), aliases: vec![], config_schema: None };
    let by_alias = Descriptor { unseal_providers: vec![alias], ..without_kinds.clone() };
    assert!(
        matches!(conflicts(&set, &active("second", by_alias)), Some(Conflict::UnsealProvider { provider, .. }) if provider == "gcpckms")
    );
    let component = conflicts(&set, &active("second", Descriptor { unseal_providers: vec![], ..without_kinds })).unwrap();
    assert!(matches!(component, Conflict::Component { .. }) && !component.prevents_activation());
}
