//! Keyless signatures: however a good one is bent, it never counts for another artifact nor for another identity; and trust roots and expressions of
//! outsiders cost no more than they may.
//!
//! The good one was made by cosign 3 with a Fulcio and a timestamp authority whose keys are gone; `recordings/keyless` has it.
#![no_main]

use std::sync::LazyLock;

use banhbaoring_artifact::Digest;
use banhbaoring_artifact::fuzzing::Signers;
use banhbaoring_fuzz::edit::{Edit, edited};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

const ROOT: &[u8] = include_bytes!("../recordings/keyless/trusted_root.json");
const BUNDLE: &[u8] = include_bytes!("../recordings/keyless/bundle.json");
const ISSUER: &str = include_str!("../recordings/keyless/issuer");
const DIGEST: &str = include_str!("../recordings/keyless/digest");
const SUBJECT: &str = r"releases@acme\.example";

struct World {
    good: Digest,
    evil: Digest,
    named: Signers,
    other: Signers,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let signers = |issuer: &str, subject: &str| Signers::new(ROOT, issuer.trim(), subject).expect("a trust root");
    let world = World {
        good: DIGEST.trim().parse().expect("a digest"),
        evil: Digest::of(b"evil"),
        named: signers(ISSUER, SUBJECT),
        other: signers(ISSUER, r"mallory@acme\.example"),
    };
    world.named.bundle(BUNDLE, &world.good).expect("the recording is good");
    world
});

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    Bundle(Vec<Edit<'a>>),
    Root(Vec<Edit<'a>>),
    Subjects(&'a str),
    Anything(&'a [u8]),
}

fuzz_target!(|input: Input<'_>| {
    let world = &*WORLD;
    let never = |bundle: &[u8]| {
        assert!(world.named.bundle(bundle, &world.evil).is_err(), "it counts for another artifact");
        assert!(world.other.bundle(bundle, &world.good).is_err(), "it counts for another identity");
    };
    match input {
        Input::Bundle(edits) => never(&edited(BUNDLE, &edits)),
        Input::Root(edits) => {
            if let Ok(signers) = Signers::new(&edited(ROOT, &edits), ISSUER.trim(), SUBJECT) {
                assert!(signers.bundle(BUNDLE, &world.evil).is_err(), "it counts for another artifact");
            }
        }
        Input::Subjects(expression) => {
            if let Ok(signers) = Signers::new(ROOT, "https://issuer.example", expression) {
                assert!(signers.bundle(BUNDLE, &world.good).is_err(), "it counts for another issuer");
            }
        }
        Input::Anything(bytes) => {
            assert!(Signers::new(bytes, ISSUER.trim(), SUBJECT).is_err(), "nobody wrote this trust root");
            never(bytes);
        }
    }
});
