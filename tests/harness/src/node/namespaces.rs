//! The owner's side of a node's namespaces: opened by a keeper in a process of its own, entered by servers, closed with this value.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
};

use rustix::process::geteuid;

use super::slot::Slot;
use crate::{Error, Result, server::Launch};

/// Open namespaces.
#[derive(Debug)]
pub(super) struct Namespaces {
    keeper: Keeper,
    slot: Slot,
    first: u32,
}

/// The process that keeps them. Its end is the end of everything in them.
#[derive(Debug)]
struct Keeper {
    process: Child,
    complaints: Option<ChildStderr>,
}

impl Namespaces {
    /// Opens them; their files are in `folder`.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        if !geteuid().is_root() {
            return Err(Error::NotRoot);
        }
        let program = program()?;
        let mut keeper = Command::new(&program)
            .arg("keep")
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .current_dir("/")
            // Ctrl-C at the terminal is for us; it must stay to clean up.
            .process_group(0)
            .spawn()
            .map_err(Error::machine(format!("start {}", program.display())))?;
        let complaints = keeper.stderr.take();
        let mut line = String::new();
        if let Some(output) = keeper.stdout.take() {
            BufReader::new(output).read_line(&mut line).map_err(Error::machine("read from the keeper of a node"))?;
        }
        let mut keeper = Keeper { process: keeper, complaints };
        let told = line.trim().split_once(' ').and_then(|(slot, first)| Some((Slot::parse(slot)?, first.parse().ok()?)));
        let Some((slot, first)) = told else {
            keeper.end()?;
            return Err(Error::Node { what: "the number of the node and its first process".into(), saw: format!("{line:?}") });
        };
        Ok(Self { keeper, slot, first })
    }

    /// Which node of the machine it is.
    pub(super) fn slot(&self) -> Slot {
        self.slot
    }

    /// The first process inside, as the machine numbers it.
    pub(super) fn first(&self) -> u32 {
        self.first
    }

    /// The keeper's process.
    pub(super) fn keeper(&self) -> u32 {
        self.keeper.process.id()
    }

    /// A program inside. It is killed with the `nsenter` that started it, which is the process that the server's own functions speak of.
    pub(super) fn launch(&self, name: &str, program: &Path, folder: &Path) -> Launch {
        let path = env::var("PATH").unwrap_or_default();
        Launch::program(name, PathBuf::from("nsenter"), folder)
            .args(["--target".to_owned(), self.first.to_string()])
            .args(["--mount", "--net", "--pid", "--uts", "--ipc", "--", "setpriv", "--pdeathsig", "KILL", "--"])
            .args([program.display().to_string()])
            .env("PATH", format!("{path}:/usr/sbin:/sbin"))
    }

    /// Closes them and waits until nothing is left.
    pub(super) fn close(&mut self) -> Result<()> {
        self.keeper.end()
    }
}

impl Keeper {
    fn end(&mut self) -> Result<()> {
        drop(self.process.stdin.take());
        let mut complaints = String::new();
        if let Some(mut pipe) = self.complaints.take() {
            let _ = pipe.read_to_string(&mut complaints);
        }
        let status = self.process.wait().map_err(Error::machine("wait for the keeper of the node"))?;
        if status.success() {
            return Ok(());
        }
        Err(Error::Command { command: "node keep".into(), status: status.to_string(), stderr: complaints })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Who wants to know closes the namespaces.
        let _ = self.end();
    }
}

/// The program of this package that keeps nodes. Cargo puts tests into `deps` below the folder of programs.
fn program() -> Result<PathBuf> {
    let own = env::current_exe().map_err(Error::machine("find the path of this program"))?;
    let places: Vec<_> = own.ancestors().skip(1).take(2).map(|folder| folder.join("node")).collect();
    places.iter().find(|place| place.is_file()).cloned().ok_or_else(|| Error::Node {
        what: "the program that keeps nodes; run `cargo build -p banhbaoring-testing`".into(),
        saw: format!("nothing at {}", places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(" or ")),
    })
}
