//! A real node: pods run in it, and nothing of it is left, however it ends. These tests need root and fail without.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use banhbaoring_testing::{
    kubectl::Kubectl,
    node::{Image, Node, cgroups, inside::SETTINGS},
    server::until_gone,
    wait,
};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(90);
const PROGRAM: &str = env!("CARGO_BIN_EXE_node");
/// Folders that Kubernetes makes on a machine that it has for itself.
const FOLDERS: [&str; 8] = [
    "/var/lib/kubelet",
    "/var/lib/containerd",
    "/var/lib/cni",
    "/etc/cni",
    "/opt/containerd",
    "/run/containerd",
    "/tmp/hostpath_pv",
    "/usr/libexec/kubernetes",
];

/// What the machine has of one node.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    processes: BTreeSet<String>,
    link: bool,
    groups: BTreeSet<PathBuf>,
}

/// A node as the machine sees it.
struct Seen {
    /// Its process namespace.
    namespace: PathBuf,
    number: u8,
}

impl Seen {
    fn of(number: u8, first: u32) -> Self {
        Self { namespace: fs::read_link(format!("/proc/{first}/ns/pid")).expect("the namespace of the first process"), number }
    }

    fn traces(&self) -> Traces {
        let group = format!("banhbaoring-node-{}", self.number);
        let groups = cgroups::hierarchies().expect("hierarchies").into_iter().map(|hierarchy| hierarchy.join(&group));
        let groups: BTreeSet<_> = groups.filter(|group| group.exists()).collect();
        // Pods have process namespaces of their own; their groups are in those of the node.
        let of_pods = groups.iter().flat_map(|group| processes_of(group));
        Traces {
            processes: processes_in(&self.namespace).into_iter().chain(of_pods).map(|pid| name_of(&pid)).collect(),
            link: Path::new(&format!("/sys/class/net/bbr-node-{}", self.number)).exists(),
            groups,
        }
    }

    async fn until_nothing_is_left(&self) {
        let nothing = Traces { processes: BTreeSet::new(), link: false, groups: BTreeSet::new() };
        let look = async || {
            let traces = self.traces();
            if traces == nothing { Ok(()) } else { Err(format!("{traces:?}")) }
        };
        wait::until(PATIENCE, "nothing to be left", look).await.expect("all gone");
    }
}

fn processes_in(namespace: &Path) -> Vec<String> {
    let entries = fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let inside = entries.filter(|entry| fs::read_link(entry.path().join("ns/pid")).is_ok_and(|found| found == namespace));
    inside.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn processes_of(group: &Path) -> Vec<String> {
    let below = fs::read_dir(group).into_iter().flatten().filter_map(Result::ok).filter(|entry| entry.path().is_dir());
    let own = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    own.lines().map(str::to_owned).chain(below.flat_map(|entry| processes_of(&entry.path()))).collect()
}

fn name_of(pid: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

/// What belongs to the whole machine and no node may change: mounts, settings of the kernel, folders.
fn machine() -> BTreeSet<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    let settings = SETTINGS.into_iter().chain(["net/ipv4/ip_forward"]);
    let value = |name: &str| fs::read_to_string(Path::new("/proc/sys").join(name)).unwrap_or_default();
    let folders = FOLDERS.into_iter().filter(|folder| Path::new(folder).exists());
    mounts
        .lines()
        .map(|line| format!("mount {line}"))
        .chain(settings.map(|name| format!("setting {name} = {}", value(name).trim())))
        .chain(folders.map(|folder| format!("folder {folder}")))
        .collect()
}

fn assert_as_before(before: &BTreeSet<String>) {
    let now = machine();
    let changed: Vec<_> = now.symmetric_difference(before).collect();
    assert!(changed.is_empty(), "changed on this machine: {changed:?}");
}

fn pod(name: &str, image: &str, arguments: &[&str]) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "probe", "image": image, "command": ["/probe"], "args": arguments}],
        },
    })
}

async fn until_phase(kubectl: &Kubectl, pod: &str, phase: &str) {
    let look = async || {
        let status = kubectl.run(&["get", "pod", pod, "-o", "json"]).await.map_err(|error| error.to_string())?;
        let status: Value = serde_json::from_str::<Value>(&status).map_err(|error| error.to_string())?["status"].clone();
        if status["phase"] == phase { Ok(()) } else { Err(status.to_string()) }
    };
    if let Err(failed) = wait::until(PATIENCE, format!("{pod} to be {phase}"), look).await {
        let events = kubectl.run(&["get", "events"]).await.unwrap_or_default();
        panic!("{failed}\n{events}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_are_pulled_from_the_local_registry_run_resolve_names_and_reach_services() {
    let node = Node::start().await.expect("a node");
    let namespace = node.cluster().namespace("pods").await.expect("a namespace");
    let kubectl = node.kubectl().expect("kubectl").in_namespace(&namespace);
    let pinned = node.image("quay.io/banhbaoring/probe:v1", &Image::probe().expect("built")).await.expect("pushed");
    let mut server = pod("hello", &pinned, &["serve", ":8080", "greetings"]);
    server["spec"]["containers"][0]["readinessProbe"] = json!({"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1});
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "hello"},
        "spec": {"selector": {"app": "hello"}, "ports": [{"port": 80, "targetPort": 8080}]},
    });
    kubectl.apply(&server.to_string()).await.expect("applied");
    kubectl.apply(&service.to_string()).await.expect("applied");
    if let Err(error) = kubectl.run(&["wait", "pod/hello", "--for=condition=Ready", "--timeout=300s"]).await {
        panic!("{error}\n{}", kubectl.run(&["describe", "pod/hello"]).await.unwrap_or_default());
    }

    let id = kubectl.run(&["get", "pod/hello", "-o", "jsonpath={.status.containerStatuses[0].containerID}"]).await.expect("an id");
    let processes: Vec<_> = node.container(&id).expect("a container").iter().map(|pid| name_of(&pid.to_string())).collect();
    assert_eq!(processes, ["probe"]);
    let refused = node.container("containerd://another").expect_err("there is none");
    assert!(refused.to_string().contains("another"), "{refused}");

    let address = format!("hello.{namespace}.svc.cluster.local");
    let tag = "quay.io/banhbaoring/probe:v1";
    for (name, arguments, wanted) in [
        ("resolves", ["resolve", "hello"], kubectl.run(&["get", "service/hello", "-o", "jsonpath={.spec.clusterIP}"]).await.expect("one")),
        ("asks", ["get", &format!("http://{address}/")], "greetings".to_owned()),
    ] {
        kubectl.apply(&pod(name, tag, &arguments).to_string()).await.expect("applied");
        until_phase(&kubectl, name, "Succeeded").await;
        assert_eq!(kubectl.run(&["logs", name]).await.expect("a log").trim(), wanted);
    }
    kubectl.apply(&pod("lost", tag, &["resolve", "nothing.example.org"]).to_string()).await.expect("applied");
    until_phase(&kubectl, "lost", "Failed").await;
    let log = kubectl.run(&["logs", "lost"]).await.expect("a log");
    assert!(log.contains("no such host"), "{log}");

    let outside = kubectl.run(&["get", "service/hello", "-o", "jsonpath={.spec.clusterIP}"]).await.expect("an address");
    let asked = banhbaoring_testing::http::Http::new(format!("http://{outside}"), None).expect("a client");
    let answer = asked.succeed(reqwest::Method::GET, "/", &[], None).await.expect("this machine reaches Services");
    assert_eq!(answer.as_str().map(str::trim), Some("greetings"));
    node.stop().expect("nothing left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_changes_nothing_of_the_machine_and_is_gone_after_stop() {
    let before = machine();
    let node = Node::start().await.expect("a node");
    let seen = Seen::of(node.slot().number(), node.first_process());
    let keeper = node.keeper();
    let folder = node.kubeconfig().parent().expect("a folder").to_path_buf();
    let image = node.image("banhbaoring.test/probe:1", &Image::probe().expect("built")).await.expect("pushed");
    let kubectl = node.kubectl().expect("kubectl");
    kubectl.apply(&pod("still-there", &image, &["pause"]).to_string()).await.expect("applied");
    until_phase(&kubectl, "still-there", "Running").await;

    let running = seen.traces();
    let of_pods: Vec<_> = running.groups.iter().flat_map(|group| processes_of(group)).collect();
    for wanted in ["etcd", "kube-apiserver", "kubelet", "containerd", "coredns", "probe"] {
        assert!(running.processes.contains(wanted), "{wanted} is expected in {running:?}");
    }
    assert!(running.link && !running.groups.is_empty(), "{running:?}");
    assert_as_before(&before);

    node.stop().expect("nothing left");
    seen.until_nothing_is_left().await;
    for pid in of_pods {
        until_gone(pid.parse().expect("a number"), PATIENCE).await.expect("a process of a pod is gone");
    }
    until_gone(keeper, PATIENCE).await.expect("the keeper is gone");
    assert_as_before(&before);
    assert!(!folder.exists(), "{} is left", folder.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_node_whose_owner_was_killed() {
    let before = machine();
    let mut owner =
        Command::new(PROGRAM).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("the owner starts");
    let mut line = String::new();
    BufReader::new(owner.stdout.take().expect("a pipe")).read_line(&mut line).expect("read");
    let kubeconfig = PathBuf::from(line.trim());
    assert!(kubeconfig.is_file(), "a kubeconfig is expected, found {line:?}");
    let kubectl = Kubectl::new(&kubeconfig).expect("kubectl");
    let deployed = kubectl.run(&["get", "deployments", "--all-namespaces"]).await.expect("it serves");
    assert!(deployed.contains("coredns"), "{deployed}");
    let (keeper, first) = kept_by(owner.id());
    let number = number_of(keeper);
    let seen = Seen::of(number, first);
    assert!(seen.traces().processes.contains("kubelet"), "{:?}", seen.traces());

    owner.kill().expect("killed");
    owner.wait().expect("ended");
    seen.until_nothing_is_left().await;
    until_gone(keeper, PATIENCE).await.expect("the keeper is gone");
    assert_as_before(&before);
    let folder = kubeconfig.parent().and_then(Path::parent).expect("a folder").to_path_buf();
    let look = async || if folder.exists() { Err(format!("{} is there", folder.display())) } else { Ok(()) };
    wait::until(PATIENCE, "its folder to be gone", look).await.expect("gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keeper_that_is_killed_takes_its_namespaces_along_and_the_next_one_clears_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut keeper = Kept::new(folder.path());
    let seen = Seen::of(keeper.number, keeper.first);
    let left = seen.traces().groups;
    assert!(!left.is_empty(), "{:?}", seen.traces());
    for group in &left {
        fs::create_dir_all(group.join("left-behind")).expect("a group");
    }
    keeper.process.kill().expect("killed");
    keeper.process.wait().expect("ended");
    let look = async || {
        let traces = seen.traces();
        if traces.processes.is_empty() && !traces.link { Ok(()) } else { Err(format!("{traces:?}")) }
    };
    wait::until(PATIENCE, "the processes and the link to be gone", look).await.expect("gone");

    // Its number is free: this one takes it, or another test did meanwhile.
    let next = Kept::new(folder.path());
    for group in left {
        assert!(!group.join("left-behind").exists(), "{} is left", group.display());
    }
    let seen = Seen::of(next.number, next.first);
    let mut process = next.process;
    drop(process.stdin.take());
    assert!(process.wait().expect("it ends").success());
    seen.until_nothing_is_left().await;
}

/// Namespaces without a cluster.
struct Kept {
    process: Child,
    number: u8,
    first: u32,
}

impl Kept {
    fn new(folder: &Path) -> Self {
        let mut process =
            Command::new(PROGRAM).arg("keep").arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut line).expect("read");
        let (number, first) = line.trim().split_once(' ').unwrap_or_else(|| panic!("two numbers are expected, found {line:?}"));
        Self { process, number: number.parse().expect("a number"), first: first.parse().expect("a number") }
    }
}

/// The keeper of an owner and the first process of its namespaces.
fn kept_by(owner: u32) -> (u32, u32) {
    let child = |parent: u32, name: &str| {
        let children = fs::read_dir("/proc").expect("/proc").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        let mut named = children.filter(|pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.contains(&format!("\nPPid:\t{parent}\n")) && status.starts_with(&format!("Name:\t{name}\n"))
        });
        named.next().unwrap_or_else(|| panic!("a child `{name}` of {parent} is expected"))
    };
    let keeper = child(owner, "node");
    (keeper, child(child(keeper, "unshare"), "node"))
}

/// The number of a node: the keeper hands it to the process inside.
fn number_of(keeper: u32) -> u8 {
    let children = fs::read_dir("/proc").expect("/proc").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let mut unshare = children
        .filter(|pid| fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default().contains(&format!("\nPPid:\t{keeper}\n")));
    let unshare = unshare.next().expect("a child of the keeper");
    let line = fs::read_to_string(format!("/proc/{unshare}/cmdline")).expect("its command line");
    line.trim_end_matches('\0').rsplit('\0').next().and_then(|word| word.parse().ok()).expect("a number at its end")
}

#[test]
fn who_is_not_root_is_told_so() {
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--clear-groups", "--", PROGRAM, "keep", "/nowhere"])
        .output()
        .expect("setpriv starts it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("expected to be root"), "{said}");
}
