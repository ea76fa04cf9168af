//! Where a seal may put files, and that its values point at no others.

use std::collections::BTreeSet;

use super::{Findings, Reason, shown};
use crate::admit::syntax::{is_absolute_path, is_data_key, is_label, is_relative_path};
use crate::contract::{SealVolume, VolumeSource};

/// Directories below /etc that the system reads.
const SYSTEM: &[&str] = &[
    "alternatives",
    "apk",
    "apt",
    "ca-certificates",
    "cron.d",
    "cron.daily",
    "cron.hourly",
    "default",
    "dpkg",
    "init.d",
    "kubernetes",
    "ld.so.conf.d",
    "logrotate.d",
    "modprobe.d",
    "network",
    "opt",
    "pam.d",
    "periodic",
    "pki",
    "profile.d",
    "rc.d",
    "security",
    "skel",
    "ssh",
    "ssl",
    "sudoers.d",
    "sysctl.d",
    "systemd",
    "xdg",
];

/// First directories of file systems: a value that begins with one of them is a path.
const ROOTS: &[&str] = &[
    "bin", "boot", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "opt", "proc", "root", "run", "sbin", "srv", "sys", "tmp", "usr",
    "var", "data",
];

/// The directories of a seal.
pub(super) struct Mounts(Vec<String>);

impl Mounts {
    /// Refuses a value that names a file outside of the seal's own directories.
    pub(super) fn value(&self, findings: &mut Findings, who: &str, text: &str) {
        let file = text.strip_prefix("file:");
        let path = file.map_or(text, |rest| rest.strip_prefix("//").unwrap_or(rest));
        let first =
            path.strip_prefix('/').map(|rest| rest.split('/').find(|segment| !segment.is_empty() && *segment != ".").unwrap_or_default());
        let is_file = file.is_some() || first.is_some_and(|first| ROOTS.contains(&first) || first == "..");
        let climbs = path.split('/').any(|segment| segment == "..") && (path.starts_with(['/', '.']) || file.is_some());
        let inside = is_absolute_path(path)
            && self.0.iter().any(|mount| path.strip_prefix(mount.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
        if climbs || (is_file && !inside) {
            findings.add(
                Reason::MountNotAllowed,
                None,
                format!("{who} names the file {}, which is in none of the seal's own volumes", shown(path)),
            );
        }
    }
}

pub(super) fn check(findings: &mut Findings, volumes: &[SealVolume]) -> Mounts {
    let mut names = BTreeSet::new();
    let mut mounts: Vec<String> = Vec::new();
    for volume in volumes {
        let SealVolume { name, mount_path, source } = volume;
        if !is_label(name) || !names.insert(name.as_str()) {
            findings.add(Reason::SealInvalid, None, format!("the volume {} has no valid name of its own", shown(name)));
        }
        let overlaps = mounts.iter().any(|other| below(mount_path, other) || below(other, mount_path));
        if !is_place(mount_path) || overlaps {
            findings.add(
                Reason::MountNotAllowed,
                None,
                format!(
                    "the volume {} is mounted at {}; expected a directory of its own at /etc/X/Y, /mnt/X, /run/secrets/X or \
                     /var/run/secrets/X that the system does not use",
                    shown(name),
                    shown(mount_path)
                ),
            );
        }
        mounts.push(mount_path.clone());
        let files_fit = match source {
            VolumeSource::Secret(secret) => {
                secret.items.len() <= 64 && secret.items.iter().all(|item| is_data_key(&item.key) && is_relative_path(&item.path))
            }
            VolumeSource::Token(token) => is_relative_path(&token.path) && (600..=86_400).contains(&token.expiration_seconds),
        };
        if !files_fit {
            findings.add(
                Reason::MountNotAllowed,
                None,
                format!(
                    "the volume {}: a path leads out of it, or a token lives shorter than 600 or longer than 86400 seconds",
                    shown(name)
                ),
            );
        }
    }
    Mounts(mounts)
}

fn below(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_place(path: &str) -> bool {
    if !is_absolute_path(path) {
        return false;
    }
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match segments.as_slice() {
        ["etc", directory, _, ..] => !SYSTEM.contains(directory),
        ["mnt", _, ..] => true,
        ["run", "secrets", name, ..] | ["var", "run", "secrets", name, ..] => *name != "kubernetes.io",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_only_where_the_system_has_none() {
        for good in ["/etc/store/unseal", "/etc/store/unseal/key", "/var/run/secrets/cloud.example/token", "/run/secrets/x", "/mnt/kms"] {
            assert!(is_place(good), "{good}");
        }
        for bad in [
            "/",
            "/etc",
            "/etc/store",
            "/etc/ssl/certs",
            "/usr/lib/x",
            "/proc/self",
            "/tmp/x",
            "etc/x/y",
            "/etc/x/../ssl/certs",
            "/var/run/secrets/kubernetes.io/serviceaccount",
            "/var/run/secrets",
            "/bin/x",
            "/etc//x/y",
            "/dev/shm/x",
            "/lib/x",
            "",
        ] {
            assert!(!is_place(bad), "{bad}");
        }
    }

    #[test]
    fn a_value_names_only_files_of_the_seal() {
        let mounts = Mounts(vec!["/etc/store/unseal".to_owned()]);
        let refused = |text: &str| {
            let mut findings = Findings::default();
            mounts.value(&mut findings, "x", text);
            findings.count() > 0
        };
        for good in [
            "file:///etc/store/unseal/key",
            "/etc/store/unseal/ca.crt",
            "alias/my-key",
            "projects/a/locations/b",
            "/subscriptions/a",
            "https://kms.example.com",
            "transit/",
            "a..b",
        ] {
            assert!(!refused(good), "{good}");
        }
        for bad in [
            "file:///etc/store/tls/key",
            "/etc/passwd",
            "/etc/store/unseal/../tls/key",
            "file:/proc/self/environ",
            "//etc/passwd",
            "/./etc/passwd",
            "../../etc/passwd",
            "/var/run/secrets/kubernetes.io/serviceaccount/token",
            "file://../x",
            "/etc/store/unsealed",
        ] {
            assert!(refused(bad), "{bad}");
        }
    }
}
