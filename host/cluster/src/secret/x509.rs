//! Generators of keys and certificates, and when they are due. Pure but for the key generator of the cryptographic library, which draws its own
//! randomness.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use banhbaoring_contract::generator::{Ca, Certificate, CertificateUsage, KeyAlgorithm, KeyPair};
use banhbaoring_pipeline::contract::SecretEntry;
use rand::{CryptoRng, RngCore};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, RsaKeySize,
    SanType, SerialNumber,
};

use rcgen::PublicKeyData as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};

use super::error::SecretError;
use super::generate::{Foreign, Source, Values, invalid};

/// Clocks of nodes differ.
const BACKDATED: u64 = 300;
const DAY: u64 = 86_400;

fn made(entry: &SecretEntry) -> impl Fn(rcgen::Error) -> SecretError {
    let key = entry.key.clone();
    move |error| SecretError::Made { key: key.clone(), message: error.to_string() }
}

fn new_key(entry: &SecretEntry, algorithm: KeyAlgorithm) -> Result<rcgen::KeyPair, SecretError> {
    match algorithm {
        KeyAlgorithm::EcdsaP256 => rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
        KeyAlgorithm::EcdsaP384 => rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
        KeyAlgorithm::Ed25519 => rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519),
        KeyAlgorithm::Rsa2048 => rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
        KeyAlgorithm::Rsa4096 => rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_4096),
    }
    .map_err(made(entry))
}

pub(super) fn key_pair(entry: &SecretEntry, spec: &KeyPair, values: &mut Values) -> Result<(), SecretError> {
    let key = new_key(entry, spec.algorithm)?;
    values.insert(spec.public_key.clone(), key.public_key_pem().into_bytes());
    values.insert(entry.key.clone(), key.serialize_pem().into_bytes());
    Ok(())
}

pub(super) fn authority<R: RngCore + CryptoRng>(
    entry: &SecretEntry,
    spec: &Ca,
    values: &mut Values,
    source: &mut Source<'_, R>,
) -> Result<(), SecretError> {
    let key = new_key(entry, spec.algorithm)?;
    sign_authority(entry, spec, &key, values, source)?;
    values.insert(entry.key.clone(), key.serialize_pem().into_bytes());
    Ok(())
}

/// A renewed authority keeps its key and its name: what it signed stays good, and who trusts the old certificate trusts the new signatures.
pub(super) fn prolong<R: RngCore + CryptoRng>(
    entry: &SecretEntry,
    spec: &Ca,
    values: &mut Values,
    before: u64,
    source: &mut Source<'_, R>,
) -> Result<(), SecretError> {
    let now = i64::try_from(source.now).unwrap_or(i64::MAX);
    if values.contains_key(&spec.certificate) && due(entry, values.get(&spec.certificate), before)? > now {
        return Ok(());
    }
    let key = read_key(entry, values.get(&entry.key))?;
    sign_authority(entry, spec, &key, values, source)
}

fn sign_authority<R: RngCore + CryptoRng>(
    entry: &SecretEntry,
    spec: &Ca,
    key: &rcgen::KeyPair,
    values: &mut Values,
    source: &mut Source<'_, R>,
) -> Result<(), SecretError> {
    if !(1..=7300).contains(&spec.valid_days) {
        return Err(invalid(entry, format!("expected 1 to 7300 days, found {}", spec.valid_days)));
    }
    let mut params = params(&spec.common_name, spec.valid_days, source);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    let certificate = params.self_signed(key).map_err(made(entry))?;
    values.insert(spec.certificate.clone(), certificate.pem().into_bytes());
    Ok(())
}

pub(super) fn certificate<R: RngCore + CryptoRng>(
    entry: &SecretEntry,
    spec: &Certificate,
    own: &str,
    before: Option<u64>,
    values: &mut Values,
    foreign: &Foreign,
    source: &mut Source<'_, R>,
) -> Result<(), SecretError> {
    if !(1..=3650).contains(&spec.valid_days) {
        return Err(invalid(entry, format!("expected 1 to 3650 days, found {}", spec.valid_days)));
    }
    let from_ca = |key: &str| {
        let value = if spec.ca.secret == own { values.get(key) } else { foreign.get(&(spec.ca.secret.clone(), key.to_owned())) };
        value.cloned().ok_or_else(|| SecretError::Missing { secret: spec.ca.secret.clone(), key: key.to_owned() })
    };
    let ca_certificate = from_ca(&spec.ca.certificate)?;
    if before.is_some_and(|before| is_good(entry, spec, values, &ca_certificate, before, source.now)) {
        if let Some(ca) = &spec.ca_certificate {
            values.insert(ca.clone(), ca_certificate);
        }
        return Ok(());
    }
    let ca_key = read_key(entry, Some(&from_ca(&spec.ca.private_key)?))?;
    let ca_text = std::str::from_utf8(&ca_certificate).map_err(|_| invalid(entry, "the authority's certificate is not PEM".to_owned()))?;
    let issuer = Issuer::from_ca_cert_pem(ca_text, ca_key).map_err(made(entry))?;

    let mut params = params(&spec.common_name, spec.valid_days, source);
    params.subject_alt_names = names(entry, spec)?;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    let usages = if spec.usages.is_empty() { &[CertificateUsage::Server, CertificateUsage::Client][..] } else { &spec.usages };
    params.extended_key_usages = usages
        .iter()
        .map(|usage| match usage {
            CertificateUsage::Server => ExtendedKeyUsagePurpose::ServerAuth,
            CertificateUsage::Client => ExtendedKeyUsagePurpose::ClientAuth,
        })
        .collect();
    let key = new_key(entry, spec.algorithm)?;
    let certificate = params.signed_by(&key, &issuer).map_err(made(entry))?;
    values.insert(spec.certificate.clone(), certificate.pem().into_bytes());
    values.insert(entry.key.clone(), key.serialize_pem().into_bytes());
    if let Some(ca) = &spec.ca_certificate {
        values.insert(ca.clone(), ca_certificate);
    }
    Ok(())
}

/// Whether the certificate that is there is what the spec asks for, signed by the authority as it is now, fits its key and is not due: then it
/// stays, so that a change beside it does not roll every pod that carries its hash.
pub(super) fn is_good(entry: &SecretEntry, spec: &Certificate, values: &Values, authority: &[u8], before: u64, now: u64) -> bool {
    let Ok(now) = i64::try_from(now) else { return false };
    let is_due = due(entry, values.get(&spec.certificate), before).is_ok_and(|due| due <= now);
    let (Ok(wanted), Ok(key)) = (names(entry, spec), read_key(entry, values.get(&entry.key))) else { return false };
    let parsed = values.get(&spec.certificate).and_then(|pem| x509_parser::pem::parse_x509_pem(pem).ok());
    let (Some((_, leaf)), Ok((_, authority))) = (parsed, x509_parser::pem::parse_x509_pem(authority)) else { return false };
    let (Ok(leaf), Ok(authority)) = (leaf.parse_x509(), authority.parse_x509()) else { return false };

    let (from, until) = (leaf.validity().not_before.timestamp(), leaf.validity().not_after.timestamp());
    let lifetime = u64::from(spec.valid_days) * DAY + BACKDATED;
    let common_name = leaf.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    let usages = leaf.extended_key_usage().ok().flatten().map(|usage| (usage.value.server_auth, usage.value.client_auth));
    let asked = |usage| spec.usages.is_empty() || spec.usages.contains(&usage);
    let is_signer = leaf.issuer() == authority.subject() && key_identifiers(&leaf).0 == key_identifiers(&authority).1;
    !is_due
        && is_signer
        && key.subject_public_key_info() == leaf.public_key().raw
        && is_of(&key, spec.algorithm)
        && u64::try_from(until - from) == Ok(lifetime)
        && common_name == Some(spec.common_name.as_str())
        && usages == Some((asked(CertificateUsage::Server), asked(CertificateUsage::Client)))
        && names_of(&leaf) == Some(wanted.iter().map(shown).collect())
}

fn is_of(key: &rcgen::KeyPair, algorithm: KeyAlgorithm) -> bool {
    key.is_compatible(match algorithm {
        KeyAlgorithm::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        KeyAlgorithm::EcdsaP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        KeyAlgorithm::Ed25519 => &rcgen::PKCS_ED25519,
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa4096 => &rcgen::PKCS_RSA_SHA256,
    })
}

/// Of the authority that signed it, and of its own key.
fn key_identifiers(certificate: &X509Certificate<'_>) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let mut found = (None, None);
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(identifier) => found.0 = identifier.key_identifier.as_ref().map(|key| key.0.to_vec()),
            ParsedExtension::SubjectKeyIdentifier(key) => found.1 = Some(key.0.to_vec()),
            _ => {}
        }
    }
    found
}

fn names_of(certificate: &X509Certificate<'_>) -> Option<BTreeSet<String>> {
    let Some(names) = certificate.subject_alternative_name().ok()? else {
        return Some(BTreeSet::new());
    };
    names
        .value
        .general_names
        .iter()
        .map(|name| match name {
            GeneralName::DNSName(name) => Some(format!("dns {name}")),
            GeneralName::URI(uri) => Some(format!("uri {uri}")),
            GeneralName::IPAddress(bytes) => match *bytes {
                bytes if bytes.len() == 4 => <[u8; 4]>::try_from(bytes).ok().map(|bytes| format!("ip {}", IpAddr::from(bytes))),
                bytes => <[u8; 16]>::try_from(bytes).ok().map(|bytes| format!("ip {}", IpAddr::from(bytes))),
            },
            _ => None,
        })
        .collect()
}

fn shown(name: &SanType) -> String {
    match name {
        SanType::DnsName(name) => format!("dns {}", name.as_str()),
        SanType::URI(uri) => format!("uri {}", uri.as_str()),
        SanType::IpAddress(address) => format!("ip {address}"),
        _ => String::new(),
    }
}

fn names(entry: &SecretEntry, spec: &Certificate) -> Result<Vec<SanType>, SecretError> {
    let text = |name: &str| name.to_owned().try_into().map_err(|_| invalid(entry, format!("expected an ASCII name, found {name:?}")));
    let mut names = Vec::new();
    let common_is_dns = !spec.common_name.is_empty()
        && spec.common_name.split('.').enumerate().all(|(at, label)| {
            let wild = at == 0 && label == "*";
            wild || (!label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'))
        });
    if common_is_dns && !spec.dns_names.contains(&spec.common_name) {
        names.push(SanType::DnsName(text(&spec.common_name)?));
    }
    for name in &spec.dns_names {
        names.push(SanType::DnsName(text(name)?));
    }
    for address in &spec.ip_addresses {
        let parsed: IpAddr = address.parse().map_err(|_| invalid(entry, format!("expected an IP address, found {address:?}")))?;
        names.push(SanType::IpAddress(parsed));
    }
    for uri in &spec.uris {
        names.push(SanType::URI(text(uri)?));
    }
    Ok(names)
}

fn params<R: RngCore + CryptoRng>(common_name: &str, valid_days: u32, source: &mut Source<'_, R>) -> CertificateParams {
    let mut params = CertificateParams::default();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(source.now.saturating_sub(BACKDATED));
    params.not_after = epoch + Duration::from_secs(source.now + u64::from(valid_days) * DAY);
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    params.distinguished_name = name;
    let mut serial = [0_u8; 16];
    source.random.fill_bytes(&mut serial);
    // Positive, and never shortened by a leading zero.
    serial[0] = (serial[0] & 0x7f) | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params
}

fn read_key(entry: &SecretEntry, pem: Option<&Vec<u8>>) -> Result<rcgen::KeyPair, SecretError> {
    let text = pem.and_then(|pem| std::str::from_utf8(pem).ok());
    let text = text.ok_or_else(|| invalid(entry, "the authority's private key is not PEM".to_owned()))?;
    rcgen::KeyPair::from_pem(text).map_err(made(entry))
}

/// When a certificate has to be made anew, in seconds since 1970.
pub(super) fn due(entry: &SecretEntry, pem: Option<&Vec<u8>>, before: u64) -> Result<i64, SecretError> {
    let unreadable = || invalid(entry, "the certificate in the Secret is not PEM".to_owned());
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.ok_or_else(unreadable)?).map_err(|_| unreadable())?;
    let certificate = pem.parse_x509().map_err(|_| unreadable())?;
    let (from, until) = (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
    let before = i64::try_from(before).unwrap_or(i64::MAX);
    if before >= until.saturating_sub(from).saturating_sub(i64::try_from(BACKDATED).unwrap_or_default()) {
        return Err(invalid(
            entry,
            format!("expected to renew fewer seconds before the end than the certificate is valid, found {before}"),
        ));
    }
    Ok(until - before)
}
