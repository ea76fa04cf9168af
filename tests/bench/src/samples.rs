//! Many measurements of one thing, and what is said of them.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Sorted measurements, in microseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn of(durations: impl IntoIterator<Item = Duration>) -> Self {
        let mut samples: Vec<f64> = durations.into_iter().map(|duration| duration.as_secs_f64() * 1e6).collect();
        samples.sort_by(f64::total_cmp);
        Self(samples)
    }

    /// The value that a share of all samples does not exceed; 0 without samples.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        self.0.get(index).copied().unwrap_or_default()
    }

    pub(crate) fn p50(&self) -> f64 {
        self.quantile(0.5)
    }

    pub(crate) fn p99(&self) -> f64 {
        self.quantile(0.99)
    }

    /// Points of the distribution, for a plot: share of the samples against milliseconds.
    pub(crate) fn distribution(&self) -> Vec<(f64, f64)> {
        (0..=100).map(|percent| (f64::from(percent), self.quantile(f64::from(percent) / 100.0) / 1e3)).collect()
    }
}

/// How much of a processor `work` takes in this thread: what others do on the machine meanwhile is not in it.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let started = used();
    let result = work();
    (used().saturating_sub(started), result)
}

fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Two things that are compared are measured in turns, so that a busy moment of the machine hits both.
pub(crate) fn in_turns(count: usize, mut first: impl FnMut() -> Duration, mut second: impl FnMut() -> Duration) -> (Samples, Samples) {
    const BLOCK: usize = 50;
    let (mut of_first, mut of_second) = (Vec::with_capacity(count), Vec::with_capacity(count));
    while of_first.len() < count {
        of_first.extend((0..BLOCK).map(|_| first()));
        of_second.extend((0..BLOCK).map(|_| second()));
    }
    (Samples::of(of_first), Samples::of(of_second))
}

/// `850 ns`, `40.1 µs`, `1.20 ms`, `3.4 s`.
pub(crate) fn spoken(micros: f64) -> String {
    match micros {
        value if value < 1.0 => format!("{:.0} ns", value * 1e3),
        value if value < 1e3 => format!("{value:.1} µs"),
        value if value < 1e6 => format!("{:.2} ms", value / 1e3),
        value => format!("{:.1} s", value / 1e6),
    }
}
