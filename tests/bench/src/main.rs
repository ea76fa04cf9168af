//! `cargo xtask bench`: measures what `design/performance.md` promises, prints it and writes `target/bench/report.{json,html}`. Figures are ratios
//! measured in one run; that one is missed is told, and is no failure unless asked for.
//!
//! `calls`, `steady` and `modules` run plugins in this process; `fleet` is a real API server with the operator, on which `convergence`, `change`,
//! `resync` and `memory` are measured.
#![allow(clippy::print_stdout, reason = "a benchmark is what it prints")]

mod apiserver;
mod arrivals;
mod bare;
mod calls;
mod change;
mod convergence;
mod fleet;
mod machine;
mod memory;
mod page;
mod report;
mod resync;
mod samples;
mod steady;
mod world;

use std::process::ExitCode;

use anyhow::Result;
use banhbaoring_testing::tools::workspace_root;
use clap::Parser;

use fleet::Fleet;
use machine::Machine;
use report::{Report, Section, table};

#[derive(Parser)]
#[command(name = "bench")]
struct Arguments {
    /// Owners on the real API server.
    #[arg(long, default_value_t = 1000)]
    owners: usize,
    /// Few of everything: to see that it runs, not what it gives.
    #[arg(long)]
    quick: bool,
    /// Only what runs in this process, or only what needs servers.
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// A limit that is not kept is a failure.
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Process,
    Owners,
    Memory,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    banhbaoring_testing::http::install_tls_provider();
    let arguments = Arguments::parse();
    let mut report = Report { machine: Machine::here(), sections: Vec::new() };
    let (calls, idle) = if arguments.quick { (200, 500) } else { (4_000, 10_000) };
    let (owners, changes) = if arguments.quick { (arguments.owners.min(50), 20) } else { (arguments.owners, 300) };
    let wanted = |part| arguments.only.is_none_or(|only| only == part);

    println!("{} build on {} × {}, load {}", report.machine.profile, report.machine.cores, report.machine.processor, report.machine.load);
    if wanted(Part::Process) {
        add(&mut report, "One more plugin", memory::modules());
        add(&mut report, "Calls", calls::measure(calls));
        add(&mut report, "An unchanged owner", steady::one(calls));
        add(&mut report, "Steady resync", steady::many(idle));
    }
    if wanted(Part::Memory) {
        let mut section = Section::new("Memory of an idle operator");
        if let Err(error) = memory::operator(&mut section).await {
            section.failed = Some(format!("{error:#}"));
        }
        add(&mut report, "", Ok(section));
    }
    if wanted(Part::Owners) {
        let mut section = Section::new("Owners on a real API server");
        if let Err(error) = on_a_fleet(owners, changes, &mut section).await {
            section.failed = Some(format!("{error:#}"));
        }
        add(&mut report, "", Ok(section));
    }

    let folder = workspace_root().join("target/bench");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("report.json"), serde_json::to_vec_pretty(&report)?)?;
    std::fs::write(folder.join("report.html"), page::html(&report))?;
    println!("\n{} limits are not kept. The report is in {}", report.missed(), folder.join("report.html").display());
    let failed = report.failed() > 0 || (arguments.strict && report.missed() > 0);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn on_a_fleet(owners: usize, changes: usize, section: &mut Section) -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let measured = async {
        let places = convergence::measure(&mut fleet, owners, section).await?;
        change::measure(&fleet, &places, owners, changes, section).await?;
        resync::measure(&mut fleet, owners, section).await
    }
    .await;
    if measured.is_err()
        && let Ok(operator) = fleet.operator()
    {
        println!("{}", operator.server().log_tail());
    }
    measured
}

fn add(report: &mut Report, title: &str, measured: Result<Section>) {
    let section = measured.unwrap_or_else(|error| Section { failed: Some(format!("{error:#}")), ..Section::new(title) });
    println!("{}", table(&section));
    report.sections.push(section);
}
