use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::admit::{Permitted, admit};
use crate::contract::{Action, Response, State};
use crate::journal::{self, ActionKey};
use crate::plugins::PluginSet;
use crate::render::render;
use crate::sample;

const DAY: i64 = 86_400;

/// A component that asks for runs of these keys, as admitted.
fn asks(keys: &[&str]) -> Permitted {
    let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    let security = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": true,
        "seccompProfile": {"type": "RuntimeDefault"}});
    let pod = json!({"spec": {"automountServiceAccountToken": false, "serviceAccountName": "runner",
        "containers": [{"name": "main", "image": "registry.example.com/run:1", "securityContext": security}]}});
    let renderer = sample::scripted(move |_| {
        let action = |key: &String| Action {
            id: format!("run {key}"),
            kind: "run".to_owned(),
            spec: json!({"key": key, "podTemplate": pod, "deadlineSeconds": 60}),
        };
        Ok(Response { actions: keys.iter().map(action).collect(), ..sample::response(State::Ready) })
    });
    let mut plugin = sample::plugin("p", vec![sample::component("db", &[])]);
    plugin.grants = serde_json::from_value(json!({
        "resources": [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "create"]}],
        "pods": {"images": ["registry.example.com/*"], "serviceAccounts": ["runner"]},
    }))
    .unwrap();
    let plugins: PluginSet = [plugin].into_iter().collect();
    let observation = sample::observation(sample::owner(json!({})));
    let graph = crate::compose(&observation.owner, &plugins);
    let permitted = admit(&render(&graph, &observation, &renderer), &observation);
    assert_eq!(permitted.refused, []);
    permitted
}

fn owner() -> OwnerReference {
    sample::owner(json!({})).reference
}

/// Writes down what is sent at `now`; returns the keys.
fn begin(permitted: &Permitted, inventory: &mut InventorySpec, now: i64) -> Vec<ActionKey> {
    let next = journal::next(permitted, &inventory.journal, now);
    journal::intend(&mut inventory.journal, &next, now);
    let mut tokens = 0;
    intend(&mut inventory.runs, &owner(), &next, now, || {
        tokens += 1;
        format!("token {now} {tokens}")
    });
    next.send.iter().map(|(component, action)| (component.component.clone(), action.action.id.clone())).collect()
}

fn told(inventory: &mut InventorySpec, key: &str, what: Learnt) {
    learn(&mut inventory.runs, &News { key: key.to_owned(), what });
}

#[test]
fn a_run_is_written_down_with_a_token_of_its_own_before_it_is_sent_and_keeps_it() {
    let permitted = asks(&["a", "b"]);
    let mut inventory = InventorySpec::default();
    assert_eq!(begin(&permitted, &mut inventory, 7).len(), 1, "in order");
    let first = find(&inventory, "a").unwrap().clone();
    assert_eq!((first.token.as_str(), first.since, first.job), ("token 7 1", Some(7), job(&owner(), "a").name));
    assert_eq!((first.component.as_str(), first.account.as_str()), ("db", "host/p"));
    journal::interrupt(&mut inventory.journal, &Default::default());
    assert_eq!(begin(&permitted, &mut inventory, 99).len(), 1, "what an operator that died had begun is looked into");
    assert_eq!((find(&inventory, "a").unwrap().token.as_str(), find(&inventory, "a").unwrap().since), ("token 7 1", Some(7)));
    assert_eq!(inventory.runs.len(), 1);
}

#[test]
fn what_was_made_or_ended_is_done_and_what_may_have_come_and_gone_is_only_looked_for() {
    let entry = |since: Option<i64>| RunEntry { since, ..RunEntry::default() };
    assert_eq!(step(&entry(None), DAY), Step::Make);
    assert_eq!(step(&entry(Some(0)), KEPT_SECONDS / 2 - 1), Step::Make);
    assert_eq!(step(&entry(Some(0)), KEPT_SECONDS / 2), Step::Look);
    assert_eq!(step(&RunEntry { uid: Some("u".to_owned()), ..entry(None) }, DAY), Step::Done);
    assert_eq!(step(&RunEntry { outcome: Some(RunOutcome::default()), ..entry(Some(0)) }, DAY), Step::Done);
}

#[test]
fn only_the_first_attempt_that_made_nothing_ends_the_doubt() {
    let mut inventory =
        InventorySpec { runs: vec![RunEntry { key: "a".to_owned(), since: Some(5), ..RunEntry::default() }], ..Default::default() };
    told(&mut inventory, "a", Learnt::NotMade(9));
    assert_eq!(inventory.runs[0].since, Some(5), "the one at 5 may have made it");
    told(&mut inventory, "a", Learnt::NotMade(5));
    assert_eq!(inventory.runs[0].since, None);
}

#[test]
fn the_first_outcome_and_the_first_uid_hold() {
    let mut inventory =
        InventorySpec { runs: vec![RunEntry { key: "a".to_owned(), since: Some(5), ..RunEntry::default() }], ..Default::default() };
    let ended = |message: &str| Learnt::Ended(outcome(&InventorySpec::default(), RunResult::Failed, Some(3), message));
    for (uid, message) in [("one", "first"), ("two", "second")] {
        told(&mut inventory, "a", Learnt::Made(uid.to_owned()));
        told(&mut inventory, "a", ended(message));
    }
    let entry = &inventory.runs[0];
    assert_eq!((entry.uid.as_deref(), entry.since), (Some("one"), None));
    assert_eq!(entry.outcome.as_ref().unwrap().message.as_deref(), Some("first"));
}

#[test]
fn messages_are_bounded_each_and_together_and_carry_nothing_a_terminal_would_obey() {
    let told = outcome(&InventorySpec::default(), RunResult::Failed, None, "\u{1b}[2J\0one\ntwo\u{7f}");
    assert_eq!(told.message.as_deref(), Some("[2Jone\ntwo"));
    assert_eq!(outcome(&InventorySpec::default(), RunResult::Failed, None, "\u{1b}").message, None);
    let long = "€".repeat(3000);
    let mut inventory = InventorySpec::default();
    for index in 0..MOST {
        inventory.runs.push(RunEntry { key: index.to_string(), ..RunEntry::default() });
        let one = outcome(&inventory, RunResult::Succeeded, Some(0), &long);
        assert!(one.message.as_ref().is_some_and(|message| message.len() <= MESSAGE && message.starts_with('€')), "{index}");
        learn(&mut inventory.runs, &News { key: index.to_string(), what: Learnt::Ended(one.clone()) });
        assert_eq!(inventory.runs[index].outcome.as_ref(), Some(&one), "what is told is what is kept");
    }
    let bytes = serde_json::to_vec(&inventory).unwrap().len();
    assert!(bytes < 256 << 10, "{bytes}");
}

#[test]
fn there_is_room_for_so_many_runs_and_a_known_key_needs_none() {
    let permitted = asks(&["a"]);
    let full = |key: &str| {
        let mut runs: Vec<RunEntry> = (1..MOST).map(|index| RunEntry { key: format!("n{index}"), ..RunEntry::default() }).collect();
        runs.push(RunEntry { key: key.to_owned(), ..RunEntry::default() });
        InventorySpec { runs, ..InventorySpec::default() }
    };
    let mut other = full("z");
    begin(&permitted, &mut other, 0);
    assert!(find(&other, "a").is_none() && other.runs.len() == MOST);
    let mut known = full("a");
    begin(&permitted, &mut known, 3);
    assert_eq!(find(&known, "a").unwrap().since, Some(3));
}

#[test]
fn names_of_jobs_are_labels_that_tell_owners_and_keys_apart() {
    let one = owner();
    let named = |name: &str| OwnerReference { name: name.to_owned(), ..one.clone() };
    for name in ["one", "a.b.c", &"x".repeat(253), &format!("{}.y", "x".repeat(45))] {
        let name = job(&named(name), "key").name;
        assert!(crate::admit::syntax::is_label(&name), "{name}");
    }
    let later = OwnerReference { uid: "uid-2".to_owned(), ..one.clone() };
    assert!(job(&one, "a").name != job(&one, "b").name && job(&one, "a").name != job(&later, "a").name);
    assert_eq!(job(&one, "a"), job(&one, "a"));
}

#[test]
fn a_job_runs_once_and_belongs_to_its_owner_whatever_the_plugin_says() {
    let permitted = asks(&["a"]);
    let ActionScope::Run(reference, run) = &permitted.components[0].actions[0].scope else { panic!() };
    let manifest = manifest(&owner(), "db", reference, run);
    let spec = &manifest["spec"];
    assert_eq!((&spec["backoffLimit"], &spec["completions"], &spec["activeDeadlineSeconds"]), (&json!(0), &json!(1), &json!(60)));
    assert_eq!((&spec["ttlSecondsAfterFinished"], &spec["template"]["spec"]["restartPolicy"]), (&json!(3600), &json!("Never")));
    let metadata = &manifest["metadata"];
    assert_eq!((&metadata["name"], &metadata["namespace"]), (&json!(reference.name), &json!("team")));
    assert_eq!((&metadata["ownerReferences"][0]["uid"], &metadata["ownerReferences"][0]["controller"]), (&json!("uid-1"), &json!(true)));
    assert_eq!(metadata["labels"]["banhbaoring.io/owner-uid"], "uid-1");
}

#[test]
fn a_key_is_the_components_or_the_plugins_that_ran_it() {
    let entry = RunEntry { component: "db".to_owned(), account: "host/p".to_owned(), ..RunEntry::default() };
    assert!(is_of(&entry, "db", "host/new") && is_of(&entry, "cache", "host/p"));
    assert!(!is_of(&entry, "cache", "host/q"));
}

/// A Job as the API server has it.
struct Job {
    token: String,
    /// When it ended, so that it goes some time after.
    since: i64,
}

/// What was sent and has not arrived.
struct Sent {
    at: i64,
    token: String,
    step: Step,
}

/// The API server, and how many Jobs were made for the key.
#[derive(Default)]
struct World {
    job: Option<Job>,
    made: usize,
}

impl World {
    fn pass(&mut self, now: i64) {
        if self.job.as_ref().is_some_and(|job| !job.token.is_empty() && now >= job.since + KEPT_SECONDS) {
            self.job = None;
        }
    }

    /// What the request learns on its way.
    fn arrive(&mut self, sent: &Sent, now: i64) -> Learnt {
        let ours = self.job.as_ref().map(|job| job.token == sent.token);
        match (ours, sent.step) {
            (Some(true), _) => Learnt::Made("uid".to_owned()),
            (None, Step::Make) => {
                self.job = Some(Job { token: sent.token.clone(), since: now });
                self.made += 1;
                Learnt::Made("uid".to_owned())
            }
            (Some(false), Step::Make) => Learnt::NotMade(sent.at),
            _ => Learnt::Ended(RunOutcome::default()),
        }
    }
}

proptest! {
    /// Whenever processes die, requests and answers are lost or late, Jobs go by themselves and strangers take the name: no key runs twice.
    #[test]
    fn a_key_never_runs_twice(events in proptest::collection::vec((0..9_u8, prop_oneof![0..40_i64, 0..4000_i64]), 1..120)) {
        let permitted = asks(&["a"]);
        let run = ("db".to_owned(), "run a".to_owned());
        let (mut inventory, mut world, mut now) = (InventorySpec::default(), World::default(), 0);
        // Of this process, and of those before it.
        let (mut under_way, mut late): (Option<Sent>, Vec<Sent>) = (None, Vec::new());
        let failed = || crate::contract::ActionOutcome::Error(crate::contract::OutcomeError { class: "unavailable".to_owned(), message: String::new() });
        for (event, seconds) in events {
            now += seconds;
            world.pass(now);
            // The host gives up on a request after a while, and so does the network.
            late.retain(|sent| now - sent.at < 60);
            if under_way.take_if(|sent| now - sent.at >= 60).is_some() {
                journal::record(&mut inventory.journal, &run, &failed());
            }
            match event {
                0 | 1 if under_way.is_none() => {
                    journal::interrupt(&mut inventory.journal, &Default::default());
                    if !begin(&permitted, &mut inventory, now).is_empty() {
                        let entry = find(&inventory, "a").unwrap();
                        let step = step(entry, now);
                        under_way = (step != Step::Done).then(|| Sent { at: now, token: entry.token.clone(), step });
                    }
                }
                // It arrives and its answer comes back.
                2 | 3 => if let Some(sent) = under_way.take() {
                    let what = world.arrive(&sent, now);
                    let outcome = if what == Learnt::NotMade(sent.at) { failed() } else { crate::contract::ActionOutcome::Ok(json!({})) };
                    journal::record(&mut inventory.journal, &run, &outcome);
                    told(&mut inventory, "a", what);
                },
                // It arrives, and its answer is lost, or the process with it.
                4 => if let Some(sent) = under_way.take() {
                    world.arrive(&sent, now);
                },
                // No answer comes in time, and perhaps it arrives later all the same.
                5 => if let Some(sent) = under_way.take() {
                    journal::record(&mut inventory.journal, &run, &failed());
                    late.push(sent);
                },
                6 => if let Some(sent) = late.pop() {
                    world.arrive(&sent, now);
                },
                7 => if world.job.is_none() {
                    world.job = Some(Job { token: String::new(), since: now });
                },
                _ => if world.job.as_ref().is_some_and(|job| job.token.is_empty()) {
                    world.job = None;
                },
            }
            prop_assert!(world.made <= 1, "made {} times", world.made);
        }
    }
}
