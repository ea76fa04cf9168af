//! Many new owners: how fast all their children are there, against a bare loop of the same applies, and what it costs.

use std::time::Duration;

use anyhow::Result;
use banhbaoring_testing::guests;

use crate::apiserver::Requests;
use crate::arrivals::Arrivals;
use crate::bare;
use crate::fleet::Fleet;
use crate::machine::{Reading, as_mebibytes};
use crate::report::{Plot, Row, Section, Series};
use crate::world::World;

/// Share of the bare loop's throughput.
const SHARE: f64 = 0.9;
/// Children, and one status.
const WRITES: f64 = 13.0;
/// CPU seconds of the operator for a thousand owners.
const CPU: f64 = 2.5;
/// Resident memory of the operator with its owners, in MiB.
const MEMORY: f64 = 50.0;
const CHILDREN: usize = 12;
const PATIENCE: Duration = Duration::from_secs(900);

/// Where the owners are.
pub(crate) struct Converged {
    /// Namespace of the owners.
    pub(crate) namespace: String,
    /// Namespace of the bare objects.
    pub(crate) bare: String,
}

pub(crate) async fn measure(fleet: &mut Fleet, owners: usize, section: &mut Section) -> Result<Converged> {
    let world = World::load(&["stack"])?;
    fleet.operate().await?;
    fleet.add("stack", &guests::component("stack")?).await?;
    fleet.until_plugins_serve().await?;
    let definition = ["wait", "crd/stacks.bench.banhbaoring.io", "--for=condition=Established", "--timeout=60s"];
    fleet.cluster.kubectl()?.run(&definition).await?;
    fleet.pause().await?;

    let namespace = fleet.cluster.namespace("stacks").await?;
    let (before, after) = (fleet.cluster.namespace("bare").await?, fleet.cluster.namespace("bare").await?);
    fleet.create_stacks(&namespace, owners).await?;
    let manifests = bare::manifests(&world, &before, owners);
    let server = fleet.apiserver_cpu()?;
    let first = bare::apply_all(&fleet.client, &before, manifests).await?;
    let server_of_bare = fleet.apiserver_cpu()? - server;

    let arrivals = Arrivals::begin(&fleet.client, &namespace).await?;
    let asked = Requests::now(&fleet.client).await?;
    fleet.resume().await?;
    let server = fleet.apiserver_cpu()?;
    arrivals.until(owners * CHILDREN, PATIENCE).await?;
    let pid = fleet.operator()?.server().pid();
    let done = Reading::of(pid)?;
    let server_of_operator = fleet.apiserver_cpu()? - server;
    let creating = Requests::now(&fleet.client).await?.since(&asked);
    fleet.observe_deployments(&namespace).await?;
    fleet.until_running(&namespace, owners, PATIENCE).await?;
    fleet.until_idle(owners as u64, PATIENCE).await?;
    let all = Requests::now(&fleet.client).await?.since(&asked);
    let rest = fleet.at_rest().await?;
    let looked = fleet.reconciles().await?;

    let second = bare::apply_all(&fleet.client, &after, bare::manifests(&world, &after, owners)).await?;
    let objects = (owners * CHILDREN) as f64;
    let rate = objects / arrivals.span();
    let (slow, fast) = (objects / first.span(), objects / second.span());
    let bare_rate = f64::midpoint(slow, fast);
    let each = |requests: u64| requests as f64 / owners as f64;
    section.rows.push(
        Row::told(format!("objects a second while {owners} owners converge"), format!("{rate:.0}/s"))
            .against(format!("bare applies {bare_rate:.0}/s ({slow:.0} before, {fast:.0} after)"))
            .at_least(rate / bare_rate, SHARE, "×"),
    );
    section
        .rows
        .push(Row::told("writes an owner until the last child is there", creating.writes().to_string()).of(each(creating.writes()), ""));
    // The patches of Deployments are ours.
    let writes = all.writes() - owners as u64;
    section.rows.push(Row::told("writes an owner until all is at rest", writes.to_string()).at_most(each(writes), WRITES, ""));
    let gets = Row::told("reads of single objects until all is at rest", all.gets().to_string());
    section.rows.push(gets.at_most(all.gets() as f64, 0.0, ""));
    let seconds = format!("{:.1} s of CPU", done.cpu);
    section.rows.push(Row::told("operator until the last child is there", seconds).at_most(done.cpu, CPU * owners as f64 / 1000.0, " s"));
    section.rows.push(Row::told("operator's memory with its owners", rest.told()).at_most(as_mebibytes(rest.resident), MEMORY, " MiB"));
    section.note(format!("peak memory {:.1} MiB; {:.1} s of CPU when all was at rest", as_mebibytes(rest.peak), rest.cpu));
    // Throughput is a matter of how much of the machine the others leave; this is not.
    let an_object = |seconds: f64| seconds * 1000.0 / objects;
    section.note(format!(
        "CPU of the API server for one object: {:.2} ms under the operator, {:.2} ms under bare applies before it",
        an_object(server_of_operator),
        an_object(server_of_bare)
    ));
    section.note(format!("{:.1} reconciles an owner until all was at rest", looked as f64 / owners as f64));
    section.note(format!("requests until the last child: {}", creating.told()));
    section.note(format!("requests until all was at rest, {owners} patches of Deployments by the benchmark among them: {}", all.told()));
    let line = |name: &str, arrivals: &Arrivals| Series { name: name.to_owned(), points: arrivals.curve() };
    section.plots.push(Plot {
        title: format!("{owners} owners × {CHILDREN} objects"),
        across: "seconds since the first object".to_owned(),
        up: "objects".to_owned(),
        series: vec![line("the operator", &arrivals), line("bare applies, before", &first), line("bare applies, after", &second)],
    });
    Ok(Converged { namespace, bare: before })
}
