//! Manifests and configs of a registry: nothing is read but what they say.
#![no_main]

use banhbaoring_artifact::fuzzing;
use libfuzzer_sys::fuzz_target;

// Both in one, with a zero between them.
fuzz_target!(|bytes: &[u8]| {
    let at = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (manifest, config) = (&bytes[..at], bytes.get(at + 1..).unwrap_or_default());
    if let Ok(layer) = fuzzing::component(manifest, config) {
        let named = layer.hex();
        assert!(String::from_utf8_lossy(manifest).contains(&named), "{named} is not in the manifest");
    }
});
