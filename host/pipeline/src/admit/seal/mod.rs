//! Answers of unseal providers, admitted under the provider's own grants before any component sees them: nobody can put something into a
//! store's pod through somebody else's grants.

mod environment;
mod mounts;

use std::collections::BTreeSet;

use super::asker::{Asker, Own};
use super::naming::SpecNames;
use super::refusal::{Findings, Reason, flow, shown};
use super::syntax::{is_data_key, is_identifier, is_label_text, is_qualified_name, is_reserved_key, is_subdomain};
use super::{Refusal, generated};
use crate::contract::{Egress, EnvValue, KmsPlugin, KmsPluginSource, Pairs, Scalar, Seal, SealCredentials, VolumeSource};
use crate::glob;
use crate::kinds::KindTable;
use crate::observation::Owner;
use crate::plugins::ActivePlugin;

/// Attributes, variables, egress rules, annotations, labels per seal.
const PARTS: usize = 64;
const VOLUMES: usize = 16;
const TEXT: usize = 4096;
const WARNING: usize = 1024;

/// Checks an answer of an unseal provider against the grants of the provider's own plugin. `component` of the refusal is empty: the
/// caller knows whose slot it is.
///
/// # Errors
/// Everything that is malformed or not granted, in one refusal.
#[allow(clippy::result_large_err, reason = "a refusal is rare and ends the answer")]
pub fn admit_seal(plugin: &ActivePlugin, owner: &Owner, seal: &Seal) -> Result<(), Refusal> {
    let namespace = owner.reference.namespace.as_deref();
    let own: Own = seal.secrets.iter().map(|secret| generated::reference(secret, namespace).identity()).collect();
    let kinds = KindTable::default();
    let spec = SpecNames::of(owner);
    let asker = Asker {
        plugin,
        owner,
        kinds: &kinds,
        own: &own,
        answer: &own,
        spec: &spec,
        slot_secrets: BTreeSet::new(),
        slot_annotations: BTreeSet::new(),
        slot_audiences: BTreeSet::new(),
        earlier: &[],
    };
    let mut findings = Findings::default();
    check(&asker, &mut findings, seal);
    findings.refusal("", &plugin.name).map_or(Ok(()), Err)
}

fn check(asker: &Asker<'_>, findings: &mut Findings, seal: &Seal) {
    // Destructured, so that a new field cannot be forgotten.
    let Seal {
        stanza,
        attributes,
        env,
        volumes,
        secrets,
        service_account_annotations,
        pod_labels,
        kms_plugin,
        egress,
        credentials,
        warnings,
    } = seal;
    if [attributes.len(), env.len(), egress.len(), service_account_annotations.len(), pod_labels.len(), secrets.len(), warnings.len()]
        .iter()
        .any(|count| *count > PARTS)
        || volumes.len() > VOLUMES
    {
        return findings.add(Reason::TooMuch, None, format!("the seal has more than {PARTS} of something, or more than {VOLUMES} volumes"));
    }
    if !is_identifier(stanza) {
        findings.add(Reason::SealInvalid, None, format!("the stanza {} is not an identifier", shown(stanza)));
    }
    let mounts = mounts::check(findings, volumes);
    self::attributes(findings, seal, &mounts);
    environment::check(findings, env, &mounts);
    let mut names = BTreeSet::new();
    for secret in secrets {
        if !names.insert(secret.name.as_str()) {
            findings.add(Reason::ObjectClaimedTwice, None, format!("the seal generates the Secret {} twice", shown(&secret.name)));
        }
        generated::check(asker, findings, secret);
    }
    for (path, name) in secrets_of(seal) {
        if is_subdomain(name) {
            asker.secret(findings, None, asker.namespace(), name, &path);
        } else {
            findings.add(Reason::SealInvalid, None, format!("{path} names no Secret: {}", shown(name)));
        }
    }
    for volume in volumes {
        if let VolumeSource::Token(token) = &volume.source {
            asker.audience(findings, None, &token.audience, &format!("the token of the volume {}", shown(&volume.name)));
        }
    }
    let pods = asker.pods();
    marks(findings, service_account_annotations, &pods.account_annotations, Reason::AnnotationNotGranted, "accountAnnotations");
    marks(findings, pod_labels, &pods.pod_labels, Reason::LabelNotGranted, "podLabels");
    if let Some(kms) = kms_plugin {
        kms_block(asker, findings, kms);
    }
    egress.iter().for_each(|rule| self::egress(findings, rule));
    if matches!(credentials, SealCredentials::Secrets(names) if names.is_empty()) {
        findings.add(Reason::SealInvalid, None, "credentials name no Secret; expected at least one, or ambient".to_owned());
    }
    if warnings.iter().any(|warning| warning.len() > WARNING) {
        findings.add(Reason::TooMuch, None, format!("a warning is longer than {WARNING} bytes"));
    }
}

/// Every Secret that a seal uses, with where.
pub(super) fn secrets_of(seal: &Seal) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    for variable in &seal.env {
        if let EnvValue::SecretKey(key) = &variable.value {
            found.push((format!("the variable {}", shown(&variable.name)), key.secret.as_str()));
        }
    }
    for volume in &seal.volumes {
        if let VolumeSource::Secret(secret) = &volume.source {
            found.push((format!("the volume {}", shown(&volume.name)), secret.secret.as_str()));
        }
    }
    if let SealCredentials::Secrets(names) = &seal.credentials {
        found.extend(names.iter().map(|name| ("credentials".to_owned(), name.as_str())));
    }
    found
}

/// Every audience for which a seal projects a token.
pub(super) fn audiences_of(seal: &Seal) -> impl Iterator<Item = &str> {
    seal.volumes.iter().filter_map(|volume| match &volume.source {
        VolumeSource::Token(token) => Some(token.audience.as_str()),
        VolumeSource::Secret(_) => None,
    })
}

fn attributes(findings: &mut Findings, seal: &Seal, mounts: &mounts::Mounts) {
    let mut keys = BTreeSet::new();
    for attribute in &seal.attributes {
        if !is_identifier(&attribute.key) || !keys.insert(attribute.key.as_str()) {
            let message = format!("the attribute {} is not an identifier, or given twice", shown(&attribute.key));
            findings.add(Reason::SealInvalid, None, message);
        }
        let Scalar::Text(text) = &attribute.value else { continue };
        if text.len() > TEXT || text.chars().any(char::is_control) {
            let message = format!("the attribute {} holds control characters or more than {TEXT} bytes", shown(&attribute.key));
            findings.add(Reason::SealInvalid, None, message);
        }
        let variable = text.strip_prefix("env://").filter(|name| !seal.env.iter().any(|variable| variable.name == *name));
        if let Some(name) = variable {
            let message =
                format!("the attribute {} reads the variable {}, which the seal does not set", shown(&attribute.key), shown(name));
            findings.add(Reason::SealInvalid, None, message);
        }
        mounts.value(findings, &format!("the attribute {}", shown(&attribute.key)), text);
    }
}

fn marks(findings: &mut Findings, pairs: &Pairs, granted: &[String], reason: Reason, grant: &str) {
    for (key, value) in pairs {
        let reserved = is_reserved_key(key) || key == "app.kubernetes.io/managed-by";
        let value_fits = if reason == Reason::LabelNotGranted { is_label_text(value) } else { value.len() <= TEXT };
        if reserved || !is_qualified_name(key) || !value_fits {
            findings.add(Reason::MetadataNotAllowed, None, format!("{grant}: {} is malformed or the host's own", shown(key)));
        } else if !granted.iter().any(|glob| glob::matches(glob, key)) {
            findings.add(
                reason,
                None,
                format!(
                    "the seal sets {}, which may give the store rights in a cloud; granted: {}; add to the Plugin's grants: pods: {{{grant}: {}}}",
                    shown(key),
                    flow(granted),
                    flow(&[key])
                ),
            );
        }
    }
}

fn kms_block(asker: &Asker<'_>, findings: &mut Findings, kms: &KmsPlugin) {
    let KmsPlugin { name, source, version, sha256, binary_name, args, env } = kms;
    let mut invalid = |what: &str| findings.add(Reason::SealInvalid, None, format!("the plugin block: {what}"));
    if !is_identifier(&name.replace('-', "_")) {
        invalid("its name is not an identifier");
    }
    if sha256.len() != 64 || !sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
        invalid("sha256 is not 64 hexadecimal digits");
    }
    if version.len() > 128 || version.chars().any(|c| c.is_control() || c.is_whitespace()) {
        invalid("its version is malformed");
    }
    if binary_name.as_ref().is_some_and(|name| !is_data_key(name)) {
        invalid("binary-name is not a file name");
    }
    if args.len() > PARTS || args.iter().any(|arg| arg.len() > TEXT || arg.chars().any(char::is_control)) {
        invalid("args are malformed or too many");
    }
    match source {
        KmsPluginSource::Image(image) => asker.image(findings, None, image, "the plugin block's image"),
        KmsPluginSource::Command(command) => {
            if !is_data_key(command) {
                invalid("command is not the name of a file in the plugin directory");
            }
        }
    }
    if env.len() > PARTS {
        return findings.add(Reason::TooMuch, None, format!("the plugin block has more than {PARTS} variables"));
    }
    let mut names = BTreeSet::new();
    for (name, value) in env {
        // The block's own process may need a way out; the store's traffic goes no other way by it.
        if !matches!(name.as_str(), "HTTP_PROXY" | "HTTPS_PROXY" | "NO_PROXY") {
            environment::name(findings, name);
        }
        if !names.insert(name) || value.len() > TEXT || value.chars().any(char::is_control) {
            let message = format!("the variable {} of the plugin block is malformed, or set twice", shown(name));
            findings.add(Reason::EnvironmentNotAllowed, None, message);
        }
    }
}

fn egress(findings: &mut Findings, rule: &Egress) {
    let well_formed = rule.cidr.as_ref().is_none_or(|cidr| {
        cidr.split_once('/').is_some_and(|(address, bits)| {
            let limit = match address.parse::<std::net::IpAddr>() {
                Ok(std::net::IpAddr::V4(_)) => 32,
                Ok(std::net::IpAddr::V6(_)) => 128,
                Err(_) => return false,
            };
            bits.bytes().all(|b| b.is_ascii_digit()) && bits.parse::<u8>().is_ok_and(|bits| bits <= limit)
        })
    });
    if rule.port == 0 || !well_formed {
        findings.add(Reason::SealInvalid, None, "an egress rule needs a port, and a CIDR block where it has one".to_owned());
    }
}
