//! Plugins where no operator runs: from a directory, an image layout or a registry, with grants as they ask for them.

use std::path::{Path, PathBuf};

use banhbaoring_api::Grants;
use banhbaoring_api::plugin::NamespacedName;
use banhbaoring_artifact::{
    Artifact, Authority, AuthorityKind, Credentials, Limits, Mode, Reference, RegistryOptions, Requirement, Selector, Source, Tag,
    Transport, Verification,
};
use banhbaoring_pipeline::{ActivePlugin, PluginSet};
use banhbaoring_sandbox::{CallLimits, EngineSettings, Module, Modules, Sandbox, TrustedComponent};

use crate::args::{RegistryArgs, SourceArgs};
use crate::error::CliError;

/// Plugins that can be called.
pub(crate) struct Loaded {
    /// Descriptors and grants.
    pub(crate) plugins: PluginSet,
    /// Code.
    pub(crate) modules: Modules,
}

/// Loads every plugin of the sources.
pub(crate) async fn load(args: &SourceArgs) -> Result<Loaded, CliError> {
    let sandbox = Sandbox::new(EngineSettings::default(), None)?;
    let mut loaded = Loaded { plugins: PluginSet::default(), modules: Modules::default() };
    for source in &args.sources {
        let components = components(source, args).await?;
        if components.is_empty() {
            return Err(CliError::Refused(format!(
                "{source} holds no plugins; build them (cargo xtask plugins) or name a directory, an image layout or oci://… with --plugins"
            )));
        }
        for (place, component) in components {
            let module = module(&sandbox, &place, &component)?;
            let plugin = locally_granted(&place, &module)?;
            loaded.modules = loaded.modules.with(&plugin.name, &plugin.digest, module);
            loaded.plugins = loaded.plugins.with(plugin);
        }
    }
    Ok(loaded)
}

/// Compiles one component.
pub(crate) fn module(sandbox: &Sandbox, place: &str, component: &TrustedComponent) -> Result<Module, CliError> {
    sandbox.load(component, CallLimits::default()).map_err(|source| CliError::Load { place: place.to_owned(), source })
}

/// On a laptop a plugin has what it asks for: nothing is applied, and what it asks for is what there is to look at.
fn locally_granted(place: &str, module: &Module) -> Result<ActivePlugin, CliError> {
    let descriptor = module.describe().map_err(|source| CliError::Call { place: place.to_owned(), source })?;
    let grants: Grants = serde_json::from_value(descriptor.permissions.clone()).map_err(|error| CliError::Content {
        place: place.to_owned(),
        detail: format!("the permissions in its descriptor are not in the form of Plugin.spec.grants: {error}"),
    })?;
    Ok(ActivePlugin {
        name: descriptor.name.clone(),
        digest: module.digest().to_owned(),
        account: NamespacedName { namespace: "banhbaoring-system".to_owned(), name: descriptor.name.clone() },
        config: serde_json::json!({}),
        allowed_namespaces: Vec::new(),
        grants,
        descriptor,
    })
}

async fn components(source: &str, args: &SourceArgs) -> Result<Vec<(String, TrustedComponent)>, CliError> {
    if source.starts_with("oci://") {
        let reference: Reference = source.parse()?;
        let registry = RegistryArgs { insecure: args.insecure, registry_config: None };
        let place = open(&reference, &registry)?;
        let component = published(&place, &reference.selector, args.key.as_deref(), args.allow_unsigned).await?;
        return Ok(vec![(source.to_owned(), component)]);
    }
    let directory = PathBuf::from(source);
    if directory.join("oci-layout").exists() {
        let place = Source::layout(&directory);
        let mut found = Vec::new();
        for tag in place.tags().await? {
            let Ok(selector) = tag.parse::<Tag>().map(Selector::Tag) else { continue };
            if is_signature(&tag) {
                continue;
            }
            found.push((format!("{source}:{tag}"), published(&place, &selector, args.key.as_deref(), args.allow_unsigned).await?));
        }
        return Ok(found);
    }
    let mut files: Vec<PathBuf> = match std::fs::read_dir(&directory) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "wasm")).collect(),
        Err(source) => return Err(CliError::File { what: "cannot read", path: directory, source }),
    };
    files.sort();
    files.into_iter().map(|path| Ok((path.display().to_string(), local(&path)?))).collect()
}

/// Tags under which signatures are kept are no plugins.
fn is_signature(tag: &str) -> bool {
    tag.starts_with("sha256-")
}

/// A component in a file: the person at the keyboard answers for it.
pub(crate) fn local(path: &Path) -> Result<TrustedComponent, CliError> {
    let bytes = std::fs::read(path).map_err(|source| CliError::File { what: "cannot read", path: path.to_owned(), source })?;
    Ok(TrustedComponent::local_file(bytes))
}

/// A published component whose signature is good, or that may do without.
pub(crate) async fn published(
    place: &Source,
    selector: &Selector,
    key: Option<&Path>,
    allow_unsigned: bool,
) -> Result<TrustedComponent, CliError> {
    let (requirement, mode) = match key {
        Some(path) => (authorities(path)?, Mode::Enforce),
        None if allow_unsigned => (Vec::new(), Mode::Warn),
        None => {
            return Err(CliError::Refused(format!(
                "{place}: whose signature is expected? Give the public key with --key, or --allow-unsigned to run it all the same"
            )));
        }
    };
    let requirement = Requirement { name: "command line".to_owned(), authorities: requirement, mode };
    let digest = place.resolve(selector).await?;
    let verified = Artifact::fetch(place, &digest, Limits::default()).await?.verify(&[requirement]).await?;
    let component = verified.pull().await?;
    let by = match verified.verification() {
        Verification::Accepted(met) => met.iter().map(|by| by.authority.clone()).collect::<Vec<_>>().join(", "),
        Verification::Warned { .. } => "nobody".to_owned(),
    };
    TrustedComponent::verified(component.bytes().to_vec(), &component.digest().to_string(), by)
        .map_err(|source| CliError::Load { place: place.to_string(), source })
}

/// The one authority that a key file stands for.
pub(crate) fn authorities(path: &Path) -> Result<Vec<Authority>, CliError> {
    let pem = std::fs::read(path).map_err(|source| CliError::File { what: "cannot read", path: path.to_owned(), source })?;
    Ok(vec![Authority { name: path.display().to_string(), kind: AuthorityKind::Key { pem } }])
}

/// A registry, with the credentials that docker has for it.
pub(crate) fn open(reference: &Reference, args: &RegistryArgs) -> Result<Source, CliError> {
    let path = args.registry_config.clone().or_else(default_registry_config);
    let credentials = match path {
        Some(path) => match std::fs::read(&path) {
            Ok(bytes) => Credentials::from_dockerconfigjson(&bytes)?,
            Err(source) => return Err(CliError::File { what: "cannot read", path, source }),
        },
        None => Credentials::anonymous(),
    };
    let transport = if args.insecure { Transport::PlainHttpOnLoopback } else { Transport::Https };
    Ok(Source::registry(&reference.repository, &credentials, &RegistryOptions { transport, ..RegistryOptions::default() })?)
}

/// Docker's own file, where there is one.
fn default_registry_config() -> Option<PathBuf> {
    let directory =
        std::env::var_os("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")))?;
    Some(directory.join("config.json")).filter(|path| path.exists())
}
