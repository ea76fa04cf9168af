//! An owner's spec and a provider's seal through the renderer of OpenBao: no text breaks out of its place in the configuration.
#![no_main]

#[path = "../../plugins/openbao/renderer/tests/support/mod.rs"]
mod support;

use banhbaoring_openbao_api::OpenBaoClusterSpec;
use banhbaoring_plugin_openbao::hcl::read;
use banhbaoring_sdk::wit::{KmsPlugin, KmsPluginSource, Scalar, SealAttribute};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use support::{config, owner, render, request, seals};

#[derive(Debug, Arbitrary)]
struct Texts<'a> {
    description: &'a str,
    path: &'a str,
    option: &'a str,
    prefix: &'a str,
    ttl: &'a str,
    request: &'a str,
    attribute: &'a str,
    stanza: &'a str,
    image: &'a str,
    argument: &'a str,
    name: &'a str,
}

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    /// A spec as the API server may never have seen it.
    Spec(&'a str),
    /// Text wherever the spec and the seal have any.
    Texts { texts: Texts<'a>, version: u8, plugin: bool },
}

const HARMLESS: Texts<'static> = Texts {
    description: "d",
    path: "p",
    option: "o",
    prefix: "p",
    ttl: "1h",
    request: "1s",
    attribute: "a",
    stanza: "s",
    image: "i",
    argument: "a",
    name: "n",
};

/// The configuration of a cluster with these texts in it.
fn rendered(texts: &Texts<'_>, version: u8, plugin: bool) -> Option<String> {
    let version = ["2.4.0", "2.5.3", "2.6.0", "2.7.0"][usize::from(version % 4)];
    let mut owner = owner("");
    owner["spec"] = json!({
        "version": version, "replicas": 3, "maxLeaseTtl": texts.ttl, "defaultLeaseTtl": texts.ttl,
        "listener": {"maxRequestDuration": texts.request},
        "telemetry": {"metricsPrefix": texts.prefix, "prometheusRetentionTime": texts.ttl},
        "auditStorage": {"size": "1Gi"},
        "audit": [{
            "type": "file", "path": texts.path, "description": texts.description,
            "options": {"file_path": "stdout", "prefix": texts.option},
        }],
    });
    let mut seal = seals::awskms();
    seal.stanza = texts.stanza.to_owned();
    seal.attributes.push(SealAttribute { key: "any".to_owned(), value: Scalar::Text(texts.attribute.to_owned()) });
    seal.kms_plugin = plugin.then(|| KmsPlugin {
        name: texts.name.to_owned(),
        source: KmsPluginSource::Image(texts.image.to_owned()),
        version: texts.image.to_owned(),
        sha256: "a".repeat(64),
        binary_name: Some(texts.name.to_owned()),
        args: vec![texts.argument.to_owned()],
        env: vec![banhbaoring_sdk::wit::KeyValue { key: texts.name.to_owned(), value: texts.argument.to_owned() }],
    });
    render(&request(&owner, Some(seal))).ok().map(|response| config(&response))
}

fn outline(text: &str) -> Vec<String> {
    read::outline(&read::read(text).unwrap_or_else(|error| panic!("OpenBao could not read it: {error}\n{text}")))
}

fuzz_target!(|input: Input<'_>| {
    match input {
        Input::Spec(text) => {
            let Ok(spec) = serde_json::from_str::<Value>(text) else { return };
            if serde_json::from_value::<OpenBaoClusterSpec>(spec.clone()).is_err() {
                return;
            }
            let mut owner = owner("");
            owner["spec"] = spec;
            if let Ok(response) = render(&request(&owner, Some(seals::generated_key("prod")))) {
                outline(&config(&response));
            }
        }
        Input::Texts { texts, version, plugin } => {
            let Some(text) = rendered(&texts, version, plugin) else { return };
            let harmless = rendered(&HARMLESS, version, plugin).expect("harmless text is rendered wherever this is");
            assert_eq!(outline(&text), outline(&harmless), "{text}");
        }
    }
});
