//! The seal stanza and, where the version needs one, the plugin that implements it. The provider says what is in it and never writes a
//! line of HCL.

use std::collections::BTreeSet;

use banhbaoring_sdk::Failure;
use banhbaoring_sdk::wit::{KmsPlugin, KmsPluginSource, Scalar, SealAttribute};

use crate::cluster::Cluster;
use crate::hcl::{Body, Value};
use crate::version::Feature;

pub(super) fn seal(top: Body, cluster: &Cluster) -> Result<Body, Failure> {
    let seal = cluster.seal;
    if seal.stanza == "static" {
        cluster.version.require(Feature::StaticSeal, "spec.unseal.type", "name another provider in spec.unseal.type")?;
    }
    let top = match &seal.kms_plugin {
        Some(plugin) => {
            cluster.version.require(Feature::KmsPlugin, "spec.unseal", "use the seal that is built in")?;
            top.block("plugin", ["kms", plugin.name.as_str()], kms_plugin(plugin)?)
        }
        None if cluster.version.needs_kms_plugin(&seal.stanza) => {
            return Err(Failure::unsupported(
                "SealNeedsPlugin",
                format!(
                    "OpenBao {} has no seal `{}` of its own any more, and the unseal provider named no plugin for it: give the provider the plugin's image and checksum, or stay below 2.7",
                    cluster.version, seal.stanza
                ),
            )
            .at("spec.unseal"));
        }
        None => top,
    };
    Ok(top.block("seal", [seal.stanza.as_str()], attributes(&seal.attributes)?))
}

fn attributes(attributes: &[SealAttribute]) -> Result<Body, Failure> {
    let mut seen = BTreeSet::new();
    let mut body = Body::new();
    for SealAttribute { key, value } in attributes {
        if !seen.insert(key) {
            return Err(Failure::invalid(
                "spec.unseal",
                format!("the unseal provider set `{key}` twice; OpenBao would silently take one of the two"),
            ));
        }
        body = body.attribute(
            key.as_str(),
            match value {
                Scalar::Text(text) => Value::from(text.as_str()),
                Scalar::Integer(number) => Value::from(*number),
                Scalar::Boolean(boolean) => Value::from(*boolean),
            },
        );
    }
    Ok(body)
}

fn kms_plugin(plugin: &KmsPlugin) -> Result<Body, Failure> {
    let KmsPlugin { name: _, source, version, sha256, binary_name, args, env } = plugin;
    if sha256.len() != 64 || !sha256.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(Failure::invalid(
            "spec.unseal",
            format!("the checksum of the seal's plugin must be 64 hexadecimal digits, found `{sha256}`"),
        ));
    }
    let body = match source {
        KmsPluginSource::Image(image) => Body::new().attribute("image", image.as_str()),
        KmsPluginSource::Command(command) => Body::new().attribute("command", command.as_str()),
    };
    let env: Vec<String> = env.iter().map(|pair| format!("{}={}", pair.key, pair.value)).collect();
    Ok(body
        .attribute("version", version.as_str())
        .optional("binary_name", binary_name.clone())
        .attribute("sha256sum", sha256.as_str())
        .optional("args", (!args.is_empty()).then_some(args.as_slice()))
        .optional("env", (!env.is_empty()).then_some(env.as_slice())))
}
