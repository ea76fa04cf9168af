//! Where the built plugins are found: components made by `cargo xtask plugins`.

use std::{env, path::PathBuf};

use crate::tools::workspace_root;

/// Names the folder with the built components instead of `target/plugins`.
pub const PLUGINS_VARIABLE: &str = "BANHBAORING_PLUGINS";

/// A plugin that was not built.
#[derive(Debug, thiserror::Error)]
#[error("expected the component at {}, found nothing there; run `cargo xtask plugins`", path.display())]
pub struct NotBuilt {
    /// Where it was expected.
    pub path: PathBuf,
}

/// The component of the package `banhbaoring-plugin-<name>`, known to exist.
///
/// # Errors
/// [`NotBuilt`] with the command that builds it.
pub fn component(name: &str) -> Result<PathBuf, NotBuilt> {
    let folder = env::var_os(PLUGINS_VARIABLE)
        .filter(|value| !value.is_empty())
        .map_or_else(|| workspace_root().join("target/plugins"), PathBuf::from);
    let path = folder.join(format!("{name}.wasm"));
    if path.is_file() { Ok(path) } else { Err(NotBuilt { path }) }
}
