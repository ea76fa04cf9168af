//! Folders for servers: one root per process, gone when the process is gone, however it ended.

use std::{
    env,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
    sync::Mutex,
};

use tempfile::TempDir;

use crate::{Error, Result};

/// When set to anything but nothing, folders (with logs, keys and data) are kept for a look.
pub const KEEP_VARIABLE: &str = "BANHBAORING_KEEP";

/// A folder that is removed when this value is dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    // None when it is to be kept.
    _folder: Option<TempDir>,
}

impl Scratch {
    /// Makes a folder whose name begins with `name`, readable by us alone.
    ///
    /// # Errors
    /// [`Error::Machine`] when it cannot be made.
    pub fn new(name: &str) -> Result<Self> {
        let root = root()?;
        let folder = tempfile::Builder::new()
            .prefix(&format!("{name}-"))
            .tempdir_in(&root)
            .map_err(Error::machine(format!("make a folder in {}", root.display())))?;
        if kept() {
            return Ok(Self { path: folder.keep(), _folder: None });
        }
        Ok(Self { path: folder.path().to_path_buf(), _folder: Some(folder) })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file into the folder and returns its path.
    ///
    /// # Errors
    /// [`Error::Machine`] when it cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.path.join(name);
        std::fs::write(&path, content).map_err(Error::machine(format!("write {}", path.display())))?;
        Ok(path)
    }
}

fn kept() -> bool {
    env::var_os(KEEP_VARIABLE).is_some_and(|value| !value.is_empty())
}

/// The root of this process. A shell waits at a pipe that the kernel closes when we are gone and removes it then: values in a `static` are
/// never dropped, and a killed process drops nothing at all.
fn root() -> Result<PathBuf> {
    static ROOT: Mutex<Option<(PathBuf, Option<ChildStdin>)>> = Mutex::new(None);
    let mut root = ROOT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some((path, _)) = root.as_ref() {
        return Ok(path.clone());
    }
    let path = tempfile::Builder::new().prefix("banhbaoring-").tempdir().map_err(Error::machine("make a temporary folder"))?.keep();
    let mut pipe = None;
    if !kept() {
        // More than once: a server that is being killed may still write while the first removal runs.
        let mut sweeper = Command::new("/bin/sh")
            .args(["-c", r#"read -r _; for pause in 1 1 2 4 8 16; do rm -rf -- "$1" && exit; sleep "$pause"; done"#, "sweeper"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .process_group(0)
            .spawn()
            .map_err(Error::machine("start /bin/sh"))?;
        pipe = sweeper.stdin.take();
    }
    *root = Some((path.clone(), pipe));
    Ok(path)
}
