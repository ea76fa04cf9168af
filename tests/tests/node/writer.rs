//! A client that writes and writes while a store is worked on: a pod beside it that asks the store's own Service, as applications do. What it may lose is
//! for the tests to say.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use banhbaoring_testing::wait;
use banhbaoring_tests::Team;
use chrono::{DateTime, FixedOffset};
use serde_json::json;

use crate::store::Store;

const NAME: &str = "writer";
/// A request that is not answered by then is one that was refused: whether it was done is not known to the client.
const LOOP: &str = "n=0; while :; do n=$((n+1)); if bao kv put -mount=written $n v=$n >/dev/null 2>/tmp/why; then echo ok $n; \
                    else echo no $n $(tail -n 1 /tmp/why); sleep 0.2; fi; done";

/// The client's pod.
pub struct Writer<'a> {
    team: &'a Team,
    /// Lines of its log that were told of.
    told: AtomicUsize,
}

/// What it saw.
#[derive(Debug)]
pub struct Seen {
    /// Numbers whose write was acknowledged.
    pub acknowledged: BTreeSet<u64>,
    /// Writes that were refused, or not answered in time.
    pub refused: usize,
    /// The longest time between two that were acknowledged.
    pub longest_outage: Duration,
}

impl<'a> Writer<'a> {
    /// Begins to write into a mount of its own, which is empty.
    pub async fn start(team: &'a Team, store: &Store<'_>) -> Self {
        store.bao(0, "secrets disable written").await.unwrap();
        store.bao(0, "secrets enable -path=written kv").await.unwrap();
        let address = format!("https://{}-active.{}.svc:8200", store.name(), team.namespace);
        let env = json!([
            {"name": "BAO_ADDR", "value": address},
            {"name": "BAO_TOKEN", "value": store.token()},
            {"name": "BAO_CACERT", "value": "/ca/ca.crt"},
            {"name": "BAO_CLIENT_TIMEOUT", "value": "5s"},
            {"name": "BAO_MAX_RETRIES", "value": "0"},
            {"name": "HOME", "value": "/tmp"},
        ]);
        let container = json!({
            "name": NAME, "image": "openbao/openbao:2.4.0", "command": ["/bin/sh", "-c", LOOP], "env": env,
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            "volumeMounts": [{"name": "ca", "mountPath": "/ca"}, {"name": "tmp", "mountPath": "/tmp"}],
        });
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME},
            "spec": {
                "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
                "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
                "containers": [container],
                "volumes": [{"name": "ca", "configMap": {"name": format!("{}-ca", store.name())}}, {"name": "tmp", "emptyDir": {}}],
            },
        });
        team.apply(&[pod]).await.unwrap();
        let writer = Self { team, told: AtomicUsize::new(0) };
        wait::until(wait::PATIENCE, "the first write", async || {
            let seen = writer.seen().await;
            if seen.acknowledged.is_empty() { Err(format!("{seen:?}")) } else { Ok(()) }
        })
        .await
        .unwrap();
        writer
    }

    /// What it saw so far.
    pub async fn seen(&self) -> Seen {
        read(&self.log().await, 0)
    }

    /// What it saw since this was called the last time.
    pub async fn seen_since(&self) -> Seen {
        let log = self.log().await;
        let begins = self.told.swap(log.lines().count(), Ordering::AcqRel);
        read(&log, begins)
    }

    async fn log(&self) -> String {
        self.team.kubectl.run(&["logs", NAME, "--timestamps"]).await.unwrap_or_default()
    }

    /// Waits until it writes again.
    pub async fn until_it_writes(&self) {
        let before = self.seen().await.acknowledged.len();
        wait::until(wait::PATIENCE, "a write after that", async || {
            let now = self.seen().await.acknowledged.len();
            if now > before { Ok(()) } else { Err(now) }
        })
        .await
        .unwrap();
    }

    /// Stops writing. Returns what it saw and which acknowledged writes the store no longer has.
    pub async fn stop(self, store: &Store<'_>) -> (Seen, Vec<u64>) {
        let seen = self.seen().await;
        self.team.kubectl.run(&["delete", "pod", NAME, "--now"]).await.unwrap();
        let listed = store.bao(0, "kv list -format=json written").await.unwrap();
        let there: BTreeSet<u64> =
            serde_json::from_str::<Vec<String>>(&listed).unwrap().iter().filter_map(|number| number.parse().ok()).collect();
        let lost = seen.acknowledged.difference(&there).copied().collect();
        (seen, lost)
    }
}

/// Counts the lines of a log from one of them on.
fn read(log: &str, begins: usize) -> Seen {
    let mut seen = Seen { acknowledged: BTreeSet::new(), refused: 0, longest_outage: Duration::ZERO };
    let mut last: Option<DateTime<FixedOffset>> = None;
    for (index, line) in log.lines().enumerate() {
        let mut words = line.split(' ');
        let at = words.next().and_then(|at| DateTime::parse_from_rfc3339(at).ok());
        match (at, words.next(), words.next().and_then(|number| number.parse().ok())) {
            (Some(at), Some("ok"), Some(number)) => {
                let since = last.replace(at).and_then(|last| (at - last).to_std().ok()).unwrap_or_default();
                if index >= begins {
                    seen.longest_outage = seen.longest_outage.max(since);
                    seen.acknowledged.insert(number);
                }
            }
            (Some(_), Some("no"), Some(_)) if index >= begins => seen.refused += 1,
            _ => {}
        }
    }
    seen
}
