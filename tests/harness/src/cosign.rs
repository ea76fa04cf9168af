//! The real cosign: its command lines, which need no log and no service, and, behind the feature `servers`, a cosign with a home of its own.

#[cfg(feature = "servers")]
mod process;

#[cfg(feature = "servers")]
pub use process::Cosign;

/// Where [`signing_config`] is written, in the home of a cosign.
pub const SIGNING_CONFIG: &str = "signing-config.json";

/// The environment of a cosign that reads and leaves nothing outside of `home`.
#[must_use]
pub fn environment<'a>(home: &'a str, password: &'a str) -> [(&'static str, &'a str); 3] {
    [("HOME", home), ("COSIGN_PASSWORD", password), ("PATH", "/usr/bin:/bin")]
}

/// Writes a configuration without any service to [`SIGNING_CONFIG`]. Version 3 only.
#[must_use]
pub fn signing_config() -> [&'static str; 4] {
    ["signing-config", "create", "--out", SIGNING_CONFIG]
}

/// Signs as version 3 does by default: a bundle among the referrers. After [`signing_config`].
#[must_use]
pub fn sign_bundle<'a>(key: &'a str, reference: &'a str) -> [&'a str; 7] {
    ["sign", "--yes", "--key", key, "--signing-config", SIGNING_CONFIG, reference]
}

/// Signs under the `.sig` tag, as version 2 does by default. Either version.
#[must_use]
pub fn sign_legacy<'a>(key: &'a str, reference: &'a str) -> [&'a str; 8] {
    let [config, log, bundle] = ["--use-signing-config=false", "--tlog-upload=false", "--new-bundle-format=false"];
    ["sign", "--yes", "--key", key, config, log, bundle, reference]
}

/// Attests what stands in the file `predicate`, which is not signing. After [`signing_config`].
#[must_use]
pub fn attest<'a>(key: &'a str, predicate: &'a str, reference: &'a str) -> [&'a str; 11] {
    let [config, kind] = ["--signing-config", "--type"];
    ["attest", "--yes", "--key", key, config, SIGNING_CONFIG, "--predicate", predicate, kind, "custom", reference]
}

/// Verifies with a key.
#[must_use]
pub fn verify<'a>(key: &'a str, reference: &'a str) -> [&'a str; 5] {
    ["verify", "--key", key, "--insecure-ignore-tlog=true", reference]
}
