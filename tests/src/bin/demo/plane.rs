//! Against a real etcd, kube-apiserver, kube-controller-manager and registry on this machine, the operator as a process: no root is needed, and no pod
//! runs.

use anyhow::{Context as _, Result, bail};
use banhbaoring_testing::control_plane::{ControlPlane, Options};
use banhbaoring_testing::guests;
use banhbaoring_testing::kubectl::Kubectl;
use banhbaoring_testing::tools::workspace_root;
use banhbaoring_testing::wait;
use banhbaoring_tests::{Banhbaoring, FIRST_PARTY, Installation, Operator, Publisher, operator};

use crate::clock::Clock;

/// Files of `examples/` that are applied, and the name of the owner in each.
const OWNERS: [&str; 2] = ["minimal.yaml", "unseal-awskms.yaml"];

/// Shows it.
///
/// # Errors
/// A step failed.
pub async fn run() -> Result<()> {
    let mut clock = Clock::start();
    let cluster = ControlPlane::start(Options::default()).await?;
    clock.tell("etcd, kube-apiserver and kube-controller-manager serve");
    let publisher = Publisher::start().await?;
    clock.tell("a registry serves");
    for plugin in FIRST_PARTY {
        let size = std::fs::metadata(guests::component(plugin)?)?.len() / 1024;
        let digest = publisher.publish(plugin, "v0.1.0").await?;
        clock.tell(&format!("{plugin}: {size} KiB pushed and signed as {}", &digest[..19]));
    }
    let installation = Installation::new(&cluster, "banhbaoring-system").await?;
    installation.demand_signatures(&publisher, "release-key").await?;
    for plugin in FIRST_PARTY {
        installation.add(&publisher, plugin, "v0.1.0").await?;
    }
    clock.tell("definitions, a policy that demands our key, and six Plugins are applied");
    let operator = Operator::start(&operator::Options {
        kubeconfig: cluster.kubeconfig().to_owned(),
        namespace: installation.namespace.clone(),
        identity: "demo".to_owned(),
        admission: true,
    })?;
    let kubectl = cluster.kubectl()?;
    let outcome = show(&cluster, &kubectl, &operator, &mut clock).await;
    if outcome.is_err() {
        println!("{}", operator.server().log_tail());
    }
    outcome
}

async fn show(cluster: &ControlPlane, kubectl: &Kubectl, operator: &Operator, clock: &mut Clock) -> Result<()> {
    operator.until_leading().await?;
    let ready = ["wait", "plugins", "--all", "--for=condition=Ready", "--timeout=300s"];
    kubectl.run(&ready).await.context("the plugins did not become ready")?;
    clock.tell("all plugins are resolved, verified, loaded, granted and active");

    let definition = ["wait", "crd/openbaoclusters.openbao.org", "--for=condition=Established", "--timeout=300s"];
    wait::until(wait::PATIENCE, "the definition of OpenBaoCluster", async || kubectl.run(&definition).await).await?;
    let namespace = cluster.namespace("team-a").await?;
    let team = kubectl.in_namespace(&namespace);
    // What the second example names: its nodes are made once their credentials are there.
    let credentials = ["--from-literal=access-key-id=demo", "--from-literal=secret-access-key=demo"];
    team.run(&[&["create", "secret", "generic", "aws-credentials"][..], &credentials].concat()).await?;
    println!("\n$ kubectl create secret generic aws-credentials {}", credentials.join(" "));
    let mut owners = Vec::new();
    for file in OWNERS {
        let manifest =
            std::fs::read_to_string(workspace_root().join("examples").join(file)).with_context(|| format!("read examples/{file}"))?;
        let applied = team.run_with_input(&["apply", "-o", "name", "-f", "-"], &without_namespace(&manifest)).await?;
        println!("\n$ kubectl apply -f examples/{file}\n{}", applied.trim());
        owners.extend(
            applied
                .lines()
                .filter_map(|line| line.split_once('/'))
                .filter(|(kind, _)| kind.starts_with("openbaocluster"))
                .map(|(_, name)| name.to_owned()),
        );
    }
    for owner in &owners {
        let trees = wait::until(wait::PATIENCE, format!("the StatefulSet of {owner}"), async || {
            let found = team.run(&["get", "statefulset", owner, "-o", "jsonpath={.status.observedGeneration}"]).await;
            found
                .map_err(|error| error.to_string())
                .and_then(|text| if text.is_empty() { Err("not observed yet".to_owned()) } else { Ok(text) })
        });
        trees.await?;
        clock.tell(&format!("{owner} is rendered, admitted and applied"));
    }
    let plugins = workspace_root().join("target/plugins").display().to_string();
    let kubeconfig = cluster.kubeconfig().display().to_string();
    let binary = Banhbaoring::find()?;
    for owner in &owners {
        let owner = format!("openbaocluster/{owner}");
        let graph = binary.succeed(&["graph", &owner, "--plugins", &plugins, "--kubeconfig", &kubeconfig, "-n", &namespace], &[]).await?;
        println!("\n$ banhbaoring graph {owner}\n{}", graph.trim_end());
        tree(&team, owner.trim_start_matches("openbaocluster/")).await?;
    }
    println!("\n$ kubectl get plg,openbaoclusters -A\n{}", kubectl.run(&["get", "plg,openbaoclusters", "-A"]).await?);
    let memory = resident(operator.server().pid())?;
    println!("operator: {memory} MiB resident, {:.1} s in all", clock.total().as_secs_f64());
    println!("There is no kubelet here, so pods stay Pending and the clusters Initializing; everything else is real.");
    Ok(())
}

/// What belongs to an owner, from the API server.
async fn tree(kubectl: &Kubectl, owner: &str) -> Result<()> {
    let kinds = "statefulsets,services,configmaps,secrets,serviceaccounts,roles,rolebindings,poddisruptionbudgets,networkpolicies";
    let uid = kubectl.run(&["get", "openbaocluster", owner, "-o", "jsonpath={.metadata.uid}"]).await?;
    let selector = format!("banhbaoring.io/owner-uid={}", uid.trim());
    let listed = kubectl.run(&["get", kinds, "-l", &selector, "-o", "name"]).await?;
    if listed.trim().is_empty() {
        bail!("nothing belongs to {owner}");
    }
    println!("{owner}");
    let names: Vec<&str> = listed.lines().collect();
    for (index, name) in names.iter().enumerate() {
        println!("{} {name}", if index + 1 == names.len() { "└─" } else { "├─" });
    }
    Ok(())
}

/// Examples name no cluster's namespaces; those that name one are applied where the demo is.
fn without_namespace(manifest: &str) -> String {
    manifest.lines().filter(|line| !line.trim_start().starts_with("namespace:")).collect::<Vec<_>>().join("\n")
}

fn resident(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("VmRSS")?;
    Ok(line.split_whitespace().nth(1).context("kB")?.parse::<u64>()? / 1024)
}
