//! The container of a rendered OpenBao pod as a process of this machine: files where the kubelet would mount them, below a folder of its own,
//! and the environment that the kubelet would set. Only what one machine has otherwise is changed in the texts: addresses, folders, and how
//! nodes are found (there is no API server to ask, nor one to register with).

use std::{collections::BTreeMap, fs, net::IpAddr, path::PathBuf, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::{Error, Result, ports::Port, scratch::Scratch};

use super::{Bao, Options};

/// Where the configuration is in the container.
const CONFIG: &str = "/etc/bao/config/config.hcl";
/// What the pod's own name is replaced in: no DNS knows it here.
const API_ADDRESS: &str = "BAO_API_ADDR";
const CLUSTER_ADDRESS: &str = "BAO_CLUSTER_ADDR";

/// One pod of a StatefulSet of OpenBao.
#[derive(Debug)]
pub struct Pod {
    name: String,
    namespace: String,
    spec: Value,
    data: BTreeMap<(String, String), BTreeMap<String, Vec<u8>>>,
    scratch: Scratch,
    api: Port,
    edge: Port,
    place: Option<IpAddr>,
}

impl Pod {
    /// Lays out what the first container of `spec` mounts. `objects` are the ConfigMaps and Secrets that are there; volumes of other kinds are
    /// empty folders.
    ///
    /// # Errors
    /// [`Error::Pod`] when it mounts a ConfigMap or a Secret that is not there: a real pod would not start.
    pub fn new(spec: &Value, name: &str, namespace: &str, objects: &[Value]) -> Result<Self> {
        let pod = Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            spec: spec.clone(),
            data: objects.iter().map(data).collect(),
            scratch: Scratch::new(name)?,
            api: Port::take()?,
            edge: Port::take()?,
            place: None,
        };
        for mount in pod.mounts() {
            pod.mount(text(mount, "/mountPath"), text(mount, "/name"))?;
        }
        Ok(pod)
    }

    /// It has an address of its own, as a real pod does, and listens on the ports that the container names. Without one it listens on free ports of loopback.
    #[must_use]
    pub fn at(mut self, address: IpAddr) -> Self {
        self.place = Some(address);
        self
    }

    /// Starts the node by the rendered command, with the rendered configuration and environment; it finds the others at `leader`, which may be itself.
    ///
    /// # Errors
    /// [`Error::Pod`] when the environment cannot be set as the kubelet would; else as [`Bao::start`].
    pub fn start(&self, leader: &str, more: &[(&str, &str)]) -> Result<Bao> {
        let rendered = self.config()?;
        fs::write(self.path(CONFIG), self.adapted(&rendered, leader)).map_err(Error::machine(format!("write {CONFIG}")))?;
        let mut environment = self.environment()?;
        for (name, value) in [(API_ADDRESS, self.address()), (CLUSTER_ADDRESS, format!("https://{}", self.listener(8201)))] {
            let Some(variable) = environment.iter_mut().find(|variable| variable.0 == name) else {
                return Err(Error::Pod { reason: format!("the container sets no {name}") });
            };
            variable.1 = value;
        }
        environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let authority = fs::read_to_string(self.path("/etc/bao/tls/ca.crt")).ok();
        let command: Vec<String> = list(&self.container()["command"]).iter().map(|word| self.relocated(text(word, ""))).collect();
        Bao::run(&command, Options { api: self.address(), authority, environment })
    }

    /// Runs the init containers as processes of this machine, one after the other. What they mount has to be mounted by the first container at the same place,
    /// and files of their images are files of this machine.
    ///
    /// # Errors
    /// [`Error::Pod`] with what the one said that failed: a real pod would not start.
    pub fn run_init_containers(&self) -> Result<()> {
        for container in list(&self.spec["initContainers"]) {
            let name = text(container, "/name");
            let words: Vec<String> = list(&container["command"]).iter().map(|word| self.relocated(text(word, ""))).collect();
            let Some((program, arguments)) = words.split_first() else {
                return Err(Error::Pod { reason: format!("the init container {name} has no command") });
            };
            let output = Command::new(program).args(arguments).output().map_err(Error::machine(format!("run {program}")))?;
            if !output.status.success() {
                return Err(Error::Pod { reason: format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim()) });
            }
        }
        Ok(())
    }

    /// The configuration as it was rendered, also after a start has changed the file.
    ///
    /// # Errors
    /// [`Error::Pod`] when it mounts none, or no text.
    pub fn config(&self) -> Result<String> {
        let mounted =
            self.mounts().iter().find(|mount| CONFIG.strip_prefix(text(mount, "/mountPath")).is_some_and(|rest| rest.starts_with('/')));
        let volume = mounted.and_then(|mount| list(&self.spec["volumes"]).iter().find(|volume| volume["name"] == mount["name"]));
        let name = volume.map(|volume| text(volume, "/configMap/name")).unwrap_or_default();
        let bytes = self.key("ConfigMap", name, "config.hcl")?;
        String::from_utf8(bytes.to_vec()).map_err(|_| Error::Pod { reason: format!("{CONFIG} is no text") })
    }

    /// The address of its API.
    #[must_use]
    pub fn address(&self) -> String {
        format!("https://{}", self.listener(8200))
    }

    /// The address of its second listener, where it has one.
    #[must_use]
    pub fn edge_address(&self) -> String {
        format!("https://{}", self.listener(8210))
    }

    /// Where a path of the container is on this machine.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        self.scratch.path().join("root").join(inside.trim_start_matches('/'))
    }

    /// The variables that the kubelet would set, with paths of this machine.
    ///
    /// # Errors
    /// [`Error::Pod`] when one comes from a Secret or a key that is not there, or from somewhere that this does not know.
    pub fn environment(&self) -> Result<Vec<(String, String)>> {
        let mut environment: Vec<(String, String)> = Vec::new();
        for variable in list(&self.container()["env"]) {
            let name = text(variable, "/name");
            let source = &variable["valueFrom"];
            let value = if let Some(path) = source.pointer("/fieldRef/fieldPath").and_then(Value::as_str) {
                match path {
                    "metadata.name" => self.name.clone(),
                    "metadata.namespace" => self.namespace.clone(),
                    other => return Err(Error::Pod { reason: format!("{name} is {other}, which only a kubelet knows") }),
                }
            } else if let Some(reference) = source.get("secretKeyRef") {
                let bytes = self.key("Secret", text(reference, "/name"), text(reference, "/key"))?;
                String::from_utf8(bytes.to_vec()).map_err(|_| Error::Pod { reason: format!("{name} is no text") })?
            } else if source.is_null() {
                let referenced = |value: String, (name, known): &(String, String)| value.replace(&format!("$({name})"), known);
                self.relocated(&environment.iter().fold(text(variable, "/value").to_owned(), referenced))
            } else {
                return Err(Error::Pod { reason: format!("{name} comes from {source}") });
            };
            environment.push((name.to_owned(), value));
        }
        Ok(environment)
    }

    fn container(&self) -> &Value {
        &self.spec["containers"][0]
    }

    fn mounts(&self) -> &[Value] {
        list(&self.container()["volumeMounts"])
    }

    fn mount(&self, at: &str, volume: &str) -> Result<()> {
        let folder = self.path(at);
        fs::create_dir_all(&folder).map_err(Error::machine(format!("make {}", folder.display())))?;
        let Some(volume) = list(&self.spec["volumes"]).iter().find(|known| text(known, "/name") == volume) else { return Ok(()) };
        let (kind, name, items) = match (volume.get("secret"), volume.get("configMap")) {
            (Some(secret), _) => ("Secret", text(secret, "/secretName"), list(&secret["items"])),
            (None, Some(map)) => ("ConfigMap", text(map, "/name"), list(&map["items"])),
            (None, None) => return Ok(()),
        };
        let chosen: Vec<(&str, &str)> = match items {
            [] => self.object(kind, name)?.keys().map(|key| (key.as_str(), key.as_str())).collect(),
            items => items.iter().map(|item| (text(item, "/key"), text(item, "/path"))).collect(),
        };
        for (key, path) in chosen {
            let file = folder.join(path);
            fs::write(&file, self.key(kind, name, key)?).map_err(Error::machine(format!("write {}", file.display())))?;
        }
        Ok(())
    }

    fn object(&self, kind: &str, name: &str) -> Result<&BTreeMap<String, Vec<u8>>> {
        let found = self.data.get(&(kind.to_owned(), name.to_owned()));
        found.ok_or_else(|| Error::Pod { reason: format!("there is no {kind} {name}") })
    }

    fn key(&self, kind: &str, name: &str, key: &str) -> Result<&[u8]> {
        let found = self.object(kind, name)?.get(key);
        found.map(Vec::as_slice).ok_or_else(|| Error::Pod { reason: format!("{kind} {name} has no key {key}") })
    }

    fn adapted(&self, config: &str, leader: &str) -> String {
        let mut lines = Vec::new();
        for line in config.lines() {
            match line.trim_start() {
                found if found.starts_with("auto_join =") => lines.push(format!("leader_api_addr = \"{leader}\"")),
                found if found.starts_with("auto_join_") || found.starts_with("service_registration ") => {}
                _ => lines.push(self.relocated(line)),
            }
        }
        lines
            .join("\n")
            .replace("[::]:8200", &self.listener(8200))
            .replace("[::]:8201", &self.listener(8201))
            .replace("[::]:8210", &self.listener(8210))
    }

    /// Where on this machine it listens for what a real pod has on `port`.
    fn listener(&self, port: u16) -> String {
        match (self.place, port) {
            (Some(address), port) => std::net::SocketAddr::new(address, port).to_string(),
            (None, 8210) => format!("127.0.0.1:{}", self.edge.number()),
            (None, port) => format!("127.0.0.1:{}", self.api.number() + (port - 8200)),
        }
    }

    /// The text with every mounted path as it is on this machine. In one pass: what was replaced may look like another mounted path.
    fn relocated(&self, text: &str) -> String {
        let places: Vec<&str> = self.mounts().iter().map(|mount| mount["mountPath"].as_str().unwrap_or_default()).collect();
        let mut done = String::new();
        let mut rest = text;
        while let Some((at, place)) = next(rest, &places) {
            done.push_str(&rest[..at]);
            done.push_str(&self.path(place).display().to_string());
            rest = &rest[at + place.len()..];
        }
        done + rest
    }
}

/// The first mounted path in a text; of several there the longest.
fn next<'a>(text: &str, places: &[&'a str]) -> Option<(usize, &'a str)> {
    let of_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let whole = |at: usize, place: &str| !text[..at].ends_with(of_path) && !text[at + place.len()..].starts_with(of_path);
    let found = places.iter().flat_map(|place| text.match_indices(place).filter(|(at, _)| whole(*at, place)).map(|(at, _)| (at, *place)));
    found.min_by_key(|(at, place)| (*at, std::cmp::Reverse(place.len())))
}

/// Kind and name of a ConfigMap or a Secret, and its keys.
fn data(object: &Value) -> ((String, String), BTreeMap<String, Vec<u8>>) {
    let kind = text(object, "/kind").to_owned();
    let entries = |field: &str| object[field].as_object().into_iter().flatten();
    let plain = |value: &Value| value.as_str().unwrap_or_default().as_bytes().to_vec();
    let decoded = |value: &Value| {
        let bytes = plain(value);
        if kind == "Secret" { STANDARD.decode(&bytes).unwrap_or_default() } else { bytes }
    };
    let mut keys: BTreeMap<_, _> = entries("data").map(|(key, value)| (key.clone(), decoded(value))).collect();
    keys.extend(entries("stringData").map(|(key, value)| (key.clone(), plain(value))));
    ((kind, text(object, "/metadata/name").to_owned()), keys)
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec() -> Value {
        json!({
            "containers": [{
                "env": [
                    {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {"name": "HOST", "value": "$(NAME).svc"},
                    {"name": "HOME", "value": "/tmp"},
                    {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "token"}}},
                ],
                "volumeMounts": [
                    {"name": "tmp", "mountPath": "/tmp"},
                    {"name": "files", "mountPath": "/etc/files"},
                    {"name": "more", "mountPath": "/etc/files-more"},
                ],
            }],
            "volumes": [
                {"name": "tmp", "emptyDir": {}},
                {"name": "files", "secret": {"secretName": "secret", "items": [{"key": "token", "path": "other"}]}},
                {"name": "more", "configMap": {"name": "map"}},
            ],
        })
    }

    fn objects() -> Vec<Value> {
        vec![
            json!({"kind": "Secret", "metadata": {"name": "secret"}, "data": {"token": STANDARD.encode("s3cret"), "hidden": ""}}),
            json!({"kind": "ConfigMap", "metadata": {"name": "map"}, "data": {"a": "b"}}),
        ]
    }

    #[test]
    fn files_and_variables_are_as_the_kubelet_would_have_them() {
        let pod = Pod::new(&spec(), "one-0", "team", &objects()).expect("a pod");
        assert_eq!(fs::read_to_string(pod.path("/etc/files/other")).expect("mounted"), "s3cret");
        assert!(!pod.path("/etc/files/hidden").exists(), "only the named key");
        assert_eq!(fs::read_to_string(pod.path("/etc/files-more/a")).expect("mounted"), "b");
        let environment = pod.environment().expect("variables");
        let value = |name: &str| environment.iter().find(|variable| variable.0 == name).expect(name).1.clone();
        assert_eq!((value("HOST").as_str(), value("TOKEN").as_str()), ("one-0.svc", "s3cret"));
        assert_eq!(value("HOME"), pod.path("/tmp").display().to_string());
    }

    #[test]
    fn a_path_is_replaced_once_and_only_where_it_is_whole() {
        let pod = Pod::new(&spec(), "one-0", "team", &objects()).expect("a pod");
        let place = |inside: &str| pod.path(inside).display().to_string();
        let text = "file:///etc/files/a /etc/files-more/b /var/tmp /tmpfs \"/tmp\"";
        let expected = format!("file://{} {} /var/tmp /tmpfs \"{}\"", place("/etc/files/a"), place("/etc/files-more/b"), place("/tmp"));
        assert_eq!(pod.relocated(text), expected);
    }

    #[test]
    fn a_secret_that_is_not_there_keeps_the_pod_from_starting() {
        let error = Pod::new(&spec(), "one-0", "team", &objects()[1..]).expect_err("the Secret is missing");
        assert!(error.to_string().contains("Secret secret"), "{error}");
    }
}
