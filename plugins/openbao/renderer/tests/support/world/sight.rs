//! What the host is told of the world: its children, the answers to needs, the pods as the API server shows them.

use banhbaoring_sdk::wit::{AnswerOutcome, Child, Need, ObjectReference, OutcomeError, ReadinessState};
use serde_json::{Map, Value, json};

use super::{CATALOG, FIELDS, MADE, SimPod, World};

impl World {
    pub(super) fn children(&self) -> Vec<Child> {
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

    pub(super) fn answer(&self, need: &Need) -> AnswerOutcome {
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
                        json!({"metadata": {"creationTimestamp": self.claim_made.get(&ordinal).map_or(MADE, String::as_str),
                    "annotations": {"openbao.org/cluster-uid": claim.made_for}, "labels": {
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
            (_, false) => error("not-permitted", "the login at /v1/auth/userpass/login/operator was refused with 400"),
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
        // Labelled so at the start of the process whatever its volume holds, and otherwise only once it is unsealed.
        let is_unsealed = is_up && self.claims.get(&ordinal).is_some_and(|claim| claim.joined.is_some());
        let mut value = json!({
            "metadata": {"labels": {
                "controller-revision-hash": pod.revision,
                "openbao-active": (self.leader.is_some_and(|(leader, _)| leader == ordinal)).to_string(),
                "openbao-initialized": is_unsealed.to_string(),
                "openbao-sealed": (!is_unsealed).to_string(),
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
}
