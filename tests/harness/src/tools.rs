//! The one list of tools that we build or install for tests, and where a built one is found.
//!
//! `cargo xtask tools` builds what is listed here; tests look up what was built. Building itself lives in `xtask`.
//!
//! A tool's folder carries a hash of everything that decides what comes out of the build, so a change of a `go.sum` is another folder and a stale
//! binary is never run.

mod modules;

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

pub use modules::{GO_MODULES, NODE_PACKAGES};

/// Names a folder with ready binaries; it wins over the cache.
pub const TOOLS_VARIABLE: &str = "BANHBAORING_TOOLS";

/// Names the cache folder instead of `$HOME/.cache/banhbaoring`.
pub const CACHE_VARIABLE: &str = "BANHBAORING_CACHE";

/// What can go wrong when a tool is looked up.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The tool is on our list and was not built, or it was built from other module files.
    #[error("expected the tool `{name}` at {}, found nothing there; run `cargo xtask tools`", path.display())]
    NotBuilt {
        /// Name of the binary.
        name: String,
        /// Where it was expected.
        path: PathBuf,
    },
    /// No entry of the list builds this binary.
    #[error("expected one of the listed tools ({known}), found `{name}`; add it to tests/harness/src/tools/modules.rs")]
    Unknown {
        /// Name that was asked for.
        name: String,
        /// All names of the list.
        known: String,
    },
    /// A definition file could not be read.
    #[error("cannot read {}: {source}; is the checkout complete?", path.display())]
    Unreadable {
        /// File or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Neither the cache variable nor a home is known.
    #[error("expected HOME or {CACHE_VARIABLE} in the environment, found neither; set {CACHE_VARIABLE} to a folder that may be kept")]
    NoCache,
}

/// A Go module of `tests/tools` and what is built from it by one `go build`.
#[derive(Debug, Clone, Copy)]
pub struct GoModule {
    /// Folder below `tests/tools`.
    pub folder: &'static str,
    /// What the binaries are, for people who wait.
    pub about: &'static str,
    /// The binaries and the packages they come from.
    pub binaries: &'static [GoBinary],
    /// Value of `-ldflags`.
    pub ldflags: &'static str,
    /// Environment of the build.
    pub environment: &'static [(&'static str, &'static str)],
    /// Debian packages that the build needs.
    pub packages: &'static [&'static str],
    /// How long a cold build usually takes on two cores, in seconds, downloads included.
    pub usual_seconds: u64,
}

/// One binary of a [`GoModule`].
#[derive(Debug, Clone, Copy)]
pub struct GoBinary {
    /// File name of the binary.
    pub name: &'static str,
    /// Import path of its `main` package.
    pub package: &'static str,
}

/// A virtual environment made from a pinned `requirements.txt`.
#[derive(Debug, Clone, Copy)]
pub struct PythonEnvironment {
    /// Folder below `tests/tools` that holds `requirements.txt`.
    pub folder: &'static str,
    /// What it is, for people who wait.
    pub about: &'static str,
    /// Commands that it provides.
    pub commands: &'static [&'static str],
    /// How long it usually takes, in seconds.
    pub usual_seconds: u64,
}

/// Every Python environment that is made.
pub const PYTHON_ENVIRONMENTS: &[PythonEnvironment] = &[PythonEnvironment {
    folder: "moto",
    about: "moto, the KMS and S3 of AWS on this machine",
    commands: &["moto_server"],
    usual_seconds: 40,
}];

/// The root of the checkout.
#[must_use]
pub fn workspace_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// The folder with the definition of a tool: `tests/tools/<folder>`.
#[must_use]
pub fn definition(folder: &str) -> PathBuf {
    workspace_root().join("tests/tools").join(folder)
}

/// The cache folder: `$BANHBAORING_CACHE`, else `$HOME/.cache/banhbaoring`.
///
/// # Errors
/// [`ToolError::NoCache`] when neither variable is set.
pub fn cache() -> Result<PathBuf, ToolError> {
    let named = env::var_os(CACHE_VARIABLE).filter(|value| !value.is_empty());
    if let Some(folder) = named {
        return Ok(PathBuf::from(folder));
    }
    let home = env::var_os("HOME").filter(|value| !value.is_empty()).ok_or(ToolError::NoCache)?;
    Ok(PathBuf::from(home).join(".cache/banhbaoring"))
}

impl GoModule {
    /// Where the binaries of this module belong: `<cache>/tools/<folder>-<hash>`.
    ///
    /// # Errors
    /// When the module's files cannot be read or no cache folder is known.
    pub fn location(&self) -> Result<PathBuf, ToolError> {
        let mut hash = Sha256::new();
        hash.update(self.ldflags);
        for (name, value) in self.environment {
            hash.update(format!("\0{name}={value}"));
        }
        for binary in self.binaries {
            hash.update(format!("\0{} {}", binary.name, binary.package));
        }
        let folder = definition(self.folder);
        hash_files(&mut hash, &folder, &|name| name == "go.mod" || name == "go.sum" || name.ends_with(".go"))?;
        located(self.folder, hash)
    }
}

impl PythonEnvironment {
    /// Where this environment belongs: `<cache>/tools/<folder>-<hash>`.
    ///
    /// # Errors
    /// When `requirements.txt` cannot be read or no cache folder is known.
    pub fn location(&self) -> Result<PathBuf, ToolError> {
        let mut hash = Sha256::new();
        hash_files(&mut hash, &definition(self.folder), &|name| name == "requirements.txt")?;
        located(self.folder, hash)
    }
}

/// The path of a tool's binary, known to exist.
///
/// # Errors
/// [`ToolError::NotBuilt`] with the command that builds it; [`ToolError::Unknown`] for a name that is not on the list.
pub fn find(name: &str) -> Result<PathBuf, ToolError> {
    let given = env::var_os(TOOLS_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    find_in(name, given.as_deref())
}

fn find_in(name: &str, given: Option<&Path>) -> Result<PathBuf, ToolError> {
    if let Some(path) = given.map(|folder| folder.join(name)).filter(|path| path.is_file()) {
        return Ok(path);
    }
    let built = if let Some(module) = GO_MODULES.iter().find(|module| module.binaries.iter().any(|binary| binary.name == name)) {
        module.location()?.join(name)
    } else if let Some(python) = PYTHON_ENVIRONMENTS.iter().find(|python| python.commands.contains(&name)) {
        python.location()?.join("bin").join(name)
    } else {
        let mut known: Vec<_> = GO_MODULES.iter().flat_map(|module| module.binaries.iter().map(|binary| binary.name)).collect();
        known.extend(PYTHON_ENVIRONMENTS.iter().flat_map(|python| python.commands));
        return Err(ToolError::Unknown { name: name.to_owned(), known: known.join(", ") });
    };
    if built.is_file() { Ok(built) } else { Err(ToolError::NotBuilt { name: name.to_owned(), path: built }) }
}

fn located(folder: &str, hash: Sha256) -> Result<PathBuf, ToolError> {
    let digest = hex::encode(hash.finalize());
    let short = digest.get(..16).unwrap_or(&digest);
    Ok(cache()?.join("tools").join(format!("{folder}-{short}")))
}

/// Adds the matching files of a folder and the folders below it, in the order of their names.
fn hash_files(hash: &mut Sha256, folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<(), ToolError> {
    let unreadable = |path: &Path| {
        let path = path.to_path_buf();
        move |source| ToolError::Unreadable { path, source }
    };
    let entries = fs::read_dir(folder).map_err(unreadable(folder))?;
    let mut entries: Vec<_> = entries.collect::<Result<_, _>>().map_err(unreadable(folder))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            hash_files(hash, &path, wanted)?;
        } else if wanted(&name) {
            let content = fs::read(&path).map_err(unreadable(&path))?;
            hash.update(format!("\0{name} {}\0", content.len()));
            hash.update(&content);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_tool_has_a_definition_and_a_place_of_its_own() {
        let mut places: Vec<_> = GO_MODULES.iter().map(|module| module.location().expect(module.folder)).collect();
        places.extend(PYTHON_ENVIRONMENTS.iter().map(|python| python.location().expect(python.folder)));
        let count = places.len();
        places.sort();
        places.dedup();
        assert_eq!(places.len(), count);
    }

    #[test]
    fn a_tool_that_is_not_there_names_the_command_that_builds_it() {
        let error = ToolError::NotBuilt { name: "etcd".into(), path: "/nowhere/etcd".into() };
        assert!(error.to_string().contains("cargo xtask tools"), "{error}");
    }

    #[test]
    fn a_name_that_nobody_listed_is_told_apart_from_one_that_was_not_built() {
        let error = find_in("vault", None).expect_err("vault is not on the list");
        assert!(matches!(error, ToolError::Unknown { .. }), "{error}");
        assert!(error.to_string().contains("kube-apiserver"), "{error}");
    }

    #[test]
    fn a_folder_of_ready_binaries_wins_and_what_it_lacks_comes_from_the_cache() {
        let folder = env::temp_dir().join(format!("banhbaoring-tools-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("etcd"), "").expect("a file");
        assert_eq!(find_in("etcd", Some(&folder)).expect("found"), folder.join("etcd"));
        if let Ok(path) = find_in("kubectl", Some(&folder)) {
            assert!(!path.starts_with(&folder));
        }
        fs::remove_dir_all(&folder).expect("removed");
    }

    #[test]
    fn the_hash_changes_with_the_content_of_a_definition_file() {
        let folder = env::temp_dir().join(format!("banhbaoring-hash-{}", std::process::id()));
        fs::create_dir_all(folder.join("below")).expect("a folder");
        let hash = || {
            let mut hash = Sha256::new();
            hash_files(&mut hash, &folder, &|name| name == "go.sum").expect("hashed");
            hex::encode(hash.finalize())
        };
        fs::write(folder.join("below/go.sum"), "a").expect("written");
        let before = hash();
        fs::write(folder.join("README"), "not part of it").expect("written");
        assert_eq!(before, hash());
        fs::write(folder.join("below/go.sum"), "b").expect("written");
        assert_ne!(before, hash());
        fs::remove_dir_all(&folder).expect("removed");
    }
}
