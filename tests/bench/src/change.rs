//! One owner of many changes: how long until its last child is applied, against one bare apply.

use std::time::{Duration, Instant};

use anyhow::Result;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::arrivals::Arrivals;
use crate::bare::{self, name};
use crate::convergence::Converged;
use crate::fleet::Fleet;
use crate::report::{Plot, Row, Section, Series};
use crate::samples::{Samples, spoken};

/// Most that a change may take at the median, as a multiple of a bare apply.
const RATIO: f64 = 3.0;
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two changes, so that each meets an idle operator.
const PAUSE: Duration = Duration::from_millis(60);

pub(crate) async fn measure(fleet: &Fleet, places: &Converged, owners: usize, count: usize, section: &mut Section) -> Result<()> {
    let arrivals = Arrivals::begin(&fleet.client, &places.namespace).await?;
    let stacks = fleet.stacks(&places.namespace);
    let (mut changes, mut applies) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for turn in 0..count {
        // A prime larger than any number of owners walks through all of them.
        let owner = name(turn * 104_729 % owners);
        let spec = json!({"spec": {"message": format!("turn {turn}")}});
        let started = Instant::now();
        stacks.patch(&owner, &PatchParams::default(), &Patch::Merge(&spec)).await?;
        let at = arrivals.until_changed("ConfigMap", &format!("{owner}-0"), started, PATIENCE).await?;
        changes.push(at - started);
        tokio::time::sleep(PAUSE).await;

        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("{owner}-0")},
            "data": {"stack": owner, "index": "0", "message": format!("turn {turn}")},
        });
        applies.push(bare::apply(&fleet.client, &places.bare, &object).await?);
        tokio::time::sleep(PAUSE).await;
    }
    let (changes, applies) = (Samples::of(changes), Samples::of(applies));
    section.rows.push(
        Row::told(format!("one change among {owners} owners, p50"), spoken(changes.p50()))
            .against(format!("one bare apply {}", spoken(applies.p50())))
            .at_most(changes.p50() / applies.p50(), RATIO, "×"),
    );
    section.rows.push(
        Row::told("the same, p99", spoken(changes.p99()))
            .against(format!("one bare apply {}", spoken(applies.p99())))
            .of(changes.p99() / applies.p99(), "×"),
    );
    section.note(format!("{count} changes; from before the owner is patched until a watch tells of the changed ConfigMap"));
    let line = |name: &str, samples: &Samples| Series { name: name.to_owned(), points: samples.distribution() };
    section.plots.push(Plot {
        title: "One change".to_owned(),
        across: "% of the changes".to_owned(),
        up: "milliseconds".to_owned(),
        series: vec![line("spec changed until child applied", &changes), line("one bare apply", &applies)],
    });
    Ok(())
}
