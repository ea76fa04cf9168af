//! Variables that a seal may set in the store's container: its own, none that change how programs start, trust or are configured.

use std::collections::BTreeSet;

use super::mounts::Mounts;
use super::{Findings, Reason, TEXT, shown};
use crate::admit::syntax::is_data_key;
use crate::contract::{EnvValue, EnvVar};

/// Beginnings of names that loaders, runtimes, shells and libraries read.
const PREFIXES: &[&str] = &[
    "LD_",
    "DYLD_",
    "GLIBC_",
    "MALLOC_",
    "GCONV_",
    "GO",
    "GRPC_",
    "PYTHON",
    "PERL",
    "RUBY",
    "NODE_",
    "JAVA_",
    "JDK_",
    "_JAVA",
    "BASH_",
    "SSL_",
    "OPENSSL_",
    "CURL_",
    "GIT_",
    "KUBERNETES_",
    "POD_",
    "HTTP_",
    "HTTPS_",
    "ALL_",
    "NO_PROXY",
    "RES_",
    "DBUS_",
    "XDG_",
];

/// Names, whole.
const NAMES: &[&str] = &[
    "PATH",
    "HOME",
    "HOSTNAME",
    "HOSTALIASES",
    "LOCALDOMAIN",
    "PWD",
    "OLDPWD",
    "SHELL",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "TMP",
    "TEMP",
    "IFS",
    "ENV",
    "UMASK",
    "TZ",
    "TZDIR",
    "LANG",
    "NLSPATH",
    "KUBECONFIG",
    "SERVICE_ACCOUNT",
    "TERM",
    "EDITOR",
    "SKIP_SETCAP",
    "SKIP_CHOWN",
];

/// Parts of names that configure the store itself rather than its seal.
const PARTS: &[&str] = &["CONFIG", "RAFT", "API_ADDR", "CLUSTER_ADDR", "LOG_", "REDIRECT", "PLUGIN", "LICENSE", "PROXY", "DEV_"];

pub(super) fn check(findings: &mut Findings, env: &[EnvVar], mounts: &Mounts) {
    let mut names = BTreeSet::new();
    for variable in env {
        name(findings, &variable.name);
        if !names.insert(variable.name.as_str()) {
            let message = format!("the variable {} is set twice", shown(&variable.name));
            findings.add(Reason::EnvironmentNotAllowed, None, message);
        }
        match &variable.value {
            EnvValue::Literal(text) => {
                // $(NAME) is expanded by the kubelet: the value of another variable would end up in this one.
                if text.len() > TEXT || text.contains('\0') || text.contains("$(") {
                    let message = format!("the value of {} is too long or holds \"$(\"", shown(&variable.name));
                    findings.add(Reason::EnvironmentNotAllowed, None, message);
                }
                mounts.value(findings, &format!("the variable {}", shown(&variable.name)), text);
            }
            EnvValue::SecretKey(key) => {
                if !is_data_key(&key.key) {
                    let message = format!("the variable {} names no key of a Secret", shown(&variable.name));
                    findings.add(Reason::SealInvalid, None, message);
                }
            }
        }
    }
}

/// Checks the name of one variable.
pub(super) fn name(findings: &mut Findings, name: &str) {
    let well_formed = (1..=128).contains(&name.len())
        && name.as_bytes().first().is_some_and(u8::is_ascii_uppercase)
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    // Google's variables begin like Go's.
    let denied = (PREFIXES.iter().any(|prefix| name.starts_with(prefix)) && !name.starts_with("GOOGLE_"))
        || NAMES.contains(&name)
        || PARTS.iter().any(|part| name.contains(part));
    if !well_formed || denied {
        findings.add(
            Reason::EnvironmentNotAllowed,
            None,
            format!(
                "the variable {} changes more than the seal; expected upper-case letters, digits and '_', and none that loaders, runtimes or \
                 the store's own configuration read",
                shown(name)
            ),
        );
    }
}
