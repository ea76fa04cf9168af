//! A cluster that lives: the host that asks, applies and acts, the controller of the StatefulSet, the kubelet and Raft, each as far as day 2 depends on it. What
//! must never happen is checked where it would happen.

mod sight;

use std::collections::{BTreeMap, BTreeSet};

use banhbaoring_sdk::wit::{Action, ActionOutcome, ActionResult, Answer, Need, Request, Response};
use serde_json::{Value, json};

use super::{objects, owner, render, request, seals};

/// Fields of the StatefulSet that the plugin sees.
const FIELDS: [&str; 11] = banhbaoring_plugin_openbao::live::STATEFUL_SET_FIELDS;

/// Where plugins of the store are.
const CATALOG: &str = "/v1/sys/plugins/catalog/";

/// The StatefulSet.
#[derive(Clone, Debug, Default)]
pub struct Set {
    pub object: Value,
    pub generation: i64,
    pub observed: i64,
    pub current: String,
    pub update: String,
}

/// A pod.
#[derive(Clone, Debug)]
pub struct SimPod {
    pub uid: String,
    pub revision: String,
    pub age: u32,
    pub ending: bool,
    /// Down until somebody makes it anew.
    pub crashed: bool,
    /// It runs and cannot unseal.
    pub sealed: bool,
}

/// When the StatefulSet was made.
const MADE: &str = "2026-01-01T00:00:00Z";

/// A claim of data.
#[derive(Clone, Debug, Default)]
pub struct SimClaim {
    pub uid: String,
    /// The annotation with whom it was made for.
    pub made_for: Option<String>,
    /// Ticks since a node joined Raft with it.
    pub joined: Option<u32>,
    /// Raft was told to forget whoever holds it.
    pub removed: bool,
    pub ending: bool,
}

/// Everything.
#[derive(Clone)]
pub struct World {
    pub spec: String,
    pub set: Option<Set>,
    pub pods: BTreeMap<i32, SimPod>,
    pub claims: BTreeMap<i32, SimClaim>,
    pub peers: BTreeSet<i32>,
    pub leader: Option<(i32, u32)>,
    /// The operator is let in.
    pub lets_in: bool,
    /// When claims of data were made, by ordinal, where not with the StatefulSet at [`MADE`].
    pub claim_made: BTreeMap<i32, String>,
    /// What the certificate's hash is.
    pub certificate: u32,
    /// Templates that do not come up, by their annotation of the configuration.
    pub bad: BTreeSet<String>,
    pub previous: Option<String>,
    pub needs: Vec<Need>,
    pub results: BTreeMap<String, ActionOutcome>,
    /// Restarts by the controller, in order.
    pub restarts: Vec<i32>,
    /// Everything that the store was told.
    pub told: Vec<String>,
    /// A node was told to give something up in this tick.
    pub busy: bool,
    /// The store's catalogue of plugins, by path and version; the environment with it, which it does not show.
    pub catalog: BTreeMap<String, Value>,
    /// Plugins whose paths the policy does not name.
    pub unnamed: BTreeSet<String>,
    /// What the store answers to whoever registers something, instead of doing it.
    pub refusal: Option<(u16, String)>,
    /// What the init container that looks at plugins says on a node whose template does not come up.
    pub unusable: Option<String>,
    /// What the catalogue says comes a look late, as from a store that is slow, and so do outcomes of telling it.
    pub is_slow: bool,
    /// What was known of the catalogue before something was done.
    stale: Option<BTreeMap<String, Value>>,
    late: BTreeMap<String, ActionOutcome>,
    /// What comes of the next requests to the store instead of what they ask for.
    pub mishaps: Vec<ActionOutcome>,
    /// Answers tell of the tick before.
    pub lags: bool,
    before: Option<Box<World>>,
    /// What the last answer was given to.
    pub asked: Option<Request>,
    clock: u32,
}

impl World {
    /// A cluster that runs, is initialised and calm.
    pub fn calm(spec: &str) -> Self {
        let mut world = Self {
            spec: spec.to_owned(),
            set: None,
            pods: BTreeMap::new(),
            claims: BTreeMap::new(),
            peers: BTreeSet::new(),
            leader: None,
            lets_in: true,
            claim_made: BTreeMap::new(),
            certificate: 1,
            bad: BTreeSet::new(),
            previous: None,
            needs: Vec::new(),
            results: BTreeMap::new(),
            restarts: Vec::new(),
            told: Vec::new(),
            busy: false,
            catalog: BTreeMap::new(),
            unnamed: BTreeSet::new(),
            refusal: None,
            unusable: None,
            is_slow: false,
            stale: None,
            late: BTreeMap::new(),
            mishaps: Vec::new(),
            lags: false,
            before: None,
            asked: None,
            clock: 0,
        };
        for _ in 0..12 {
            world.tick();
        }
        assert!(world.is_settled(), "{}", world.describe());
        world.restarts.clear();
        world.told.clear();
        world
    }

    /// A calm one that lets the operator in no more, of which so much was told.
    pub fn locked(spec: &str, access: &str) -> Self {
        let mut world = Self::calm(spec);
        world.previous = Some(world.told_of_access(Some(access)));
        world.lets_in = false;
        world
    }

    /// The host looks once, and everybody else does what they do meanwhile.
    pub fn tick(&mut self) -> Response {
        self.clock += 1;
        self.busy = false;
        let before = self.lags.then(|| Box::new(Self { before: None, ..self.clone() }));
        let response = self.reconcile();
        self.before = before;
        self.controller();
        self.raft();
        response
    }

    /// Ticks until something holds.
    pub fn until(&mut self, what: &str, holds: impl Fn(&Self, &Response) -> bool) -> Response {
        for _ in 0..80 {
            let response = self.tick();
            if holds(self, &response) {
                return response;
            }
        }
        panic!("never {what}: {}", self.describe());
    }

    /// The status as it was told, with another word about the operator's access.
    pub fn told_of_access(&self, access: Option<&str>) -> String {
        let mut told: Value = self.previous.as_ref().unwrap().parse().unwrap();
        told.as_object_mut().unwrap().remove("operatorAccess");
        if let Some(access) = access {
            told["operatorAccess"] = access.into();
        }
        told.to_string()
    }

    /// The request that the host would send now.
    pub fn request(&self) -> Request {
        self.asked(&self.needs)
    }

    /// As many nodes as asked for are up, of one revision, voters, and nothing is left of others.
    pub fn is_settled(&self) -> bool {
        let Some(set) = &self.set else { return false };
        let wanted =
            i32::try_from(request(&owner(&self.spec), None).config.parse::<Value>().unwrap()["replicas"].as_i64().unwrap()).unwrap();
        let all: BTreeSet<i32> = (0..wanted).collect();
        set.current == set.update
            && set.object["spec"]["replicas"] == wanted
            && self.pods.keys().copied().collect::<BTreeSet<_>>() == all
            && self.pods.iter().all(|(ordinal, pod)| self.is_up(*ordinal) && pod.revision == set.update)
            && self.peers == all
            && self.claims.keys().copied().collect::<BTreeSet<_>>() == all
    }

    pub fn describe(&self) -> String {
        let set = self.set.as_ref().map(|set| {
            let spec = &set.object["spec"];
            format!("{} of {}, replicas {} {}", set.current, set.update, spec["replicas"], spec["updateStrategy"]["rollingUpdate"])
        });
        format!(
            "set {set:?}\npods {:?}\nclaims {:?}\npeers {:?} leader {:?}\nrestarts {:?} told {:?}\nprevious {:?}",
            self.pods, self.claims, self.peers, self.leader, self.restarts, self.told, self.previous
        )
    }

    pub fn is_up(&self, ordinal: i32) -> bool {
        self.pods.get(&ordinal).is_some_and(|pod| !pod.ending && !pod.crashed && !pod.sealed && pod.age >= 2 && !self.is_bad(&pod.revision))
    }

    fn is_bad(&self, revision: &str) -> bool {
        self.bad.contains(revision)
    }

    fn votes(&self, ordinal: i32) -> bool {
        self.peers.contains(&ordinal) && self.claims.get(&ordinal).is_some_and(|claim| claim.joined.is_some_and(|since| since >= 2))
    }

    fn reconcile(&mut self) -> Response {
        let mut response = render(&self.asked(&self.needs)).unwrap();
        // What is new is answered at once, as often as the host would.
        for _ in 0..8 {
            if response.needs == self.needs {
                break;
            }
            self.needs = response.needs.clone();
            response = render(&self.asked(&self.needs)).unwrap();
        }
        self.asked = Some(self.request());
        self.needs.clone_from(&response.needs);
        self.apply(&response);
        self.previous = Some(response.status.clone());
        self.stale = None;
        let asked: BTreeSet<&str> = response.actions.iter().map(|action| action.id.as_str()).collect();
        self.results.retain(|id, _| asked.contains(id.as_str()));
        // The host forgets what nobody asks for, once its outcome is there.
        for (id, outcome) in std::mem::take(&mut self.late) {
            // An answer from before: it was not there.
            self.stale = Some(BTreeMap::new());
            self.results.insert(id, outcome);
        }
        for action in &response.actions {
            if !self.results.contains_key(&action.id) {
                let outcome = self.act(action);
                if self.is_slow {
                    self.late.insert(action.id.clone(), outcome)
                } else {
                    self.results.insert(action.id.clone(), outcome)
                };
            }
        }
        response
    }

    fn asked(&self, needs: &[Need]) -> Request {
        let mut request = request(&owner(&self.spec), Some(seals::generated_key("prod")));
        request.previous.clone_from(&self.previous);
        request.children = self.children();
        let seen = self.before.as_deref().unwrap_or(self);
        let mut answers: Vec<Answer> = needs.iter().map(|need| Answer { id: need.id.clone(), outcome: seen.answer(need) }).collect();
        answers.sort_by(|a, b| a.id.cmp(&b.id));
        request.answers = answers;
        request.results = self.results.iter().map(|(id, outcome)| ActionResult { id: id.clone(), outcome: outcome.clone() }).collect();
        request
    }

    fn apply(&mut self, response: &Response) {
        let mut object = objects(response).into_iter().find(|object| object["kind"] == "StatefulSet").unwrap();
        let annotations = object["spec"]["template"]["metadata"]["annotations"].as_object_mut().unwrap();
        for value in annotations.values_mut().filter(|value| value.as_str().unwrap().starts_with("$(hash:")) {
            *value = format!("certificate-{}", self.certificate).into();
        }
        let revision = format!("r{}", banhbaoring_plugin_openbao::digest::hex(&object["spec"]["template"].to_string()).get(..8).unwrap());
        let set = self.set.get_or_insert_with(|| Set { current: revision.clone(), ..Set::default() });
        if set.object != object {
            set.generation += 1;
            set.object = object;
        }
        set.update = revision;
    }

    fn act(&mut self, action: &Action) -> ActionOutcome {
        let spec: Value = action.spec.parse().unwrap();
        if action.kind == "delete" {
            let name = spec["target"]["name"].as_str().unwrap();
            let ordinal: i32 = name.rsplit('-').next().unwrap().parse().unwrap();
            let replicas = self.set.as_ref().unwrap().object["spec"]["replicas"].as_i64().unwrap();
            assert!(i64::from(ordinal) >= replicas, "a volume of a node that is wanted: {}", self.describe());
            assert!(!self.peers.contains(&ordinal), "a volume of a node that Raft counts: {}", self.describe());
            assert!(!self.pods.contains_key(&ordinal), "a volume under a pod: {}", self.describe());
            let claim = self.claims.get_mut(&ordinal).filter(|claim| claim.uid == spec["uid"]).unwrap();
            claim.ending = true;
            self.told.push(format!("delete {name}"));
            return ActionOutcome::Ok("{}".to_owned());
        }
        let endpoint = &spec["endpoint"];
        if let Some(mishap) = self.mishaps.pop() {
            return mishap;
        }
        if let Some(path) = endpoint["path"].as_str().filter(|path| path.starts_with(CATALOG)) {
            self.told.push(format!("register {path} {}", spec["body"]["version"].as_str().unwrap()));
            if let Some((status, text)) = &self.refusal {
                return ActionOutcome::Ok(json!({"status": status, "exposed": {"/errors/0": text}}).to_string());
            }
            self.catalog.insert(format!("{path} {}", spec["body"]["version"].as_str().unwrap()), spec["body"].clone());
            return ActionOutcome::Ok(json!({"status": 204, "exposed": {}}).to_string());
        }
        self.busy = true;
        let done = || ActionOutcome::Ok(json!({"status": 204, "exposed": {}}).to_string());
        if endpoint["path"] == "/v1/sys/step-down" {
            let host = endpoint["destination"]["service"]["hostname"].as_str().unwrap().to_owned();
            assert_eq!(self.leader.map(|(leader, _)| format!("prod-{leader}")), Some(host.clone()), "only who leads is told to step down");
            self.told.push(format!("step-down {host}"));
            self.elect(self.leader.map(|(leader, _)| leader));
        } else {
            let ordinal: i32 = spec["body"]["server_id"].as_str().unwrap().rsplit('-').next().unwrap().parse().unwrap();
            assert_ne!(self.leader.map(|(leader, _)| leader), Some(ordinal), "who leads is not removed: {}", self.describe());
            self.told.push(format!("remove prod-{ordinal}"));
            if self.peers.remove(&ordinal)
                && let Some(claim) = self.claims.get_mut(&ordinal)
            {
                claim.removed = true;
            }
            let up = self.peers.iter().filter(|ordinal| self.is_up(**ordinal)).count();
            assert!(up * 2 > self.peers.len(), "a removal cost the quorum: {}", self.describe());
        }
        done()
    }

    /// That node leads from now on, at a time of its own.
    pub fn crown(&mut self, ordinal: i32) {
        self.clock += 1;
        self.leader = Some((ordinal, self.clock));
    }

    /// Another node leads from now on.
    pub fn elect_another(&mut self) {
        self.elect(self.leader.map(|(leader, _)| leader));
    }

    /// A uid that nobody had before.
    pub(super) fn name(&mut self, of: &str) -> String {
        self.clock += 1;
        format!("{of}-{}", self.clock)
    }

    pub(super) fn elect(&mut self, not: Option<i32>) {
        let up: Vec<i32> = self.peers.iter().copied().filter(|ordinal| self.is_up(*ordinal) && self.votes(*ordinal)).collect();
        let has_quorum = up.len() * 2 > self.peers.len();
        let chosen = up.iter().copied().find(|ordinal| Some(*ordinal) != not).or(up.first().copied()).filter(|_| has_quorum);
        self.leader = chosen.map(|ordinal| (ordinal, self.clock));
    }
}
