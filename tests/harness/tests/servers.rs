//! The harness itself: what it starts serves, and nothing of it is left behind.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use banhbaoring_testing::{
    Error,
    bao::{self, Bao},
    control_plane::{ControlPlane, Options},
    moto::Moto,
    ports::Port,
    registry::{self, ReferrersRegistry, Registry},
    scratch::Scratch,
    server::{Launch, until_gone},
    wait,
};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, api::ListParams};

const SOON: Duration = Duration::from_secs(20);

fn children_of(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("/proc");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line.strip_prefix("PPid:").is_some_and(|value| value.trim() == parent.to_string()))
    })
    .collect()
}

#[tokio::test]
async fn a_control_plane_serves_and_leaves_no_process_and_no_folder_behind() {
    let plane = ControlPlane::start(Options { audit: true, ..Options::default() }).await.expect("started");
    let namespace = plane.namespace("harness").await.expect("a namespace");
    let kubectl = plane.kubectl().expect("kubectl").in_namespace(&namespace);
    kubectl.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: seen}\ndata: {by: kubectl}\n").await.expect("applied");
    let maps = Api::<ConfigMap>::namespaced(plane.client().await.expect("a client"), &namespace);
    let seen = maps.get("seen").await.expect("what kubectl applied");
    assert_eq!(seen.data.expect("data")["by"], "kubectl");
    assert!(plane.audit_log().expect("audited").contains(r#""name":"seen""#));

    let servers = [plane.etcd(), plane.apiserver(), plane.controller_manager()];
    let pids: Vec<_> = servers.into_iter().map(|server| server.expect("ours").pid()).collect();
    let folder = plane.kubeconfig().parent().expect("a folder").to_path_buf();
    drop(plane);
    for pid in pids {
        until_gone(pid, SOON).await.expect("gone");
    }
    assert!(!folder.exists(), "{} is left", folder.display());
}

#[tokio::test]
async fn role_based_access_is_enforced_for_a_service_account() {
    let plane = ControlPlane::shared().await.expect("shared");
    let namespace = plane.namespace("rbac").await.expect("a namespace");
    let client = plane.client_of(&namespace, "default").await.expect("a client");
    let refused = Api::<Secret>::namespaced(client, &namespace).list(&ListParams::default()).await.expect_err("it has no role");
    assert!(refused.to_string().contains("is forbidden"), "{refused}");
}

#[tokio::test]
async fn tests_share_one_control_plane_in_namespaces_of_their_own() {
    let (first, second) = tokio::join!(ControlPlane::shared(), ControlPlane::shared());
    let (first, second) = (first.expect("shared"), second.expect("shared"));
    assert!(std::ptr::eq(first, second));
    let (one, other) = tokio::join!(first.namespace("share"), second.namespace("share"));
    assert_ne!(one.expect("a namespace"), other.expect("a namespace"));
}

/// The starting thread ends before the server is used: the kernel must not take that for the end of the process.
#[test]
fn a_server_outlives_the_thread_that_asked_for_it_and_not_its_value() {
    let scratch = Scratch::new("sleep").expect("a folder");
    let folder = scratch.path().to_path_buf();
    let server =
        std::thread::spawn(move || Launch::program("sleep", PathBuf::from("/bin/sleep"), &folder).args(["3600"]).start().expect("started"))
            .join()
            .expect("the thread ended");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    assert!(runtime.block_on(server.until_ended(Duration::from_millis(300))).is_err(), "it was killed with its thread");
    let pid = server.pid();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _held = server;
        panic!("a test that fails");
    }));
    assert!(panicked.is_err());
    runtime.block_on(until_gone(pid, SOON)).expect("gone after a panic");
}

#[tokio::test]
async fn a_killed_server_takes_along_what_it_started() {
    let scratch = Scratch::new("family").expect("a folder");
    let family = Launch::program("family", PathBuf::from("/bin/sh"), scratch.path());
    let server = family.args(["-c", "sleep 3600 & echo child $!.; wait"]).start().expect("started");
    server.until_logged(SOON, ".").await.expect("a child");
    let child = server.log().trim().trim_start_matches("child ").trim_end_matches('.').parse().expect("a process id");
    server.kill();
    until_gone(child, SOON).await.expect("gone");
}

#[tokio::test]
async fn a_killed_process_takes_its_servers_and_its_folders_along() {
    let mut holder =
        Command::new(env!("CARGO_BIN_EXE_control-plane")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("started");
    let mut line = String::new();
    BufReader::new(holder.stdout.take().expect("a pipe")).read_line(&mut line).expect("a kubeconfig");
    let kubeconfig = PathBuf::from(line.trim());
    let root = kubeconfig.parent().and_then(|folder| folder.parent()).expect("a root").to_path_buf();
    let children = children_of(holder.id());
    assert!(children.len() >= 3, "{children:?}");
    ControlPlane::connect(kubeconfig).await.expect("it serves others");

    holder.kill().expect("SIGKILL");
    holder.wait().expect("ended");
    for pid in children {
        until_gone(pid, SOON).await.expect("gone");
    }
    wait::until(SOON, "the folder to be gone", || async {
        if root.exists() { Err(format!("{} is there", root.display())) } else { Ok(()) }
    })
    .await
    .expect("gone");
}

#[tokio::test]
async fn a_registry_serves_asks_for_its_account_and_comes_back_after_an_outage() {
    let account = ("robot".to_owned(), "pass word".to_owned());
    let registry =
        Registry::with(registry::Options { account: Some(account), tls: true, ..registry::Options::default() }).await.expect("started");
    let get = |headers: &'static [(&str, &str)]| registry.http().send(reqwest::Method::GET, "/v2/_catalog", headers, None);
    assert_eq!(get(&[]).await.expect("an answer").status.as_u16(), 401);
    let basic: &[(&str, &str)] = &[("Authorization", "Basic cm9ib3Q6cGFzcyB3b3Jk")];
    assert_eq!(get(basic).await.expect("an answer").body["repositories"], serde_json::json!([]));

    let pid = registry.server().pid();
    registry.server().kill();
    until_gone(pid, SOON).await.expect("gone");
    get(&[]).await.expect_err("nobody answers during the outage");
    registry.server().start_again().expect("started again");
    registry.until_ready().await.expect("serving again");
    let pid = registry.server().pid();
    drop(registry);
    until_gone(pid, SOON).await.expect("gone");
}

#[tokio::test]
async fn the_referrers_registry_answers_the_referrers_api() {
    let registry = ReferrersRegistry::start().await.expect("started");
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = serde_json::json!({ "schemaVersion": 2, "mediaType": media_type, "layers": [] });
    let headers = [("Content-Type", media_type)];
    let pushed = registry.http().send(reqwest::Method::PUT, "/v2/some/thing/manifests/one", &headers, Some(&manifest)).await;
    assert_eq!(pushed.expect("an answer").status.as_u16(), 201);
    let path = format!("/v2/some/thing/referrers/sha256:{}", "0".repeat(64));
    let answer = registry.http().send(reqwest::Method::GET, &path, &[], None).await.expect("an answer");
    assert_eq!(answer.body["manifests"], serde_json::json!([]), "{} {}", answer.status, answer.body);
}

#[tokio::test]
async fn bao_with_a_static_seal_comes_back_unsealed_and_a_refused_configuration_shows_its_log() {
    let scratch = Scratch::new("bao-config").expect("a folder");
    let port = Port::take().expect("a port");
    let cluster = Port::take().expect("a port");
    let config = format!(
        r#"
listener "tcp" {{
  address = "{address}"
  cluster_address = "{cluster}"
  tls_disable = true
}}
storage "raft" {{
  path = "{data}"
  node_id = "one"
}}
seal "static" {{
  current_key_id = "one"
  current_key = "{key}"
}}
api_addr = "http://{address}"
cluster_addr = "https://{cluster}"
"#,
        address = port.address(),
        cluster = cluster.address(),
        data = scratch.path().display(),
        key = "ab".repeat(32),
    );
    let file = scratch.write("config.hcl", config).expect("written");
    let options = bao::Options { api: format!("http://{}", port.address()), ..Default::default() };
    let bao = Bao::start(&file, options.clone()).expect("started");
    bao.until_answering(SOON).await.expect("answering");
    let initialised = bao.initialise().await.expect("initialised");
    assert!(!initialised.root_token.is_empty() && initialised.keys.len() == 1);
    bao.until_unsealed(SOON).await.expect("unsealed");
    bao.server().start_again().expect("started again");
    bao.until_unsealed(SOON).await.expect("unsealed by itself");
    let pid = bao.server().pid();
    drop(bao);
    until_gone(pid, SOON).await.expect("gone");

    let file = scratch.write("refused.hcl", "listener \"tcp\" {").expect("written");
    let bao = Bao::start(&file, options).expect("started");
    match bao.until_answering(SOON).await {
        Err(Error::NotReady(failed)) => {
            assert!(failed.saw.contains("exit code 1"), "{failed}");
            assert!(failed.log.contains("refused.hcl"), "{failed}");
        }
        other => panic!("expected the end of bao, found {other:?}"),
    }
}

#[tokio::test]
async fn a_dev_bao_and_moto_do_what_a_seal_needs() {
    let (bao, moto) = tokio::join!(Bao::dev("root"), Moto::start());
    let (bao, moto) = (bao.expect("bao"), moto.expect("moto"));
    let body = serde_json::json!({ "type": "transit" });
    bao.succeed(reqwest::Method::POST, "/v1/sys/mounts/transit", Some("root"), Some(&body)).await.expect("mounted");
    let refused = bao.send(reqwest::Method::GET, "/v1/sys/mounts", None, None).await.expect("an answer");
    assert_eq!(refused.status.as_u16(), 403);
    assert_eq!(moto.create_kms_key("eu-central-1").await.expect("a key").len(), 36);
}
