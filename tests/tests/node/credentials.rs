//! Credentials of a seal that are exchanged in their Secret while a client writes: the nodes take them one by one, and ones that are wrong stop at the first.

use std::collections::BTreeMap;
use std::time::Duration;

use banhbaoring_testing::wait;
use banhbaoring_tests::Team;
use banhbaoring_tests::survey::text;
use banhbaoring_tests::team::condition;
use serde_json::{Value, json};

use crate::store::Store;
use crate::support::Clock;
use crate::writer::Writer;

/// Longest that all nodes of a store take to be restarted, one after the other.
const ROLL: Duration = banhbaoring_testing::wait::PATIENCE;

/// The Secret that a seal reads, and the store that it unseals.
pub struct Exchange<'a> {
    pub team: &'a Team,
    pub store: &'a Store<'a>,
    pub clock: Clock,
    /// Name of the Secret.
    pub secret: &'a str,
    /// A variable that nodes have from it, and its key.
    pub variable: (&'a str, &'a str),
}

/// A pod as it was looked at.
#[derive(Debug)]
struct Seen {
    uid: String,
    /// Another one where its container was started again.
    container: String,
    created: String,
    /// Since when. On a busy machine one stops to be ready for a moment, because its probe is late.
    ready: Option<String>,
}

impl Seen {
    /// What is another one where somebody touched it.
    fn identity(&self) -> (&str, &str) {
        (&self.uid, &self.container)
    }
}

impl Exchange<'_> {
    /// Exchanges them and waits until every node has the new ones: from the highest ordinal to the lowest, each made after the one before was ready.
    pub async fn rolls_all(&self, values: &Value) {
        let before = self.pods().await;
        let leader = text(&self.team.cluster(self.store.name()).await.unwrap(), "/status/leader").to_owned();
        let writer = Writer::start(self.team, self.store).await;
        self.put(values).await;
        let mut steps: Vec<String> = Vec::new();
        let after = self.until("all nodes to be others", ROLL, &mut steps, |pods, owner| {
            let exchanged = before.iter().all(|(name, old)| pods.get(name).is_some_and(|new| new.uid != old.uid && new.ready.is_some()));
            exchanged && pods.len() == before.len() && condition(owner, "Upgrading")["status"] == "False"
        });
        let after = after.await;
        for ((lower_name, lower), (higher_name, higher)) in after.iter().zip(after.iter().skip(1)) {
            let was_ready = higher.ready.as_deref().unwrap_or_default();
            assert!(was_ready <= lower.created.as_str(), "{lower_name} {lower:?} restarted before {higher_name} was ready: {higher:?}");
        }
        self.have(values, after.keys()).await;
        let (seen, lost) = writer.stop(self.store).await;
        assert_eq!(lost, Vec::<u64>::new());
        let (written, refused, outage) = (seen.acknowledged.len(), seen.refused, seen.longest_outage.as_secs_f64());
        self.clock.tell(&format!("{leader} led; seen: {}", steps.join(", ")));
        self.clock
            .tell(&format!("all have the new credentials; {written} writes acknowledged, {refused} refused, longest outage {outage:.1} s"));
    }

    /// Exchanges them for wrong ones: the first node does not come back, no other is touched, and the store serves. With the good ones put back, that node
    /// is restarted and no other.
    pub async fn stops_at_the_first(&self, wrong: &Value, good: &Value, says: &str) {
        let before = self.pods().await;
        let (highest, _) = before.last_key_value().unwrap();
        let writer = Writer::start(self.team, self.store).await;
        self.put(wrong).await;
        let mut steps = Vec::new();
        let stuck = |_: &BTreeMap<String, Seen>, owner: &Value| {
            condition(owner, "Upgrading")["reason"] == "UpgradeStuck" && condition(owner, "HasQuorum")["status"] == "True"
        };
        self.until("the upgrade to be stuck", ROLL, &mut steps, stuck).await;
        let owner = self.team.cluster(self.store.name()).await.unwrap();
        let told = text(condition(&owner, "Upgrading"), "/message").to_owned();
        self.clock.tell(&format!("UpgradeStuck: {told}"));
        assert!(told.starts_with(highest.as_str()) && told.contains(says), "{told}");
        assert_eq!(condition(&owner, "Ready")["status"], "False", "{}", owner["status"]);

        writer.until_it_writes().await;
        let meanwhile = self.pods().await;
        for (name, seen) in before.iter().filter(|(name, _)| *name != highest) {
            assert_eq!(meanwhile.get(name).map(Seen::identity), Some(seen.identity()), "{name} is not touched");
        }

        self.put(good).await;
        self.until("the one node to be back", ROLL, &mut steps, |pods, owner| {
            pods.get(highest).is_some_and(|pod| pod.ready.is_some()) && condition(owner, "Upgrading")["status"] == "False"
        })
        .await;
        let after = self.pods().await;
        for (name, seen) in before.iter().filter(|(name, _)| *name != highest) {
            assert_eq!(after.get(name).map(Seen::identity), Some(seen.identity()), "{name} has the good ones still");
        }
        self.have(good, after.keys()).await;
        self.store.until_ready().await;
        let (seen, lost) = writer.stop(self.store).await;
        assert_eq!(lost, Vec::<u64>::new());
        let (written, refused, outage) = (seen.acknowledged.len(), seen.refused, seen.longest_outage.as_secs_f64());
        self.clock.tell(&format!("{highest} is back; {written} writes acknowledged, {refused} refused, longest outage {outage:.1} s"));
    }

    async fn put(&self, values: &Value) {
        self.team.patch(&format!("secret/{}", self.secret), &json!({"stringData": values})).await.unwrap();
    }

    /// What processes of the nodes were started with.
    async fn have(&self, values: &Value, pods: impl Iterator<Item = &String>) {
        let (variable, key) = self.variable;
        for pod in pods {
            let has = self.team.kubectl.run(&["exec", pod, "--", "/bin/sh", "-ec", &format!("echo \"${variable}\"")]).await.unwrap();
            assert_eq!(has.trim(), text(values, &format!("/{key}")), "{variable} of {pod}");
        }
    }

    /// Waits until the pods and the owner are as a look at them says; tells in their order the steps that were seen meanwhile, and of each pod since when it
    /// was ready first.
    async fn until(
        &self,
        what: &str,
        longest: Duration,
        steps: &mut Vec<String>,
        holds: impl Fn(&BTreeMap<String, Seen>, &Value) -> bool,
    ) -> BTreeMap<String, Seen> {
        let seen = std::sync::Mutex::new(std::mem::take(steps));
        let first_ready = std::sync::Mutex::new(BTreeMap::new());
        let found = wait::until(longest, what.to_owned(), async || {
            let owner = self.team.cluster(self.store.name()).await.map_err(|error| error.to_string())?;
            let pods = self.pods().await;
            let operation = &owner["status"]["operation"];
            let step = format!("{} {}", text(operation, "/step"), text(operation, "/node"));
            let mut seen = seen.lock().unwrap();
            if step.trim() != "" && seen.last() != Some(&step) {
                seen.push(step);
            }
            drop(seen);
            for (pod, since) in pods.values().filter_map(|pod| pod.ready.as_ref().map(|since| (pod, since))) {
                first_ready.lock().unwrap().entry(pod.uid.clone()).or_insert_with(|| since.clone());
            }
            if holds(&pods, &owner) { Ok(pods) } else { Err(format!("{pods:?}, {}", owner["status"]["conditions"])) }
        });
        let found = found.await;
        *steps = seen.into_inner().unwrap();
        let mut first_ready = first_ready.into_inner().unwrap();
        match found {
            Ok(pods) => pods.into_iter().map(|(name, pod)| (name, Seen { ready: first_ready.remove(&pod.uid), ..pod })).collect(),
            Err(failed) => panic!("{failed}\n{}", self.store.sight().await),
        }
    }

    async fn pods(&self) -> BTreeMap<String, Seen> {
        let seen = |pod: &Value| {
            let ready = condition(pod, "Ready");
            let since = text(ready, "/lastTransitionTime").to_owned();
            Seen {
                uid: text(pod, "/metadata/uid").to_owned(),
                container: text(pod, "/status/containerStatuses/0/containerID").to_owned(),
                created: text(pod, "/metadata/creationTimestamp").to_owned(),
                ready: (ready["status"] == "True").then_some(since),
            }
        };
        let pods = self.store.list().await.unwrap();
        pods.iter().map(|pod| (text(pod, "/metadata/name").to_owned(), seen(pod))).collect()
    }
}
