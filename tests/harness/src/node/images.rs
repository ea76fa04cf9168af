//! Container images made from files of this machine: one layer, no daemon, the same bytes for the same files.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::{Error, Result, registry::Registry, tools};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// Where Debian's `busybox-static` puts a shell that needs nothing around it.
const SHELL: &str = "/bin/busybox";

/// What an image is made of.
#[derive(Debug, Clone, Default)]
pub struct Image {
    entries: Vec<(String, Entry)>,
    config: Value,
}

#[derive(Debug, Clone)]
enum Entry {
    Program(PathBuf),
    Text(String),
    Folder(u32),
    Link(String),
}

impl Image {
    /// An empty one that runs `command`.
    #[must_use]
    pub fn new(command: &[&str]) -> Self {
        let config = json!({"Entrypoint": command, "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]});
        Self { entries: Vec::new(), config }
    }

    /// With a program of this machine at `path`.
    #[must_use]
    pub fn program(self, path: &str, from: &Path) -> Self {
        self.with(path, Entry::Program(from.to_owned()))
    }

    /// With a program of this machine and every shared library that the loader would look for, each at its own path.
    ///
    /// # Errors
    /// [`Error::Node`] when a library is not there, [`Error::Command`] or [`Error::Machine`] when `ldd` cannot tell.
    pub fn linked_program(self, path: &str, from: &Path) -> Result<Self> {
        let output = Command::new("ldd").arg(from).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).output();
        let output = output.map_err(Error::machine(format!("start `ldd {}` (Debian package libc-bin)", from.display())))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (told, complaints) = (text(&output.stdout), text(&output.stderr));
        if !output.status.success() && !complaints.contains("not a dynamic executable") {
            return Err(Error::Command {
                command: format!("ldd {}", from.display()),
                status: output.status.to_string(),
                stderr: complaints,
            });
        }
        let libraries = libraries(&told)?;
        Ok(libraries.into_iter().fold(self.program(path, from), |image, library| image.program(&library, Path::new(&library))))
    }

    /// With a text file.
    #[must_use]
    pub fn text(self, path: &str, content: &str) -> Self {
        self.with(path, Entry::Text(content.to_owned()))
    }

    /// With an empty folder of that mode. Folders above an entry need not be named.
    #[must_use]
    pub fn folder(self, path: &str, mode: u32) -> Self {
        self.with(path, Entry::Folder(mode))
    }

    /// With a symbolic link.
    #[must_use]
    pub fn link(self, path: &str, target: &str) -> Self {
        self.with(path, Entry::Link(target.to_owned()))
    }

    /// Run as this user where a pod names none.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        self.config["User"] = json!(user);
        self
    }

    fn with(mut self, path: &str, entry: Entry) -> Self {
        self.entries.push((path.trim_matches('/').to_owned(), entry));
        self
    }

    /// The probe of `tests/tools/probe`; as it stands it waits for a signal, so it is the sandbox of pods too.
    ///
    /// # Errors
    /// [`Error::Tool`] when it was not built.
    pub fn probe() -> Result<Self> {
        Ok(Self::new(&["/probe", "pause"]).program("/probe", &tools::find("probe")?).user("65532:65532"))
    }

    /// The node's DNS.
    ///
    /// # Errors
    /// [`Error::Tool`] when it was not built.
    pub fn coredns() -> Result<Self> {
        Ok(Self::new(&["/coredns"]).program("/coredns", &tools::find("coredns")?))
    }

    /// OpenBao: the real `bao`, and a shell as the published image has it.
    ///
    /// # Errors
    /// [`Error::Tool`] when it was not built.
    pub fn openbao() -> Result<Self> {
        let image = Self::new(&["/bin/bao"])
            .program("/bin/bao", &tools::find("bao")?)
            .program("/bin/busybox", Path::new(SHELL))
            .text("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nopenbao:x:100:1000:openbao:/home/openbao:/bin/sh\n")
            .text("/etc/group", "root:x:0:\nopenbao:x:1000:\n")
            .folder("/tmp", 0o1777)
            .folder("/home/openbao", 0o777);
        Ok(["sh", "sleep", "cat", "ls", "base64"].iter().fold(image, |image, name| image.link(&format!("/bin/{name}"), "busybox")))
    }

    /// Puts it into the registry and returns the reference with its digest. The part before the repository may name any registry: nodes pull all of
    /// them from theirs.
    pub(super) async fn push(&self, registry: &Registry, reference: &str) -> Result<String> {
        let (name, repository, tag) = parts(reference);
        let layer = self.layer()?;
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
        })
        .to_string()
        .into_bytes();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest(&config), "size": config.len()},
            "layers": [{"mediaType": LAYER, "digest": digest(&layer), "size": layer.len()}],
        })
        .to_string()
        .into_bytes();
        let http = registry.http().known_as(registry.account());
        for blob in [layer, config] {
            let begun = http.upload(Method::POST, &format!("/v2/{repository}/blobs/uploads/"), None, Vec::new()).await?;
            let place =
                begun.ok_or_else(|| Error::Node { what: format!("a place to upload a part of {reference} to"), saw: "none".into() })?;
            let sign = if place.contains('?') { '&' } else { '?' };
            let path = format!("{place}{sign}digest={}", digest(&blob));
            http.upload(Method::PUT, &path, Some("application/octet-stream"), blob).await?;
        }
        let whole = digest(&manifest);
        http.upload(Method::PUT, &format!("/v2/{repository}/manifests/{tag}"), Some(MANIFEST), manifest).await?;
        Ok(format!("{name}@{whole}"))
    }

    fn layer(&self) -> Result<Vec<u8>> {
        let failed = |path: &str| Error::machine(format!("put {path} into an image"));
        let mut archive = Builder::new(Vec::new());
        let mut there = Vec::new();
        for (path, entry) in &self.entries {
            let above: Vec<_> = path.match_indices('/').map(|(at, _)| &path[..at]).filter(|folder| !there.contains(folder)).collect();
            for folder in above {
                archive.append_data(&mut header(EntryType::Directory, 0o755, 0), folder, &[][..]).map_err(failed(folder))?;
                there.push(folder);
            }
            let file = |archive: &mut Builder<Vec<u8>>, content: &[u8], mode: u32| {
                archive.append_data(&mut header(EntryType::Regular, mode, content.len() as u64), path, content)
            };
            let added = match entry {
                Entry::Program(from) => {
                    let content = fs::read(from).map_err(Error::machine(format!("read {}", from.display())))?;
                    file(&mut archive, &content, 0o755)
                }
                Entry::Text(content) => file(&mut archive, content.as_bytes(), 0o644),
                Entry::Folder(mode) => {
                    there.push(path.as_str());
                    archive.append_data(&mut header(EntryType::Directory, *mode, 0), path, &[][..])
                }
                Entry::Link(target) => archive.append_link(&mut header(EntryType::Symlink, 0o777, 0), path, target),
            };
            added.map_err(failed(path))?;
        }
        archive.into_inner().map_err(failed("the end"))
    }
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// The files that `ldd` names; what the kernel brings itself has none.
fn libraries(told: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for line in told.lines().map(str::trim) {
        if line.ends_with("=> not found") {
            return Err(Error::Node { what: "every shared library of the program on this machine".into(), saw: line.into() });
        }
        let place = line.rsplit_once(" => ").map_or(line, |(_, place)| place);
        found.extend(place.split(' ').next().filter(|place| place.starts_with('/')).map(str::to_owned));
    }
    Ok(found)
}

/// What a reference means to a node: the name without the tag, the repository in the registry, the tag.
fn parts(reference: &str) -> (&str, String, &str) {
    let (name, tag) = match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (reference, "latest"),
    };
    let repository = match name.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => rest.to_owned(),
        Some(_) => name.to_owned(),
        None => format!("library/{name}"),
    };
    (name, repository, tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_names_a_repository_as_a_node_asks_for_it() {
        let told = |reference: &str| parts(reference).1 + " " + parts(reference).2;
        assert_eq!(told("openbao/openbao:2.4.0"), "openbao/openbao 2.4.0");
        assert_eq!(told("quay.io/openbao/openbao"), "openbao/openbao latest");
        assert_eq!(told("localhost:5000/a/b"), "a/b latest");
        assert_eq!(told("alpine:3"), "library/alpine 3");
    }

    #[test]
    fn the_loader_and_every_library_are_taken_from_where_they_lie_and_a_missing_one_is_named() {
        let told = "\tlinux-vdso.so.1 (0x00007f9cc4f78000)\n\tlibm.so.6 => /lib/x/libm.so.6 (0x00007f9cbfd20000)\n\t/lib64/ld-linux-x86-64.so.2 (0x1)\n";
        assert_eq!(libraries(told).expect("all there"), ["/lib/x/libm.so.6", "/lib64/ld-linux-x86-64.so.2"]);
        assert!(libraries("\tstatically linked\n").expect("none").is_empty());
        let refused = libraries("\tlibgone.so.1 => not found\n").expect_err("one is missing");
        assert!(refused.to_string().contains("libgone.so.1"), "{refused}");
    }

    #[test]
    fn a_layer_has_every_folder_once_and_the_same_bytes_each_time() {
        let image = Image::new(&["/bin/a"]).text("/bin/a", "a").link("/bin/b", "a").folder("/tmp", 0o1777).text("/tmp/c", "c");
        let layer = image.layer().expect("a layer");
        let mut archive = tar::Archive::new(layer.as_slice());
        let names: Vec<_> =
            archive.entries().expect("entries").map(|entry| entry.expect("one").path().expect("a path").into_owned()).collect();
        assert_eq!(names, ["bin", "bin/a", "bin/b", "tmp", "tmp/c"].map(PathBuf::from));
        assert_eq!(layer, image.layer().expect("a layer"));
    }
}
