//! The plugin as a whole: its version, and names that must be well-formed and unique. Components have their own module.

use std::collections::BTreeSet;

use super::DescribeError;
use super::schema;
use crate::admit::syntax::is_label;
use crate::contract::Descriptor;

const MANY: usize = 64;
const TEXT: usize = 1024;
/// 1 MiB: what an inbound webhook may carry at most.
const PAYLOAD: u32 = 1024 * 1024;

pub(super) fn check(descriptor: &Descriptor) -> Result<(), DescribeError> {
    // Destructured, so that a new field cannot be forgotten; components, kinds, admissions and permissions have their own checks.
    let Descriptor {
        name,
        version,
        summary,
        homepage,
        license,
        kinds,
        components,
        unseal_providers,
        admissions,
        webhooks,
        images,
        permissions: _,
        config_schema,
    } = descriptor;
    label("name", name)?;
    semver::Version::parse(version).map_err(|_| DescribeError::invalid("version", "a semantic version, 1.2.3", version))?;
    text("summary", summary)?;
    text("homepage", homepage.as_deref().unwrap_or_default())?;
    text("license", license.as_deref().unwrap_or_default())?;
    for (field, count) in [
        ("kinds", kinds.len()),
        ("components", components.len()),
        ("unseal-providers", unseal_providers.len()),
        ("admissions", admissions.len()),
        ("webhooks", webhooks.len()),
        ("images", images.len()),
    ] {
        if count > MANY {
            return Err(DescribeError::invalid(field, format!("at most {MANY}"), &count.to_string()));
        }
    }
    schema::check("config-schema", config_schema.as_ref())?;
    let mut names = BTreeSet::new();
    for (i, provider) in unseal_providers.iter().enumerate() {
        let field = format!("unseal-providers[{i}]");
        for name in std::iter::once(&provider.name).chain(&provider.aliases) {
            label(&format!("{field}.name"), name)?;
            unique(&mut names, &format!("{field}.name"), name)?;
        }
        schema::check(&format!("{field}.config-schema"), provider.config_schema.as_ref())?;
    }
    let mut names = BTreeSet::new();
    for (i, webhook) in webhooks.iter().enumerate() {
        label(&format!("webhooks[{i}].name"), &webhook.name)?;
        unique(&mut names, &format!("webhooks[{i}].name"), &webhook.name)?;
        let header = &webhook.signature_header;
        if !(1..=PAYLOAD).contains(&webhook.max_payload_bytes) {
            let found = webhook.max_payload_bytes.to_string();
            return Err(DescribeError::invalid(format!("webhooks[{i}].max-payload-bytes"), format!("1 to {PAYLOAD}"), &found));
        }
        if header.is_empty() || header.len() > 64 || !header.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(DescribeError::invalid(format!("webhooks[{i}].signature-header"), "the name of a header", header));
        }
    }
    let mut roles = BTreeSet::new();
    for (i, image) in images.iter().enumerate() {
        label(&format!("images[{i}].role"), &image.role)?;
        unique(&mut roles, &format!("images[{i}].role"), &image.role)?;
        if image.image.is_empty() || image.image.len() > 512 || image.image.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(DescribeError::invalid(format!("images[{i}].image"), "an image reference", &image.image));
        }
    }
    Ok(())
}

pub(super) fn label(field: &str, name: &str) -> Result<(), DescribeError> {
    if is_label(name) { Ok(()) } else { Err(DescribeError::invalid(field, "lower-case letters, digits and '-', at most 63", name)) }
}

/// `group/Kind`.
pub(super) fn kind(field: &str, name: &str) -> Result<(), DescribeError> {
    let well_formed = name.split_once('/').is_some_and(|(group, kind)| {
        (group.is_empty() || crate::admit::syntax::is_subdomain(group)) && crate::admit::syntax::is_camel_case(kind)
    });
    if well_formed { Ok(()) } else { Err(DescribeError::invalid(field, "group/Kind", name)) }
}

pub(super) fn unique<'a>(seen: &mut BTreeSet<&'a str>, field: &str, name: &'a str) -> Result<(), DescribeError> {
    if seen.insert(name) { Ok(()) } else { Err(DescribeError::invalid(field, "a name that is used once", name)) }
}

fn text(field: &str, text: &str) -> Result<(), DescribeError> {
    if text.len() <= TEXT && !text.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(DescribeError::invalid(field, format!("one line of at most {TEXT} bytes"), text))
    }
}
