//! `banhbaoring run`: the operator.

use std::process::ExitCode;

use banhbaoring_operator::{AdmissionOptions, RunOptions, telemetry};

use super::plan;
use crate::args::RunArgs;
use crate::error::CliError;

pub(super) async fn run(args: RunArgs, log: &str) -> Result<ExitCode, CliError> {
    telemetry::init(log);
    let config = plan::config(&args.cluster).await?;
    banhbaoring_operator::run(RunOptions {
        config,
        host_namespace: args.host_namespace,
        service_account: args.service_account,
        identity: args.identity,
        listen: args.listen,
        data: args.data,
        cache_key: args.cache_key,
        cluster_domain: args.cluster_domain,
        allow_insecure_registries: args.allow_insecure_registries,
        concurrency: args.concurrency,
        admission: args.admission_listen.map(|listen| AdmissionOptions { listen, service: args.admission_service }),
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}
