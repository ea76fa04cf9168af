//! `build`: a crate to a component. The guest toolchain is the `wasm32-unknown-unknown` target of rustup; where its server cannot be
//! reached, a `RUSTC` with the standard library's sources (`-Zbuild-std`) does, as `cargo xtask plugins` sets it up.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::Value;

use crate::error::CliError;
use crate::output;

const TARGET: &str = "wasm32-unknown-unknown";

pub(super) fn run(path: &Path, to: Option<&Path>) -> Result<ExitCode, CliError> {
    let manifest = path.join("Cargo.toml");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--lib", "--target", TARGET, "--message-format", "json-render-diagnostics", "--manifest-path"]);
    cargo.arg(&manifest).stderr(std::process::Stdio::inherit());
    // Somebody who brings a compiler without the target brings the sources of its standard library.
    if std::env::var_os("BANHBAORING_BUILD_STD").is_some() {
        cargo.arg("-Zbuild-std=std,panic_abort");
    }
    let built = cargo.output().map_err(|source| CliError::Program { program: "cargo".to_owned(), detail: source.to_string() })?;
    if !built.status.success() {
        let detail = format!("{}; if the target is missing: rustup target add {TARGET}", built.status);
        return Err(CliError::Program { program: "cargo build".to_owned(), detail });
    }
    let core = library(&String::from_utf8_lossy(&built.stdout)).ok_or_else(|| CliError::Content {
        place: manifest.display().to_string(),
        detail: "expected a library with crate-type = [\"cdylib\"]; add it under [lib]".to_owned(),
    })?;
    let file = to.map_or_else(|| core.with_extension("component.wasm"), Path::to_owned);
    let bytes = std::fs::read(&core).map_err(|source| CliError::File { what: "cannot read", path: core.clone(), source })?;
    let component = encode(&core, &bytes)?;
    std::fs::write(&file, &component).map_err(|source| CliError::File { what: "cannot write", path: file.clone(), source })?;
    output::print(&file.display().to_string());
    output::note(&format!("{} KiB", component.len() / 1024));
    Ok(ExitCode::SUCCESS)
}

/// The core module as a component; refused if it would import anything.
fn encode(place: &Path, core: &[u8]) -> Result<Vec<u8>, CliError> {
    let unfit = |error: &dyn std::fmt::Display| CliError::Content {
        place: place.display().to_string(),
        detail: format!(
            "it cannot become a plugin: {error:#}; does it call export_plugin! of banhbaoring-sdk, and nothing else that imports?"
        ),
    };
    wit_component::ComponentEncoder::default()
        .validate(true)
        .module(core)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| unfit(&format!("{error:#}")))
}

/// The `.wasm` file in cargo's messages.
fn library(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter_map(|message| {
            let names = message["filenames"].as_array()?.clone();
            names.iter().filter_map(Value::as_str).find(|name| name.ends_with(".wasm")).map(PathBuf::from)
        })
        .next_back()
}
