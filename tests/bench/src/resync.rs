//! Owners of which nothing changed, through the operator: what a forced look at all of them asks of the API server, and what a restart does.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::apiserver::Requests;
use crate::fleet::Fleet;
use crate::machine::{Reading, as_mebibytes};
use crate::report::{Row, Section};

const PATIENCE: Duration = Duration::from_secs(900);

pub(crate) async fn measure(fleet: &mut Fleet, owners: usize, section: &mut Section) -> Result<()> {
    let pid = fleet.operator()?.server().pid();
    let (asked, looked, used) = (Requests::now(&fleet.client).await?, fleet.reconciles().await?, Reading::of(pid)?);
    // The plugin is activated anew, so every owner is looked at; what it answers stays the same.
    let change = ["patch", "plugin", "stack", "--type=merge", "-p", r#"{"spec":{"limits":{"timeout":"6s"}}}"#];
    fleet.cluster.kubectl()?.run(&change).await?;
    let started = Instant::now();
    fleet.until_idle(looked + owners as u64, PATIENCE).await?;
    let (requests, now) = (Requests::now(&fleet.client).await?.since(&asked), Reading::of(pid)?);
    let told = format!("{owners} owners, {} reconciles", fleet.reconciles().await? - looked);
    section.rows.push(Row::told("forced resync: writes", told.clone()).at_most(requests.writes() as f64, 0.0, ""));
    section.rows.push(Row::told("forced resync: reads", told).at_most(requests.reads() as f64, 0.0, ""));
    section.note(format!(
        "forced resync: {:.1} s of CPU within {:.1} s; requests: {}",
        now.cpu - used.cpu,
        started.elapsed().as_secs_f64(),
        requests.told()
    ));

    fleet.pause().await?;
    let asked = Requests::now(&fleet.client).await?;
    let started = Instant::now();
    fleet.resume().await?;
    fleet.until_idle(owners as u64, PATIENCE).await?;
    let requests = Requests::now(&fleet.client).await?.since(&asked);
    let reading = Reading::of(fleet.operator()?.server().pid())?;
    let told = format!("{owners} owners");
    section.rows.push(Row::told("restart: writes of children", told.clone()).at_most(requests.child_writes() as f64, 0.0, ""));
    section.rows.push(Row::told("restart: all writes", told.clone()).at_most(requests.writes() as f64, 0.0, ""));
    section.rows.push(Row::told("restart: reads", told).of(requests.reads() as f64, ""));
    section.note(format!(
        "restart: {:.1} s of CPU within {:.1} s, peak memory {:.1} MiB; requests: {}",
        reading.cpu,
        started.elapsed().as_secs_f64(),
        as_mebibytes(reading.peak),
        requests.told()
    ));
    Ok(())
}
