//! The first process of a node's namespaces: furnishes them, then collects what ends and goes when its keeper goes.
//!
//! Whatever Kubernetes would leave on a machine is caught here: folders of the machine that it writes to are other folders, and the kernel's
//! settings that kubelet changes are files.

use std::{
    fs,
    io::{self, BufRead, Read, Write},
    mem::MaybeUninit,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, exit},
    thread,
};

use rustix::{
    fs::inotify::{self, CreateFlags, WatchFlags},
    process::{WaitOptions, waitpid},
};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    NODE_NAME,
    keeper::{CONNECTED, INSIDE_LINK, READY, UP},
    run,
    slot::Slot,
};
use crate::{Error, Result};

/// Where the controller-manager's provisioner makes volumes; its place is not a setting.
const VOLUMES: &str = "/tmp/hostpath_pv";
/// Settings of the whole machine that kubelet changes.
pub const SETTINGS: [&str; 6] = [
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];

/// Furnishes the namespaces and stays until standard input ends.
///
/// # Errors
/// What cannot be mounted or set.
pub fn serve(folder: &Path, slot: Slot) -> Result<()> {
    say(UP)?;
    mounts(folder)?;
    settings(folder)?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(Error::machine("read from the keeper"))?;
    if line.trim() != CONNECTED {
        return Err(Error::Node { what: format!("the keeper to say `{CONNECTED}`"), saw: format!("{line:?}") });
    }
    network(slot)?;
    open_volumes()?;
    say(READY)?;
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        exit(0);
    });
    collect()
}

fn say(word: &str) -> Result<()> {
    writeln!(io::stdout(), "{word}").and_then(|()| io::stdout().flush()).map_err(Error::machine("speak with the keeper"))
}

fn mounts(folder: &Path) -> Result<()> {
    let mount = |words: &[&str]| run(Command::new("mount").args(words));
    let bind = |from: &Path, to: &Path| run(Command::new("mount").arg("--bind").arg(from).arg(to));
    mount(&["-t", "proc", "proc", "/proc"])?;
    mount(&["-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"])?;
    // The folder is mostly below /tmp, which becomes an empty one: it goes round by /run.
    let detour = Path::new("/run/folder");
    make(detour)?;
    bind(folder, detour)?;
    mount(&["-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/tmp"])?;
    make(folder)?;
    bind(detour, folder)?;
    for (name, place) in [("lib", "/var/lib"), ("log", "/var/log"), ("volumes", VOLUMES)] {
        let (own, place) = (folder.join(name), Path::new(place));
        make(&own)?;
        make(place)?;
        bind(&own, place)?;
    }
    make(Path::new("/run/lock"))?;
    // Mounts of pods must reach the containers that ask for them. Last, so that no two of these places are peers; it ends at the namespace, which
    // shares nothing with the machine.
    mount(&["--make-rshared", "/"])
}

/// Puts files in the place of settings.
fn settings(folder: &Path) -> Result<()> {
    for setting in SETTINGS {
        let real = Path::new("/proc/sys").join(setting);
        let Ok(value) = fs::read(&real) else { continue };
        let own = folder.join("settings").join(setting);
        make(own.parent().unwrap_or(folder))?;
        fs::write(&own, value).map_err(Error::machine(format!("write {}", own.display())))?;
        run(Command::new("mount").arg("--bind").arg(&own).arg(&real))?;
    }
    Ok(())
}

fn network(slot: Slot) -> Result<()> {
    let set = |name: &str, value: &str| fs::write(name, value).map_err(Error::machine(format!("write {value} to {name}")));
    let ip = |words: &[&str]| run(Command::new("ip").args(words));
    set("/proc/sys/kernel/hostname", NODE_NAME)?;
    ip(&["link", "set", "lo", "up"])?;
    ip(&["address", "add", &format!("{}/24", slot.node()), "dev", INSIDE_LINK])?;
    ip(&["link", "set", INSIDE_LINK, "up"])?;
    // There is no default route, and a packet without a route is refused before kube-proxy could change where it goes.
    ip(&["route", "add", &slot.services(), "dev", INSIDE_LINK])?;
    set("/proc/sys/net/ipv4/ip_forward", "1")?;
    // Answers between two pods of the bridge must pass what changed their question.
    let bridged = "/proc/sys/net/bridge/bridge-nf-call-iptables";
    if Path::new(bridged).exists() { set(bridged, "1") } else { Ok(()) }
}

/// Opens every volume to the groups of pods: the provisioner makes them for root alone and kubelet does not change volumes of this kind.
fn open_volumes() -> Result<()> {
    let failed = |error: rustix::io::Errno| Error::machine(format!("watch {VOLUMES}"))(error.into());
    let watch = inotify::init(CreateFlags::CLOEXEC).map_err(failed)?;
    inotify::add_watch(&watch, VOLUMES, WatchFlags::CREATE).map_err(failed)?;
    thread::spawn(move || {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(watch, &mut buffer);
        while let Ok(event) = events.next() {
            let name = event.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            // It may have been removed already.
            let _ = fs::set_permissions(Path::new(VOLUMES).join(name), fs::Permissions::from_mode(0o777));
        }
    });
    Ok(())
}

/// Collects processes that lost their parent, as a first process must.
fn collect() -> Result<()> {
    let failed = Error::machine("wait for the end of processes");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let ended = runtime.and_then(|runtime| {
        runtime.block_on(async {
            let mut children = signal(SignalKind::child())?;
            loop {
                while let Ok(Some(_)) = waitpid(None, WaitOptions::NOHANG) {}
                children.recv().await;
            }
        })
    });
    ended.map_err(failed)
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(Error::machine(format!("make {}", folder.display())))
}
