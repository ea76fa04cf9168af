//! What a call has used of CPU and of time, looked at whenever an epoch ends. Not fuel: counting instructions made renders a fifth slower and compiled code
//! a fifth larger. The code of guests only asks, at loops and functions, whether an epoch ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::limits::CallLimits;

/// Length of an epoch: how often a call is looked at.
pub(crate) const EPOCH: Duration = Duration::from_millis(20);

/// Counts epochs. Time is counted in wake-ups of the engine's ticker, so a process that was stopped or throttled as a whole does not find all its calls late
/// when it goes on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Epochs(Arc<AtomicU64>);

impl Epochs {
    pub(crate) fn advance(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Which limit a call ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Spent {
    #[error("the CPU limit is reached")]
    Cpu,
    #[error("the wall-clock limit is reached")]
    Time,
}

/// Measures one call. Started and read by the thread that makes it.
pub(crate) struct Meter {
    cpu: Duration,
    epochs: Epochs,
    last_epoch: u64,
}

impl Meter {
    /// Starts to measure.
    pub(crate) fn start(limits: &CallLimits, epochs: &Epochs) -> Self {
        // Rounded up, and one for the epoch that is under way.
        let lasting = u64::try_from(limits.timeout.as_nanos().div_ceil(EPOCH.as_nanos())).unwrap_or(u64::MAX / 2);
        Self {
            cpu: cpu_of_this_thread().saturating_add(limits.cpu),
            last_epoch: epochs.now().saturating_add(lasting).saturating_add(1),
            epochs: epochs.clone(),
        }
    }

    /// # Errors
    /// When the call has used what it may.
    pub(crate) fn check(&self) -> Result<(), Spent> {
        if self.epochs.now() >= self.last_epoch {
            return Err(Spent::Time);
        }
        if cpu_of_this_thread() > self.cpu { Err(Spent::Cpu) } else { Ok(()) }
    }
}

fn cpu_of_this_thread() -> Duration {
    // No thread has used less than nothing.
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
