//! Owners of which nothing changed, in this process: what is left to do for one, and how many of them a core looks at in a second.
//!
//! The operator looks at such an owner by composing its graph, to know what to observe, and by comparing a hash of what it observed. Only where
//! plugins or served kinds changed does it run the pure steps again, from memory.

use std::hint::black_box;

use anyhow::Result;
use banhbaoring_pipeline::memo::{Memo, MemoLimits};
use banhbaoring_pipeline::{Observation, PluginSet, compose, render};

use crate::calls::example;
use crate::report::{Row, Section};
use crate::samples::{Samples, in_turns, spoken, timed};
use crate::world::{World, pass, settled, stack, unseen};

/// Most that an unchanged owner may take, as a share of one fresh render.
const SHARE: f64 = 1.0 / 20.0;
/// Owners that a core looks at in a second.
const RATE: f64 = 20_000.0;

/// What the operator computes for an owner before it knows that nothing changed.
fn look(plugins: &PluginSet, observation: &Observation) -> Option<[u8; 32]> {
    black_box(compose(&observation.owner, plugins));
    observation.fingerprint()
}

/// One unchanged owner.
pub(crate) fn one(count: usize) -> Result<Section> {
    let mut section = Section::new("One unchanged owner, against one fresh render");
    let world = World::load(&["openbao", "unseal-awskms", "stack"])?;
    let owners = [
        ("OpenBaoCluster", unseen(example("examples/production.yaml")?, "bench", "6b1f5e0a-0000-4000-8000-000000000009")),
        ("Stack", stack("bench", "one")),
    ];
    for (kind, owner) in owners {
        let observation = settled(&world.plugins, &world.modules, owner)?;
        let graph = compose(&observation.owner, &world.plugins);
        let (looked, fresh) =
            in_turns(count, || timed(|| look(&world.plugins, &observation)).0, || timed(|| render(&graph, &observation, &world.modules)).0);
        let memo = Memo::default();
        let remembering = memo.render(&world.modules);
        pass(&world.plugins, &remembering, &observation);
        let remembered = Samples::of((0..count).map(|_| timed(|| render(&graph, &observation, &remembering)).0));
        let whole = Samples::of((0..count).map(|_| timed(|| pass(&world.plugins, &remembering, &observation)).0));
        let against = format!("one fresh render {}", spoken(fresh.p50()));
        let row = |what: &str, samples: &Samples| {
            (Row::told(format!("{kind}: {what}"), spoken(samples.p50())).against(against.clone()), samples.p50() / fresh.p50())
        };
        let (told, share) = row("a look that finds nothing changed", &looked);
        section.rows.push(told.at_most(share, SHARE, "×"));
        let (told, share) = row("its render from memory", &remembered);
        section.rows.push(told.at_most(share, SHARE, "×"));
        let (told, share) = row("all pure steps, the render from memory", &whole);
        section.rows.push(told.of(share, "×"));
    }
    section.note(
        "a fresh render asks the unseal provider, if any, and the component; all pure steps are compose, render, admit, plan and report",
    );
    Ok(section)
}

/// Many unchanged owners, one after the other on one thread.
pub(crate) fn many(count: usize) -> Result<Section> {
    let mut section = Section::new("Steady resync in one process: nothing changed");
    let world = World::load(&["stack"])?;
    let owners: Vec<Observation> =
        (0..count).map(|index| settled(&world.plugins, &world.modules, stack("bench", &format!("s-{index}")))).collect::<Result<_>>()?;
    let told = format!("{count} owners × 12 children");

    let known: Vec<_> = owners.iter().map(|owner| look(&world.plugins, owner)).collect();
    let (time, changed) = timed(|| owners.iter().zip(&known).filter(|(owner, known)| look(&world.plugins, owner) != **known).count());
    section.rows.push(Row::told("looks that find a change", told.clone()).at_most(changed as f64, 0.0, ""));
    let rate = |time: std::time::Duration| count as f64 / time.as_secs_f64();
    section.rows.push(Row::told("looks a second on one core", format!("{:.2} s", time.as_secs_f64())).at_least(rate(time), RATE, "/s"));

    let again = |limits: MemoLimits| {
        let memo = Memo::new(limits);
        let remembering = memo.render(&world.modules);
        owners.iter().for_each(|owner| drop(pass(&world.plugins, &remembering, owner)));
        let before = memo.misses();
        let (time, writes) = timed(|| owners.iter().filter(|owner| !pass(&world.plugins, &remembering, owner).is_at_rest()).count());
        (time, writes, memo.misses() - before, memo.size())
    };
    let (time, writes, calls, (answers, bytes)) = again(MemoLimits::default());
    section.rows.push(Row::told("all pure steps again: owners with something to write", told.clone()).at_most(writes as f64, 0.0, ""));
    section.rows.push(Row::told("all pure steps again: calls of plugins", told).at_most(calls as f64, 0.0, ""));
    section.rows.push(Row::told("all pure steps again: owners a second", format!("{:.2} s", time.as_secs_f64())).of(rate(time), "/s"));
    section.note(format!("{answers} answers are remembered in an estimated {} MiB", bytes >> 20));
    if calls > 0 {
        let (time, _, calls, (answers, bytes)) = again(MemoLimits { max_bytes: 1 << 32, ..MemoLimits::default() });
        section.note(format!(
            "with a memory of any size: {:.0}/s, {calls} calls, {answers} answers in an estimated {} MiB",
            rate(time),
            bytes >> 20
        ));
    }
    Ok(section)
}
