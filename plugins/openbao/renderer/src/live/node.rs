//! One node as its pod tells: what OpenBao labels it, and what Kubernetes says of it. Reading only.
//!
//! Every pointer that is asked for stands still while nothing happens: `lastProbeTime` of conditions is never set by the kubelet, and container statuses
//! change with restarts alone. So a healthy cluster is no news.

use banhbaoring_sdk::answer::Answer;
use banhbaoring_sdk::contract::need::ObjectView;
use serde_json::Value;

use crate::objects::VERIFIER;

/// What is asked of each pod: OpenBao's own labels, the revision, and what the kubelet says.
pub const POD_FIELDS: [&str; 8] =
    [ACTIVE, INITIALIZED, SEALED, VERSION, REVISION, "/metadata/deletionTimestamp", "/status/conditions", "/status/containerStatuses"];

/// What is asked besides where plugins are brought to a node: why one of them is not.
pub const INIT_STATUSES: &str = "/status/initContainerStatuses";

const ACTIVE: &str = "/metadata/labels/openbao-active";
const INITIALIZED: &str = "/metadata/labels/openbao-initialized";
const SEALED: &str = "/metadata/labels/openbao-sealed";
const VERSION: &str = "/metadata/labels/openbao-version";
const REVISION: &str = "/metadata/labels/controller-revision-hash";

/// Reasons for which a container waits that pass by themselves.
const PASSING: [&str; 2] = ["ContainerCreating", "PodInitializing"];
/// Longest text of somebody else in a message, in characters.
const SHOWN: usize = 200;
/// What bao 2.4.0 ends with, each time it is started, when it was killed while it initialised its store for the first time: after Raft was begun and before the
/// barrier was there, or between the barrier and what says how it is sealed. The root token comes after both, so nobody ever got in. In the kills of
/// `tests/interrupted.rs` one of them always stood in the part of the log that the kubelet keeps. What stands there besides ("none were found: is the server
/// initialized?") is no evidence: other failures end with it too, also of a store that is whole.
pub const CUT_SHORT: [&str; 2] = ["cluster already has state", "barrier reports initialized but no seal configuration found"];

/// A text of OpenBao's tells that the first initialisation was cut short.
pub fn is_cut_short(text: &str) -> bool {
    CUT_SHORT.iter().any(|words| text.contains(words))
}

/// Whether there is something, as far as it was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Presence<T> {
    /// Not asked yet, or not answered.
    #[default]
    Unknown,
    /// There is none.
    Missing,
    /// There it is.
    There(T),
}

impl<T> Presence<T> {
    /// What is there.
    pub fn there(&self) -> Option<&T> {
        match self {
            Self::There(what) => Some(what),
            Self::Unknown | Self::Missing => None,
        }
    }

    /// It is known that there is none.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }

    /// Nothing is known.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    pub(super) fn of(answer: Answer<ObjectView>, read: impl FnOnce(&ObjectView) -> T) -> Self {
        if answer.is_not_found() {
            return Self::Missing;
        }
        answer.known().map_or(Self::Unknown, |view| Self::There(read(&view)))
    }
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its ordinal.
    pub ordinal: i32,
    /// Its pod, and its id in Raft.
    pub name: String,
    /// The pod itself.
    pub pod: Presence<Pod>,
}

/// The pod of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// This incarnation of it.
    pub uid: String,
    /// The revision of the StatefulSet that it was made of.
    pub revision: Option<String>,
    /// The kubelet says that it is ready.
    pub ready: bool,
    /// It is being deleted.
    pub ending: bool,
    /// It leads.
    pub active: Option<bool>,
    /// It is initialised. OpenBao labels a node as not initialised at each start, whatever its volume holds, and otherwise only once it is unsealed. So that it is
    /// not counts only of one that is ready, which an empty node is and a sealed one is not.
    pub initialized: Option<bool>,
    /// It is sealed.
    pub sealed: Option<bool>,
    /// The version that it runs.
    pub version: Option<String>,
    /// What keeps it from being ready.
    pub trouble: Option<Trouble>,
    /// It was ended while it initialised the store for the first time, and cannot go on from there.
    pub is_cut_short: bool,
    /// What the init container that looks at plugins found wrong.
    pub unusable_plugin: Option<String>,
}

/// What keeps a pod from being ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// It does not pass by waiting, as far as anybody can tell.
    pub is_lasting: bool,
    /// For people.
    pub message: String,
}

impl Node {
    /// It serves: ready, not on its way out, not sealed. One that waits to be initialised is sealed and well.
    pub fn is_up(&self) -> bool {
        self.pod.there().is_some_and(|pod| pod.is_ready() && !pod.is_sealed())
    }

    /// Its volume is empty, and it is well.
    pub fn is_empty(&self) -> bool {
        self.pod.there().is_some_and(|pod| pod.is_ready() && pod.initialized == Some(false))
    }

    /// It is of that revision.
    pub fn is_of(&self, revision: &str) -> bool {
        self.pod.there().is_some_and(|pod| pod.revision.as_deref() == Some(revision))
    }

    /// Why it is not up, for people.
    pub fn what_ails(&self) -> String {
        match &self.pod {
            Presence::Unknown => "its pod was not seen yet".to_owned(),
            Presence::Missing => "its pod is not there".to_owned(),
            Presence::There(pod) if pod.ending => "its pod is being deleted".to_owned(),
            Presence::There(pod) => match &pod.trouble {
                Some(trouble) if pod.sealed == Some(true) && !trouble.is_lasting => {
                    format!("it is sealed, or not unsealed yet: {}", trouble.message)
                }
                Some(trouble) => trouble.message.clone(),
                None if pod.is_sealed() => "it is sealed".to_owned(),
                None => "its pod is not ready".to_owned(),
            },
        }
    }

    /// What ails it does not pass by waiting.
    pub fn ails_for_long(&self) -> bool {
        self.pod.there().is_some_and(|pod| !pod.ending && pod.trouble.as_ref().is_some_and(|trouble| trouble.is_lasting))
    }

    /// It is sealed although the store is initialised.
    pub fn is_sealed(&self) -> bool {
        self.pod.there().is_some_and(Pod::is_sealed)
    }
}

impl Pod {
    /// The kubelet says so, and it is not on its way out.
    pub fn is_ready(&self) -> bool {
        self.ready && !self.ending
    }

    fn is_sealed(&self) -> bool {
        // Not one that was only started: it is labelled so as well until it is unsealed, and nothing may be done to it for that.
        self.sealed == Some(true) && self.initialized == Some(true)
    }

    pub(super) fn read(view: &ObjectView) -> Self {
        let field = |pointer: &str| view.value.get(pointer).unwrap_or(&Value::Null);
        let text = |pointer: &str| field(pointer).as_str();
        let flag = |pointer: &str| text(pointer).and_then(|text| text.parse().ok());
        let conditions = list(field("/status/conditions"));
        let ready = conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
        let (init_containers, containers) = (list(field(INIT_STATUSES)), list(field("/status/containerStatuses")));
        let failed = || init_containers.iter().find_map(failure);
        let trouble = (!ready).then(|| failed().or_else(|| trouble(conditions, containers))).flatten();
        let verifier = init_containers.iter().find(|container| container["name"] == VERIFIER);
        Self {
            uid: view.uid.clone(),
            revision: text(REVISION).map(ToOwned::to_owned),
            ready,
            ending: !field("/metadata/deletionTimestamp").is_null(),
            active: flag(ACTIVE),
            initialized: flag(INITIALIZED).filter(|initialized| *initialized || ready),
            sealed: flag(SEALED),
            version: text(VERSION).map(ToOwned::to_owned),
            trouble,
            is_cut_short: last_written(containers).is_some_and(is_cut_short),
            unusable_plugin: verifier.and_then(failure).map(|failure| failure.message),
        }
    }
}

/// An init container that failed, or cannot start. It starts again and again, and all the others wait for it.
fn failure(container: &Value) -> Option<Trouble> {
    let name = container["name"].as_str()?;
    let ended = ["/state/terminated", "/lastState/terminated"].iter().find_map(|pointer| container.pointer(pointer));
    let ended = ended.filter(|ended| ended["exitCode"] != 0).map(|ended| {
        let said: String = ended["message"].as_str().unwrap_or_default().trim().chars().take(2 * SHOWN).collect();
        if said.is_empty() { format!("{name} ended with exit code {}", ended["exitCode"]) } else { said }
    });
    let waiting = || waiting(container).map(|waiting| format!("{name}: {waiting}"));
    let is_over = container.pointer("/state/terminated/exitCode") == Some(&Value::from(0));
    ended.or_else(waiting).filter(|_| !is_over).map(|message| Trouble { is_lasting: true, message })
}

/// Why a container waits, where it does not pass by itself.
fn waiting(container: &Value) -> Option<String> {
    let waiting = container.pointer("/state/waiting")?;
    let reason = waiting["reason"].as_str().filter(|reason| !PASSING.contains(reason))?;
    Some(said(reason, &waiting["message"]))
}

/// There is no clock here, so that something lasts is read off what the kubelet does about it: it backs off, or has started the container anew, which it
/// does only after the start-up probe gave up or the process ended.
fn trouble(conditions: &[Value], containers: &[Value]) -> Option<Trouble> {
    let last_words = last_words(containers).map(|words| format!(": {words}")).unwrap_or_default();
    // Between two attempts the kubelet says that it backs off, and not from what.
    let waiting =
        containers.iter().find_map(waiting).map(|message| Trouble { is_lasting: true, message: format!("{message}{last_words}") });
    let restarted = || {
        let count = containers.iter().filter_map(|container| container["restartCount"].as_i64()).max().filter(|count| *count > 0)?;
        let ended = containers.iter().find_map(|container| container.pointer("/lastState/terminated/exitCode"));
        let code = ended.map(|code| format!(", last with exit code {code}")).unwrap_or_default();
        Some(Trouble { is_lasting: true, message: format!("its container ended {count} times{code}{last_words}") })
    };
    let unscheduled = || {
        let found = conditions.iter().find(|condition| condition["type"] == "PodScheduled" && condition["status"] == "False")?;
        Some(Trouble { is_lasting: true, message: said(found["reason"].as_str()?, &found["message"]) })
    };
    let unready = || {
        let found = conditions.iter().find(|condition| condition["type"] == "Ready")?;
        let since = found["lastTransitionTime"].as_str().unwrap_or("its start");
        Some(Trouble { is_lasting: false, message: format!("its pod is not ready since {since}") })
    };
    waiting.or_else(restarted).or_else(unscheduled).or_else(unready)
}

/// The end of what the container that ended wrote, as the kubelet keeps it: at most 2 KiB.
fn last_written(containers: &[Value]) -> Option<&str> {
    containers.iter().find_map(|container| {
        let ended = ["/lastState/terminated/message", "/state/terminated/message"];
        ended.iter().find_map(|pointer| container.pointer(pointer)?.as_str())
    })
}

/// Of that, the last line that speaks of an error; others may follow it. OpenBao begins what ends it with that word, and then quotes others.
fn last_words(containers: &[Value]) -> Option<String> {
    let lines = || last_written(containers).into_iter().flat_map(str::lines).rev().map(str::trim).filter(|line| !line.is_empty());
    let error =
        lines().find(|line| line.starts_with("Error ")).or_else(|| lines().find(|line| line.to_ascii_lowercase().contains("error")));
    Some(error.or_else(|| lines().next())?.chars().take(SHOWN).collect())
}

fn said(reason: &str, message: &Value) -> String {
    let message: String = message.as_str().unwrap_or_default().chars().take(SHOWN).collect();
    if message.is_empty() { reason.to_owned() } else { format!("{reason}: {message}") }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::trouble;
    use serde_json::{Value, json};

    fn told(conditions: Value, containers: Value) -> Option<(bool, String)> {
        let found = trouble(super::list(&conditions), super::list(&containers))?;
        Some((found.is_lasting, found.message))
    }

    #[test]
    fn what_passes_is_told_from_what_lasts() {
        let unready = json!([{"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
        let starting = json!([{"restartCount": 0, "state": {"waiting": {"reason": "ContainerCreating"}}}]);
        assert_eq!(told(unready.clone(), starting), Some((false, "its pod is not ready since 2026-01-01T00:00:00Z".to_owned())));
        let pulling = json!([{"restartCount": 0, "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such tag"}}}]);
        assert_eq!(told(unready.clone(), pulling), Some((true, "ImagePullBackOff: no such tag".to_owned())));
        let again = json!([{"restartCount": 2, "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1}}}]);
        assert_eq!(told(unready.clone(), again), Some((true, "its container ended 2 times, last with exit code 1".to_owned())));
        let told_why = json!([{"restartCount": 1, "lastState": {"terminated": {"exitCode": 1, "message": "one\nError: two\nthree\n"}}}]);
        assert_eq!(told(unready, told_why), Some((true, "its container ended 1 times, last with exit code 1: Error: two".to_owned())));
        let backs_off = json!([{"restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
            "lastState": {"terminated": {"exitCode": 1, "message": "Error: two"}}}]);
        assert_eq!(told(json!([]), backs_off), Some((true, "CrashLoopBackOff: back-off 10s: Error: two".to_owned())));
        let dump = "Error parsing Seal configuration: refused\n\t00000000  45 72 72 6f 72  |<Error>|\n2026-01-01T00:00:00Z [INFO]  proxy\n";
        let dumped = json!([{"restartCount": 1, "lastState": {"terminated": {"exitCode": 1, "message": dump}}}]);
        let said = "its container ended 1 times, last with exit code 1: Error parsing Seal configuration: refused";
        assert_eq!(told(json!([]), dumped), Some((true, said.to_owned())), "an answer of somebody else is quoted below what failed");
        let nowhere = json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}]);
        assert_eq!(told(nowhere, json!(null)), Some((true, "Unschedulable: 0/3 nodes".to_owned())));
        assert_eq!(told(json!("odd"), json!([1, null])), None);
    }
}
