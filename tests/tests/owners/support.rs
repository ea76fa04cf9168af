//! The platform of this binary, and a look at it that forces reconciles. No assertions of tests live here.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};

use banhbaoring_testing::control_plane::Options;
use banhbaoring_testing::kubectl::Kubectl;
use banhbaoring_testing::registry::Registry;
use banhbaoring_testing::wait;
use banhbaoring_tests::operator::LOG_RECONCILES;
use banhbaoring_tests::survey::{version_of, versions};
use banhbaoring_tests::team::{PATIENCE, cluster, parts_of};
use banhbaoring_tests::{Operator, Team, World};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::sync::{Mutex, OnceCell};

/// The platform and its one operator.
pub struct Platform {
    /// Before the world: an operator ends before its API server.
    pub operator: Operator,
    pub world: World,
}

/// The platform of this binary; started by the first test that asks.
pub async fn platform() -> &'static Platform {
    static PLATFORM: OnceCell<Platform> = OnceCell::const_new();
    PLATFORM
        .get_or_init(|| async {
            // The audit log shows writes that change nothing, which no resourceVersion does.
            let world = World::start(Options { audit: true, ..Options::default() }).await.expect("the platform");
            let kubectl = world.cluster.kubectl().expect("kubectl");
            let insecure = json!({"spec": {"config": {"insecureRegistry": true}}}).to_string();
            kubectl.run(&["patch", "plugin/openbao", "--type=merge", "-p", &insecure]).await.expect("plain http for loopback");
            may_ask(&kubectl, &world.publisher.registry).await;
            let operator = Operator::start_logging(&world.operator("owners"), LOG_RECONCILES).expect("the operator");
            world.until_serving(&operator).await.expect("all plugins");
            Platform { operator, world }
        })
        .await
}

/// A team of one test.
pub struct Crew {
    pub platform: &'static Platform,
    team: Team,
}

impl Deref for Crew {
    type Target = Team;

    fn deref(&self) -> &Team {
        &self.team
    }
}

/// A team with a namespace of its own.
pub async fn crew(prefix: &str) -> Crew {
    let platform = platform().await;
    platform.operator.still_runs().expect("the operator of all tests");
    Crew { platform, team: platform.world.team(prefix).await.expect("a namespace") }
}

/// resourceVersions of the owner, its children and its inventory.
pub type Still = BTreeMap<String, String>;

impl Crew {
    /// Applies a cluster of three nodes with the static seal, waits for all of its parts and until nobody changes them any more.
    pub async fn settled(&self, name: &str, spec: Value) -> Still {
        self.apply(&[cluster(name, &spec)]).await.expect("taken");
        self.until_children(name, &parts_of(name)).await.expect("all parts");
        self.until_still(name).await
    }

    /// Waits until the status tells of all three nodes, which are asked only every half minute, and stands still then.
    pub async fn until_all_is_told(&self, name: &str) -> Still {
        let members = |cluster: &Value| match cluster["status"]["members"].as_array() {
            Some(members) if members.len() == 3 => Ok(()),
            members => Err(format!("members {members:?}")),
        };
        self.until(name, "all nodes in the status", members).await.expect("the nodes are seen");
        self.until_still(name).await
    }

    /// Waits until two looks with reconciles in between see the same: Kubernetes' own controllers write status for a while.
    pub async fn until_still(&self, name: &str) -> Still {
        let still = wait::until(PATIENCE, format!("{name} to stand still"), async || {
            let before = self.still(name).await;
            self.resync(&[name], 2).await;
            let after = self.still(name).await;
            if before == after { Ok(after) } else { Err(format!("before {before:?}, after {after:?}")) }
        });
        still.await.expect("it settles")
    }

    /// What it is now.
    pub async fn still(&self, name: &str) -> Still {
        let mut still = versions(&self.children(name).await.expect("children"));
        still.insert("the owner".into(), self.cluster(name).await.expect("the owner")["metadata"]["resourceVersion"].to_string());
        still.insert("the inventory".into(), version_of(&self.inventory(name).await.expect("the inventory")));
        still
    }

    /// Makes the operator reconcile steady owners so many times more, one time after the other.
    pub async fn resync(&self, names: &[&str], times: usize) {
        let idle = || names.iter().map(|name| self.idle(name)).collect::<Vec<_>>();
        for _ in 0..times {
            let before = idle();
            self.pulse().await;
            wait::until(PATIENCE, format!("one more reconcile of {names:?} that has nothing to tell"), async || {
                let now = idle();
                if now.iter().zip(&before).all(|(now, before)| now > before) {
                    return Ok(());
                }
                let told = futures::future::join_all(names.iter().map(|name| self.told(name))).await;
                Err(format!("{before:?} before and {now:?} now, {told:?}"))
            })
            .await
            .expect("a reconcile");
        }
    }

    /// Does something while the operator stands still, which would else be faster. It must not panic: the others need the operator.
    pub async fn while_stopped<T>(&self, work: impl Future<Output = T>) -> T {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
        let guard = ONE_AT_A_TIME.lock().await;
        let operator = self.platform.operator.server();
        operator.signal(Signal::STOP).expect("it hangs");
        let outcome = work.await;
        operator.signal(Signal::CONT).expect("it goes on");
        drop(guard);
        outcome
    }

    /// How often it was reconciled and there was nothing to tell.
    pub fn idle(&self, name: &str) -> usize {
        self.count_of(&self.platform.operator.idle_reconciles(), name)
    }

    /// How often it was looked at and what was told before was left as it is, because answers were late.
    pub fn kept_back(&self, name: &str) -> usize {
        self.count_of(&self.platform.operator.kept_back_reconciles(), name)
    }

    fn count_of(&self, counts: &BTreeMap<(String, String), usize>, name: &str) -> usize {
        counts.get(&(self.namespace.clone(), name.to_owned())).copied().unwrap_or(0)
    }

    /// What its status says.
    pub async fn told(&self, name: &str) -> Value {
        self.cluster(name).await.map(|cluster| cluster["status"].clone()).unwrap_or_default()
    }

    /// Lets the plugin ask a registry about images.
    pub async fn may_ask(&self, registry: &Registry) {
        may_ask(&self.platform.world.cluster.kubectl().expect("kubectl"), registry).await;
    }

    /// Activates a plugin anew that serves nobody here: every owner is looked at again.
    pub async fn pulse(&self) {
        static BEAT: AtomicU32 = AtomicU32::new(0);
        let timeout = format!("{}ms", 5_000 + BEAT.fetch_add(1, Ordering::Relaxed) % 1_000);
        let patch = json!({"spec": {"limits": {"timeout": timeout}}});
        self.patch("plugin/unseal-azurekv", &patch).await.expect("a change of the plugin");
    }
}

async fn may_ask(kubectl: &Kubectl, registry: &Registry) {
    let grant = json!([{"op": "add", "path": "/spec/grants/images/-", "value": format!("{}/images/", registry.host())}]).to_string();
    kubectl.run(&["patch", "plugin/openbao", "--type=json", "-p", &grant]).await.expect("granted");
}

/// Which of them are not as before, by name: changed, gone or new.
pub fn changed(before: &Still, after: &Still) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names.into_iter().filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}
