//! Owners of which nothing changed, in this process: what is left to do for one, and how many of them a core looks at in a second.

use anyhow::Result;
use banhbaoring_pipeline::memo::{Memo, MemoLimits};
use banhbaoring_pipeline::{Observation, compose, render};

use crate::calls::example;
use crate::report::{Row, Section};
use crate::samples::{Samples, in_turns, spoken, timed};
use crate::world::{World, pass, settled, stack, unseen};

/// Most that an unchanged owner may take, as a share of one fresh render.
const SHARE: f64 = 1.0 / 20.0;
/// Owners that a core looks at in a second.
const RATE: f64 = 20_000.0;

/// One unchanged owner.
pub(crate) fn one(count: usize) -> Result<Section> {
    let mut section = Section::new("An unchanged owner: answered from memory");
    let world = World::load(&["openbao", "unseal-awskms", "stack"])?;
    let owners = [
        ("OpenBaoCluster", unseen(example("examples/production.yaml")?, "bench", "6b1f5e0a-0000-4000-8000-000000000009")),
        ("Stack", stack("bench", "one")),
    ];
    for (kind, owner) in owners {
        let observation = settled(&world.plugins, &world.modules, owner)?;
        let memo = Memo::default();
        let remembering = memo.render(&world.modules);
        let graph = compose(&observation.owner, &world.plugins);
        pass(&world.plugins, &remembering, &observation);
        let (whole, fresh) = in_turns(
            count,
            || timed(|| pass(&world.plugins, &remembering, &observation)).0,
            || timed(|| render(&graph, &observation, &world.modules)).0,
        );
        let remembered = Samples::of((0..count).map(|_| timed(|| render(&graph, &observation, &remembering)).0));
        let against = format!("one fresh render {}", spoken(fresh.p50()));
        section.rows.push(Row::told(format!("{kind}: its render from memory"), spoken(remembered.p50())).against(against.clone()).at_most(
            remembered.p50() / fresh.p50(),
            SHARE,
            "×",
        ));
        section.rows.push(Row::told(format!("{kind}: all pure steps"), spoken(whole.p50())).against(against).at_most(
            whole.p50() / fresh.p50(),
            SHARE,
            "×",
        ));
    }
    section.note("all pure steps: compose, render, admit, plan and report; a fresh render asks the unseal provider and the component");
    Ok(section)
}

/// Many unchanged owners, one after the other on one thread.
pub(crate) fn many(count: usize) -> Result<Section> {
    let mut section = Section::new("Steady resync in one process: nothing changed");
    let world = World::load(&["stack"])?;
    let owners: Vec<Observation> =
        (0..count).map(|index| settled(&world.plugins, &world.modules, stack("bench", &format!("s-{index}")))).collect::<Result<_>>()?;
    let resync = |limits: MemoLimits| {
        let memo = Memo::new(limits);
        let remembering = memo.render(&world.modules);
        owners.iter().for_each(|owner| drop(pass(&world.plugins, &remembering, owner)));
        let before = memo.misses();
        let (time, writes) = timed(|| owners.iter().filter(|owner| !pass(&world.plugins, &remembering, owner).is_at_rest()).count());
        (time, writes, memo.misses() - before, memo.size())
    };
    let (time, writes, calls, (answers, bytes)) = resync(MemoLimits::default());
    let owners_told = format!("{count} owners × 12 children");
    section.rows.push(Row::told("owners with something to write", owners_told.clone()).at_most(writes as f64, 0.0, ""));
    section.rows.push(Row::told("calls of plugins", owners_told.clone()).at_most(calls as f64, 0.0, ""));
    let rate = count as f64 / time.as_secs_f64();
    section.rows.push(Row::told("owners a second on one core", format!("{:.2} s", time.as_secs_f64())).at_least(rate, RATE, "/s"));
    section.note(format!("{answers} answers are remembered in an estimated {} MiB", bytes >> 20));
    if calls > 0 {
        let (time, _, calls, (answers, bytes)) = resync(MemoLimits { max_bytes: 1 << 32, ..MemoLimits::default() });
        section.note(format!(
            "with a memory of any size: {:.0}/s, {calls} calls, {answers} answers in an estimated {} MiB",
            count as f64 / time.as_secs_f64(),
            bytes >> 20
        ));
    }
    Ok(section)
}
