//! What people see while they wait: the work, how long it takes so far and how long it usually takes.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// One piece of work that is shown while it runs.
pub(crate) struct Work {
    about: String,
    start: Instant,
    spinner: Option<ProgressBar>,
}

impl Work {
    /// Shows that the work begins; `usual` is how long it usually takes.
    pub(crate) fn begin(about: &str, usual: Duration) -> Self {
        let line = format!("{about} (usually {})", spoken(usual));
        let spinner = io::stderr().is_terminal().then(|| {
            let spinner = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4} {msg}") {
                spinner.set_style(style);
            }
            spinner.set_message(line.clone());
            spinner.enable_steady_tick(Duration::from_millis(120));
            spinner
        });
        if spinner.is_none() {
            say(&format!("… {line}"));
        }
        Self { about: about.to_owned(), start: Instant::now(), spinner }
    }

    /// Shows that it is done.
    pub(crate) fn done(self) {
        self.end("✓");
    }

    /// Shows that it failed; the error itself is told by whoever handles it.
    pub(crate) fn failed(self) {
        self.end("✗");
    }

    fn end(self, mark: &str) {
        if let Some(spinner) = self.spinner {
            spinner.finish_and_clear();
        }
        say(&format!("{mark} {} {}", self.about, spoken(self.start.elapsed())));
    }
}

/// Writes a line to standard error.
pub(crate) fn say(line: &str) {
    // Nobody is left to be told that standard error is closed.
    let _ = writeln!(io::stderr(), "{line}");
}

/// `0.4 s`, `42 s`, `3 min 5 s`.
pub(crate) fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spoken_at_the_size_that_matters() {
        assert_eq!(spoken(Duration::from_millis(440)), "0.4 s");
        assert_eq!(spoken(Duration::from_secs(42)), "42 s");
        assert_eq!(spoken(Duration::from_secs(185)), "3 min 5 s");
    }
}
