//! Plugins that misbehave when they are asked about a write. What the host makes of a change that is not allowed is not the sandbox's affair.

use banhbaoring_hostile::{Puppet, REVIEWS};
use banhbaoring_pipeline::contract::{Json, Operation, Platform, ReviewRequest, ReviewResponse};
use banhbaoring_sandbox::{CallError, Interface, Module};
use serde_json::json;

use crate::{POOLING, load, patient, puppet};

fn judging() -> Module {
    let mut puppet = Puppet::judging(true);
    puppet.verdicts = vec![("warn".to_owned(), json!({"allowed": true, "warnings": ["a", "b"]}))];
    load(&POOLING, puppet.component(), patient())
}

fn write(old: Option<Json>, new: Option<Json>) -> ReviewRequest {
    ReviewRequest {
        operation: Operation::Create,
        kind: "tests.banhbaoring.io/Puppet".to_owned(),
        object: new,
        old_object: old,
        user: "jane".to_owned(),
        groups: Vec::new(),
        dry_run: false,
        answers: Vec::new(),
        platform: Platform::default(),
        plugin_config: json!({}),
    }
}

fn asking(review: &str) -> ReviewRequest {
    write(None, Some(json!({"metadata": {"name": "a"}, "spec": {"review": review}})))
}

fn verdict(review: &str) -> ReviewResponse {
    judging().review(&asking(review)).unwrap().unwrap()
}

#[test]
fn a_puppet_that_judges_says_so_and_others_do_not() {
    let module = judging();
    let [admission] = module.describe().unwrap().admissions.try_into().unwrap();
    assert_eq!((admission.kind.as_str(), admission.mutating), ("tests.banhbaoring.io/Puppet", true));
    assert!(module.interfaces().contains(&Interface::Admission));
    assert!(!puppet(&POOLING).interfaces().contains(&Interface::Admission));
}

#[test]
fn a_review_that_does_not_end_or_says_too_much_is_cut_off() {
    let module = judging();
    let refused = |review: &str| module.review(&asking(review)).unwrap_err();
    assert_eq!(refused("loop"), CallError::OutOfCpu { limit_ms: 200 });
    assert!(matches!(refused("trap"), CallError::Trapped { trap } if trap.contains("unreachable")));
    assert_eq!(refused("big"), CallError::ResponseTooLarge { limit: 4 << 20 });
}

#[test]
fn a_review_says_what_its_object_asks_for() {
    let patched = |review: &str| verdict(review).patches.into_iter().map(|patch| (patch.path, patch.value)).collect::<Vec<_>>();
    assert_eq!(patched("outside"), [("/spec/behaviour".to_owned(), Some(json!("yes")))]);
    assert_eq!(patched("change"), [("/spec/reviewed".to_owned(), Some(json!("yes")))]);
    assert_eq!((verdict("deny").allowed, verdict("deny").warnings), (false, vec!["denied".to_owned()]));
    assert_eq!(verdict("warn").warnings, ["a", "b"]);
    assert_eq!(judging().review(&asking("fail")).unwrap().unwrap_err().reason, "Broken");
    assert!(verdict("").allowed && !REVIEWS.contains(&""));
    let deleted = judging().review(&write(Some(json!({"spec": {"review": "deny"}})), None)).unwrap().unwrap();
    assert!(!deleted.allowed, "of what is deleted the object before says it");
}
