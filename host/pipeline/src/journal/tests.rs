use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::admit::{ActionScope, admit};
use crate::contract::{Action, Response, State};
use crate::plugins::PluginSet;
use crate::render::render;
use crate::sample;

/// A component that asks for these actions, as admitted. No action of that kind exists, which admission answers and does not refuse.
fn asks(ids: &[&str]) -> (Permitted, Graph) {
    let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    let renderer = sample::scripted(move |_| {
        let action = |id: &String| Action { id: id.clone(), kind: "telepathy".to_owned(), spec: json!({}) };
        Ok(Response { actions: ids.iter().map(action).collect(), ..sample::response(State::Ready) })
    });
    let plugins: PluginSet = [sample::plugin("p", vec![sample::component("db", &[])])].into_iter().collect();
    let observation = sample::observation(sample::owner(json!({})));
    let graph = crate::compose(&observation.owner, &plugins);
    let permitted = admit(&render(&graph, &observation, &renderer), &observation);
    assert_eq!(permitted.refused, []);
    (permitted, graph)
}

fn sent(permitted: &Permitted, journal: &[JournalEntry], now: i64) -> Vec<String> {
    next(permitted, journal, now).send.into_iter().map(|(_, action)| action.action.id.clone()).collect()
}

fn db(id: &str) -> ActionKey {
    ("db".to_owned(), id.to_owned())
}

fn unavailable() -> ActionOutcome {
    ActionOutcome::Error(OutcomeError { class: "unavailable".to_owned(), message: "nobody there".to_owned() })
}

fn begin(permitted: &Permitted, journal: &mut Vec<JournalEntry>, now: i64) {
    let next = next(permitted, journal, now);
    intend(journal, &next, now);
}

#[test]
fn actions_of_a_component_are_sent_one_after_the_other_and_each_once() {
    let (permitted, _) = asks(&["a", "b"]);
    let mut journal = Vec::new();
    assert_eq!(sent(&permitted, &journal, 0), ["a"]);
    begin(&permitted, &mut journal, 0);
    assert_eq!(sent(&permitted, &journal, 9999), Vec::<String>::new(), "it is under way");
    assert_eq!(results(&journal), BTreeMap::new());
    record(&mut journal, &db("a"), &ActionOutcome::Ok(json!({"status": 200})));
    assert_eq!(sent(&permitted, &journal, 9999), ["b"]);
    begin(&permitted, &mut journal, 9999);
    record(&mut journal, &db("b"), &ActionOutcome::Ok(json!({})));
    assert_eq!(sent(&permitted, &journal, 99_999), Vec::<String>::new());
    assert_eq!(results(&journal)[&db("a")], ActionOutcome::Ok(json!({"status": 200})));
}

#[test]
fn what_was_about_to_be_sent_by_somebody_who_is_gone_is_unknown_and_never_sent_again() {
    let (permitted, _) = asks(&["a", "b"]);
    let mut journal = Vec::new();
    begin(&permitted, &mut journal, 0);
    interrupt(&mut journal, &BTreeSet::from([db("a")]));
    assert_eq!(results(&journal), BTreeMap::new(), "this process has it under way");
    interrupt(&mut journal, &BTreeSet::new());
    assert_eq!(results(&journal)[&db("a")], ActionOutcome::Unknown);
    assert_eq!(sent(&permitted, &journal, i64::MAX), Vec::<String>::new(), "nor is what comes after it");
}

#[test]
fn what_happens_once_however_often_it_is_sent_is_sent_again_by_whoever_comes_next() {
    let (permitted, _) = asks(&["a", "b"]);
    let mut journal = Vec::new();
    begin(&permitted, &mut journal, 0);
    journal[0].repeatable = true;
    interrupt(&mut journal, &BTreeSet::new());
    assert!(matches!(&results(&journal)[&db("a")], ActionOutcome::Error(error) if error.class == "unavailable"));
    assert_eq!(sent(&permitted, &journal, 2), ["a"]);
}

#[test]
fn what_was_not_done_is_tried_again_after_waits_that_grow_and_what_was_or_never_will_be_is_not() {
    let (permitted, _) = asks(&["a"]);
    let (mut journal, mut now, mut waits) = (Vec::new(), 0, Vec::new());
    for _ in 0..12 {
        begin(&permitted, &mut journal, now);
        record(&mut journal, &db("a"), &unavailable());
        let wait = next(&permitted, &journal, now).wait.unwrap();
        assert_eq!(sent(&permitted, &journal, now + i64::from(wait) - 1), Vec::<String>::new());
        now += i64::from(wait);
        assert_eq!(sent(&permitted, &journal, now), ["a"]);
        waits.push(wait);
    }
    assert!(waits.is_sorted() && waits[0] == 2 && waits[11] == 300, "{waits:?}");
    begin(&permitted, &mut journal, now);
    for class in [LOST, UNSUPPORTED] {
        let failed = ActionOutcome::Error(OutcomeError { class: class.to_owned(), message: String::new() });
        record(&mut journal, &db("a"), &failed);
        assert_eq!(sent(&permitted, &journal, i64::MAX), Vec::<String>::new());
        assert_eq!(results(&journal)[&db("a")], failed);
    }
}

#[test]
fn what_is_no_longer_asked_for_is_forgotten_unless_it_is_under_way_or_nobody_was_asked() {
    let (both, graph) = asks(&["a", "b"]);
    let mut journal = Vec::new();
    begin(&both, &mut journal, 0);
    record(&mut journal, &db("a"), &ActionOutcome::Ok(json!({})));
    begin(&both, &mut journal, 0);
    let left = |journal: &[JournalEntry]| journal.iter().map(|entry| entry.id.clone()).collect::<Vec<_>>();
    let (none, _) = asks(&[]);
    let mut asked = journal.clone();
    forget(&mut asked, &none, &graph);
    assert_eq!(left(&asked), ["b"], "it is under way");
    let mut failed = journal.clone();
    forget(&mut failed, &Permitted::default(), &graph);
    assert_eq!(left(&failed), ["a", "b"], "a component that did not answer has not stopped asking");
    let mut gone = journal;
    let without = crate::compose(&sample::observation(sample::owner(json!({}))).owner, &PluginSet::default());
    forget(&mut gone, &Permitted::default(), &without);
    assert_eq!(left(&gone), ["b"]);
}

#[test]
fn a_result_that_is_too_large_or_was_tampered_with_is_not_told_as_done() {
    let (permitted, _) = asks(&["a"]);
    let mut journal = Vec::new();
    begin(&permitted, &mut journal, 0);
    record(&mut journal, &db("a"), &ActionOutcome::Ok(json!("x".repeat(9000))));
    assert!(matches!(&results(&journal)[&db("a")], ActionOutcome::Error(error) if error.class == LOST));
    journal[0].outcome = Some(JournalOutcome { result: JournalResult::Ok, value: Some("{".to_owned()), ..JournalOutcome::default() });
    assert_eq!(results(&journal)[&db("a")], ActionOutcome::Unknown);
}

#[test]
fn components_do_not_wait_for_each_other() {
    let (mut permitted, _) = asks(&["a"]);
    let mut other = permitted.components[0].clone();
    other.component = "cache".to_owned();
    permitted.components.push(other);
    assert_eq!(sent(&permitted, &[], 0), ["a", "a"]);
    assert!(matches!(&permitted.components[0].actions[0].scope, ActionScope::Unsupported(_)));
}

proptest! {
    /// However processes end and answers come, nothing that somebody may have received is sent again.
    #[test]
    fn nothing_that_may_have_been_received_is_sent_twice(events in proptest::collection::vec((0..4_u8, 0..600_i64), 1..60)) {
        let (permitted, _) = asks(&["a", "b", "c"]);
        let (mut journal, mut now) = (Vec::<JournalEntry>::new(), 0);
        let mut received = BTreeSet::new();
        for (event, seconds) in events {
            now += seconds;
            match event {
                0 => {
                    let next = next(&permitted, &journal, now);
                    for (_, action) in &next.send {
                        prop_assert!(!received.contains(&action.action.id), "{} again", action.action.id);
                    }
                    intend(&mut journal, &next, now);
                }
                1 => interrupt(&mut journal, &BTreeSet::new()),
                _ => {
                    let under_way: Vec<_> = journal.iter().filter(|entry| entry.outcome.is_none()).map(|entry| entry.id.clone()).collect();
                    for id in under_way {
                        let outcome = if event == 2 { ActionOutcome::Ok(json!({})) } else { unavailable() };
                        record(&mut journal, &db(&id), &outcome);
                        if event == 2 {
                            received.insert(id);
                        }
                    }
                }
            }
            received.extend(journal.iter().filter(|entry| matches!(&entry.outcome, Some(outcome) if outcome.result == JournalResult::Unknown)).map(|entry| entry.id.clone()));
        }
    }
}
