//! The address of a key service, as far as a seal must judge it: scheme, host and port. The text itself goes into the stanza.

/// An `http` or `https` address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAddress {
    /// The connection is encrypted.
    pub encrypted: bool,
    /// Name or address of the host; IPv6 without brackets.
    pub host: String,
    /// TCP port, the scheme's own where none is written.
    pub port: u16,
}

impl ServiceAddress {
    /// Reads `https://vault.example.com:8200`; anything with a user, blanks or another scheme is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let (encrypted, rest) = match text.split_once("://")? {
            ("https", rest) => (true, rest),
            ("http", rest) => (false, rest),
            _ => return None,
        };
        let authority = rest.split(['/', '?', '#']).next()?;
        if authority.contains('@') || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return None;
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port > 0)?,
            None if encrypted => 443,
            None => 80,
        };
        if host.is_empty() {
            return None;
        }
        Some(Self { encrypted, host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::ServiceAddress;

    #[test]
    fn the_port_is_the_written_one_or_the_schemes() {
        for (text, host, port) in [
            ("https://vault.example.com:8200", "vault.example.com", 8200),
            ("https://vault.example.com/", "vault.example.com", 443),
            ("http://10.0.0.1/path:9", "10.0.0.1", 80),
            ("https://[2001:db8::1]:8200", "2001:db8::1", 8200),
            ("https://[2001:db8::1]", "2001:db8::1", 443),
        ] {
            let address = ServiceAddress::parse(text).unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "vault:8200",
            "ftp://vault",
            "https://",
            "https://:8200",
            "https://a:b@vault",
            "https://vault:0",
            "https://vault:99999",
            "https://va ult",
            "https://[::1",
        ] {
            assert_eq!(ServiceAddress::parse(text), None, "{text}");
        }
    }
}
