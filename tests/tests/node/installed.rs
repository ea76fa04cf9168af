//! A release from its installation to its end on a node of its own, with a store that must live through all of it.

use std::time::Instant;

use banhbaoring_testing::kubectl::Kubectl;
use banhbaoring_testing::tools::workspace_root;
use banhbaoring_testing::wait;
use banhbaoring_tests::release::{NAMESPACE, OPERATOR, PULL_SECRET};
use banhbaoring_tests::survey::{name_of, text};
use banhbaoring_tests::team::PATIENCE;
use banhbaoring_tests::{Release, Team};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::store::Store;
use crate::support::Clock;

const VALUE: &str = "still-here";

/// What only the plugin can judge is denied at the write, and nobody deletes what is protected.
async fn writes_are_judged(team: &Team) {
    let bad = json!({"spec": {"tls": {"ipAddresses": ["999.1.1.1"]}}});
    let by_plugin = r#"admission webhook "0.openbao.plugins.banhbaoring.io" denied the request: spec.tls.ipAddresses[0]"#;
    until_denied(by_plugin, async || team.patch("openbaocluster/minimal", &bad).await.map(drop)).await;
    let protect = |protected: bool| json!({"spec": {"deletionProtection": protected}});
    team.patch("openbaocluster/minimal", &protect(true)).await.unwrap();
    let delete = ["delete", "openbaocluster/minimal", "--dry-run=server"];
    until_denied("ValidatingAdmissionPolicy 'banhbaoring-openbao'", async || Ok(team.kubectl.run(&delete).await.map(drop)?)).await;
    team.patch("openbaocluster/minimal", &protect(false)).await.unwrap();
}

/// An API server takes up what it was told after a moment.
async fn until_denied(says: &str, write: impl AsyncFn() -> anyhow::Result<()>) {
    let denied = wait::until(PATIENCE, format!("a write to be denied with {says}"), async || match write().await {
        Err(told) if told.to_string().contains(says) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    denied.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_makes_a_store_outlives_its_leaders_is_upgraded_and_goes_and_the_store_stays() {
    let clock = Clock::start("installed");
    let release = Release::start(|what| clock.tell(what)).await.unwrap_or_else(|error| panic!("{error:#}"));
    is_confined(&release).await;

    let team = release.team("store").await.unwrap();
    let example = std::fs::read_to_string(workspace_root().join("examples/minimal.yaml")).expect("the example");
    team.kubectl.run_with_input(&["apply", "-f", "-"], &example).await.unwrap();
    let store = Store::when_ready(&release, &team, "minimal").await;
    clock.tell("minimal is Ready");
    writes_are_judged(&team).await;
    clock.tell("the API server asks the operator about writes, through its Service");
    store.keep(VALUE).await;
    store.until_kept(VALUE).await;
    let peers: Value = serde_json::from_str(&store.bao(1, "operator raft list-peers -format=json").await.unwrap()).expect("JSON");
    assert_eq!(peers.pointer("/data/config/servers").and_then(Value::as_array).map(Vec::len), Some(3), "{peers}");
    clock.tell("written through one node, read through another");
    let before = store.pods().await.unwrap();

    let leading = leader(&release).await;
    let registry = release.node.registry();
    registry.server().kill();
    let killed = kill_container(&release, &leading).await;
    clock.tell(&format!("the registry is down, and the container of {leading} is killed"));
    let next = until_led_anew(&release, |_| true).await;
    clock.tell(&format!("{next} leads"));
    a_change_arrives(&release, &team, "after-the-container").await;
    // What it had verified lies in its volume: a container that starts again needs no registry.
    until_started_again(&release, &leading, &killed).await;
    registry.server().start_again().unwrap();
    registry.until_ready().await.unwrap();

    let leading = leader(&release).await;
    let kubelet = release.node.server("kubelet").expect("a kubelet");
    kubelet.kill();
    kill_container(&release, &leading).await;
    clock.tell(&format!("the container of {leading} is killed, and nobody starts it again"));
    let next = until_led_anew(&release, |holder| holder != leading).await;
    clock.tell(&format!("{next} leads"));
    a_change_arrives(&release, &team, "without-a-kubelet").await;
    kubelet.start_again().unwrap();
    all_replicas_are_ready(&release).await;
    clock.tell("kubelet is back, and so is the other replica");
    writes_are_judged(&team).await;

    let leading = leader(&release).await;
    release.kubectl().run(&["delete", "pod", &leading, "--force", "--grace-period=0"]).await.unwrap();
    clock.tell(&format!("the pod {leading} is deleted"));
    let next = until_led_anew(&release, |holder| holder != leading).await;
    clock.tell(&format!("{next} leads"));
    a_change_arrives(&release, &team, "after-the-pod").await;
    nothing_was_forbidden(&release).await;

    all_replicas_are_ready(&release).await;
    tell_memory(&release, &clock).await;

    release.upgrade(&["concurrency=8", "podAnnotations.example\\.com/upgraded=yes"]).await.unwrap();
    let pods = release.pods().await.unwrap();
    let is_new = |pod: &Value| pod["metadata"]["annotations"]["example.com/upgraded"] == "yes";
    let running = pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    assert!(running.clone().count() == 2 && running.clone().all(is_new), "{pods:?}");
    clock.tell("`helm upgrade` has rolled the operator");
    a_change_arrives(&release, &team, "after-the-upgrade").await;
    nothing_was_forbidden(&release).await;
    assert_eq!(store.pods().await.unwrap(), before, "no node of the store was touched");
    store.until_kept(VALUE).await;

    release.uninstall().await.unwrap();
    nothing_is_left_but_what_holds_data(&release, &team).await;
    clock.tell("`helm uninstall` has ended, nothing of the release is left");
    assert_eq!(store.pods().await.unwrap(), before, "no node of the store was touched");
    store.until_kept(VALUE).await;
    store.kill_all_pods().await;
    clock.tell("all pods of the store are killed, and there is no operator");
    store.until_kept(VALUE).await;
    clock.tell("what was written is read from new pods");

    release.install().await.unwrap();
    release.until_plugins_serve().await.unwrap_or_else(|error| panic!("{error:#}"));
    a_change_arrives(&release, &team, "after-another-installation").await;
    store.until_ready().await;
    clock.tell("installed again, it has taken the store up as it is");
    release.stop().expect("nothing left");
}

/// As the machine sees the processes, not as the pod asks for it.
async fn is_confined(release: &Release) {
    let pods = release.pods().await.unwrap();
    assert_eq!(pods.len(), 2, "{pods:?}");
    for pod in &pods {
        let processes = release.node.container(text(pod, "/status/containerStatuses/0/containerID")).unwrap();
        assert!(!processes.is_empty());
        for process in processes {
            let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
            let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
            let ids = format!("{0}\t{0}\t{0}\t{0}", 65532);
            assert_eq!((field("Uid:"), field("Gid:")), (ids.clone(), ids), "{status}");
            assert_eq!((field("CapEff:"), field("CapBnd:")), ("0".repeat(16), "0".repeat(16)), "{status}");
            assert_eq!((field("NoNewPrivs:"), field("Seccomp:")), ("1".to_owned(), "2".to_owned()), "{status}");
        }
    }
}

async fn leader(release: &Release) -> String {
    until_led_anew(release, |_| true).await
}

/// Waits until a pod that is there holds the Lease and has renewed it since this was asked.
async fn until_led_anew(release: &Release, is_meant: impl Fn(&str) -> bool) -> String {
    let read = async || release.kubectl().run(&["get", "lease", OPERATOR, "-o", "jsonpath={.spec.renewTime}"]).await;
    let before = read().await.unwrap();
    let look = async || {
        let (renewed, holder) =
            (read().await.map_err(|error| error.to_string())?, release.leader().await.map_err(|error| error.to_string())?);
        let pods = release.pods().await.map_err(|error| error.to_string())?;
        let is_there = pods.iter().any(|pod| text(pod, "/metadata/name") == holder && pod["metadata"]["deletionTimestamp"].is_null());
        if renewed != before && is_there && is_meant(&holder) { Ok(holder) } else { Err(format!("{holder:?} since {renewed}")) }
    };
    match wait::until(PATIENCE, "another leader", look).await {
        Ok(holder) => holder,
        Err(failed) => panic!("{failed}\n{}", release.sight().await),
    }
}

async fn all_replicas_are_ready(release: &Release) {
    let (operator, ready) = (format!("deployment/{OPERATOR}"), "--for=jsonpath={.status.readyReplicas}=2");
    let waited = release.kubectl().run(&["wait", &operator, ready, "--timeout=300s"]).await;
    if let Err(failed) = waited {
        panic!("{failed}\n{}", release.sight().await);
    }
}

async fn tell_memory(release: &Release, clock: &Clock) {
    for pod in release.pods().await.unwrap() {
        for process in release.node.container(text(&pod, "/status/containerStatuses/0/containerID")).unwrap_or_default() {
            let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
            let used =
                status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("RssAnon")).collect::<Vec<_>>().join(", ");
            clock.tell(&format!("{}: {}", text(&pod, "/metadata/name"), used.replace('\t', " ")));
        }
    }
}

/// Kills it and says which it was.
async fn kill_container(release: &Release, pod: &str) -> String {
    let killed = text(&container(release, pod).await, "/containerID").to_owned();
    for process in release.node.container(&killed).unwrap() {
        let process = Pid::from_raw(process.try_into().unwrap()).unwrap();
        kill_process(process, Signal::KILL).unwrap();
    }
    wait::until(PATIENCE, "the container to be gone", async || match release.node.container(&killed) {
        Ok(processes) => Err(format!("{processes:?}")),
        Err(_) => Ok(()),
    })
    .await
    .unwrap();
    killed
}

async fn until_started_again(release: &Release, pod: &str, killed: &str) {
    let look = async || {
        let now = container(release, pod).await;
        if now["ready"] == true && text(&now, "/containerID") != killed { Ok(()) } else { Err(now.to_string()) }
    };
    if let Err(failed) = wait::until(PATIENCE, format!("another container of {pod} to be ready"), look).await {
        panic!("{failed}\n{}", release.sight().await);
    }
}

async fn container(release: &Release, pod: &str) -> Value {
    let pod: Value = serde_json::from_str(&release.kubectl().run(&["get", "pod", pod, "-o", "json"]).await.unwrap()).unwrap();
    pod["status"]["containerStatuses"][0].clone()
}

/// The owner is changed, and what is made of it too, without a new pod.
async fn a_change_arrives(release: &Release, team: &Team, change: &str) {
    let begin = Instant::now();
    let patch = json!({"spec": {"service": {"annotations": {"example.com/change": change}}}});
    team.patch("openbaocluster/minimal", &patch).await.unwrap();
    let look = async || {
        let service = team.get("service/minimal-public").await.map_err(|error| error.to_string())?;
        let annotations = service["metadata"]["annotations"].clone();
        if annotations["example.com/change"] == change { Ok(()) } else { Err(annotations.to_string()) }
    };
    if let Err(failed) = wait::until(PATIENCE, format!("the change {change} to arrive"), look).await {
        panic!("{failed}\n{}", release.sight().await);
    }
    println!("          the change {change} took {:.1} s", begin.elapsed().as_secs_f64());
}

async fn nothing_was_forbidden(release: &Release) {
    // Nothing is told of any pod while one of them, just made, has no container yet.
    wait::until(PATIENCE, "the log to be read", async || {
        let log = release.log().await;
        if log.contains("\"message\":\"leading\"") { Ok(()) } else { Err(log) }
    })
    .await
    .unwrap();
    assert_eq!(release.complaints().await, Vec::<String>::new());
}

/// All that there is in the host's namespace, and everything of the whole cluster that says of itself that it is of the release.
async fn nothing_is_left_but_what_holds_data(release: &Release, team: &Team) {
    let inventory = format!("Inventory/{}", team.inventory("minimal").await.unwrap().metadata.name.unwrap());
    let lease = format!("Lease/{OPERATOR}");
    let secret = format!("Secret/{PULL_SECRET}");
    let known = ["ConfigMap/kube-root-ca.crt", "ServiceAccount/default", &secret, &lease, &inventory];
    let look = async || {
        let all = team.survey.everything("").await.map_err(|error| format!("{error:#}"))?;
        let here = all.iter().filter(|object| text(object, "/metadata/namespace") == NAMESPACE).map(name_of);
        let mut left: Vec<String> = here.filter(|name| !known.contains(&name.as_str())).collect();
        left.extend(of_the_whole_cluster(release.kubectl()).await);
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    };
    if let Err(failed) = wait::until(wait::PATIENCE, "nothing of the release to be left", look).await {
        panic!("{failed}\n{}", release.sight().await);
    }
    let kept = team.inventory("minimal").await.unwrap();
    assert!(!kept.spec.children.is_empty(), "the inventory of the store stays");
}

async fn of_the_whole_cluster(kubectl: &Kubectl) -> Vec<String> {
    let kinds = "clusterroles,clusterrolebindings,plugins,pluginpolicies";
    let selector = "app.kubernetes.io/part-of=banhbaoring";
    let listed = kubectl.run(&["get", kinds, "-l", selector, "-o", "name"]).await.unwrap_or_else(|error| error.to_string());
    listed.lines().map(str::to_owned).collect()
}
