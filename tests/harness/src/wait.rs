//! Waiting on conditions: every wait has a deadline, and one that runs out says what it saw last.

use std::{
    fmt::Display,
    future::Future,
    time::{Duration, Instant},
};

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Longest wait for what comes soon on an idle machine: a deadline costs nothing until it is missed, and machines are busy. Shorter than the ten minutes
/// after which the operator asks again as a precaution, so that what a watch should have told is not found all the same.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// A wait that ran out, or that can no longer succeed.
#[derive(Debug, thiserror::Error)]
#[error("waited {waited:.1?} for {what} ({tries} looks), last seen: {saw}")]
pub struct TimedOut {
    /// What was waited for.
    pub what: String,
    /// How long.
    pub waited: Duration,
    /// How often the probe ran.
    pub tries: u32,
    /// What the last probe saw.
    pub saw: String,
}

/// What a probe found.
#[derive(Debug)]
pub enum Probe<T> {
    /// The condition holds.
    Ready(T),
    /// Not yet; what was seen instead.
    NotYet(String),
    /// It will never hold: stop waiting. What was seen.
    Never(String),
}

/// Waits until the probe returns `Ok`. Its `Err` says what was seen instead and ends up in the failure.
///
/// ```no_run
/// # async fn phase() -> String { "Ready".into() }
/// # async fn a_test() -> Result<(), banhbaoring_testing::wait::TimedOut> {
/// banhbaoring_testing::wait::until(banhbaoring_testing::wait::PATIENCE, "the owner to be Ready", async || {
///     let phase = phase().await;
///     if phase == "Ready" { Ok(()) } else { Err(format!("phase {phase}")) }
/// })
/// .await
/// # }
/// ```
///
/// # Errors
/// [`TimedOut`] with the last `Err` of the probe.
pub async fn until<T, S, F, R>(deadline: Duration, what: impl Display, mut probe: F) -> Result<T, TimedOut>
where
    S: Display,
    F: FnMut() -> R,
    R: Future<Output = Result<T, S>>,
{
    until_decided(deadline, what, || {
        let looking = probe();
        async move {
            match looking.await {
                Ok(value) => Probe::Ready(value),
                Err(saw) => Probe::NotYet(saw.to_string()),
            }
        }
    })
    .await
}

/// Like [`until`], for a probe that can also tell that waiting is pointless.
///
/// # Errors
/// [`TimedOut`] when the time is up or the probe returned [`Probe::Never`].
pub async fn until_decided<T, F, R>(deadline: Duration, what: impl Display, mut probe: F) -> Result<T, TimedOut>
where
    F: FnMut() -> R,
    R: Future<Output = Probe<T>>,
{
    let start = Instant::now();
    let mut saw = String::from("nothing: the first look did not end");
    let mut pause = FIRST_PAUSE;
    let mut tries = 0;
    loop {
        let left = deadline.saturating_sub(start.elapsed());
        tries += 1;
        match tokio::time::timeout(left, probe()).await {
            Ok(Probe::Ready(value)) => return Ok(value),
            Ok(Probe::NotYet(seen)) => saw = seen,
            Ok(Probe::Never(seen)) => {
                return Err(TimedOut { what: what.to_string(), waited: start.elapsed(), tries, saw: seen });
            }
            Err(_) if tries > 1 => saw.push_str(" (and the last look did not end)"),
            Err(_) => {}
        }
        if start.elapsed() >= deadline {
            return Err(TimedOut { what: what.to_string(), waited: start.elapsed(), tries, saw });
        }
        tokio::time::sleep(pause.min(deadline.saturating_sub(start.elapsed()))).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_that_runs_out_says_what_it_saw_last() {
        let mut looks = 0;
        let failed = until(Duration::from_millis(60), "the moon", || {
            looks += 1;
            let seen = format!("cloud {looks}");
            async move { Err::<(), _>(seen) }
        })
        .await
        .expect_err("it never comes");
        assert_eq!(failed.saw, format!("cloud {looks}"));
        assert!(failed.to_string().contains("the moon"), "{failed}");
    }

    #[tokio::test]
    async fn a_probe_that_never_ends_does_not_outlive_the_deadline() {
        let failed =
            until(Duration::from_millis(50), "an answer", std::future::pending::<Result<(), String>>).await.expect_err("it never ends");
        assert!(failed.waited < Duration::from_secs(10), "{failed}");
    }

    #[tokio::test]
    async fn a_probe_that_can_no_longer_succeed_ends_the_wait_at_once() {
        let failed = until_decided(Duration::from_secs(3600), "a dead server", async || Probe::<()>::Never("exit 1".into()))
            .await
            .expect_err("it is dead");
        assert_eq!((failed.tries, failed.saw.as_str()), (1, "exit 1"));
    }
}
