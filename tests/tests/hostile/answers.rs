//! Answers beyond the limits, and no answers at all: loops, bombs, traps, answers that are too much, too deep or not readable.

use banhbaoring_hostile::{BEHAVIOURS, Broken};
use banhbaoring_testing::wait;
use banhbaoring_tests::objects;
use futures::future::join_all;
use serde_json::json;

use crate::crowd::Crowd;
use crate::villain::{Villain, config_map};

/// Behaviour, reason of the owner's conditions, and what the message must speak of.
const TABLE: &[(&str, &str, &str)] = &[
    ("loop", "CpuLimitExceeded", "limits.cpu"),
    ("bomb", "MemoryLimitExceeded", "limits.memory"),
    ("trap", "PluginTrapped", "unreachable"),
    ("recurse", "StackOverflow", "stack"),
    ("big", "ResponseTooLarge", "4194304"),
    ("many", "TooManyItems", "10000 objects"),
    ("deep", "InvalidJson", "status of the plugin's answer"),
    ("duplicate", "InvalidJson", "objects[0].manifest"),
    ("not-json", "InvalidJson", "status of the plugin's answer"),
    ("not-utf8", "MalformedAnswer", "utf-8"),
    ("wild", "MalformedAnswer", "bounds"),
    ("not-a-number", "InvalidAnswer", "metrics[0].value"),
    ("needs", "TooManyItems", "65 needs"),
    ("refuse", "Refused", "spec.behaviour"),
];

#[tokio::test]
async fn an_answer_beyond_the_limits_ends_on_its_own_owner_and_changes_nothing() {
    let crowd = Crowd::shared().await;
    let villain = Villain::active("beyond-limits").await;
    assert!(BEHAVIOURS.iter().all(|behaviour| *behaviour == "flaky" || TABLE.iter().any(|row| row.0 == *behaviour)));
    let children = villain.good_owners(TABLE.iter().map(|row| row.0)).await;
    for ((behaviour, reason, speaks_of), child) in TABLE.iter().zip(children) {
        let objects = [config_map(behaviour, "hostile"), config_map(&format!("{behaviour}-more"), "hostile")];
        villain.asks(behaviour, &json!({"behaviour": behaviour, "objects": objects})).await;
        let owner = villain.until_owner(behaviour, &[("Ready", "False", reason), ("Reconciled", "False", reason)]).await;
        let told = objects::message(&owner, "Ready");
        assert!(told.contains(speaks_of), "{behaviour}: {told}");
        assert_eq!(villain.child(behaviour).await, Some(child), "{behaviour}");
        assert_eq!(villain.child(&format!("{behaviour}-more")).await, None, "{behaviour}");
    }
    // The plugin itself is as it was: it serves those of its owners that let it.
    villain.good_owners(["good"]).await;
    villain.until_plugin(&[("Ready", "True", "Active")]).await;
    crowd.has_not_noticed().await;
}

/// Owners that keep their plugin busy, all of them, again and again.
async fn provoke(villain: &Villain, owners: &[String]) {
    let mut round = 0;
    loop {
        for owner in owners {
            villain.nudge(owner, round).await;
        }
        round += 1;
    }
}

async fn until_reconciled(villain: &Villain, more: f64) {
    let series = r#"banhbaoring_reconcile_total{controller="villain"}"#;
    let count = async || villain.stage.operator.metric(series).await.unwrap().unwrap_or_default();
    let wanted = count().await + more;
    let reached = wait::until(wait::PATIENCE, format!("{wanted} reconciles of hostile owners"), async || {
        let count = count().await;
        if count >= wanted { Ok(()) } else { Err(count) }
    });
    reached.await.unwrap();
}

#[tokio::test]
async fn while_plugins_loop_and_bloat_others_are_obeyed_and_the_operator_does_not_grow() {
    let crowd = Crowd::shared().await;
    let villain = Villain::active("provoked").await;
    let mut owners = Vec::new();
    // Loops in the majority: they hold every processor for as long as they are let.
    for behaviour in TABLE.iter().map(|row| row.0).chain(["loop"; 8]) {
        let name = format!("{behaviour}-{}", owners.len());
        villain.asks(&name, &json!({ "behaviour": behaviour })).await;
        owners.push(name);
    }
    for name in &owners {
        let reason = TABLE.iter().find(|row| name.rsplit_once('-').unwrap().0 == row.0).unwrap().1;
        villain.until_owner(name, &[("Ready", "False", reason)]).await;
    }
    let resident = || villain.stage.resident_kibibytes().unwrap() / 1024;
    let begun = resident();
    let quietly = async {
        // What allocators and pools take once is taken in the first rounds.
        until_reconciled(&villain, 100.0).await;
        let warm = resident();
        for _ in 0..3 {
            crowd.is_obeyed().await;
        }
        until_reconciled(&villain, 200.0).await;
        (warm, resident())
    };
    let (warm, ended) = tokio::select! {
        () = provoke(&villain, &owners) => unreachable!("it does not end"),
        resident = quietly => resident,
    };
    println!("operator: {begun} MiB resident, {warm} MiB after 100 and {ended} MiB after 300 hostile reconciles or more");
    assert!(ended < warm + 64, "{warm} MiB, then {ended} MiB");
    crowd.has_not_noticed().await;
}

/// More loops at the same time than the sandbox has instances: those of one plugin must not use up the turns of others.
#[tokio::test]
async fn while_many_plugins_loop_at_once_others_are_obeyed() {
    let crowd = Crowd::shared().await;
    let villains = join_all(["swarm-a", "swarm-b", "swarm-c", "swarm-d", "swarm-e"].map(Villain::active)).await;
    let owners: Vec<String> = (0..8).map(|number| format!("loop-{number}")).collect();
    for villain in &villains {
        for owner in &owners {
            villain.asks(owner, &json!({"behaviour": "loop"})).await;
        }
    }
    let obeyed = async {
        until_reconciled(&villains[0], 50.0).await;
        for _ in 0..3 {
            crowd.is_obeyed().await;
        }
        until_reconciled(&villains[0], 50.0).await;
    };
    tokio::select! {
        _ = join_all(villains.iter().map(|villain| provoke(villain, &owners))) => unreachable!("it does not end"),
        () = obeyed => {}
    }
    crowd.has_not_noticed().await;
}

#[tokio::test]
async fn a_plugin_without_the_component_that_it_describes_ends_on_its_owner() {
    let crowd = Crowd::shared().await;
    // What a broken component describes is the puppet as it is by default.
    let villain = Villain::of_kind("metadata-only", "tests.banhbaoring.io", "Puppet").await;
    villain.publish(&Broken::MetadataOnly.component(), "broken").await;
    villain.until_plugin(&[("Ready", "True", "Active")]).await;
    villain.asks("owner", &json!({"objects": [config_map("owner", "hostile")]})).await;
    villain.until_owner("owner", &[("Ready", "False", "MissingInterface")]).await;
    assert_eq!(villain.child("owner").await, None);
    crowd.has_not_noticed().await;
}

/// A guest that looks at everything that could differ from call to call (memory, counters, NaNs, relaxed SIMD) finds nothing that does.
#[tokio::test]
async fn a_plugin_that_tries_to_answer_differently_answers_the_same_each_time() {
    let crowd = Crowd::shared().await;
    let villain = Villain::active("flaky").await;
    villain.asks("owner", &json!({"behaviour": "flaky"})).await;
    let first = villain.until_ready("owner").await;
    let told = |owner: &serde_json::Value| owner["status"]["components"][0]["message"].clone();
    assert!(told(&first).as_str().is_some_and(|told| told.len() == 16 && told != "0000000000000000"), "it did look: {first}");
    // Each spec is another request, so that none is answered from memory; the status tells which spec it is about.
    for attempt in 0..10 {
        villain.asks("owner", &json!({"behaviour": "flaky", "objects": [config_map("owner", &attempt.to_string())]})).await;
        let again = villain.until_ready("owner").await;
        assert_eq!(told(&again), told(&first), "attempt {attempt}");
    }
    crowd.has_not_noticed().await;
}
