//! `cargo xtask plugins`: builds the first-party plugins to components in `target/plugins`.
//!
//! A plugin is a workspace member named `banhbaoring-plugin-<name>` that makes a `cdylib`; its component is `<name>.wasm`. All are built by one
//! cargo into one target folder, so std and what they share is compiled once.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use banhbaoring_testing::tools::workspace_root;
use serde_json::Value;

use crate::{cargo, guest, guest_toolchain, progress, step};

const PREFIX: &str = "banhbaoring-plugin-";

/// A workspace member that is a plugin.
#[derive(Debug, PartialEq, Eq)]
struct Plugin {
    package: String,
    library: String,
}

impl Plugin {
    fn name(&self) -> &str {
        self.package.strip_prefix(PREFIX).unwrap_or(&self.package)
    }
}

/// Builds the plugins of that names, or all, into `out`, or `target/plugins`.
///
/// # Errors
/// When a name is unknown, a build fails, or a plugin imports something.
pub(crate) fn run(only: &[String], out: Option<PathBuf>) -> Result<()> {
    let plugins = chosen(plugins(&cargo::metadata()?), only)?;
    let toolchain = guest_toolchain::ensure()?;
    let target = workspace_root().join("target/guest");
    let mut build = toolchain.build(&target);
    for plugin in &plugins {
        build.args(["--package", &plugin.package]);
    }
    let names: Vec<_> = plugins.iter().map(Plugin::name).collect();
    let about = format!("compiling {} plugins: {}", names.len(), names.join(", "));
    step::quietly(&about, Duration::from_secs(180), None, &mut build)?;

    let out = out.unwrap_or_else(|| workspace_root().join("target/plugins"));
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    for plugin in &plugins {
        let size = convert(plugin, &guest_toolchain::core_module(&target, &plugin.library), &out)
            .with_context(|| format!("plugin {}", plugin.name()))?;
        progress::say(&format!("  {:<24} {:>7.1} KiB, no imports", plugin.name(), size));
    }
    progress::say(&format!("components are in {}", out.display()));
    Ok(())
}

/// Writes the component and returns its size in KiB.
fn convert(plugin: &Plugin, core: &Path, out: &Path) -> Result<f64> {
    let core = fs::read(core).with_context(|| format!("cannot read {}", core.display()))?;
    let component = guest::encode(&core)?;
    let imports = guest::imports(&component)?;
    if !imports.is_empty() {
        bail!("expected no imports, found {}; a plugin is a pure function", imports.join(", "));
    }
    // Another process may be reading the last one.
    let unfinished = out.join(format!(".{}-{}", plugin.name(), std::process::id()));
    fs::write(&unfinished, &component).with_context(|| format!("cannot write {}", unfinished.display()))?;
    let place = out.join(format!("{}.wasm", plugin.name()));
    fs::rename(&unfinished, &place).with_context(|| format!("cannot write {}", place.display()))?;
    Ok(f64::from(u32::try_from(component.len())?) / 1024.0)
}

fn plugins(metadata: &Value) -> Vec<Plugin> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let of_package = |package: &Value| {
        let name = package["name"].as_str().filter(|name| name.starts_with(PREFIX))?;
        let targets = package["targets"].as_array().into_iter().flatten();
        let is_dynamic = |target: &&Value| target["crate_types"].as_array().into_iter().flatten().any(|kind| kind == "cdylib");
        let library = targets.into_iter().find(is_dynamic)?["name"].as_str()?;
        Some(Plugin { package: name.to_owned(), library: library.replace('-', "_") })
    };
    packages.filter_map(of_package).collect()
}

fn chosen(plugins: Vec<Plugin>, only: &[String]) -> Result<Vec<Plugin>> {
    let names = plugins.iter().map(Plugin::name).collect::<Vec<_>>().join(", ");
    if let Some(unknown) = only.iter().find(|name| plugins.iter().all(|plugin| plugin.name() != *name)) {
        bail!("expected one of the plugins ({names}), found `{unknown}`");
    }
    let chosen: Vec<_> = plugins.into_iter().filter(|plugin| only.is_empty() || only.iter().any(|name| name == plugin.name())).collect();
    if chosen.is_empty() {
        bail!("expected a workspace member {PREFIX}<name> with crate-type cdylib, found none");
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(name: &str, kind: &str) -> Value {
        json!({ "name": name, "targets": [{ "name": name.replace('-', "_"), "crate_types": [kind] }, { "name": "a-test", "crate_types": ["bin"] }] })
    }

    #[test]
    fn plugins_are_the_members_with_the_prefix_that_make_a_cdylib() {
        let metadata = json!({ "packages": [
            package("banhbaoring-plugin-openbao", "cdylib"),
            package("banhbaoring-plugin-library", "rlib"),
            package("banhbaoring-sandbox", "cdylib"),
        ] });
        let found = plugins(&metadata);
        assert_eq!(found, [Plugin { package: "banhbaoring-plugin-openbao".into(), library: "banhbaoring_plugin_openbao".into() }]);
        assert_eq!(found.first().map(Plugin::name), Some("openbao"));
    }

    #[test]
    fn a_name_that_no_plugin_has_is_refused_with_the_names_that_there_are() {
        let all = plugins(&json!({ "packages": [package("banhbaoring-plugin-openbao", "cdylib")] }));
        let error = chosen(all, &["vault".to_owned()]).expect_err("there is none");
        assert!(error.to_string().contains("openbao") && error.to_string().contains("vault"), "{error}");
    }
}
