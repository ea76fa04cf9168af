//! The compiler for guests: `wasm32-unknown-unknown`, whose components import only what their world declares (wasm32-wasip2 adds 13 WASI imports).
//!
//! Two ways, the first that works:
//! 1. the target of the pinned toolchain, with `rustup target add` where its server can be reached;
//! 2. Debian's `rustc-web` with `rust-web-src`: its compiler builds std from source (`-Zbuild-std`), because Debian has no std for this target that
//!    goes with it, and `RUSTC_BOOTSTRAP=1` makes a stable compiler take that flag. Debian's compiler brings no `rust-lld`; the one of the
//!    pinned toolchain does (below its `lib/rustlib/<host>/bin`), and where that is missing too, `wasm-ld` of Debian's `lld` with its flavour named. An
//!    empty linker variable would be "couldn't extract file stem", so it is set only to a file that exists.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Result;
use banhbaoring_testing::tools::workspace_root;

use crate::{cargo, debian, step};

const TARGET: &str = "wasm32-unknown-unknown";
const DEBIAN_COMPILER: &str = "/usr/bin/rustc";
const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";

/// A compiler for guests that is installed.
#[derive(Debug)]
pub(crate) enum Toolchain {
    /// The target of the pinned toolchain.
    Pinned,
    /// Debian's compiler, with the linker that it shall use.
    Debian(Linker),
}

/// A linker for WebAssembly.
#[derive(Debug)]
pub(crate) enum Linker {
    /// `rust-lld`, which rustc knows how to call.
    RustLld(PathBuf),
    /// `wasm-ld`.
    WasmLd(PathBuf),
}

/// Finds a compiler for guests or installs one.
///
/// # Errors
/// When none can be installed, with the command that mends it.
pub(crate) fn ensure() -> Result<Toolchain> {
    if pinned_target() {
        return Ok(Toolchain::Pinned);
    }
    if !debian_compiler() {
        if step::on_path("rustup") {
            let mut command = Command::new("rustup");
            command.current_dir(workspace_root()).args(["target", "add", TARGET]);
            let limit = Duration::from_secs(180);
            let added =
                step::quietly("adding the target of guests to the Rust toolchain", Duration::from_secs(15), Some(limit), &mut command);
            if added.is_ok() && pinned_target() {
                return Ok(Toolchain::Pinned);
            }
        }
        debian::ensure(&["rustc-web", "rust-web-src"], "to compile plugins (or: rustup target add wasm32-unknown-unknown)")?;
    }
    if let Some(linker) = linker() {
        return Ok(Toolchain::Debian(linker));
    }
    debian::ensure(&["lld"], "to link plugins")?;
    linker().map(Toolchain::Debian).ok_or_else(|| anyhow::anyhow!("expected wasm-ld on the PATH after lld was installed, found none"))
}

impl Toolchain {
    /// What it is, for people.
    pub(crate) fn about(&self) -> &'static str {
        match self {
            Self::Pinned => "the pinned Rust toolchain and its wasm32-unknown-unknown target",
            Self::Debian(_) => "Debian's rustc-web, which builds std for wasm32-unknown-unknown",
        }
    }

    /// `cargo build` for guests; packages are to be added. The same source gives the same bytes wherever the checkout and cargo's home are.
    pub(crate) fn build(&self, target_folder: &Path) -> Command {
        let mut command = cargo::command();
        let mut flags = vec![renamed(&workspace_root(), "/banhbaoring"), renamed(&cargo_home(), "/cargo")];
        command.args(["build", "--target", TARGET, "--profile", "plugin", "--target-dir"]).arg(target_folder);
        if let Self::Debian(linker) = self {
            command.arg("-Zbuild-std=std,panic_abort").env("RUSTC", DEBIAN_COMPILER).env("RUSTC_BOOTSTRAP", "1");
            let program = match linker {
                Linker::RustLld(program) => program,
                Linker::WasmLd(program) => {
                    flags.push("-Clinker-flavor=wasm-ld".to_owned());
                    program
                }
            };
            command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", program);
        }
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        command
    }
}

/// Where cargo leaves the core module of a guest.
pub(crate) fn core_module(target_folder: &Path, crate_name: &str) -> PathBuf {
    target_folder.join(TARGET).join("plugin").join(format!("{crate_name}.wasm"))
}

fn renamed(folder: &Path, name: &str) -> String {
    format!("--remap-path-prefix={}={name}", folder.display())
}

fn cargo_home() -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cargo");
    env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from)
}

fn pinned_target() -> bool {
    let folder = pinned_rustc(&["--print", "target-libdir", "--target", TARGET]);
    let files = folder.ok().and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    files.map(|file| file.file_name()).any(|name| name.to_string_lossy().starts_with("libstd-"))
}

fn debian_compiler() -> bool {
    Path::new(DEBIAN_COMPILER).is_file() && Path::new(DEBIAN_SOURCE).is_file()
}

fn linker() -> Option<Linker> {
    let host = pinned_rustc(&["--print", "host-tuple"]).unwrap_or_default();
    let below = |root: String| PathBuf::from(root).join("lib/rustlib").join(&host).join("bin/rust-lld");
    let rust_lld = pinned_rustc(&["--print", "sysroot"]).map(below).ok().filter(|path| path.is_file());
    rust_lld.map(Linker::RustLld).or_else(|| {
        let path = env::var_os("PATH").unwrap_or_default();
        let found = env::split_paths(&path).map(|folder| folder.join("wasm-ld")).find(|path| path.is_file());
        found.map(Linker::WasmLd)
    })
}

fn pinned_rustc(arguments: &[&str]) -> Result<String> {
    step::output(Command::new("rustc").current_dir(workspace_root()).args(arguments))
}
