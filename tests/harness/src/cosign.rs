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

/// Where [`keyless_config`] is written, in the home of a cosign.
pub const KEYLESS_CONFIG: &str = "keyless-config.json";
/// Where [`trusted_root`] is written, in the home of a cosign.
pub const TRUSTED_ROOT: &str = "trusted_root.json";
/// Before the servers of any test.
const ALWAYS: &str = "start-time=2024-01-01T00:00:00Z";

/// Writes a configuration with a Fulcio and a timestamp authority, and no log, to [`KEYLESS_CONFIG`]. Version 3 only.
#[must_use]
pub fn keyless_config(fulcio: &str, timestamps: &str) -> Vec<String> {
    let service = |url: &str| format!("url={url},api-version=1,{ALWAYS},operator=tests");
    let (fulcio, timestamps) = (service(fulcio), service(timestamps));
    owned(&["signing-config", "create", "--fulcio", &fulcio, "--tsa", &timestamps, "--tsa-config", "ANY", "--out", KEYLESS_CONFIG])
}

/// Writes the trust root of a Fulcio and a timestamp authority, whose addresses and files of certificates these are, to [`TRUSTED_ROOT`]. Version 3
/// only.
#[must_use]
pub fn trusted_root(fulcio: (&str, &str), timestamps: (&str, &str)) -> Vec<String> {
    let service = |(url, chain): (&str, &str)| format!("url={url},certificate-chain={chain},{ALWAYS}");
    owned(&["trusted-root", "create", "--fulcio", &service(fulcio), "--tsa", &service(timestamps), "--out", TRUSTED_ROOT])
}

/// Signs keyless, as the bearer of the token. After [`keyless_config`] and [`trusted_root`].
#[must_use]
pub fn sign_keyless<'a>(token: &'a str, reference: &'a str) -> [&'a str; 9] {
    let [config, root] = ["--signing-config", "--trusted-root"];
    ["sign", "--yes", config, KEYLESS_CONFIG, root, TRUSTED_ROOT, "--identity-token", token, reference]
}

/// Attests what stands in the file `predicate`, keyless. After [`keyless_config`] and [`trusted_root`].
#[must_use]
pub fn attest_keyless<'a>(token: &'a str, predicate: &'a str, reference: &'a str) -> [&'a str; 13] {
    let [config, root, kind] = ["--signing-config", "--trusted-root", "--type"];
    let [token_flag, predicate_flag] = ["--identity-token", "--predicate"];
    ["attest", "--yes", config, KEYLESS_CONFIG, root, TRUSTED_ROOT, token_flag, token, predicate_flag, predicate, kind, "custom", reference]
}

/// Signs keyless under the `.sig` tag, as version 2 does by default. After [`trusted_root`], without which it would ask the public instance for one.
#[must_use]
pub fn sign_keyless_legacy(fulcio: &str, timestamps: &str, token: &str, reference: &str) -> Vec<String> {
    let services = ["--fulcio-url", fulcio, "--timestamp-server-url", timestamps, "--identity-token", token];
    let form = ["--use-signing-config=false", "--tlog-upload=false", "--new-bundle-format=false", "--insecure-skip-verify"];
    let root = ["--trusted-root", TRUSTED_ROOT];
    owned(&[&["sign", "--yes"][..], &services, &form, &root, &[reference]].concat())
}

/// Verifies keyless. After [`trusted_root`].
#[must_use]
pub fn verify_keyless<'a>(issuer: &'a str, subject: &'a str, reference: &'a str) -> [&'a str; 11] {
    let log = ["--insecure-ignore-tlog=true", "--use-signed-timestamps", "--insecure-ignore-sct"];
    let [who, whose] = ["--certificate-identity", "--certificate-oidc-issuer"];
    ["verify", "--trusted-root", TRUSTED_ROOT, log[0], log[1], log[2], who, subject, whose, issuer, reference]
}

fn owned(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|argument| (*argument).to_owned()).collect()
}

/// Verifies with a key.
#[must_use]
pub fn verify<'a>(key: &'a str, reference: &'a str) -> [&'a str; 5] {
    ["verify", "--key", key, "--insecure-ignore-tlog=true", reference]
}
