//! What the store says of itself where the operator may ask: who Raft counts, how many may fail, who leads. Reading only.

use banhbaoring_sdk::answer::Answer;
use banhbaoring_sdk::contract::need::HttpAnswer;
use serde_json::Value;

use crate::access::{ACTIVE_TIME, IS_SELF, LOGIN, NOT_NOW, SERVERS, TOLERANCE};
use crate::cluster::Cluster;

/// Who Raft counts, as far as the operator may know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Raft {
    /// Not asked, or not answered yet.
    #[default]
    Unknown,
    /// The store does not let the operator in, or is out of reach.
    Closed {
        /// It may be otherwise soon.
        for_now: bool,
        /// For people.
        why: String,
    },
    /// The peers.
    Open(Vec<Peer>),
}

/// A server in Raft's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Name of the pod.
    pub id: String,
    /// Its ordinal, where it is named as a pod of this cluster.
    pub ordinal: Option<i32>,
    /// It leads.
    pub leads: bool,
    /// It counts for the quorum.
    pub votes: bool,
}

/// Whether a node leads, as it says itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Leads {
    /// Not asked, or not answered yet.
    #[default]
    Unknown,
    /// It cannot be asked.
    Unreachable(String),
    /// It does not.
    No,
    /// It does, since then.
    Since(String),
}

impl Raft {
    /// The peer of that name, where it is known that there is one.
    pub fn peer(&self, id: &str) -> Option<&Peer> {
        match self {
            Self::Open(peers) => peers.iter().find(|peer| peer.id == id),
            Self::Unknown | Self::Closed { .. } => None,
        }
    }

    pub(super) fn read(answer: Answer<HttpAnswer>, cluster: &Cluster) -> Self {
        match answer {
            Answer::Unasked | Answer::Pending => Self::Unknown,
            Answer::Error(error) => {
                Self::Closed { for_now: error.class == "unavailable", why: format!("{}: {}", error.class, error.message) }
            }
            Answer::Known(HttpAnswer { status: 200, exposed }) => match peers(exposed.get(SERVERS), cluster) {
                Some(peers) => Self::Open(peers),
                None => Self::Closed { for_now: true, why: "the answer had no peers".to_owned() },
            },
            Answer::Known(HttpAnswer { status, .. }) => {
                Self::Closed { for_now: NOT_NOW.contains(&status), why: format!("the store answered {status}") }
            }
        }
    }
}

impl Leads {
    pub(super) fn read(answer: Answer<HttpAnswer>) -> Self {
        match answer {
            Answer::Unasked | Answer::Pending => Self::Unknown,
            Answer::Error(error) => Self::Unreachable(format!("{}: {}", error.class, error.message)),
            Answer::Known(HttpAnswer { status: 200, exposed }) if exposed.get(IS_SELF) == Some(&Value::Bool(true)) => {
                Self::Since(exposed.get(ACTIVE_TIME).and_then(Value::as_str).unwrap_or_default().to_owned())
            }
            Answer::Known(HttpAnswer { status: 200, .. }) => Self::No,
            Answer::Known(HttpAnswer { status, .. }) => Self::Unreachable(format!("it answered {status}")),
        }
    }
}

/// Statuses of a login that say no: no such method, no such user, another password.
const REFUSALS: [u16; 4] = [400, 401, 403, 404];

/// Whether the store itself refused the login. Other errors are of the same class, as of an API server that does not show a Service's pods to the plugin, and
/// say nothing of the store; the host has no class for this, so that it is read off its words.
pub fn refuses_login(answer: &Answer<HttpAnswer>) -> bool {
    let Answer::Error(error) = answer else { return false };
    let status = error.message.strip_prefix("the login at ").and_then(|rest| rest.strip_prefix(LOGIN)?.strip_prefix(" was refused with "));
    let status = status.and_then(|status| status.parse().ok());
    error.class == "not-permitted" && status.is_some_and(|status| REFUSALS.contains(&status))
}

pub(super) fn tolerance(answer: Answer<HttpAnswer>) -> Option<i64> {
    answer.known().filter(|answer| answer.status == 200)?.exposed.get(TOLERANCE)?.as_i64()
}

fn peers(servers: Option<&Value>, cluster: &Cluster) -> Option<Vec<Peer>> {
    let read = |server: &Value| {
        let id = server["node_id"].as_str()?;
        Some(Peer { id: id.to_owned(), ordinal: cluster.ordinal(id), leads: server["leader"] == true, votes: server["voter"] == true })
    };
    let peers: Vec<Peer> = servers?.as_array()?.iter().map(read).collect::<Option<_>>()?;
    // A configuration without anybody is none: nothing may follow from it.
    Some(peers).filter(|peers| !peers.is_empty())
}
