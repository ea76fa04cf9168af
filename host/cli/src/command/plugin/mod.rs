//! `banhbaoring plugin …`: the author's loop.

mod build;
mod inspect;
mod publish;

use std::process::ExitCode;

use crate::args::PluginCommand;
use crate::error::CliError;

pub(super) async fn run(command: PluginCommand) -> Result<ExitCode, CliError> {
    match command {
        PluginCommand::Build { path, output } => build::run(&path, output.as_deref()),
        PluginCommand::Push { file, target, registry } => publish::push(&file, &target, &registry).await,
        PluginCommand::Sign { reference, key, generate_key, registry } => {
            publish::sign(&reference, key.as_deref(), generate_key.as_deref(), &registry).await
        }
        PluginCommand::Verify { reference, key, registry } => publish::verify(&reference, &key, &registry).await,
        PluginCommand::Inspect { reference, output, account_namespace, key, published_as, registry } => {
            inspect::run(&reference, output, &account_namespace, key.as_deref(), published_as.as_deref(), &registry).await
        }
        PluginCommand::Pull { reference, output, key, allow_unsigned, registry } => {
            publish::pull(&reference, &output, key.as_deref(), allow_unsigned, &registry).await
        }
    }
}
