//! How often a plugin is looked at, `spec.source.oci.interval` as a duration, and for how long.

use std::time::Duration;

use banhbaoring_api::plugin::PluginSpec;

use super::progress::{Setback, Stage};

/// Where the spec names no usable interval.
pub(super) const INTERVAL: Duration = Duration::from_secs(600);

/// How long one look at a plugin may take. A registry that answers a byte at a time would otherwise never be asked something else.
pub(super) const LOOK: Duration = Duration::from_secs(900);

/// How often the source of a plugin is looked at.
pub(super) fn interval(spec: &PluginSpec) -> Duration {
    parse_duration(&spec.source.oci.interval).unwrap_or(INTERVAL).max(Duration::from_secs(1))
}

/// A look that took longer than [`LOOK`].
pub(super) fn too_slow() -> Setback {
    let message = format!("expected to be done within {} seconds; ask why the registry is so slow", LOOK.as_secs());
    Setback { stage: Stage::Resolved, reason: "RegistryTooSlow", message, transient: true }
}

/// `1h30m10s`, as the schema of `interval` allows.
fn parse_duration(text: &str) -> Option<Duration> {
    let mut seconds = 0_u64;
    let mut number = String::new();
    for character in text.chars() {
        if character.is_ascii_digit() {
            number.push(character);
            continue;
        }
        let factor = match character {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return None,
        };
        seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(factor)?)?;
        number.clear();
    }
    number.is_empty().then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_the_schema_allows_them() {
        assert_eq!(parse_duration("10m"), Some(Duration::from_secs(600)));
        assert_eq!(parse_duration("1h30m10s"), Some(Duration::from_secs(5410)));
        assert_eq!(parse_duration("10"), None);
        assert_eq!(parse_duration("99999999999999999999s"), None);
        assert_eq!(parse_duration("s"), None);
    }
}
