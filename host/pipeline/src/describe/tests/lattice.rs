//! Grants under a ceiling: never more than either, whoever comes first.

use proptest::prelude::*;

use super::*;

fn words(all: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(proptest::sample::select(all).prop_map(ToOwned::to_owned), 0..3)
}

fn any_grants() -> impl Strategy<Value = Grants> {
    let resource = (
        words(&["", "apps"]),
        words(&["pods", "services"]),
        words(&["get", "create"]),
        proptest::sample::select(vec!["owned", "referenced", "any"]),
        words(&["owner", "team-a"]),
    )
        .prop_map(|(groups, resources, verbs, relation, namespaces)| {
            json!({"apiGroups": groups, "resources": resources, "verbs": verbs, "relation": relation, "namespaces": namespaces})
        });
    let pods = (
        any::<bool>(),
        words(&["own", "default"]),
        words(&["own", "input", "x"]),
        words(&["quay.io/*", "quay.io/**", "quay.io/a", "**", "*", "owner-spec"]),
        words(&["a/*", "a/b", "**"]),
    )
        .prop_map(|(host, accounts, secrets, images, marks)| {
            json!({"hostAccess": host, "serviceAccounts": accounts, "secretRefs": secrets, "images": images, "accountAnnotations": marks, "podLabels": marks})
        });
    let rule = (words(&["", "*"]), words(&["pods", "*", "pods/log"]), words(&["get", "*", "list"]), words(&["a", "b"])).prop_map(
        |(groups, resources, verbs, names)| json!({"apiGroups": groups, "resources": resources, "verbs": verbs, "resourceNames": names}),
    );
    let http = (words(&["GET", "PUT"]), words(&["/", "/v1/", "/v1/sys/"]), any::<bool>()).prop_map(|(methods, paths, host)| {
        if host {
            json!({"host": "h", "methods": methods, "paths": paths})
        } else {
            json!({"service": "owned", "methods": methods, "paths": paths})
        }
    });
    let admission = (words(&["CREATE", "UPDATE"]), words(&["/spec", "/spec/a", "/metadata"]))
        .prop_map(|(operations, pointers)| json!({"kind": "g/K", "operations": operations, "mayTouch": pointers}));
    (
        proptest::collection::vec(resource, 0..3),
        proptest::option::of(pods),
        proptest::collection::vec(rule, 0..3),
        words(&["g/K", "g/L"]),
        proptest::collection::vec(http, 0..3),
        words(&["a", "b"]),
        words(&["quay.io", "quay.io/a", "quay.io/a/"]),
        proptest::collection::vec(admission, 0..2),
    )
        .prop_map(|(resources, pods, rbac, kinds, http, audiences, images, admission)| {
            let value = json!({"resources": resources, "pods": pods, "rbac": rbac, "kinds": kinds, "http": http, "audiences": audiences,
                "images": images, "git": audiences, "admission": admission});
            serde_json::from_value(value).unwrap()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_ceiling_never_widens(grants in any_grants(), ceiling in any_grants()) {
        let effective = intersect(&grants, std::slice::from_ref(&ceiling));
        prop_assert_eq!(covers(&grants, &effective), Ok(()));
        prop_assert_eq!(covers(&ceiling, &effective), Ok(()));
    }

    #[test]
    fn it_does_not_matter_who_comes_first(a in any_grants(), b in any_grants()) {
        prop_assert_eq!(intersect(&a, std::slice::from_ref(&b)), intersect(&b, std::slice::from_ref(&a)));
    }

    #[test]
    fn every_ceiling_counts(a in any_grants(), b in any_grants(), c in any_grants()) {
        let effective = intersect(&a, &[b.clone(), c.clone()]);
        for limit in [&a, &b, &c] {
            prop_assert_eq!(covers(limit, &effective), Ok(()));
        }
    }

    #[test]
    fn a_ceiling_that_holds_already_changes_nothing(a in any_grants(), b in any_grants()) {
        let effective = intersect(&a, std::slice::from_ref(&b));
        prop_assert_eq!(&intersect(&effective, std::slice::from_ref(&b)), &effective);
        prop_assert_eq!(&intersect(&effective, std::slice::from_ref(&effective)), &effective);
    }

    #[test]
    fn grants_cover_themselves(grants in any_grants()) {
        prop_assert_eq!(covers(&intersect(&grants, &[]), &intersect(&grants, &[])), Ok(()));
        prop_assert_eq!(covers(&grants, &grants), Ok(()));
    }
}

#[test]
fn an_empty_ceiling_leaves_nothing() {
    let effective = intersect(&grants(), &[Grants::default()]);
    assert_eq!(effective, Grants::default());
    assert_eq!(covers(&Grants::default(), &Grants::default()), Ok(()));
}
