//! How a registry is talked to: transport, trust, patience. Values only.

use std::time::Duration;

/// Whether a registry may be asked without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// https only.
    #[default]
    Https,
    /// Plain http, and only if the registry is a loopback address; another address is an error.
    PlainHttpOnLoopback,
    /// Plain http to anywhere. For closed test networks; digests and signatures still protect what is read, not what is sent.
    PlainHttpAnywhere,
}

/// How often and how patiently transient failures (refused, timed out, 429, 5xx) are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, at least 1.
    pub attempts: u32,
    /// Wait before the second attempt; doubles from there.
    pub first_wait: Duration,
    /// The longest wait, also for a registry's `Retry-After`.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 4, first_wait: Duration::from_millis(250), longest_wait: Duration::from_secs(10) }
    }
}

/// How a registry is talked to.
#[derive(Debug, Clone)]
pub struct RegistryOptions {
    /// TLS or, by opt-in, not.
    pub transport: Transport,
    /// PEM bundles of authorities trusted in addition to the system's.
    pub extra_roots: Vec<Vec<u8>>,
    /// What is tried again.
    pub retry: RetryPolicy,
    /// For the TCP and TLS handshakes.
    pub connect_timeout: Duration,
    /// Between two pieces of an answer.
    pub read_timeout: Duration,
    /// For one exchange in all.
    pub total_timeout: Duration,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            transport: Transport::default(),
            extra_roots: Vec::new(),
            retry: RetryPolicy::default(),
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_secs(300),
        }
    }
}
