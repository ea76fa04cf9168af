//! Definitions of kinds: what they may be, and how they may grow.

use super::*;

#[track_caller]
fn set(document: &mut Json, pointer: &str, value: Json) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Json::Object(fields) => {
            fields.insert(key.to_owned(), value);
        }
        Json::Array(items) => items.push(value),
        _ => panic!("{parent}"),
    }
}

#[test]
fn a_definition_of_somebody_elses_group_is_refused() {
    for group in
        ["apps.k8s.io", "k8s.io", "plugins.banhbaoring.io", "x.plugins.banhbaoring.io", "gateway.networking.x-k8s.io", "local", "a/b.c", ""]
    {
        invalid(
            |d| {
                set(&mut d.kinds[0].crd, "/spec/group", json!(group));
                set(&mut d.kinds[0].crd, "/metadata/name", json!(format!("stores.{group}")));
            },
            "spec.group",
        );
    }
}

#[test]
fn a_definition_is_complete_and_structural() {
    for (pointer, value, field) in [
        ("/kind", json!("ConfigMap"), "crd"),
        ("/metadata/name", json!("x.shop.example.com"), "metadata.name"),
        ("/metadata/ownerReferences", json!([]), "metadata"),
        ("/metadata/finalizers", json!(["x"]), "metadata"),
        ("/spec/scope", json!("Everywhere"), "scope"),
        ("/spec/names/kind", json!("store"), "names.kind"),
        ("/spec/preserveUnknownFields", json!(true), "preserveUnknownFields"),
        ("/spec/conversion", json!({"strategy": "Webhook", "webhook": {}}), "conversion"),
        ("/spec/conversion", json!({"strategy": "None", "webhook": {}}), "conversion"),
        ("/spec/versions", json!([]), "versions"),
        ("/spec/versions/0/storage", json!(false), "versions"),
        ("/spec/versions/0/served", json!(false), "versions"),
        ("/spec/versions/0/schema", json!({}), "schema"),
        ("/spec/versions/0/schema/openAPIV3Schema/properties/x", json!({}), "schema"),
        ("/spec/versions/0/schema/openAPIV3Schema/properties/x", json!({"$ref": "#/x"}), "schema"),
        ("/spec/versions/0/subresources", json!({}), "subresources"),
    ] {
        // `versions/0/…` points into the only version.
        invalid(|d| set(&mut d.kinds[0].crd, pointer, value), field);
    }
    invalid(|d| d.kinds[0].observation = Observation::Poll(0), "observation");
}

const SPEC: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";

#[track_caller]
fn incompatible(change: impl FnOnce(&mut Json), about: &str) {
    let mut new = definition();
    change(&mut new);
    let error = kind_compatible(&definition(), &new).expect_err("this takes something away");
    assert!(error.to_string().contains(about), "{error} does not speak of {about}");
}

#[test]
fn a_definition_may_grow() {
    let mut new = definition();
    set(&mut new, &format!("{SPEC}/properties/color"), json!({"type": "string", "enum": ["red"]}));
    set(&mut new, &format!("{SPEC}/properties/mode/enum"), json!(["a", "b", "c"]));
    set(&mut new, &format!("{SPEC}/properties/replicas/maximum"), json!(99));
    set(&mut new, &format!("{SPEC}/required"), json!([]));
    let mut second = new["spec"]["versions"][0].clone();
    second["name"] = json!("v2");
    second["storage"] = json!(false);
    new["spec"]["versions"].as_array_mut().unwrap().push(second);
    assert_eq!(kind_compatible(&definition(), &new), Ok(()));
    assert!(kind_compatible(&new, &definition()).is_err(), "and not shrink again");
}

#[test]
fn a_status_may_become_one_value_and_a_spec_may_not() {
    let atomic = |at: &str| {
        let mut new = definition();
        set(&mut new, &format!("{at}/x-kubernetes-map-type"), json!("atomic"));
        new
    };
    let status = atomic(&SPEC.replace("properties/spec", "properties/status"));
    assert_ne!(status, definition());
    assert_eq!(kind_compatible(&definition(), &status), Ok(()));
    assert_eq!(kind_compatible(&status, &definition()), Ok(()));
    assert!(kind_compatible(&definition(), &atomic(SPEC)).is_err(), "others write a spec, field by field");
}

#[test]
fn a_definition_may_not_take_anything_away() {
    incompatible(|new| set(new, "/spec/versions", json!([])), "removed");
    incompatible(|new| set(new, "/spec/versions/0/served", json!(false)), "served");
    incompatible(|new| set(new, "/spec/scope", json!("Cluster")), "scope");
    incompatible(|new| set(new, &format!("{SPEC}/properties/mode/type"), json!("integer")), "type");
    incompatible(|new| set(new, &format!("{SPEC}/properties/mode/enum"), json!(["a"])), "\\\"b\\\"");
    incompatible(|new| set(new, &format!("{SPEC}/properties/tags/items"), json!({"type": "integer"})), "tags[]");
    incompatible(|new| set(new, &format!("{SPEC}/properties/labels/additionalProperties"), json!({"type": "integer"})), "labels{}");
    incompatible(|new| set(new, &format!("{SPEC}/properties/replicas/maximum"), json!(3)), "maximum");
    incompatible(|new| set(new, &format!("{SPEC}/properties/replicas/minimum"), json!(3)), "minimum");
    incompatible(|new| set(new, &format!("{SPEC}/properties/mode/pattern"), json!("^a")), "pattern");
    incompatible(|new| set(new, &format!("{SPEC}/required"), json!(["replicas", "mode"])), "mode");
    incompatible(
        |new| {
            new.pointer_mut(&format!("{SPEC}/properties")).unwrap().as_object_mut().unwrap().remove("tags");
        },
        "tags",
    );
    incompatible(|new| set(new, "/spec/versions/0/subresources", json!({})), "status");
}
