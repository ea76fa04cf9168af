//! Plugins that loaded well and misbehave when they are called.

use std::sync::atomic::{AtomicBool, Ordering};

use banhbaoring_hostile::BEHAVIOURS;
use banhbaoring_pipeline::contract::{Failure, FailureClass};
use banhbaoring_sandbox::CallError;
use serde_json::json;

use crate::{POOLING, behaving, config_map, puppet, request, sandboxes};

fn refused(behaviour: &str) -> CallError {
    let [first, second] = sandboxes().map(|sandbox| puppet(sandbox).reconcile(&behaving(behaviour)).unwrap_err());
    assert_eq!(first.reason(), second.reason(), "instances from the pool and on demand are held to the same limits");
    first
}

#[test]
fn an_endless_loop_ends_at_the_cpu_limit() {
    assert_eq!(refused("loop"), CallError::OutOfCpu { limit_ms: 200 });
}

#[test]
fn a_memory_bomb_ends_at_the_memory_limit() {
    let CallError::OutOfMemory { wanted, limit } = refused("bomb") else { panic!("another error") };
    assert!(limit == 64 << 20 && wanted > limit && wanted < limit + (8 << 20), "{wanted}");
}

#[test]
fn a_trap_ends_the_call_alone() {
    assert!(matches!(refused("trap"), CallError::Trapped { trap } if trap.contains("unreachable")));
}

#[test]
fn deep_recursion_ends_at_the_stack_limit() {
    assert_eq!(refused("recurse"), CallError::StackOverflow);
}

#[test]
fn an_answer_of_ten_mebibytes_is_refused() {
    assert_eq!(refused("big"), CallError::ResponseTooLarge { limit: 4 << 20 });
}

#[test]
fn ten_thousand_objects_are_refused() {
    assert_eq!(refused("many"), CallError::TooMany { what: "objects".to_owned(), found: 10_000, limit: 500 });
}

#[test]
fn five_hundred_objects_are_taken_and_one_more_is_not() {
    let objects = |n: usize| request(json!({"objects": (0..n).map(|i| config_map(&format!("c{i}"))).collect::<Vec<_>>()}));
    let module = puppet(&POOLING);
    assert_eq!(module.reconcile(&objects(500)).unwrap().unwrap().objects.len(), 500);
    assert_eq!(module.reconcile(&objects(501)).unwrap_err().reason(), "TooManyItems");
}

#[test]
fn json_nested_ten_thousand_deep_is_refused() {
    assert!(matches!(refused("deep"), CallError::InvalidJson { at, .. } if at == "status"));
}

#[test]
fn duplicate_keys_are_refused_where_they_are() {
    assert!(matches!(refused("duplicate"), CallError::InvalidJson { at, .. } if at == "objects[0].manifest"));
}

#[test]
fn text_that_is_no_json_is_refused_where_it_is() {
    assert!(matches!(refused("not-json"), CallError::InvalidJson { at, .. } if at == "status"));
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    assert_eq!(refused("not-utf8").reason(), "MalformedAnswer");
}

#[test]
fn a_pointer_out_of_bounds_is_refused() {
    assert_eq!(refused("wild").reason(), "MalformedAnswer");
}

#[test]
fn a_metric_that_is_no_number_is_refused() {
    assert!(matches!(refused("not-a-number"), CallError::InvalidValue { at, .. } if at == "metrics[0].value"));
}

#[test]
fn sixty_five_needs_are_refused() {
    assert_eq!(refused("needs"), CallError::TooMany { what: "needs".to_owned(), found: 65, limit: 64 });
}

#[test]
fn every_failure_is_the_hosts_own_class_with_a_bounded_reason() {
    for behaviour in BEHAVIOURS.iter().filter(|b| !["flaky", "refuse", "loop"].contains(b)) {
        let failure = Failure::from(puppet(&POOLING).reconcile(&behaving(behaviour)).unwrap_err());
        assert_eq!(failure.class, FailureClass::Plugin, "{behaviour}");
        assert!(failure.reason.bytes().all(|b| b.is_ascii_alphanumeric()), "{behaviour}: {}", failure.reason);
        assert!(failure.message.len() < 1_024 && !failure.message.contains('\n'), "{behaviour}: {}", failure.message);
    }
}

#[test]
fn fifty_other_owners_do_not_notice_a_plugin_that_misbehaves() {
    let module = puppet(&POOLING);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let hostile = scope.spawn(|| {
            let mut rounds = 0;
            while !done.load(Ordering::Relaxed) || rounds == 0 {
                for behaviour in ["bomb", "trap", "recurse", "big", "many", "wild"] {
                    module.reconcile(&behaving(behaviour)).unwrap_err();
                }
                rounds += 1;
            }
        });
        for owner in 0..50 {
            for _ in 0..4 {
                let objects = [config_map(&format!("owner-{owner}"))];
                let response = module.reconcile(&request(json!({ "objects": objects }))).unwrap().unwrap();
                assert_eq!(response.objects[0].manifest, objects[0]);
            }
        }
        done.store(true, Ordering::Relaxed);
        hostile.join().unwrap();
    });
}
