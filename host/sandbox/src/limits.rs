//! The limits of one call, and the limiter that holds an instance to its share of memory.

use std::time::Duration;

use banhbaoring_api::plugin::Limits;
use wasmtime::ResourceLimiter;

/// What a call that enters an instance may use at most, whatever the Plugin asks for.
const MAX_CPU: Duration = Duration::from_secs(60);
const MAX_TIMEOUT: Duration = Duration::from_secs(300);

/// A Plugin's `spec.limits` that cannot be taken as written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("limits.{field}: expected {expected}, found `{found}`; correct it in the Plugin's spec")]
pub struct LimitsError {
    field: &'static str,
    expected: String,
    found: String,
}

/// Limits of one call into a plugin, start functions of its instance included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// Bytes of linear memory, all memories of the instance together.
    pub memory: usize,
    /// CPU time of the thread that makes the call: neither a throttled node nor a busy neighbour counts. Looked at every 20 ms.
    pub cpu: Duration,
    /// Wall clock: the backstop.
    pub timeout: Duration,
    /// Limits of what comes back.
    pub response: ResponseLimits,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self { memory: 64 << 20, cpu: Duration::from_millis(200), timeout: Duration::from_secs(5), response: ResponseLimits::default() }
    }
}

impl CallLimits {
    /// The largest memory that a Plugin may ask for, in bytes.
    pub const MAX_MEMORY: usize = 1 << 30;

    /// Reads a Plugin's `spec.limits`; `64Mi`, `200ms`, `5s`.
    ///
    /// # Errors
    /// A field that is not a quantity of its form, or beyond what the host gives to any plugin.
    pub fn from_spec(spec: &Limits) -> Result<Self, LimitsError> {
        let memory = memory(&spec.memory)
            .filter(|bytes| (64 << 10..=Self::MAX_MEMORY as u64).contains(bytes))
            .and_then(|bytes| usize::try_from(bytes).ok())
            .ok_or_else(|| LimitsError {
                field: "memory",
                expected: "a quantity between 64Ki and 1024Mi".to_owned(),
                found: spec.memory.chars().take(32).collect(),
            })?;
        Ok(Self {
            memory,
            cpu: duration("cpu", &spec.cpu, MAX_CPU)?,
            timeout: duration("timeout", &spec.timeout, MAX_TIMEOUT)?,
            response: ResponseLimits::default(),
        })
    }
}

fn memory(text: &str) -> Option<u64> {
    let (digits, unit) = text.strip_suffix("Ki").map(|d| (d, 1u64 << 10)).or_else(|| text.strip_suffix("Mi").map(|d| (d, 1 << 20)))?;
    number(digits)?.checked_mul(unit)
}

fn duration(field: &'static str, text: &str, max: Duration) -> Result<Duration, LimitsError> {
    let parsed = match text.strip_suffix("ms") {
        Some(digits) => number(digits).map(Duration::from_millis),
        None => text.strip_suffix('s').and_then(number).map(Duration::from_secs),
    };
    parsed.filter(|d| !d.is_zero() && *d <= max).ok_or_else(|| LimitsError {
        field,
        expected: format!("a duration between 1ms and {}s", max.as_secs()),
        found: text.chars().take(32).collect(),
    })
}

fn number(digits: &str) -> Option<u64> {
    // `parse` alone would take a leading `+`.
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Limits of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseLimits {
    /// Bytes of all texts and list entries together, counted before any of them is copied out of the instance.
    pub bytes: usize,
    /// Depth of any JSON.
    pub depth: usize,
    /// JSON values of all texts together.
    pub nodes: usize,
    /// Objects.
    pub objects: usize,
    /// Needs, actions, generated Secrets, events and conditions: each at most this many.
    pub items: usize,
    /// Metrics: a component may have a series for each of many things.
    pub metrics: usize,
    /// Entries of any list below these (labels, pointers, environment variables).
    pub entries: usize,
}

impl Default for ResponseLimits {
    fn default() -> Self {
        Self { bytes: 4 << 20, depth: 128, nodes: 200_000, objects: 500, items: 64, metrics: 1_000, entries: 256 }
    }
}

/// Which limit an instance ran into while it was made or while it grew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GrowthRefused {
    #[error("asked for {wanted} bytes of memory, the limit is {limit}")]
    Memory { wanted: usize, limit: usize },
    #[error("asked for a table of {wanted} elements, the limit is {limit}")]
    Table { wanted: usize, limit: usize },
}

/// Largest table, in elements: what the largest known toolchains need, several times over.
pub(crate) const TABLE_ELEMENTS: usize = 65_536;
/// Core instances, memories and tables of one component.
pub(crate) const CORE_INSTANCES: u32 = 8;
pub(crate) const MEMORIES: u32 = 4;
pub(crate) const TABLES: u32 = 8;

/// Holds one store to its limits. All its memories share one limit: wasmtime's own limiter would give each of them the whole.
pub(crate) struct Limiter {
    limit: usize,
    used: usize,
}

impl Limiter {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, used: 0 }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.used.saturating_add(desired.saturating_sub(current));
        if wanted > self.limit {
            return Err(GrowthRefused::Memory { wanted, limit: self.limit }.into());
        }
        // Beyond the module's own maximum: it asked for that answer itself.
        if maximum.is_some_and(|max| desired > max) {
            return Ok(false);
        }
        self.used = wanted;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(error)
    }

    fn table_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS {
            return Err(GrowthRefused::Table { wanted: desired, limit: TABLE_ELEMENTS }.into());
        }
        Ok(maximum.is_none_or(|max| desired <= max))
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(error)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        TABLES as usize
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(memory: &str, cpu: &str, timeout: &str) -> Limits {
        Limits { memory: memory.into(), cpu: cpu.into(), timeout: timeout.into() }
    }

    #[test]
    fn limits_are_read_as_the_plugin_resource_writes_them() {
        let limits = CallLimits::from_spec(&Limits::default()).unwrap();
        assert_eq!(limits, CallLimits::default());
        let limits = CallLimits::from_spec(&spec("512Ki", "2s", "1500ms")).unwrap();
        assert_eq!((limits.memory, limits.cpu.as_millis(), limits.timeout.as_millis()), (512 << 10, 2_000, 1_500));
    }

    #[test]
    fn limits_beyond_the_hosts_own_are_refused_by_field() {
        for (limits, field) in [
            (spec("2048Mi", "1s", "1s"), "memory"),
            (spec("0Mi", "1s", "1s"), "memory"),
            (spec("99999999999999999999Mi", "1s", "1s"), "memory"),
            (spec("64Mi", "0ms", "1s"), "cpu"),
            (spec("64Mi", "61s", "1s"), "cpu"),
            (spec("64Mi", "1s", "+1s"), "timeout"),
            (spec("64Mi", "1s", "1h"), "timeout"),
        ] {
            assert_eq!(CallLimits::from_spec(&limits).unwrap_err().field, field, "{limits:?}");
        }
    }
}
