//! Debian packages: only what is missing is installed, and a machine where we may not is told the command.

use std::{process::Command, time::Duration};

use anyhow::{Result, bail};

use crate::step;

/// Makes sure that the packages are installed; `why` ends the sentence "… is needed".
///
/// # Errors
/// When there is no apt or no right to use it, with the command that mends it; when the installation fails, with its output.
pub(crate) fn ensure(packages: &[&str], why: &str) -> Result<()> {
    let missing: Vec<_> = packages.iter().copied().filter(|package| !installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !step::on_path("apt-get") {
        bail!("{names} needed {why}; this machine has no apt-get: install what your system calls these Debian packages");
    }
    let Some(rights) = rights() else {
        bail!("{names} needed {why}; run: sudo apt-get update && sudo apt-get install -y --no-install-recommends {names}");
    };
    let install = || {
        let mut command = apt(rights);
        command.args(["install", "-y", "--no-install-recommends"]).args(&missing);
        step::quietly(&format!("installing {names} {why}"), Duration::from_secs(30), None, &mut command)
    };
    if known(&missing) && install().is_ok() {
        return Ok(());
    }
    step::quietly("asking for the list of Debian packages", Duration::from_secs(10), None, apt(rights).arg("update"))?;
    install()
}

fn installed(package: &str) -> bool {
    let status = step::output(Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status}", package]));
    status.is_ok_and(|status| status == "installed")
}

/// Whether apt's lists have all of them: on a fresh machine they are empty.
fn known(packages: &[&str]) -> bool {
    packages.iter().all(|package| step::output(Command::new("apt-cache").args(["show", "--no-all-versions", package])).is_ok())
}

/// What to put before `apt-get`, or `None` when we may not install anything.
fn rights() -> Option<&'static [&'static str]> {
    if step::output(Command::new("id").arg("-u")).is_ok_and(|id| id == "0") {
        return Some(&[]);
    }
    step::output(Command::new("sudo").args(["-n", "true"])).is_ok().then_some(&["sudo", "-n"])
}

fn apt(rights: &[&str]) -> Command {
    let words: Vec<_> = rights.iter().copied().chain(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]).collect();
    let (program, arguments) = words.split_first().unwrap_or((&"apt-get", &[]));
    let mut command = Command::new(program);
    command.args(arguments);
    command
}
