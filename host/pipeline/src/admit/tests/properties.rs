//! What holds whatever a plugin answers.

use proptest::prelude::*;

use super::*;

/// Every way of taking one piece out of some grants.
fn narrowed(grants: &Grants) -> Vec<(String, Grants)> {
    let mut found = Vec::new();
    let whole = serde_json::to_value(grants).unwrap();
    pieces(&whole, String::new(), &mut |pointer| {
        let mut less = whole.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match less.pointer_mut(parent).unwrap() {
            Json::Array(items) => {
                items.remove(key.parse().unwrap());
            }
            Json::Object(fields) => {
                fields.remove(key);
            }
            _ => unreachable!(),
        }
        // An entry without a required field is no grant at all, and a default that is left out is still there.
        let less = serde_json::from_value::<Grants>(less).ok().filter(|less| less != grants);
        found.extend(less.map(|less| (pointer.to_owned(), less)));
    });
    found
}

fn pieces(value: &Json, pointer: String, found: &mut impl FnMut(&str)) {
    match value {
        Json::Array(items) => items.iter().enumerate().for_each(|(i, item)| {
            let pointer = format!("{pointer}/{i}");
            found(&pointer);
            pieces(item, pointer, found);
        }),
        Json::Object(fields) => fields.iter().for_each(|(key, field)| {
            let pointer = format!("{pointer}/{key}");
            found(&pointer);
            pieces(field, pointer, found);
        }),
        _ => {}
    }
}

#[test]
fn whatever_is_taken_from_grants_that_just_suffice_leads_to_a_refusal() {
    let mut minimal = grants();
    assert_eq!(refusal_under(minimal.clone(), store()), None);
    minimal.resources[1].namespaces = vec![];
    let narrowed = narrowed(&minimal);
    assert!(narrowed.len() > 30, "{}", narrowed.len());
    for (pointer, grants) in narrowed {
        assert!(refusal_under(grants, store()).is_some(), "still permitted without {pointer}");
    }
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any_word().prop_map(Json::from),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            proptest::collection::vec((any_word(), inner), 0..6).prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

/// Words of the API, so that arbitrary trees reach the checks, and others.
fn any_word() -> impl Strategy<Value = String> {
    let words = [
        "apiVersion",
        "kind",
        "metadata",
        "name",
        "namespace",
        "labels",
        "annotations",
        "spec",
        "template",
        "containers",
        "initContainers",
        "volumes",
        "env",
        "envFrom",
        "secretKeyRef",
        "secretName",
        "secret",
        "projected",
        "sources",
        "securityContext",
        "capabilities",
        "add",
        "image",
        "rules",
        "verbs",
        "apiGroups",
        "resources",
        "roleRef",
        "subjects",
        "v1",
        "apps/v1",
        "StatefulSet",
        "Pod",
        "Service",
        "Role",
        "rbac.authorization.k8s.io/v1",
        "team-a",
        "team-b",
        "prod",
        "$(hash:a/b)",
        "$(hash:",
        "status",
        "volumeClaimTemplates",
        "dataSource",
        "hostPath",
        "serviceAccountName",
        "imagePullSecrets",
        "ä",
        "",
        "\u{0}",
        "~",
        "../..",
    ];
    prop_oneof![9 => proptest::sample::select(words.to_vec()).prop_map(ToOwned::to_owned), 1 => any::<String>()]
}

fn any_manifest() -> impl Strategy<Value = Json> {
    let heads = vec![
        ("v1", "Service"),
        ("v1", "Secret"),
        ("v1", "ServiceAccount"),
        ("v1", "Pod"),
        ("v1", "PersistentVolumeClaim"),
        ("apps/v1", "StatefulSet"),
        ("batch/v1", "CronJob"),
        ("rbac.authorization.k8s.io/v1", "Role"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding"),
        ("v1", "Nothing"),
        ("networking.k8s.io/v1", "Ingress"),
    ];
    let namespace = prop_oneof![Just(Json::Null), Just(json!("team-a")), Just(json!("team-b")), Just(json!("kube-system")), any_json()];
    (proptest::sample::select(heads), namespace, any_json(), any_json(), any_json()).prop_map(
        |((api_version, kind), namespace, metadata, spec, rest)| {
            let mut manifest = match rest {
                Json::Object(fields) => Json::Object(fields),
                _ => json!({}),
            };
            manifest["apiVersion"] = json!(api_version);
            manifest["kind"] = json!(kind);
            manifest["metadata"] = match metadata {
                Json::Object(fields) => Json::Object(fields),
                _ => json!({}),
            };
            manifest["metadata"]["name"] = json!("prod");
            manifest["metadata"]["namespace"] = namespace;
            manifest["spec"] = spec;
            manifest
        },
    )
}

fn generous() -> Grants {
    serde_json::from_value(json!({
        "resources": [{"apiGroups": ["", "apps", "batch", "rbac.authorization.k8s.io", "networking.k8s.io"],
            "resources": ["services", "secrets", "serviceaccounts", "pods", "persistentvolumeclaims", "statefulsets", "cronjobs", "roles", "rolebindings", "ingresses"],
            "verbs": ["get", "create", "patch", "delete"], "relation": "any", "namespaces": ["owner", "team-b"]}],
        "pods": {"hostAccess": true, "serviceAccounts": ["own", "default"], "secretRefs": ["own"], "images": ["**"]},
        "rbac": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
    }))
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_manifest_makes_admission_fail_by_itself(manifests in proptest::collection::vec(prop_oneof![any_json(), any_manifest()], 0..4),
        status in any_json(), spec in any_json(), need in any_word()) {
        let mut answer = response(manifests);
        answer.status = status.clone();
        answer.outputs = status;
        answer.needs = vec![Need { id: need.clone(), kind: "objects".to_owned(), mode: crate::contract::NeedMode::Watch, project: vec![need], spec: spec.clone() }];
        answer.actions = vec![Action { id: "a".to_owned(), kind: "patch".to_owned(), spec: spec.clone() }];
        let mut observation = observation();
        observation.owner.object = json!({ "spec": spec });
        let desired = Desired { components: vec![rendered("server", &plugin("store", generous()), answer)] };
        let permitted = admit(&desired, &observation);
        prop_assert_eq!(permitted.components.len() + permitted.refused.len(), 1);
    }

    #[test]
    fn nothing_is_permitted_outside_of_granted_namespaces(manifests in proptest::collection::vec(any_manifest(), 1..3)) {
        let desired = Desired { components: vec![rendered("server", &plugin("store", generous()), response(manifests))] };
        for component in admit(&desired, &observation()).components {
            for object in component.objects {
                let namespace = object.reference.namespace.as_deref();
                prop_assert!(matches!(namespace, Some("team-a" | "team-b")), "{:?}", object.reference);
                prop_assert_eq!(object.object.manifest["metadata"]["namespace"].as_str(), namespace);
            }
        }
    }
}
