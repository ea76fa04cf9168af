//! Forms of names, keys, paths and identifiers that Kubernetes or the host demand. No policy here.

/// DNS-1123 subdomain of at most 253 characters: names of objects.
pub(crate) fn is_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_dns_part)
}

/// DNS-1123 label of at most 63 characters: namespaces, components, slots.
pub(crate) fn is_label(name: &str) -> bool {
    name.len() <= 63 && is_dns_part(name)
}

fn is_dns_part(part: &str) -> bool {
    let bytes = part.as_bytes();
    let edge = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    bytes.first().is_some_and(edge) && bytes.last().is_some_and(edge) && bytes.iter().all(|b| edge(b) || *b == b'-')
}

/// CamelCase of at most 128 characters: reasons, condition types, phases.
pub(crate) fn is_camel_case(text: &str) -> bool {
    text.len() <= 128 && text.as_bytes().first().is_some_and(u8::is_ascii_uppercase) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Key of a Secret's or ConfigMap's data.
pub(crate) fn is_data_key(key: &str) -> bool {
    (1..=253).contains(&key.len())
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && key != "."
        && !key.starts_with("..")
}

/// Key of a label or annotation, `prefix/name`.
pub(crate) fn is_qualified_name(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    prefix.is_none_or(is_subdomain) && is_label_text(name) && !name.is_empty()
}

/// Value of a label.
pub(crate) fn is_label_text(value: &str) -> bool {
    let bytes = value.as_bytes();
    let edge = |b: &u8| b.is_ascii_alphanumeric();
    bytes.is_empty()
        || (bytes.len() <= 63
            && bytes.first().is_some_and(edge)
            && bytes.last().is_some_and(edge)
            && bytes.iter().all(|b| edge(b) || matches!(b, b'-' | b'_' | b'.')))
}

/// JSON pointer (RFC 6901), empty for the whole value.
pub(crate) fn is_pointer(pointer: &str) -> bool {
    (pointer.is_empty() || pointer.starts_with('/'))
        && pointer.len() <= 1024
        && pointer.split('~').skip(1).all(|rest| rest.starts_with('0') || rest.starts_with('1'))
        && !pointer.chars().any(char::is_control)
}

/// Path below a mount: relative, no `..`, no empty segment.
pub(crate) fn is_relative_path(path: &str) -> bool {
    (1..=1024).contains(&path.len())
        && !path.contains(['\\', '\0', ':'])
        && path.split('/').all(|segment| !segment.is_empty() && segment != "." && segment != "..")
}

/// Absolute path in normal form, not the root.
pub(crate) fn is_absolute_path(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(is_relative_path)
}

/// Identifier of a configuration language: letters, digits, underscore.
pub(crate) fn is_identifier(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.as_bytes().first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether a label or annotation key belongs to the host.
pub(crate) fn is_reserved_key(key: &str) -> bool {
    let prefix = key.split_once('/').map_or("", |(prefix, _)| prefix);
    prefix == "banhbaoring.io" || prefix == banhbaoring_api::GROUP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_api_server_takes() {
        for good in ["a", "a-1.b", "0"] {
            assert!(is_subdomain(good), "{good}");
        }
        for bad in ["", "A", "-a", "a-", "a..b", "a/b", ".", "a_b", "ä"] {
            assert!(!is_subdomain(bad), "{bad}");
        }
        assert!(!is_subdomain(&"a".repeat(254)) && !is_label(&"a".repeat(64)) && !is_label("a.b"));
    }

    #[test]
    fn paths_never_lead_out() {
        for bad in ["", "/a", "a/../b", "..", "a//b", "./a", "a/", "a\\b"] {
            assert!(!is_relative_path(bad), "{bad}");
        }
        assert!(is_relative_path("a/b.txt") && is_absolute_path("/etc/x/y") && !is_absolute_path("/") && !is_absolute_path("/a/../b"));
    }

    #[test]
    fn pointers_are_escaped_properly() {
        assert!(is_pointer("") && is_pointer("/a~1b/~0") && !is_pointer("a") && !is_pointer("/~2") && !is_pointer("/~"));
    }
}
