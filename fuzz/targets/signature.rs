//! Signatures: however a good one is bent, it never counts for another artifact nor for another key, and what no key signed never counts.
#![no_main]

use std::sync::LazyLock;

use banhbaoring_artifact::fuzzing::{self, Key};
use banhbaoring_artifact::{Digest, SigningKey};
use banhbaoring_fuzz::edit::{Edit, edited};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

struct World {
    ours: Key,
    other: Key,
    good: Digest,
    evil: Digest,
    bundle: Vec<u8>,
    payload: Vec<u8>,
    signature: String,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let key = |scalar: u8| SigningKey::from_scalar(&[scalar; 32]).expect("a scalar");
    let public = |key: &SigningKey| Key::from_pem(key.public_key_pem().expect("PEM").as_bytes()).expect("a public key");
    let (ours, good) = (key(1), Digest::of(b"good"));
    let payload = format!(
        r#"{{"critical":{{"identity":{{"docker-reference":"r.example/a"}},"image":{{"docker-manifest-digest":"{good}"}},"type":"cosign container image signature"}},"optional":null}}"#
    );
    World {
        other: public(&key(2)),
        good,
        evil: Digest::of(b"evil"),
        bundle: fuzzing::bundle(&good, &ours).to_string().into_bytes(),
        signature: STANDARD.encode(fuzzing::signature(payload.as_bytes(), &ours)),
        payload: payload.into_bytes(),
        ours: public(&ours),
    }
});

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    Bundle(Vec<Edit<'a>>),
    Statement(Vec<Edit<'a>>),
    Simple(Vec<Edit<'a>>, Vec<Edit<'a>>),
    Bytes(&'a [u8], &'a [u8], &'a str),
}

/// The statement of a bundle, changed, and put back without being signed again.
fn restated(world: &World, edits: &[Edit<'_>]) -> Vec<u8> {
    let mut bundle: serde_json::Value = serde_json::from_slice(&world.bundle).expect("our own bundle");
    let payload = bundle["dsseEnvelope"]["payload"].as_str().expect("a payload");
    let statement = STANDARD.decode(payload).expect("base64");
    let changed = edited(&statement, edits);
    let same = changed == statement;
    bundle["dsseEnvelope"]["payload"] = STANDARD.encode(&changed).into();
    let bundle = bundle.to_string().into_bytes();
    assert_eq!(world.ours.bundle(&bundle, &world.good).is_ok(), same, "a changed statement counts, or the same one does not");
    bundle
}

fuzz_target!(|input: Input<'_>| {
    let world = &*WORLD;
    let never = |bundle: &[u8]| {
        assert!(world.ours.bundle(bundle, &world.evil).is_err(), "counts for another artifact");
        assert!(world.other.bundle(bundle, &world.good).is_err(), "counts for another key");
    };
    match input {
        Input::Bundle(edits) => {
            let bundle = edited(&world.bundle, &edits);
            never(&bundle);
            let _ = world.ours.bundle(&bundle, &world.good);
            assert!(bundle != world.bundle || world.ours.bundle(&bundle, &world.good).is_ok());
        }
        Input::Statement(edits) => never(&restated(world, &edits)),
        Input::Simple(in_payload, in_signature) => {
            let payload = edited(&world.payload, &in_payload);
            let signature = edited(world.signature.as_bytes(), &in_signature);
            let signature = String::from_utf8_lossy(&signature);
            assert!(world.ours.simple_signing(&payload, &signature, &world.evil).is_err());
            assert!(world.other.simple_signing(&payload, &signature, &world.good).is_err());
            let counts = world.ours.simple_signing(&payload, &signature, &world.good).is_ok();
            assert!(!counts || payload == world.payload, "a changed payload counts");
        }
        Input::Bytes(bundle, payload, signature) => {
            never(bundle);
            assert!(world.ours.bundle(bundle, &world.good).is_err());
            assert!(world.ours.simple_signing(payload, signature, &world.good).is_err());
        }
    }
});
