//! A real server as a child process: started by one thread, logged to a file, killed with us.
//!
//! The kernel kills the child when the **thread** that started it ends (`setpriv --pdeathsig`), and a test runs in a thread of its own. So
//! one thread that lives as long as the process starts every server; a server outlives the test that asked for it and no server outlives the
//! process, not even one that was killed with SIGKILL.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};

use crate::{
    Error, Result,
    error::NotReady,
    tools,
    wait::{self, Probe},
};

const LOG_TAIL: u64 = 6 * 1024;

/// How a server is started. Its environment is empty but for `PATH`, `HOME` and `TMPDIR` (both its folder) and what is given here:
/// credentials and proxies of the person at the keyboard must not reach it.
#[derive(Debug, Clone)]
pub struct Launch {
    name: String,
    program: PathBuf,
    folder: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Launch {
    /// A tool of [`tools`], with `folder` as its working folder and the place of its log.
    ///
    /// # Errors
    /// [`Error::Tool`] when it was not built.
    pub fn tool(name: &str, folder: &Path) -> Result<Self> {
        Ok(Self::program(name, tools::find(name)?, folder))
    }

    /// Any program; `name` names the log and appears in errors.
    #[must_use]
    pub fn program(name: &str, program: PathBuf, folder: &Path) -> Self {
        Self { name: name.to_owned(), program, folder: folder.to_path_buf(), arguments: Vec::new(), environment: Vec::new() }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds a variable to the environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts it. Returns at once; see [`Server::until_ready`].
    ///
    /// # Errors
    /// [`Error::Machine`] when it cannot be started.
    pub fn start(self) -> Result<Server> {
        let log = self.folder.join(format!("{}.log", self.name));
        let child = self.spawn(&log)?;
        Ok(Server { launch: self, log, child: Mutex::new(child) })
    }

    fn spawn(&self, log: &Path) -> Result<Child> {
        let open = |what: &str| Error::machine(format!("{what} {}", log.display()));
        let output = OpenOptions::new().create(true).append(true).open(log).map_err(open("open"))?;
        let errors = output.try_clone().map_err(open("share"))?;
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&self.program)
            .args(&self.arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.folder)
            .env("TMPDIR", &self.folder)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // Ctrl-C at the terminal is for us; we stop the servers.
            .process_group(0);
        spawn_from_lasting_thread(command)
            .map_err(Error::machine(format!("start {} through setpriv (Debian package util-linux)", self.program.display())))
    }
}

type Answer = mpsc::Sender<io::Result<Child>>;

fn spawn_from_lasting_thread(command: Command) -> io::Result<Child> {
    static STARTER: OnceLock<mpsc::Sender<(Command, Answer)>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<(Command, Answer)>();
        thread::spawn(move || {
            for (mut command, answer) in orders {
                if let Err(mpsc::SendError(Ok(mut orphan))) = answer.send(command.spawn()) {
                    let _ = orphan.kill();
                    let _ = orphan.wait();
                }
            }
        });
        sender
    });
    let gone = || io::Error::other("the thread that starts servers is gone");
    let (answer, child) = mpsc::channel();
    starter.send((command, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

/// A running (or killed) server. Dropping it kills it and waits for its end.
#[derive(Debug)]
pub struct Server {
    launch: Launch,
    log: PathBuf,
    child: Mutex<Child>,
}

impl Server {
    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.lock().id()
    }

    /// The folder that it runs in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.launch.folder
    }

    /// How it ended, or `None` while it runs.
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.lock().try_wait().ok().flatten()
    }

    /// Everything that it wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The last 6 KiB of what it wrote.
    #[must_use]
    pub fn log_tail(&self) -> String {
        tail(&self.log).unwrap_or_else(|error| format!("(no log: {error})"))
    }

    /// Sends a signal: `STOP` and `CONT` make it hang and go on, `TERM` asks it to end.
    ///
    /// # Errors
    /// [`Error::Machine`] when it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let what = || format!("signal {}", self.launch.name);
        let mut child = self.lock();
        if child.try_wait().map_err(Error::machine(what()))?.is_some() {
            return Err(Error::Machine { what: what(), source: io::Error::other("it has ended") });
        }
        rustix::process::kill_process(Pid::from_child(&child), signal).map_err(|error| Error::machine(what())(error.into()))
    }

    /// Kills it and what it started with SIGKILL and waits for its end. Nothing happens when it has ended.
    pub fn kill(&self) {
        end(&mut self.lock());
    }

    /// Asks it to end (SIGTERM) and waits for it; kills it when it does not end by the deadline. True when it ended by itself.
    pub async fn stop(&self, deadline: Duration) -> bool {
        let asked = self.signal(Signal::TERM).is_ok();
        let ended = self.until_ended(deadline).await.is_ok();
        self.kill();
        asked && ended
    }

    /// Kills it if it runs and starts it again: same arguments, same folder, same log.
    ///
    /// # Errors
    /// [`Error::Machine`] when it cannot be started.
    pub fn start_again(&self) -> Result<()> {
        let mut child = self.lock();
        end(&mut child);
        *child = self.launch.spawn(&self.log)?;
        Ok(())
    }

    /// Waits until the probe returns `Ok`; fails at once when the server ends, with the end of its log.
    ///
    /// # Errors
    /// [`Error::NotReady`].
    pub async fn until_ready<T, S, F, R>(&self, deadline: Duration, what: &str, mut probe: F) -> Result<T>
    where
        S: std::fmt::Display,
        F: FnMut() -> R,
        R: Future<Output = Result<T, S>>,
    {
        wait::until_decided(deadline, what, || {
            let ended = self.exit_status();
            let looking = probe();
            async move {
                match (looking.await, ended) {
                    (Ok(value), _) => Probe::Ready(value),
                    (Err(_), Some(status)) => Probe::Never(format!("it ended with {}", told(status))),
                    (Err(saw), None) => Probe::NotYet(saw.to_string()),
                }
            }
        })
        .await
        .map_err(|failed| self.not_ready(what, deadline, failed.saw))
    }

    /// Waits until its log contains `text`; also when it ended after writing it.
    ///
    /// # Errors
    /// [`Error::NotReady`] with the end of the log.
    pub async fn until_logged(&self, deadline: Duration, text: &str) -> Result<()> {
        self.until_ready(deadline, &format!("logging {text:?}"), || async {
            if self.log().contains(text) { Ok(()) } else { Err("a log without it") }
        })
        .await
    }

    /// Waits until it has ended and returns how.
    ///
    /// # Errors
    /// [`Error::NotReady`] when it still runs at the deadline.
    pub async fn until_ended(&self, deadline: Duration) -> Result<ExitStatus> {
        wait::until(deadline, "its end", || async { self.exit_status().ok_or("it runs") })
            .await
            .map_err(|failed| self.not_ready("ended", deadline, failed.saw))
    }

    fn not_ready(&self, what: &str, deadline: Duration, saw: String) -> Error {
        Error::NotReady(Box::new(NotReady {
            server: self.launch.name.clone(),
            what: what.to_owned(),
            deadline,
            saw,
            path: self.log.clone(),
            log: self.log_tail(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// With all that it started, as the end of a container ends all of its processes: the plugins of a server would outlive it.
fn end(child: &mut Child) {
    // Before it was waited for, no other group can have its id.
    if matches!(child.try_wait(), Ok(None)) {
        let _ = rustix::process::kill_process_group(Pid::from_child(child), Signal::KILL);
    }
    let _ = child.wait();
}

fn told(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Waits until no process has this id any more; for tests of what must be gone.
///
/// # Errors
/// [`wait::TimedOut`] with the process's command line.
pub async fn until_gone(pid: u32, deadline: Duration) -> Result<Duration> {
    let start = Instant::now();
    wait::until(deadline, format!("process {pid} to be gone"), || async {
        match fs::read(format!("/proc/{pid}/cmdline")) {
            Err(_) => Ok(()),
            // A zombie has no command line: it does not run any more, its parent is late.
            Ok(line) if line.is_empty() => Ok(()),
            Ok(line) => Err(String::from_utf8_lossy(&line).replace('\0', " ")),
        }
    })
    .await?;
    Ok(start.elapsed())
}
