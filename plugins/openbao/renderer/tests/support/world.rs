//! A cluster that lives: the host that asks, applies and acts, the controller of the StatefulSet, the kubelet and Raft, each as far as day 2 depends on it. What
//! must never happen is checked where it would happen.

use std::collections::{BTreeMap, BTreeSet};

use banhbaoring_sdk::wit::{
    Action, ActionOutcome, ActionResult, Answer, AnswerOutcome, Child, Need, ObjectReference, OutcomeError, ReadinessState, Request,
    Response,
};
use serde_json::{Map, Value, json};

use super::{objects, owner, render, request, seals};

/// Fields of the StatefulSet that the plugin sees.
const FIELDS: [&str; 10] = banhbaoring_plugin_openbao::live::STATEFUL_SET_FIELDS;

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
}

/// When the StatefulSet was made.
const MADE: &str = "2026-01-01T00:00:00Z";

/// A claim of data.
#[derive(Clone, Debug, Default)]
pub struct SimClaim {
    pub uid: String,
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
    /// When the claims of data were made; the StatefulSet was at [`MADE`].
    pub claim_made: String,
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
            claim_made: MADE.to_owned(),
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
        self.pods.get(&ordinal).is_some_and(|pod| !pod.ending && !pod.crashed && pod.age >= 2 && !self.is_bad(&pod.revision))
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

    fn children(&self) -> Vec<Child> {
        let Some(set) = &self.set else { return Vec::new() };
        let child = |api: &str, kind: &str, name: &str, fields: Value| Child {
            reference: ObjectReference {
                api_version: api.to_owned(),
                kind: kind.to_owned(),
                namespace: Some("bao".to_owned()),
                name: name.to_owned(),
            },
            readiness: ReadinessState::Ready,
            reason: "Ready".to_owned(),
            message: String::new(),
            fields: banhbaoring_sdk::json::canonical(&fields),
        };
        let mut object = set.object.clone();
        object["metadata"]["generation"] = set.generation.into();
        let ready = self.pods.keys().filter(|ordinal| self.is_up(**ordinal)).count();
        object["status"] = json!({"currentRevision": set.current, "updateRevision": set.update, "observedGeneration": set.observed, "readyReplicas": ready});
        let fields: Map<String, Value> =
            FIELDS.iter().filter_map(|pointer| Some(((*pointer).to_owned(), object.pointer(pointer)?.clone()))).collect();
        vec![child("v1", "Secret", "prod-operator", json!({})), child("apps/v1", "StatefulSet", "prod", fields.into())]
    }

    fn answer(&self, need: &Need) -> AnswerOutcome {
        let spec: Value = need.spec.parse().unwrap();
        let error =
            |class: &str, message: &str| AnswerOutcome::Error(OutcomeError { class: class.to_owned(), message: message.to_owned() });
        let ok = |value: Value| AnswerOutcome::Ok(banhbaoring_sdk::json::canonical(&value));
        if need.kind == "object" {
            let reference = &spec["reference"];
            let name = reference["name"].as_str().unwrap();
            if reference["kind"] == "StatefulSet" {
                return ok(json!({"reference": reference, "uid": "set", "value": {"/metadata/creationTimestamp": MADE}}));
            }
            let ordinal: i32 = name.rsplit('-').next().unwrap().parse().unwrap();
            let found = match reference["kind"].as_str().unwrap() {
                "Pod" => self.pods.get(&ordinal).map(|pod| (pod.uid.clone(), self.pod(ordinal, pod))),
                _ => self.claims.get(&ordinal).map(|claim| {
                    (
                        claim.uid.clone(),
                        json!({"metadata": {"creationTimestamp": self.claim_made, "labels": {
                    "app.kubernetes.io/instance": "prod", "app.kubernetes.io/name": "openbao", "openbao.org/cluster": "prod"}}}),
                    )
                }),
            };
            let Some((uid, whole)) = found else { return error("not-found", "there is no such object") };
            let fields: Map<String, Value> =
                need.project.iter().filter_map(|pointer| Some((pointer.clone(), whole.pointer(pointer)?.clone()))).collect();
            return ok(json!({"reference": reference, "uid": uid, "value": fields}));
        }
        let endpoint = &spec["endpoint"];
        let exposed = |value: Value| ok(json!({"status": 200, "exposed": value}));
        if let Some(host) = endpoint["destination"]["service"]["hostname"].as_str() {
            let ordinal: i32 = host.rsplit('-').next().unwrap().parse().unwrap();
            if !self.is_up(ordinal) {
                return error("unavailable", "no answer");
            }
            let since = self.leader.filter(|(leader, _)| *leader == ordinal).map(|(_, since)| since);
            return exposed(json!({"/is_self": since.is_some(), "/active_time": format!("2026-01-01T00:00:{:02}Z", since.unwrap_or(0))}));
        }
        match (self.leader, self.lets_in) {
            (None, _) => error("unavailable", "the Service prod-active has no pod"),
            (_, false) => error("not-permitted", "the login was answered 400"),
            (Some(_), true) if endpoint["path"].as_str().is_some_and(|path| path.starts_with(CATALOG)) => {
                let path = endpoint["path"].as_str().unwrap();
                if self.unnamed.contains(path) {
                    return ok(json!({"status": 403, "exposed": {}}));
                }
                match self
                    .stale
                    .as_ref()
                    .unwrap_or(&self.catalog)
                    .get(&format!("{path} {}", endpoint["query"]["version"].as_str().unwrap()))
                {
                    None => ok(json!({"status": 404, "exposed": {}})),
                    Some(entry) => {
                        let field = |name: &str| (format!("/data/{name}"), entry[name].clone());
                        exposed(["sha256", "command", "args"].map(field).into_iter().collect::<Map<_, _>>().into())
                    }
                }
            }
            (Some((leader, _)), true) if endpoint["path"] == "/v1/sys/storage/raft/configuration" => {
                let servers: Vec<Value> = self.peers.iter().map(|ordinal| {
                    json!({"node_id": format!("prod-{ordinal}"), "leader": *ordinal == leader, "voter": self.votes(*ordinal)})
                }).collect();
                exposed(json!({"/data/config/servers": servers}))
            }
            (Some(_), true) => exposed(json!({"/data/failure_tolerance": self.tolerance()})),
        }
    }

    fn pod(&self, ordinal: i32, pod: &SimPod) -> Value {
        let is_up = self.is_up(ordinal);
        let crashes = pod.crashed || self.is_bad(&pod.revision);
        let has_joined = self.claims.get(&ordinal).is_some_and(|claim| claim.joined.is_some());
        let mut value = json!({
            "metadata": {"labels": {
                "controller-revision-hash": pod.revision,
                "openbao-active": (self.leader.is_some_and(|(leader, _)| leader == ordinal)).to_string(),
                "openbao-initialized": has_joined.to_string(),
                "openbao-sealed": (!has_joined).to_string(),
                "openbao-version": "2.4.0",
            }},
            "status": {
                "conditions": [{"type": "Ready", "status": if is_up { "True" } else { "False" }, "lastTransitionTime": "2026-01-01T00:00:00Z"}],
                "containerStatuses": [if crashes {
                    json!({"restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}})
                } else {
                    json!({"restartCount": 0, "state": {"running": {}}})
                }],
            },
        });
        if let Some(said) = self.unusable.as_ref().filter(|_| crashes) {
            value["status"]["containerStatuses"] = json!([{"restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}}}]);
            value["status"]["initContainerStatuses"] = json!([
                {"name": "plugin-0", "restartCount": 0, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}},
                {"name": "verify-plugins", "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                 "lastState": {"terminated": {"exitCode": 1, "message": format!("{said}\n")}}},
            ]);
        }
        if pod.ending {
            value["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        }
        value
    }

    fn tolerance(&self) -> i64 {
        let up = self.peers.iter().filter(|ordinal| self.is_up(**ordinal)).count();
        i64::try_from(up).unwrap() - i64::try_from(self.peers.len() / 2 + 1).unwrap()
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
