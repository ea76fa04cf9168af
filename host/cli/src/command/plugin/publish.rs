//! `push`, `sign`, `verify`, `pull`.

use std::path::Path;
use std::process::ExitCode;

use banhbaoring_artifact::{
    Artifact, Limits, Mode, Package, Reference, Requirement, Selector, SigningKey, Source, Tag, Verification, push as publish,
    sign as attach,
};
use banhbaoring_sandbox::{EngineSettings, Sandbox};
use chrono::Utc;

use crate::args::RegistryArgs;
use crate::error::CliError;
use crate::output;
use crate::sources;

/// Where something is published: a registry or an image layout, and under which name.
fn place(target: &str, registry: &RegistryArgs) -> Result<(Source, Selector), CliError> {
    if target.starts_with("oci://") {
        let reference: Reference = target.parse()?;
        return Ok((sources::open(&reference, registry)?, reference.selector));
    }
    let (directory, tag) = match target.rsplit_once(':') {
        Some((directory, tag)) if !tag.contains('/') => (directory, tag),
        _ => (target, "latest"),
    };
    Ok((Source::layout(directory), Selector::Tag(tag.parse::<Tag>()?)))
}

pub(super) async fn push(file: &Path, target: &str, registry: &RegistryArgs) -> Result<ExitCode, CliError> {
    let name = file.display().to_string();
    let component = sources::local(file)?;
    // What does not load here would not load there: better told before it is published.
    let module = sources::module(&Sandbox::new(EngineSettings::default(), None)?, &name, &component)?;
    let descriptor = module.describe().map_err(|source| CliError::Call { place: name.clone(), source })?;
    let bytes = std::fs::read(file).map_err(|source| CliError::File { what: "cannot read", path: file.to_owned(), source })?;
    let (source, selector) = place(target, registry)?;
    let Selector::Tag(tag) = selector else {
        return Err(CliError::Refused(format!("{target}: a plugin is published under a tag; name one after a colon")));
    };
    let mut package = Package::new(format!("{}.wasm", descriptor.name), bytes);
    package.version = Some(descriptor.version.clone());
    let size = package.component.len();
    let digest = publish(&source, &package, Some(&tag)).await?;
    output::print(&format!("{source}:{tag}@{digest}"));
    output::note(&format!("pushed {} {} ({} KiB)", descriptor.name, descriptor.version, size / 1024));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn sign(
    reference: &str,
    key: Option<&Path>,
    generate: Option<&Path>,
    registry: &RegistryArgs,
) -> Result<ExitCode, CliError> {
    let password = std::env::var("COSIGN_PASSWORD")
        .map_err(|_| CliError::Refused("COSIGN_PASSWORD is not set: it holds the password of the key (it may be empty)".to_owned()))?;
    let key = match (key, generate) {
        (Some(path), _) => {
            let file = std::fs::read(path).map_err(|source| CliError::File { what: "cannot read", path: path.to_owned(), source })?;
            SigningKey::open(&file, password.as_bytes())?
        }
        (None, Some(directory)) => make_key(directory, &password)?,
        (None, None) => return Err(CliError::Refused("which key? Give --key cosign.key, or --generate-key DIRECTORY".to_owned())),
    };
    let (source, selector) = place(reference, registry)?;
    let digest = source.resolve(&selector).await?;
    let signature = attach(&source, &digest, &key, Utc::now()).await?;
    output::print(&format!("{source}@{digest}"));
    output::note(&format!("signed; the signature is {signature}"));
    Ok(ExitCode::SUCCESS)
}

fn make_key(directory: &Path, password: &str) -> Result<SigningKey, CliError> {
    let key = SigningKey::generate();
    let (private, public) = (directory.join("cosign.key"), directory.join("cosign.pub"));
    write_new(&private, key.seal(password.as_bytes())?.as_bytes(), 0o600)?;
    write_new(&public, key.public_key_pem()?.as_bytes(), 0o644)?;
    output::note(&format!("made {} and {}", private.display(), public.display()));
    Ok(key)
}

/// An existing key is never overwritten: what it signed could not be renewed.
fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CliError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|source| CliError::File { what: "cannot write", path: path.to_owned(), source })
}

pub(super) async fn verify(reference: &str, key: &Path, registry: &RegistryArgs) -> Result<ExitCode, CliError> {
    let (source, selector) = place(reference, registry)?;
    let digest = source.resolve(&selector).await?;
    let requirement = Requirement { name: "command line".to_owned(), authorities: sources::authorities(key)?, mode: Mode::Enforce };
    let verified = Artifact::fetch(&source, &digest, Limits::default()).await?.verify(&[requirement]).await?;
    if let Verification::Accepted(met) = verified.verification() {
        for by in met {
            output::note(&format!("verified: signed by {} ({})", by.authority, by.form));
        }
    }
    output::print(&format!("{source}@{digest}"));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn pull(
    reference: &str,
    file: &Path,
    key: Option<&Path>,
    allow_unsigned: bool,
    registry: &RegistryArgs,
) -> Result<ExitCode, CliError> {
    let (source, selector) = place(reference, registry)?;
    let digest = source.resolve(&selector).await?;
    let (authorities, mode) = match key {
        Some(key) => (sources::authorities(key)?, Mode::Enforce),
        None if allow_unsigned => (Vec::new(), Mode::Warn),
        None => return Err(CliError::Refused("whose signature is expected? Give --key, or --allow-unsigned".to_owned())),
    };
    let requirement = Requirement { name: "command line".to_owned(), authorities, mode };
    let verified = Artifact::fetch(&source, &digest, Limits::default()).await?.verify(&[requirement]).await?;
    let component = verified.pull().await?;
    std::fs::write(file, component.bytes()).map_err(|source| CliError::File { what: "cannot write", path: file.to_owned(), source })?;
    output::print(&format!("{source}@{digest}"));
    output::note(&format!("wrote {} ({} KiB)", file.display(), component.bytes().len() / 1024));
    Ok(ExitCode::SUCCESS)
}
