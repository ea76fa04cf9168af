//! Tells what took how long.

use std::time::{Duration, Instant};

/// A clock that begins when it is made.
pub struct Clock {
    start: Instant,
    last: Instant,
}

impl Clock {
    /// Begins.
    pub fn start() -> Self {
        Self { start: Instant::now(), last: Instant::now() }
    }

    /// Tells what was done since the last time.
    pub fn tell(&mut self, what: &str) {
        println!("{:>6.1} s  {what}", self.last.elapsed().as_secs_f64());
        self.last = Instant::now();
    }

    /// Since the beginning.
    pub fn total(&self) -> Duration {
        self.start.elapsed()
    }
}
