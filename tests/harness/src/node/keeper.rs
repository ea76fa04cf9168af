//! The process that keeps a node: outside of its namespaces, and not bound to whoever asked for it.
//!
//! It reads its standard input, which the kernel closes when the owner is gone, however it ended. Then it kills the namespaces' first process, with
//! which the kernel takes every process, mount and link of the node, and removes what the kernel does not: the control groups. Is it killed
//! itself, the namespaces go with it, and the next node of the same number removes the groups.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, geteuid};

use super::{
    cgroups, run,
    slot::{Held, Slot},
};
use crate::{Error, Result};

/// What the first process inside says once it runs.
pub(super) const UP: &str = "up";
/// What it is told when it has its end of the cable.
pub(super) const CONNECTED: &str = "connected";
/// What it says when the namespaces are furnished.
pub(super) const READY: &str = "ready";
/// The name of its end of the cable.
pub(super) const INSIDE_LINK: &str = "node";

const ANSWERS: Duration = Duration::from_secs(120);
const LINK_GOES: Duration = Duration::from_secs(60);

/// Opens namespaces whose files are in `folder`, says their number and their first process in one line, and keeps them until standard input ends.
///
/// # Errors
/// What cannot be made, or what is left.
pub fn keep(folder: &Path) -> Result<()> {
    if !geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    let held = Held::take()?;
    let slot = held.slot();
    sweep(slot)?;
    let kept = open(folder, slot).and_then(|inside| {
        let told = writeln!(io::stdout(), "{} {}", slot.number(), inside.first).and_then(|()| io::stdout().flush());
        told.and_then(|()| io::stdin().read_to_end(&mut Vec::new())).map_err(Error::machine("speak with the owner"))?;
        drop(inside);
        Ok(())
    });
    kept.and(sweep(slot))
}

/// Removes what is outside of the namespaces. Their processes must have been killed.
fn sweep(slot: Slot) -> Result<()> {
    let link = Path::new("/sys/class/net").join(slot.link());
    if link.exists() {
        // The kernel removes it too, when it gets to the end of the namespace; so it may be gone by now.
        let removed = run(Command::new("ip").args(["link", "delete", &slot.link()]));
        let start = Instant::now();
        while link.exists() {
            if start.elapsed() > LINK_GOES {
                removed?;
                return Err(Error::Node { what: format!("the link {} to be gone", slot.link()), saw: "it is there".into() });
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
    cgroups::remove(&slot.control_group())
}

/// Namespaces that are open. Dropping them kills every process in them.
struct Inside {
    unshare: Child,
    first: u32,
    // Its end would be the end of the first process.
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Drop for Inside {
    fn drop(&mut self) {
        let first = i32::try_from(self.first).ok().and_then(Pid::from_raw);
        match first {
            // Its parent sees its end only after the kernel has killed and collected everybody else inside.
            Some(first) => drop(rustix::process::kill_process(first, Signal::KILL)),
            None => drop(self.unshare.kill()),
        }
        let _ = self.unshare.wait();
    }
}

fn open(folder: &Path, slot: Slot) -> Result<Inside> {
    cgroups::make(&slot.control_group())?;
    let program = env::current_exe().map_err(Error::machine("find the path of this program"))?;
    let mut unshare = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", "unshare", "--mount", "--propagation", "private", "--net", "--pid", "--uts", "--ipc"])
        .args(["--fork", "--kill-child=KILL", "--"])
        .arg(program)
        .arg("inside")
        .arg(folder)
        .arg(slot.number().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Error::machine("start unshare through setpriv (Debian package util-linux)"))?;
    let (Some(input), Some(output)) = (unshare.stdin.take(), unshare.stdout.take()) else {
        return Err(Error::Node { what: "pipes to unshare".into(), saw: "none".into() });
    };
    let mut inside = Inside { unshare, first: 0, input, lines: lines(output) };
    expect(&inside, UP)?;
    inside.first = child_of(inside.unshare.id())?;
    connect(slot, inside.first)?;
    writeln!(inside.input, "{CONNECTED}").map_err(Error::machine("tell the namespaces of their cable"))?;
    expect(&inside, READY)?;
    Ok(inside)
}

/// Lays the cable between the machine and the namespaces, and the machine's ways to Services and pods.
fn connect(slot: Slot, first: u32) -> Result<()> {
    let (link, first, via) = (slot.link(), first.to_string(), slot.node().to_string());
    let address = format!("{}/24", slot.host());
    let ip = |words: &[&str]| run(Command::new("ip").args(words));
    ip(&["link", "add", &link, "type", "veth", "peer", "name", INSIDE_LINK, "netns", &first])?;
    ip(&["address", "add", &address, "dev", &link])?;
    ip(&["link", "set", &link, "up"])?;
    ip(&["route", "add", &slot.services(), "via", &via])?;
    ip(&["route", "add", &slot.pods(), "via", &via])
}

fn lines(output: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn expect(inside: &Inside, word: &str) -> Result<()> {
    let saw = match inside.lines.recv_timeout(ANSWERS) {
        Ok(line) if line == word => return Ok(()),
        Ok(line) => line,
        Err(mpsc::RecvTimeoutError::Timeout) => format!("nothing within {ANSWERS:?}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => "its end; why stands before this line".to_owned(),
    };
    Err(Error::Node { what: format!("the first process of the namespaces to say `{word}`"), saw })
}

/// The one child of a process.
fn child_of(parent: u32) -> Result<u32> {
    let entries = fs::read_dir("/proc").map_err(Error::machine("read /proc"))?;
    let parent_line = format!("PPid:\t{parent}");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let mut children = pids.filter(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line == parent_line)
    });
    children.next().ok_or_else(|| Error::Node { what: format!("a child of unshare ({parent})"), saw: "none".into() })
}
