//! What may leave a Secret for a ConfigMap: decided by the value itself. That a generator calls a key public says nothing of a value that was there
//! before, or that was restored from a Secret of the user's.

use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

/// Longest text that is published: a bundle of authorities.
const MAX_BYTES: usize = 256 * 1024;

/// Whether a value is nothing but certificates and public keys in PEM.
pub(super) fn is_public(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    if text.len() > MAX_BYTES || !only_blocks(text) {
        return false;
    }
    let mut blocks = 0;
    for block in Pem::iter_from_buffer(value) {
        let public = block.is_ok_and(|block| match block.label.as_str() {
            "CERTIFICATE" => block.parse_x509().is_ok(),
            "PUBLIC KEY" => SubjectPublicKeyInfo::from_der(&block.contents).is_ok_and(|(rest, _)| rest.is_empty()),
            _ => false,
        });
        if !public {
            return false;
        }
        blocks += 1;
    }
    blocks > 0
}

/// Parsers skip what stands between blocks; readers of a ConfigMap do not.
fn only_blocks(text: &str) -> bool {
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        match line {
            _ if line.starts_with("-----BEGIN ") && !inside => inside = true,
            _ if line.starts_with("-----END ") && inside => inside = false,
            "" => {}
            _ if !inside => return false,
            _ if line.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=')) => {}
            _ => return false,
        }
    }
    !inside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certificates_and_public_keys_are_public() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
        let public = key.public_key_pem();
        assert!(is_public(certificate.as_bytes()));
        assert!(is_public(public.as_bytes()));
        assert!(is_public(format!("{certificate}{certificate}").as_bytes()));
        let disguised = certificate.replace("CERTIFICATE", "PUBLIC KEY");
        let private = key.serialize_pem();
        let hidden = private.replace("PRIVATE KEY", "CERTIFICATE");
        for secret in [
            "hunter2",
            "",
            &private,
            &hidden,
            &disguised,
            &format!("{certificate}{private}"),
            &format!("{certificate}hunter2\n"),
            &format!("hunter2\n{certificate}"),
            &certificate.replace("-----END", "Comment: hunter2\n-----END"),
            "-----BEGIN PUBLIC KEY-----\naHVudGVyMg==\n-----END PUBLIC KEY-----\n",
        ] {
            assert!(!is_public(secret.as_bytes()), "{secret}");
        }
        assert!(!is_public(&[0xff, 0xfe]));
    }
}
