//! Pull secrets in both forms: an entry serves the registries that it names and no other, and no message says what is in it.
#![no_main]

use banhbaoring_artifact::{Credentials, Repository, fuzzing};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

const SECRET: &str = "hunter2-is-secret";

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    Bytes(&'a [u8]),
    Entry { registry: &'a str, user: &'a str, as_auth: bool, junk: &'a str },
}

fn silent(text: &dyn std::fmt::Debug) {
    assert!(!format!("{text:?}").contains(SECRET), "a secret is printed");
}

fuzz_target!(|input: Input<'_>| {
    let elsewhere: Repository = "oci://registry.elsewhere.example/team/plugin".parse().expect("a repository");
    match input {
        Input::Bytes(bytes) => {
            for read in [Credentials::from_dockerconfigjson(bytes), Credentials::from_dockercfg(bytes)] {
                let _ = read.map(|credentials| fuzzing::is_known(&credentials, &elsewhere));
            }
        }
        Input::Entry { registry, user, as_auth, junk } => {
            let auth = STANDARD.encode(format!("{user}:{SECRET}"));
            let entry =
                if as_auth { json!({"auth": format!("{auth}{junk}")}) } else { json!({"username": user, "password": SECRET, junk: junk}) };
            let read = Credentials::from_dockerconfigjson(json!({"auths": {registry: entry}}).to_string().as_bytes());
            silent(&read);
            match read {
                Err(error) => assert!(!error.to_string().contains(SECRET)),
                Ok(credentials) if fuzzing::is_known(&credentials, &elsewhere) => {
                    let host = registry.trim_start_matches("https://").trim_start_matches("http://");
                    let host = host.split('/').next().unwrap_or_default();
                    assert!(host == "registry.elsewhere.example" || host.contains('*'), "the entry of {registry:?} serves another");
                }
                Ok(_) => {}
            }
        }
    }
});
