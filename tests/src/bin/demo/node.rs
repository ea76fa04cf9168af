//! On a real cluster of one node: the operator in containers, installed by its chart from images and signed plugins of a local registry, and a store
//! whose pods run. It stays for as long as somebody looks at it.

use std::cell::RefCell;
use std::io::{IsTerminal as _, stdin};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use banhbaoring_testing::tools::{self, workspace_root};
use banhbaoring_tests::release::{NAMESPACE, look};
use banhbaoring_tests::team::condition;
use banhbaoring_tests::{Release, Team};
use tokio::sync::oneshot;

use crate::clock::Clock;

const EXAMPLE: &str = "examples/minimal.yaml";
const NAME: &str = "minimal";

/// Shows it, and takes it down when Enter or Ctrl-C is pressed, or at once where nobody sits at a terminal.
///
/// # Errors
/// A step failed, or something is left of it.
pub async fn run() -> Result<()> {
    let clock = RefCell::new(Clock::start());
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let release = tokio::select! {
        shown = show(&clock) => shown?,
        // What was begun is dropped, and the node with it.
        _ = &mut interrupted => {
            println!("\ninterrupted; what was begun is taken down");
            return Ok(());
        }
    };
    if stdin().is_terminal() {
        println!("\nEnter or Ctrl-C takes it down.");
        tokio::select! {
            () = enter() => {}
            _ = &mut interrupted => println!(),
        }
    }
    // How long somebody looked is nobody's time.
    let begin = Instant::now();
    release.stop()?;
    println!("{:>6.1} s  all of it is gone from this machine", begin.elapsed().as_secs_f64());
    Ok(())
}

async fn show(clock: &RefCell<Clock>) -> Result<Release> {
    let release = Release::start(|what| clock.borrow_mut().tell(what)).await?;
    let team = release.team("team-a").await?;
    let manifest = std::fs::read_to_string(workspace_root().join(EXAMPLE)).with_context(|| format!("read {EXAMPLE}"))?;
    let applied = team.kubectl.run_with_input(&["apply", "-f", "-"], &manifest).await?;
    println!("\n$ kubectl apply -f {EXAMPLE}\n{}", applied.trim());
    until_ready(&release, &team).await?;
    clock.borrow_mut().tell("minimal is Ready: three nodes of OpenBao, initialised, joined and unsealed by themselves");
    for words in [
        &["get", "plugins"][..],
        &["get", "pods", "--namespace", NAMESPACE],
        &["get", "openbaoclusters,pods,services"],
        &["exec", "minimal-0", "--", "/bin/sh", "-c", "BAO_ADDR=https://127.0.0.1:8200 BAO_CACERT=/etc/bao/tls/ca.crt bao status"],
    ] {
        println!("\n$ kubectl {}\n{}", words.join(" "), team.kubectl.run(words).await?.trim_end());
    }
    told(&release, &team)?;
    println!("\n{:.1} s in all", clock.borrow().total().as_secs_f64());
    Ok(release)
}

async fn until_ready(release: &Release, team: &Team) -> Result<()> {
    let is_ready = ["Ready", "Unsealed"];
    let ready = team.until(NAME, "it is ready", |owner| {
        let missing = is_ready.iter().find(|type_| condition(owner, type_)["status"] != "True");
        missing.map_or(Ok(()), |type_| Err(format!("{type_} is not True yet")))
    });
    match ready.await {
        Ok(_) => Ok(()),
        Err(error) => {
            let pods = look(&team.kubectl, &[&["describe", "pods"], &["get", "events", "--sort-by=.lastTimestamp"]]).await;
            Err(error.context(pods + &release.sight().await))
        }
    }
}

/// What is where, and how to look at it.
fn told(release: &Release, team: &Team) -> Result<()> {
    let (kubectl, namespace) = (tools::find("kubectl")?.display().to_string(), &team.namespace);
    println!("\nLook at it from another terminal:");
    println!("  export KUBECONFIG={} PATH=$PATH:{}", release.node.kubeconfig().display(), kubectl.trim_end_matches("/kubectl"));
    for (line, about) in [
        ("kubectl get plugins".to_owned(), "who vouches for each plugin"),
        (format!("kubectl -n {NAMESPACE} get pods,lease"), "the operator, and who leads"),
        (format!("kubectl -n {NAMESPACE} logs -l app.kubernetes.io/name=banhbaoring-operator -f"), "what it does"),
        (format!("kubectl -n {namespace} get openbaoclusters,pods"), "the store"),
        (format!("kubectl -n {namespace} delete pod minimal-0"), "what happens then?"),
        (format!("kubectl -n {namespace} get secret minimal-admin -o jsonpath='{{.data.password}}' | base64 -d"), "to get in as `admin`"),
        (format!("kubectl -n {namespace} exec -it minimal-0 -- /bin/sh"), "`bao` is there"),
    ] {
        println!("  {line:<100} # {about}");
    }
    println!("  images and plugins: https://{}", release.node.registry().host());
    Ok(())
}

/// Enter, or the end of what is typed. A thread of its own, because nothing can end it: a runtime would wait for it.
async fn enter() {
    let (pressed, heard) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = stdin().read_line(&mut String::new());
        let _ = pressed.send(());
    });
    if heard.await.is_err() {
        std::future::pending::<Duration>().await;
    }
}
