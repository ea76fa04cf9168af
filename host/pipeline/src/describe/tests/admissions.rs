//! What a plugin may say that it judges.

use serde_json::json;

use super::{definition, descriptor, grants};
use crate::contract::{AdmissionDescriptor, Descriptor, Operation, Validation};
use crate::describe::check;

const OWN: &str = "shop.example.com/Store";
const FOREIGN: &str = "apps/Deployment";

fn admission(kind: &str, operations: &[Operation]) -> AdmissionDescriptor {
    AdmissionDescriptor {
        kind: kind.to_owned(),
        operations: operations.to_vec(),
        mutating: false,
        match_conditions: vec![],
        may_touch: vec![],
        validations: vec![],
    }
}

fn mutating(pointer: &str) -> AdmissionDescriptor {
    AdmissionDescriptor { mutating: true, may_touch: vec![pointer.to_owned()], ..admission(OWN, &[Operation::Update]) }
}

fn judging(admissions: Vec<AdmissionDescriptor>) -> Descriptor {
    let mut descriptor = descriptor();
    descriptor.admissions = admissions;
    descriptor.permissions["admission"] = json!([
        {"kind": OWN, "operations": ["CREATE", "UPDATE"], "mayTouch": ["/spec", "/metadata", "/status", "/kind"]},
        {"kind": FOREIGN, "operations": ["CREATE"]},
    ]);
    descriptor
}

fn checked(admissions: Vec<AdmissionDescriptor>) -> Result<(), String> {
    let descriptor = judging(admissions);
    let mut grants = grants();
    grants.admission = serde_json::from_value(descriptor.permissions["admission"].clone()).unwrap();
    check(&descriptor, &grants).map_err(|error| error.to_string())
}

#[track_caller]
fn refused(admissions: Vec<AdmissionDescriptor>, says: &str) {
    let error = checked(admissions).expect_err("this must be refused");
    assert!(error.contains(says), "{error} does not say {says}");
}

#[test]
fn writes_of_ones_own_and_of_granted_kinds_may_be_judged() {
    let own = admission(OWN, &[Operation::Create]);
    assert_eq!(checked(vec![own, admission(FOREIGN, &[Operation::Create]), mutating("/spec/size")]), Ok(()));
    for pointer in ["/spec", "/data/a~1b", "/metadata/labels", "/metadata/annotations/example.com~1a"] {
        let mut grants = grants();
        let mut descriptor = judging(vec![mutating(pointer)]);
        descriptor.permissions["admission"][0]["mayTouch"] = json!([pointer]);
        grants.admission = serde_json::from_value(descriptor.permissions["admission"].clone()).unwrap();
        assert_eq!(check(&descriptor, &grants), Ok(()), "{pointer}");
    }
}

#[test]
fn what_is_judged_has_to_be_asked_for_and_granted() {
    refused(vec![admission(OWN, &[Operation::Delete])], "permissions.admission");
    refused(vec![admission("v1/Secret", &[Operation::Create])], "permissions.admission");
    let descriptor = judging(vec![admission(OWN, &[Operation::Create])]);
    let error = check(&descriptor, &grants()).expect_err("not granted").to_string();
    assert!(error.contains("admission: [{kind: shop.example.com/Store"), "{error}");
}

#[test]
fn one_write_is_judged_once() {
    refused(
        vec![admission(OWN, &[Operation::Create]), admission(OWN, &[Operation::Update, Operation::Create])],
        "admissions[1].operations",
    );
    refused(vec![admission(OWN, &[])], "admissions[0].operations");
}

#[test]
fn who_an_object_is_and_how_it_fares_is_out_of_reach() {
    for pointer in [
        "",
        "/",
        "/metadata",
        "/metadata/name",
        "/metadata/ownerReferences",
        "/metadata/labelsx",
        "/status",
        "/status/phase",
        "/kind",
        "spec",
    ] {
        refused(vec![mutating(pointer)], "may-touch");
    }
    refused(vec![AdmissionDescriptor { mutating: false, ..mutating("/spec") }], "may-touch");
}

#[test]
fn rules_without_a_call_are_for_ones_own_kinds_and_have_something_to_say() {
    let ruled = |kind: &str, expression: &str, message: &str| AdmissionDescriptor {
        validations: vec![Validation { expression: expression.to_owned(), message: message.to_owned() }],
        ..admission(kind, &[Operation::Create])
    };
    assert_eq!(checked(vec![ruled(OWN, "object.spec.replicas < 5", "at most 4")]), Ok(()));
    refused(vec![ruled(FOREIGN, "false", "locked")], "validations");
    refused(vec![AdmissionDescriptor { mutating: true, ..ruled(OWN, "true", "a") }], "validations");
    refused(vec![ruled(OWN, " ", "a")], "expressions");
    refused(vec![ruled(OWN, &"a".repeat(5000), "a")], "expressions");
    refused(vec![ruled(OWN, "true", " ")], "validations");
    let named = |name: &str| AdmissionDescriptor {
        match_conditions: vec![(name.to_owned(), "true".to_owned())],
        ..admission(OWN, &[Operation::Create])
    };
    refused(vec![named("Not A Name")], "match-conditions");
    assert_eq!(definition()["spec"]["group"], "shop.example.com", "the kind that is its own");
}
