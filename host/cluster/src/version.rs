//! Which of two resourceVersions of an object is newer.

/// Versions are compared as the numbers that they are (KEP-5504); what is no number is older than everything, so that it is asked for.
pub fn is_newer(one: &str, than: &str) -> bool {
    let number = |text: &str| text.parse::<u64>().unwrap_or(0);
    number(one) > number(than)
}
