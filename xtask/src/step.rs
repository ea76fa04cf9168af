//! Running another program as a step: quietly, with the end of its output in the error.

use std::{
    ffi::OsStr,
    fs,
    io::{self, Seek, SeekFrom},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::progress::Work;

const SHOWN_LINES: usize = 40;

/// Runs the command to its end and shows the work meanwhile.
///
/// # Errors
/// When it cannot be started, fails, or (with a limit) takes too long: with the last lines of its output.
pub(crate) fn quietly(about: &str, usual: Duration, limit: Option<Duration>, command: &mut Command) -> Result<()> {
    let work = Work::begin(about, usual);
    let result = run(command, limit);
    match &result {
        Ok(()) => work.done(),
        Err(_) => work.failed(),
    }
    result.with_context(|| format!("`{}`", line(command)))
}

fn run(command: &mut Command, limit: Option<Duration>) -> Result<()> {
    let mut output = tempfile::tempfile().context("make a temporary file")?;
    let mut child =
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?).spawn().context("cannot start it")?;
    let start = Instant::now();
    let status = match limit {
        None => child.wait()?,
        Some(limit) => loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if start.elapsed() > limit {
                child.kill()?;
                child.wait()?;
                bail!("no end within {limit:?}");
            }
            thread::sleep(Duration::from_millis(50));
        },
    };
    if status.success() {
        return Ok(());
    }
    output.seek(SeekFrom::Start(0))?;
    let text = io::read_to_string(&output).unwrap_or_else(|error| format!("(its output cannot be shown: {error})"));
    let lines: Vec<_> = text.lines().collect();
    let shown = lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default();
    bail!("{status}\n{}", shown.join("\n"))
}

/// Runs the command and returns what it wrote to standard output, without the space around it.
///
/// # Errors
/// When it cannot be started or fails: with its standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{}`", line(command)))?;
    if !output.status.success() {
        bail!("`{}`: {}\n{}", line(command), output.status, String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// True when a program of that name is on the PATH.
pub(crate) fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| fs::metadata(folder.join(program)).is_ok_and(|found| found.is_file()))
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_shows_the_end_of_what_it_wrote() {
        let mut command = Command::new("sh");
        command.args(["-c", "seq 1 100; echo broken >&2; exit 3"]);
        let error = quietly("a step", Duration::ZERO, None, &mut command).expect_err("it fails");
        let told = format!("{error:#}");
        assert!(told.contains("broken") && told.contains("\n100\n") && !told.contains("\n1\n"), "{told}");
    }

    #[test]
    fn a_step_beyond_its_limit_is_ended() {
        let mut command = Command::new("sleep");
        command.arg("3600");
        let limit = Duration::from_millis(100);
        let error = quietly("a step", Duration::ZERO, Some(limit), &mut command).expect_err("it is too slow");
        assert!(format!("{error:#}").contains("no end within 100ms"), "{error:#}");
    }

    #[test]
    fn a_program_that_is_not_installed_is_named() {
        assert!(on_path("sh") && !on_path("banhbaoring-is-not-a-program"));
        let error = output(&mut Command::new("banhbaoring-is-not-a-program")).expect_err("it is not there");
        assert!(error.to_string().contains("banhbaoring-is-not-a-program"), "{error}");
    }
}
