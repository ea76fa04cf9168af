//! One module per command. Thin: arguments in, a call into the crates below, text out.

mod crds;
mod graph;
mod owner;
mod plan;
mod plugin;
mod render;
mod run;

use std::process::ExitCode;

use crate::args::{Args, Command};
use crate::error::CliError;

/// Does what was asked for.
pub(crate) fn run(args: Args) -> Result<ExitCode, CliError> {
    // Both TLS backends are somewhere in the graph; exactly one may be the process's default.
    rustls::crypto::aws_lc_rs::default_provider().install_default().map_err(|_| CliError::Crypto)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| CliError::Program { program: "the asynchronous runtime".to_owned(), detail: source.to_string() })?;
    let log = args.log;
    let outcome = runtime.block_on(async {
        match args.command {
            Command::Run(args) => run::run(args, &log).await,
            Command::Render(args) => render::run(&args).await,
            Command::Plan(args) => plan::run(&args).await,
            Command::Graph(args) => graph::run(&args).await,
            Command::Crds => crds::run(),
            Command::Plugin(command) => plugin::run(command).await,
        }
    });
    // A blocking call into a plugin may still be under way; nobody waits for its answer.
    runtime.shutdown_background();
    outcome
}
