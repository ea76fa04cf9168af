//! Key files: public ones of authorities, and encrypted private ones, which must not name what work is done for them.
#![no_main]

use banhbaoring_artifact::SigningKey;
use banhbaoring_artifact::fuzzing::Key;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    Public(&'a [u8]),
    Spki(&'a [u8]),
    Private(&'a [u8], &'a [u8]),
    Sealed { kdf: &'a str, n: u64, r: u64, p: u64, salt: &'a [u8], cipher: &'a str, nonce: &'a [u8], text: &'a [u8], junk: Option<&'a str> },
}

fn pem(tag: &str, content: &[u8]) -> Vec<u8> {
    format!("-----BEGIN {tag}-----\n{}\n-----END {tag}-----\n", STANDARD.encode(content)).into_bytes()
}

fuzz_target!(|input: Input<'_>| {
    match input {
        Input::Public(text) => drop(Key::from_pem(text)),
        Input::Spki(der) => drop(Key::from_pem(&pem("PUBLIC KEY", der))),
        Input::Private(file, password) => assert!(SigningKey::open(file, password).is_err(), "nobody sealed this key"),
        Input::Sealed { kdf, n, r, p, salt, cipher, nonce, text, junk } => {
            let encoded = |bytes: &[u8]| junk.map_or_else(|| STANDARD.encode(bytes), str::to_owned);
            let sealed = json!({
                "kdf": {"name": kdf, "params": {"N": n, "r": r, "p": p}, "salt": encoded(salt)},
                "cipher": {"name": cipher, "nonce": encoded(nonce)},
                "ciphertext": encoded(text),
            });
            let file = pem("ENCRYPTED SIGSTORE PRIVATE KEY", sealed.to_string().as_bytes());
            assert!(SigningKey::open(&file, b"").is_err(), "nobody sealed this key");
        }
    }
});
