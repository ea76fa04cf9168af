//! Secrets whose material the host makes: names, generators, what refers to what, and what may be published. No material lives here.

use std::collections::BTreeSet;

use banhbaoring_api::grants::Relation;
use banhbaoring_contract::generator::{AgeIdentity, Bytes, Ca, Certificate, GeneratorSpec, Hash, KeyPair, Password, Template};

use super::asker::Asker;
use super::refusal::{Findings, Reason, shown};
use super::resources::Access;
use super::syntax::{is_data_key, is_label_text, is_qualified_name, is_reserved_key, is_subdomain};
use crate::contract::{GeneratedSecret, ObjectReference, SecretClass, SecretEntry};
use crate::kinds::KindInfo;

/// Entries, labels and publications per Secret.
const PARTS: usize = 64;
const DAY: u64 = 24 * 60 * 60;

/// The Secret as an object.
pub(super) fn reference(secret: &GeneratedSecret, namespace: Option<&str>) -> ObjectReference {
    core("Secret", &secret.name, namespace)
}

/// The ConfigMaps that it is published into, each once.
pub(super) fn publications(secret: &GeneratedSecret, namespace: Option<&str>) -> Vec<ObjectReference> {
    let names: BTreeSet<&str> = secret.publish.iter().map(|publication| publication.config_map.as_str()).collect();
    names.into_iter().map(|name| core("ConfigMap", name, namespace)).collect()
}

fn core(kind: &str, name: &str, namespace: Option<&str>) -> ObjectReference {
    ObjectReference {
        api_version: "v1".to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.map(ToOwned::to_owned),
        name: name.to_owned(),
    }
}

pub(super) fn check(asker: &Asker<'_>, findings: &mut Findings, secret: &GeneratedSecret) {
    let reference = reference(secret, asker.namespace());
    if asker.namespace().is_none() {
        let message = format!("{reference}: a cluster-scoped owner has no namespace for generated Secrets");
        return findings.add(Reason::SecretInvalid, Some(&reference), message);
    }
    if !is_subdomain(&secret.name) {
        let message = format!("{} is not a valid name of a Secret", shown(&secret.name));
        return findings.add(Reason::SecretInvalid, None, message);
    }
    let renewable = matches!(secret.class, SecretClass::Renewable(_));
    let mut verbs = vec!["get", "create"];
    if renewable {
        verbs.push("patch");
    }
    if !secret.keep {
        verbs.push("delete");
    }
    let kind = KindInfo { plural: "secrets".to_owned(), namespaced: true };
    asker.access(findings, &Access { reference: &reference, kind: &kind, verbs: &verbs, relation: Relation::Owned });
    let made = entries(asker, findings, secret, &reference);
    lifetime(findings, secret, &reference, made.shortest_days);
    labels(findings, secret, &reference);
    publish(asker, findings, secret, &reference, &made);
    if let Some(source) = secret.restore_from.as_ref().filter(|source| !asker.spec.secret(source) || **source == secret.name) {
        findings.add(
            Reason::SecretNotGranted,
            Some(&reference),
            format!(
                "{reference}: restores from the Secret {}, which the owner's spec does not name; only its user may bring material",
                shown(source)
            ),
        );
    }
}

/// What the entries of a Secret make.
#[derive(Default)]
struct Made {
    keys: BTreeSet<String>,
    public: BTreeSet<String>,
    shortest_days: Option<u32>,
}

fn entries(asker: &Asker<'_>, findings: &mut Findings, secret: &GeneratedSecret, reference: &ObjectReference) -> Made {
    let mut made = Made::default();
    if secret.entries.is_empty() || secret.entries.len() > PARTS {
        let message = format!("{reference}: {} entries; expected 1 to {PARTS}", secret.entries.len());
        findings.add(Reason::SecretInvalid, Some(reference), message);
        return made;
    }
    let mut of = Vec::new();
    for entry in &secret.entries {
        match read(entry) {
            Ok(parsed) => {
                made.shortest_days = made.shortest_days.into_iter().chain(parsed.valid_days).min();
                let private = std::iter::once((&entry.key, false));
                for (key, public) in private.chain(parsed.public.iter().map(|key| (key, true))) {
                    if !is_data_key(key) || !made.keys.insert(key.clone()) {
                        let message = format!("{reference}: the key {} is malformed or made twice", shown(key));
                        findings.add(Reason::SecretInvalid, Some(reference), message);
                    }
                    if public {
                        made.public.insert(key.clone());
                    }
                }
                of.extend(parsed.of.map(|of| (entry.key.clone(), of)));
                for source in parsed.secrets {
                    own_secret(asker, findings, reference, &entry.key, &source);
                }
            }
            Err(message) => {
                let message = format!("{reference}: the entry {}: {message}", shown(&entry.key));
                findings.add(Reason::SecretInvalid, Some(reference), message);
            }
        }
    }
    for (key, of) in of {
        if of == key || !made.keys.contains(&of) {
            let message = format!("{reference}: the entry {} hashes {}, which is not a key of the same Secret", shown(&key), shown(&of));
            findings.add(Reason::SecretInvalid, Some(reference), message);
        }
    }
    made
}

/// What a generator puts into another Secret's place must come from this owner's own: otherwise it would copy a foreign value.
fn own_secret(asker: &Asker<'_>, findings: &mut Findings, reference: &ObjectReference, key: &str, source: &str) {
    if source != reference.name && !asker.own.has("", "Secret", asker.namespace(), source) {
        findings.add(
            Reason::SecretNotGranted,
            Some(reference),
            format!(
                "{reference}: the entry {} takes from the Secret {}, which none of this owner's components made; no grant allows that",
                shown(key),
                shown(source)
            ),
        );
    }
}

/// What the host needs to know of one entry.
#[derive(Default)]
struct Parsed {
    /// Further keys, which may be published.
    public: Vec<String>,
    /// Other Secrets that it reads.
    secrets: Vec<String>,
    /// Key of the same Secret that it reads.
    of: Option<String>,
    valid_days: Option<u32>,
}

fn read(entry: &SecretEntry) -> Result<Parsed, String> {
    fn spec<T: GeneratorSpec>(entry: &SecretEntry) -> Result<T, String> {
        serde_json::from_value(entry.spec.clone())
            .map_err(|error| format!("the spec of the generator {} does not fit its schema: {}", T::NAME, shown(&error.to_string())))
    }
    fn within(what: &str, value: u32, range: std::ops::RangeInclusive<u32>) -> Result<(), String> {
        if range.contains(&value) { Ok(()) } else { Err(format!("{what} is {value}; expected {} to {}", range.start(), range.end())) }
    }
    match entry.generator.as_str() {
        Bytes::NAME => {
            within("length", spec::<Bytes>(entry)?.length, 1..=4096)?;
            Ok(Parsed::default())
        }
        Password::NAME => {
            let policy: Password = spec(entry)?;
            within("length", policy.length, 8..=256)?;
            let asked = policy.lower.saturating_add(policy.upper).saturating_add(policy.digits);
            within("lower, upper and digits together", asked, 0..=policy.length)?;
            if policy.symbols.len() > 64 || !policy.symbols.bytes().all(|b| b.is_ascii_graphic()) {
                return Err("symbols are not at most 64 printable ASCII characters".to_owned());
            }
            Ok(Parsed::default())
        }
        KeyPair::NAME => Ok(Parsed { public: vec![spec::<KeyPair>(entry)?.public_key], ..Parsed::default() }),
        Ca::NAME => {
            let ca: Ca = spec(entry)?;
            within("validDays", ca.valid_days, 1..=7300)?;
            Ok(Parsed { public: vec![ca.certificate], valid_days: Some(ca.valid_days), ..Parsed::default() })
        }
        Certificate::NAME => {
            let certificate: Certificate = spec(entry)?;
            within("validDays", certificate.valid_days, 1..=3650)?;
            if certificate.dns_names.len() + certificate.ip_addresses.len() + certificate.uris.len() > 256 {
                return Err("more than 256 names".to_owned());
            }
            let public = std::iter::once(certificate.certificate).chain(certificate.ca_certificate).collect();
            let secrets = vec![certificate.ca.secret];
            Ok(Parsed { public, secrets, of: None, valid_days: Some(certificate.valid_days) })
        }
        AgeIdentity::NAME => Ok(Parsed { public: vec![spec::<AgeIdentity>(entry)?.recipient], ..Parsed::default() }),
        Template::NAME => {
            let template: Template = spec(entry)?;
            if template.template.len() > 16 * 1024 {
                return Err("the template is longer than 16 KiB".to_owned());
            }
            Ok(Parsed { secrets: template.secrets.into_values().map(|source| source.secret).collect(), ..Parsed::default() })
        }
        Hash::NAME => {
            let hash: Hash = spec(entry)?;
            if let Some(cost) = hash.cost {
                within("cost", cost, hash.algorithm.costs())?;
            }
            Ok(Parsed { of: Some(hash.of), ..Parsed::default() })
        }
        other => Err(format!("no generator is called {}", shown(other))),
    }
}

/// A lifetime shorter than what it is renewed before would be renewed without end.
fn lifetime(findings: &mut Findings, secret: &GeneratedSecret, reference: &ObjectReference, shortest_days: Option<u32>) {
    if let SecretClass::Renewable(before) = secret.class {
        let whole = shortest_days.map(|days| u64::from(days) * DAY);
        if whole.is_none_or(|whole| u64::from(before) >= whole) {
            findings.add(
                Reason::SecretInvalid,
                Some(reference),
                format!("{reference}: renewable, but nothing in it lives longer than the {before} seconds before which it is renewed"),
            );
        }
    }
}

fn labels(findings: &mut Findings, secret: &GeneratedSecret, reference: &ObjectReference) {
    let well_formed = |(key, value): &(String, String)| is_qualified_name(key) && is_label_text(value) && !is_reserved_key(key);
    if secret.labels.len() > PARTS || !secret.labels.iter().all(well_formed) {
        let message = format!("{reference}: labels are malformed, too many, or the host's own");
        findings.add(Reason::MetadataNotAllowed, Some(reference), message);
    }
}

fn publish(asker: &Asker<'_>, findings: &mut Findings, secret: &GeneratedSecret, reference: &ObjectReference, made: &Made) {
    if secret.publish.len() > PARTS {
        findings.add(Reason::TooMuch, Some(reference), format!("{reference}: more than {PARTS} publications"));
        return;
    }
    for publication in &secret.publish {
        if !made.public.contains(&publication.key) {
            findings.add(
                Reason::PublicationNotAllowed,
                Some(reference),
                format!("{reference}: the key {} is not public (a certificate, a public key or a recipient)", shown(&publication.key)),
            );
        }
        if !is_subdomain(&publication.config_map) || !is_data_key(&publication.config_map_key) {
            let message = format!("{reference}: published into a ConfigMap or key whose name is malformed");
            findings.add(Reason::SecretInvalid, Some(reference), message);
        }
    }
    let kind = KindInfo { plural: "configmaps".to_owned(), namespaced: true };
    let verbs: &[&str] = if secret.keep { &["get", "create", "patch"] } else { &["get", "create", "patch", "delete"] };
    for target in publications(secret, asker.namespace()) {
        asker.access(findings, &Access { reference: &target, kind: &kind, verbs, relation: Relation::Owned });
    }
}
