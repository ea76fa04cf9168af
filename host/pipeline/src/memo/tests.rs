use serde_json::json;

use super::*;
use crate::contract::{Action, Platform, State};
use crate::plugins::ActivePlugin;
use crate::sample::{plugin, response, scripted};

fn request(uid: &str, config: Json) -> Request {
    Request {
        owner: json!({"metadata": {"name": "one", "uid": uid}}),
        component: "db".to_owned(),
        config,
        plugin_config: json!({}),
        previous: None,
        platform: Platform::default(),
        children: Vec::new(),
        inputs: Vec::new(),
        slots: Vec::new(),
        answers: Vec::new(),
        results: Vec::new(),
        deleting: false,
        time: None,
    }
}

fn active(digest: &str) -> ActivePlugin {
    ActivePlugin { digest: digest.to_owned(), ..plugin("p", Vec::new()) }
}

#[test]
fn the_same_request_is_asked_once_and_any_difference_anew() {
    let memo = Memo::default();
    let inner = scripted(|_| Ok(response(State::Ready)));
    let renderer = memo.render(&inner);
    let first = renderer.reconcile(&active("1"), &request("a", json!({"x": 1, "y": 2}))).unwrap();
    let again = renderer.reconcile(&active("1"), &request("a", json!({"y": 2, "x": 1}))).unwrap();
    assert_eq!(first, again);
    assert_eq!((memo.hits(), memo.misses()), (1, 1));
    renderer.reconcile(&active("2"), &request("a", json!({"x": 1, "y": 2}))).unwrap();
    renderer.reconcile(&active("1"), &request("a", json!({"x": 1}))).unwrap();
    renderer.reconcile(&active("1"), &request("b", json!({"x": 1, "y": 2}))).unwrap();
    renderer.reconcile(&active("1"), &Request { deleting: true, ..request("a", json!({"x": 1, "y": 2})) }).unwrap();
    assert_eq!((memo.hits(), memo.misses()), (1, 5));
    assert_eq!(inner.asked().len(), 5);
}

#[test]
fn a_seal_is_remembered_apart_from_components() {
    let memo = Memo::default();
    let inner = scripted(|_| Ok(response(State::Ready)));
    let renderer = memo.render(&inner);
    let request = SealRequest {
        config: json!({}),
        openbao_version: String::new(),
        owner: json!({"metadata": {"uid": "a"}}),
        platform: Platform::default(),
        plugin_config: json!({}),
    };
    for _ in 0..3 {
        renderer.render_seal(&active("1"), "kms", &request).unwrap();
    }
    renderer.render_seal(&active("1"), "other", &request).unwrap();
    assert_eq!((memo.hits(), memo.misses()), (2, 2));
}

#[test]
fn an_answer_with_actions_is_never_given_twice_from_memory() {
    let memo = Memo::default();
    let inner = scripted(|_| {
        let action = Action { id: "a".to_owned(), kind: "run".to_owned(), spec: json!({}) };
        Ok(Response { actions: vec![action], ..response(State::Ready) })
    });
    for _ in 0..3 {
        memo.render(&inner).reconcile(&active("1"), &request("a", json!({}))).unwrap();
    }
    assert_eq!((inner.asked().len(), memo.size().0), (3, 0));
}

#[test]
fn a_failure_is_remembered_only_where_it_is_the_plugins_own_word() {
    for (class, times) in [(FailureClass::Plugin, 3), (FailureClass::InvalidConfig, 1), (FailureClass::Internal, 1)] {
        let memo = Memo::default();
        let inner = scripted(|_| Err(Failure { class, reason: "R".to_owned(), message: String::new(), field: None }));
        for _ in 0..3 {
            memo.render(&inner).reconcile(&active("1"), &request("a", json!({}))).unwrap_err();
        }
        assert_eq!(inner.asked().len(), times, "{class:?}");
    }
}

#[test]
fn one_owner_that_changes_all_the_time_does_not_push_out_the_others() {
    let memo = Memo::new(MemoLimits { max_entries_per_owner: 4, ..MemoLimits::default() });
    let inner = scripted(|_| Ok(response(State::Ready)));
    let renderer = memo.render(&inner);
    renderer.reconcile(&active("1"), &request("calm", json!({}))).unwrap();
    for n in 0..100 {
        renderer.reconcile(&active("1"), &request("restless", json!({"n": n}))).unwrap();
    }
    assert_eq!(memo.size().0, 5);
    renderer.reconcile(&active("1"), &request("calm", json!({}))).unwrap();
    renderer.reconcile(&active("1"), &request("restless", json!({"n": 99}))).unwrap();
    assert_eq!(memo.hits(), 2);
}

#[test]
fn memory_is_bounded_and_what_is_used_stays() {
    let limits = MemoLimits { max_bytes: 10_000, max_entries_per_owner: 64 };
    let memo = Memo::new(limits);
    let inner = scripted(|_| Ok(Response { message: "x".repeat(1000), ..response(State::Ready) }));
    let renderer = memo.render(&inner);
    for n in 0..50 {
        renderer.reconcile(&active("1"), &request("used", json!({}))).unwrap();
        renderer.reconcile(&active("1"), &request(&format!("owner-{n}"), json!({}))).unwrap();
        assert!(memo.size().1 <= limits.max_bytes);
    }
    assert_eq!(memo.hits(), 49);
    assert!((2..10).contains(&memo.size().0), "{:?}", memo.size());
}

#[test]
fn an_owner_that_is_gone_is_forgotten() {
    let memo = Memo::default();
    let inner = scripted(|_| Ok(response(State::Ready)));
    for uid in ["a", "b"] {
        memo.render(&inner).reconcile(&active("1"), &request(uid, json!({}))).unwrap();
    }
    memo.forget("a");
    assert_eq!(memo.size().0, 1);
    memo.forget("b");
    assert_eq!(memo.size(), (0, 0));
}

#[test]
fn maps_are_sorted_in_this_build() {
    // Otherwise equal requests could have different keys, and nothing would ever be remembered.
    let value: Json = serde_json::from_str(r#"{"b":1,"a":2}"#).unwrap();
    assert_eq!(value.to_string(), r#"{"a":2,"b":1}"#);
}

#[test]
fn what_is_remembered_comes_back_as_it_was() {
    let memo = Memo::default();
    let manifest = json!({"kind": "ConfigMap", "third": 1.0 / 3.0, "large": u64::MAX, "small": i64::MIN, "tiny": 5e-324, "null": null});
    let answer = Response { status: manifest, message: "\u{0}\u{2028}\"".to_owned(), ..response(State::Ready) };
    let inner = scripted(|_| Ok(answer.clone()));
    let ask = || memo.render(&inner).reconcile(&active("1"), &request("a", json!({}))).unwrap();
    assert_eq!((&*ask(), &*ask(), memo.hits()), (&answer, &answer, 1));
}
