//! The generators, with seeded randomness and a clock that stands still.

use banhbaoring_pipeline::contract::{GeneratedSecret, SecretClass, SecretEntry};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::error::SecretError;
use super::generate::{Foreign, Made, Source, Values, make, needed, public};

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 86_400;

fn secret(class: SecretClass, entries: &[(&str, &str, Value)]) -> GeneratedSecret {
    GeneratedSecret {
        name: "own".into(),
        class,
        labels: Vec::new(),
        entries: entries
            .iter()
            .map(|(key, generator, spec)| SecretEntry { key: (*key).into(), generator: (*generator).into(), spec: spec.clone() })
            .collect(),
        publish: Vec::new(),
        restore_from: None,
        keep: true,
    }
}

fn made_at(now: u64, secret: &GeneratedSecret, existing: &Values) -> Result<Made, SecretError> {
    let mut random = StdRng::seed_from_u64(7);
    make(secret, existing, &Foreign::new(), &mut Source { random: &mut random, now })
}

fn made(secret: &GeneratedSecret) -> Values {
    made_at(NOW, secret, &Values::new()).unwrap().values
}

fn text(values: &Values, key: &str) -> String {
    String::from_utf8(values[key].clone()).unwrap()
}

fn pki(class: SecretClass) -> GeneratedSecret {
    let ca = json!({"secret": "own", "privateKey": "ca.key", "certificate": "ca.crt"});
    secret(
        class,
        &[
            // Written before what it needs: order does not matter.
            (
                "tls.key",
                "certificate",
                json!({"commonName": "db", "dnsNames": ["db.ns.svc", "*.db.ns.svc"], "ipAddresses": ["127.0.0.1"],
                "uris": ["spiffe://x/y"], "validDays": 30, "ca": ca, "certificate": "tls.crt", "caCertificate": "tls-ca.crt"}),
            ),
            ("ca.key", "ca", json!({"commonName": "db ca", "validDays": 365, "certificate": "ca.crt"})),
        ],
    )
}

fn not_after(values: &Values, key: &str) -> i64 {
    let (_, pem) = x509_parser::pem::parse_x509_pem(&values[key]).unwrap();
    pem.parse_x509().unwrap().validity().not_after.timestamp()
}

/// Names and key identifiers agree, and only the authority is one.
fn is_signed_by(values: &Values, certificate: &str, authority: &str) -> bool {
    use x509_parser::extensions::ParsedExtension;
    let (_, leaf) = x509_parser::pem::parse_x509_pem(&values[certificate]).unwrap();
    let (_, ca) = x509_parser::pem::parse_x509_pem(&values[authority]).unwrap();
    let (leaf, ca) = (leaf.parse_x509().unwrap(), ca.parse_x509().unwrap());
    let issuer = leaf.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(identifier) => identifier.key_identifier.as_ref().map(|key| key.0.to_vec()),
        _ => None,
    });
    let subject = ca.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(key) => Some(key.0.to_vec()),
        _ => None,
    });
    issuer.is_some() && issuer == subject && leaf.issuer() == ca.subject() && ca.is_ca() && !leaf.is_ca()
}

#[test]
fn bytes_have_their_length_and_encoding_and_no_newline() {
    let entries = ["raw", "hex", "base64", "base64-url"].map(|encoding| (encoding, "bytes", json!({"length": 32, "encoding": encoding})));
    let values = made(&secret(SecretClass::Identity, &entries));
    assert_eq!(values["raw"].len(), 32);
    assert_eq!(hex::decode(&values["hex"]).unwrap().len(), 32);
    assert_eq!(values["base64"].len(), 44);
    assert_eq!(values["base64-url"].len(), 43);
}

#[test]
fn the_same_randomness_makes_the_same_and_other_randomness_another() {
    let entry = secret(SecretClass::Identity, &[("p", "password", json!({"length": 24}))]);
    assert_eq!(made(&entry), made(&entry));
    let other = make(&entry, &Values::new(), &Foreign::new(), &mut Source { random: &mut StdRng::seed_from_u64(8), now: NOW }).unwrap();
    assert_ne!(made(&entry), other.values);
}

#[test]
fn a_password_keeps_its_policy() {
    for seed in 0..50 {
        let policy = secret(
            SecretClass::Identity,
            &[("p", "password", json!({"length": 12, "lower": 2, "upper": 3, "digits": 4, "symbols": "-_"}))],
        );
        let mut random = StdRng::seed_from_u64(seed);
        let values = make(&policy, &Values::new(), &Foreign::new(), &mut Source { random: &mut random, now: NOW }).unwrap().values;
        let password = text(&values, "p");
        let count = |of: fn(&char) -> bool| password.chars().filter(of).count();
        assert_eq!(password.len(), 12);
        assert!(
            count(char::is_ascii_lowercase) >= 2 && count(char::is_ascii_uppercase) >= 3 && count(char::is_ascii_digit) >= 4,
            "{password}"
        );
        assert!(password.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)), "{password}");
    }
}

#[test]
fn a_template_escapes_what_it_is_told_to() {
    let values = made(&secret(
        SecretClass::Identity,
        &[
            (
                "url",
                "template",
                json!({"template": "store://{{user|urlencode}}:{{ password }}@db/{{user | json}}", "values": {"user": "a b/ü\""}}),
            ),
            ("password", "bytes", json!({"length": 4, "encoding": "hex"})),
        ],
    ));
    assert_eq!(text(&values, "url"), format!("store://a%20b%2F%C3%BC%22:{}@db/\"a b/ü\\\"\"", text(&values, "password")));
}

#[test]
fn a_circle_and_a_reference_to_nothing_are_refused() {
    let circle =
        secret(SecretClass::Identity, &[("a", "template", json!({"template": "{{b}}"})), ("b", "template", json!({"template": "{{a}}"}))]);
    assert!(matches!(made_at(NOW, &circle, &Values::new()), Err(SecretError::Reference { .. })));
    let nothing = secret(SecretClass::Identity, &[("a", "hash", json!({"of": "missing", "algorithm": "bcrypt"}))]);
    assert!(matches!(made_at(NOW, &nothing, &Values::new()), Err(SecretError::Reference { refers_to, .. }) if refers_to == "missing"));
}

#[test]
fn a_hash_is_one_of_the_value() {
    let values = made(&secret(
        SecretClass::Identity,
        &[
            ("password", "password", json!({"length": 20})),
            ("htpasswd", "hash", json!({"of": "password", "algorithm": "bcrypt", "cost": 4, "prefix": "admin:"})),
            ("scram", "hash", json!({"of": "password", "algorithm": "scram-sha-256"})),
        ],
    ));
    let line = text(&values, "htpasswd");
    assert!(bcrypt::verify(&values["password"], line.strip_prefix("admin:").unwrap()).unwrap());
    assert!(line.starts_with("admin:$2b$04$"));
    assert!(text(&values, "scram").starts_with("SCRAM-SHA-256$4096:"));
}

#[test]
fn an_identity_is_completed_and_never_changed() {
    let both = secret(SecretClass::Identity, &[("a", "bytes", json!({"length": 16})), ("b", "bytes", json!({"length": 16}))]);
    let existing: Values = [("a".to_owned(), b"restored".to_vec()), ("legacy".to_owned(), b"kept".to_vec())].into();
    let values = made_at(NOW, &both, &existing).unwrap().values;
    assert_eq!(values["a"], b"restored");
    assert_eq!(values["legacy"], b"kept", "material is never dropped");
    assert_eq!(values["b"].len(), 16);
    let pki = pki(SecretClass::Identity);
    let first = made_at(NOW, &pki, &Values::new()).unwrap();
    assert_eq!(made_at(NOW + 1000 * DAY, &pki, &first.values).unwrap(), first);
    assert_eq!(first.renew_at, None);
}

#[test]
fn certificates_name_what_was_asked_and_are_signed_by_the_authority() {
    let values = made(&pki(SecretClass::Renewable(u32::try_from(10 * DAY).unwrap())));
    assert!(is_signed_by(&values, "tls.crt", "ca.crt"));
    assert_eq!(values["tls-ca.crt"], values["ca.crt"]);
    let (_, pem) = x509_parser::pem::parse_x509_pem(&values["tls.crt"]).unwrap();
    let certificate = pem.parse_x509().unwrap();
    let names = certificate
        .subject_alternative_name()
        .unwrap()
        .unwrap()
        .value
        .general_names
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ");
    for name in ["db.ns.svc", "*.db.ns.svc", "spiffe://x/y"] {
        assert!(names.contains(name), "{name} in {names}");
    }
    assert!(text(&values, "tls.key").starts_with("-----BEGIN PRIVATE KEY-----"));
    for algorithm in ["ecdsa-p384", "ed25519", "rsa2048"] {
        let pair = secret(SecretClass::Identity, &[("key", "key-pair", json!({"algorithm": algorithm, "publicKey": "pub"}))]);
        match made_at(NOW, &pair, &Values::new()) {
            Ok(made) => assert!(text(&made.values, "pub").starts_with("-----BEGIN PUBLIC KEY-----")),
            Err(error) => panic!("{algorithm}: {error}"),
        }
    }
}

#[test]
fn renewal_makes_a_new_certificate_and_keeps_the_authority_until_it_is_due_itself() {
    let before = 10 * DAY;
    let pki = pki(SecretClass::Renewable(u32::try_from(before).unwrap()));
    let first = made_at(NOW, &pki, &Values::new()).unwrap();
    assert_eq!(first.renew_at, Some(i64::try_from(NOW + 20 * DAY).unwrap()), "the leaf is due first");
    let unchanged = made_at(NOW + 19 * DAY, &pki, &first.values).unwrap();
    assert_eq!(unchanged, first, "nothing is due and nothing asked for differs");
    let second = made_at(NOW + 21 * DAY, &pki, &first.values).unwrap();
    assert_ne!(first.values["tls.crt"], second.values["tls.crt"]);
    assert_ne!(first.values["tls.key"], second.values["tls.key"]);
    assert_eq!(first.values["ca.crt"], second.values["ca.crt"]);
    assert!(is_signed_by(&second.values, "tls.crt", "ca.crt"));
    let third = made_at(NOW + 356 * DAY, &pki, &second.values).unwrap();
    assert_eq!(third.values["ca.key"], first.values["ca.key"], "the key of the authority stays");
    assert!(not_after(&third.values, "ca.crt") > not_after(&first.values, "ca.crt"));
    let old_leaf: Values =
        [("tls.crt".to_owned(), second.values["tls.crt"].clone()), ("ca.crt".to_owned(), third.values["ca.crt"].clone())].into();
    assert!(is_signed_by(&old_leaf, "tls.crt", "ca.crt"), "what it signed before stays good");
    let never = secret(SecretClass::Renewable(u32::try_from(40 * DAY).unwrap()), &[]);
    let never = GeneratedSecret { entries: pki.entries.clone(), ..never };
    assert!(matches!(made_at(NOW, &never, &Values::new()), Err(SecretError::Spec { .. })), "due at once and for ever");
}

#[test]
fn a_certificate_that_is_not_what_is_asked_for_is_made_anew() {
    let class = SecretClass::Renewable(u32::try_from(10 * DAY).unwrap());
    let first = made_at(NOW, &pki(class), &Values::new()).unwrap().values;
    let changes = [
        ("dnsNames", json!(["other.ns.svc"])),
        ("commonName", json!("other")),
        ("usages", json!(["client"])),
        ("validDays", json!(31)),
        ("algorithm", json!("ed25519")),
        ("ipAddresses", json!(["::1"])),
        ("uris", json!([])),
    ];
    for (field, value) in changes {
        let mut changed = pki(class);
        changed.entries[0].spec[field] = value;
        let second = made_at(NOW, &changed, &first).unwrap().values;
        assert_ne!(second["tls.crt"], first["tls.crt"], "{field}");
        assert_eq!(second["ca.crt"], first["ca.crt"], "{field}");
    }
    for key in ["tls.key", "tls.crt"] {
        let mut tampered = first.clone();
        let other = made_at(NOW, &pki(class), &Values::new()).unwrap().values;
        tampered.insert(key.to_owned(), other[key].clone());
        assert_ne!(made_at(NOW, &pki(class), &tampered).unwrap().values[key], other[key], "{key} that does not fit the rest");
    }
}

#[test]
fn only_public_parts_may_be_published_and_foreign_keys_are_asked_for() {
    let pki = pki(SecretClass::Identity);
    assert_eq!(public(&pki).unwrap(), ["ca.crt", "tls-ca.crt", "tls.crt"].map(str::to_owned).into());
    assert_eq!(needed(&pki).unwrap().len(), 0);
    let other = secret(
        SecretClass::Identity,
        &[("url", "template", json!({"template": "{{p}}", "secrets": {"p": {"secret": "other", "key": "password"}}}))],
    );
    assert_eq!(needed(&other).unwrap(), [("other".to_owned(), "password".to_owned())].into());
    assert!(matches!(made_at(NOW, &other, &Values::new()), Err(SecretError::Missing { .. })));
}

#[test]
fn what_is_not_made_is_said_and_nothing_hidden_is_guessed() {
    for (generator, spec) in [("age-identity", json!({"recipient": "r"})), ("ulid", json!({}))] {
        let unknown = secret(SecretClass::Identity, &[("k", generator, spec)]);
        assert_eq!(made_at(NOW, &unknown, &Values::new()).unwrap_err().reason(), "GeneratorUnsupported");
    }
    for spec in [json!({"length": 0}), json!({"length": 5000}), json!({"length": 8, "more": 1}), json!({})] {
        let bad = secret(SecretClass::Identity, &[("k", "bytes", spec)]);
        assert_eq!(made_at(NOW, &bad, &Values::new()).unwrap_err().reason(), "GeneratorInvalid");
    }
    let twice = secret(SecretClass::Identity, &[("k", "bytes", json!({"length": 1})), ("k", "bytes", json!({"length": 1}))]);
    assert_eq!(made_at(NOW, &twice, &Values::new()).unwrap_err().reason(), "GeneratorInvalid");
}
