//! The placeholder that stands for the hash of a Secret's value in a pod template. The host fills it in after admission, so a pod rolls
//! when a Secret changes and no plugin ever sees a hash.

use std::fmt;

/// `$(hash:secret/key)`, or `$(hash:secret)` for all keys of the Secret. Written as the value of a pod template's annotation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretHash {
    secret: String,
    key: Option<String>,
}

impl SecretHash {
    /// The hash of one key of a Secret in the owner's namespace.
    pub fn of_key(secret: impl Into<String>, key: impl Into<String>) -> Self {
        Self { secret: secret.into(), key: Some(key.into()) }
    }

    /// The hash of a whole Secret in the owner's namespace.
    pub fn of_secret(secret: impl Into<String>) -> Self {
        Self { secret: secret.into(), key: None }
    }

    /// Reads a placeholder that is the whole of `text`; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let inner = text.strip_prefix("$(hash:")?.strip_suffix(')')?;
        let (secret, key) = match inner.split_once('/') {
            Some((secret, key)) => (secret, Some(key)),
            None => (inner, None),
        };
        let named = |name: &str| {
            !name.is_empty() && name.len() <= 253 && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        };
        if !named(secret) || !key.is_none_or(named) {
            return None;
        }
        Some(Self { secret: secret.to_owned(), key: key.map(ToOwned::to_owned) })
    }

    /// Name of the Secret.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The key, or `None` for the whole Secret.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }
}

impl fmt::Display for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "$(hash:{}/{key})", self.secret),
            None => write!(f, "$(hash:{})", self.secret),
        }
    }
}

impl From<SecretHash> for String {
    fn from(hash: SecretHash) -> Self {
        hash.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::SecretHash;

    #[test]
    fn what_is_written_is_read_back() {
        for hash in [SecretHash::of_key("prod-tls", "tls.crt"), SecretHash::of_secret("prod-tls")] {
            assert_eq!(SecretHash::parse(&hash.to_string()), Some(hash));
        }
        assert_eq!(SecretHash::of_key("prod-tls", "tls.crt").to_string(), "$(hash:prod-tls/tls.crt)");
    }

    #[test]
    fn anything_but_a_whole_placeholder_is_plain_text() {
        for text in ["", "$(hash:)", "$(hash:/key)", "$(hash:a/)", "$(hash:a/b/c)", "x$(hash:a/b)", "$(hash:a b)", "$(HOSTNAME)"] {
            assert_eq!(SecretHash::parse(text), None, "{text}");
        }
    }
}
