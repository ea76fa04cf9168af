//! Printing: the only place that writes to standard output and standard error. Colour on terminals only, and never with `NO_COLOR`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints; this module is where")]

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use crate::error::CliError;

/// Prints a result. A closed pipe (`| head`) is not an error.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") });
}

/// Prints something for the person beside the result.
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// Prints why a command failed.
pub(crate) fn fail(error: &CliError) -> ExitCode {
    let mut message = format!("{error}");
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let inner_message = inner.to_string();
        if !message.contains(&inner_message) {
            message = format!("{message}: {inner_message}");
        }
        source = inner.source();
    }
    eprintln!("{} {message}", paint("error:", Colour::Red, std::io::stderr().is_terminal()));
    ExitCode::FAILURE
}

/// The few colours that are used.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Colour {
    /// Removed, failed.
    Red,
    /// Added, ready.
    Green,
    /// On its way.
    Yellow,
    /// Aside.
    Dim,
}

/// `text` in a colour where standard output is a terminal.
pub(crate) fn colour(text: &str, colour: Colour) -> String {
    paint(text, colour, std::io::stdout().is_terminal())
}

fn paint(text: &str, colour: Colour, terminal: bool) -> String {
    if !terminal || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return text.to_owned();
    }
    let code = match colour {
        Colour::Red => 31,
        Colour::Green => 32,
        Colour::Yellow => 33,
        Colour::Dim => 2,
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}
