//! `banhbaoring crds`: the definitions of the host's kinds.

use std::process::ExitCode;

use crate::error::CliError;
use crate::output;

pub(super) fn run() -> Result<ExitCode, CliError> {
    for crd in banhbaoring_api::crds() {
        let text = serde_yaml::to_string(&crd)
            .map_err(|error| CliError::Content { place: "a definition".to_owned(), detail: error.to_string() })?;
        output::print(&format!("---\n{text}"));
    }
    Ok(ExitCode::SUCCESS)
}
