//! Day 2 of a store that somebody uses: it is made larger and smaller, brought to another version and another certificate, its leader, all of it and its
//! operator are killed, while a client writes. Nothing that was acknowledged may be lost; how long nothing was acknowledged is told.

use std::time::Duration;

use banhbaoring_testing::node::Image;
use banhbaoring_testing::wait;
use banhbaoring_tests::release::SELECTOR;
use banhbaoring_tests::survey::text;
use banhbaoring_tests::team::cluster;
use banhbaoring_tests::{Release, Team};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::store::Store;
use crate::support::{Clock, platform};
use crate::writer::Writer;

const NAME: &str = "day2";
/// Longest that all nodes of a store take to be added, restarted or taken away, one after the other.
const STEP: Duration = Duration::from_secs(600);
/// The same binary under another name: only the way from one version to the next is looked at here.
const NEXT: &str = "2.4.1";
/// Names the seed of an earlier run.
const SEED_VARIABLE: &str = "BANHBAORING_SEED";
/// How often the operator is killed while it works.
const KILLS: usize = 20;

struct Day2<'a> {
    team: &'a Team,
    store: Store<'a>,
    clock: Clock,
}

impl Day2<'_> {
    /// Changes the spec and waits until the store says of it that it is done.
    async fn change(&mut self, spec: Value, replicas: usize) {
        self.team.patch(&format!("openbaocluster/{NAME}"), &json!({ "spec": spec })).await.unwrap();
        self.store.until_ready_within(STEP, replicas).await;
    }

    /// Waits until Raft counts exactly so many nodes, and lets each of them vote. A new one votes once it was stable for some seconds.
    async fn until_voters(&self, count: usize) {
        let look = async || {
            let told = self.store.bao(0, "operator raft list-peers -format=json").await.map_err(|error| error.to_string())?;
            let told: Value = serde_json::from_str(&told).map_err(|error| error.to_string())?;
            let servers = told.pointer("/data/config/servers").and_then(Value::as_array).cloned().unwrap_or_default();
            let mut names: Vec<String> = servers.iter().map(|server| text(server, "/node_id").to_owned()).collect();
            names.sort();
            let all_vote = servers.iter().all(|server| server["voter"] == true);
            if all_vote && names == named("", count) { Ok(()) } else { Err(format!("{servers:?}")) }
        };
        wait::until(wait::PATIENCE, format!("{count} voters"), look).await.unwrap();
    }

    async fn claims(&self) -> Vec<String> {
        let told = self.team.kubectl.run(&["get", "persistentvolumeclaims", "-o", "name"]).await.unwrap();
        let mut names: Vec<String> = told.lines().filter_map(|line| line.rsplit_once('/')).map(|(_, name)| name.to_owned()).collect();
        names.sort();
        names
    }

    async fn uids(&self) -> Vec<String> {
        self.store.list().await.unwrap().iter().map(|pod| text(pod, "/metadata/uid").to_owned()).collect()
    }

    async fn leader(&self) -> String {
        let owner = self.store.until_ready().await;
        text(&owner, "/status/leader").to_owned()
    }
}

fn named(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|ordinal| format!("{prefix}{NAME}-{ordinal}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_use_is_scaled_and_upgraded_and_killed_and_loses_nothing_that_was_acknowledged() {
    let platform = platform().await;
    let clock = platform.clock.about("day2");
    platform.release.node.image(&format!("openbao/openbao:{NEXT}"), &Image::openbao().unwrap()).await.unwrap();
    let team = platform.release.team("day2").await.unwrap();
    team.apply(&[cluster(NAME, &json!({"version": "2.4.0", "replicas": 1}))]).await.unwrap();
    let store = Store::when_ready(&platform.release, &team, NAME).await;
    clock.tell("one node is Ready");
    let writer = Writer::start(&team, &store).await;
    let mut day2 = Day2 { team: &team, store, clock };

    for (replicas, peers) in [(3, 3), (5, 5)] {
        day2.change(json!({ "replicas": replicas }), peers).await;
        day2.until_voters(peers).await;
        day2.told(&writer, &format!("{peers} nodes are Ready")).await;
    }

    let first = day2.leader().await;
    day2.change(json!({ "version": NEXT }), 5).await;
    for pod in day2.store.list().await.unwrap() {
        assert!(text(&pod, "/spec/containers/0/image").ends_with(NEXT), "{}", pod["spec"]["containers"][0]["image"]);
    }
    day2.until_voters(5).await;
    day2.told(&writer, &format!("all run {NEXT}; {first} led before, {} does now", day2.leader().await)).await;

    day2.change(json!({"replicas": 3}), 3).await;
    day2.until_voters(3).await;
    let gone = wait::until(wait::PATIENCE, "the volumes of those that went to go", async || {
        let claims = day2.claims().await;
        if claims == named("data-", 3) { Ok(()) } else { Err(format!("{claims:?}")) }
    });
    gone.await.unwrap();
    day2.told(&writer, "3 nodes are left, and their volumes").await;

    let leader = day2.leader().await;
    team.kubectl.run(&["delete", "pod", &leader, "--force", "--grace-period=0"]).await.unwrap();
    writer.until_it_writes().await;
    day2.store.until_ready_within(STEP, 3).await;
    day2.told(&writer, &format!("{leader}, which led, was killed")).await;

    day2.store.kill_all_pods().await;
    writer.until_it_writes().await;
    day2.store.until_ready_within(STEP, 3).await;
    day2.told(&writer, "all pods were killed").await;

    // Another name makes another certificate, as its end does: whatever nodes read at their start comes by the same way.
    let before = day2.uids().await;
    day2.change(json!({"tls": {"dnsNames": ["store.example.com"]}}), 3).await;
    let restarted = wait::until(STEP, "all nodes to have read the other certificate", async || {
        let left: Vec<String> = day2.uids().await.into_iter().filter(|uid| before.contains(uid)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?} have not")) }
    });
    restarted.await.unwrap();
    day2.store.until_ready_within(STEP, 3).await;
    day2.told(&writer, "the certificate is another").await;

    let kills = async {
        kill_operators(&platform.release).await;
        clock.tell(&format!("the operator was killed {KILLS} times"));
    };
    tokio::join!(day2.change(json!({"version": "2.4.0", "replicas": 5}), 5), kills);
    day2.store.until_ready_within(STEP, 5).await;
    day2.until_voters(5).await;
    day2.told(&writer, "5 nodes run 2.4.0 again").await;

    let (seen, lost) = writer.stop(&day2.store).await;
    clock.tell(&format!("{} writes acknowledged, {} refused, {} lost", seen.acknowledged.len(), seen.refused, lost.len()));
    assert_eq!(lost, Vec::<u64>::new());
    assert_eq!(platform.release.complaints().await, Vec::<String>::new());
}

/// Kills one of the operator's pods after the other, whichever it is that leads.
async fn kill_operators(release: &Release) {
    let seed = std::env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| rand::rng().random());
    println!("{SEED_VARIABLE}={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(random.random_range(500..6_000))).await;
        let pods = release.kubectl().run(&["get", "pods", "-l", SELECTOR, "-o", "name"]).await.unwrap();
        let pods: Vec<&str> = pods.lines().collect();
        if let Some(pod) = pods.choose(&mut random) {
            // It may have gone by itself meanwhile.
            release.kubectl().run(&["delete", pod, "--force", "--grace-period=0", "--ignore-not-found"]).await.unwrap();
        }
    }
}

impl Day2<'_> {
    async fn told(&self, writer: &Writer<'_>, what: &str) {
        let seen = writer.seen_since().await;
        let (acknowledged, refused, outage) = (seen.acknowledged.len(), seen.refused, seen.longest_outage.as_secs_f64());
        self.clock.tell(&format!("{what}; meanwhile {acknowledged} writes acknowledged, {refused} refused, longest outage {outage:.1} s"));
    }
}
