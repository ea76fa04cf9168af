//! Volumes that are smaller than the spec asks for: which claims are told to grow, and how far they are. A pure function of the claims; they grow all at
//! once, because nobody has to stop for it.
//!
//! The template of a claim cannot change, so a node that is added later gets a volume of the first size, which then grows as the others did. Who makes
//! volumes larger is the storage class's driver; one that cannot is known by the API server's refusal.

use banhbaoring_sdk::contract::{ObjectRef, action};
use banhbaoring_sdk::wit::OutcomeError;
use banhbaoring_sdk::{Action, Failure};
use serde_json::{Value, json};

use crate::cluster::{AUDIT_CLAIM, Cluster, DATA_CLAIM};
use crate::live::{Live, Presence};

/// Reason of the condition where everything has its size.
pub const AS_ASKED: &str = "AsAsked";

/// What an action came to, by its id; absent: it happened, or is still to be sent.
pub type Errors<'a> = &'a dyn Fn(&str) -> Result<Option<OutcomeError>, Failure>;

/// What is done about sizes, and what is told.
#[derive(Clone, Debug)]
pub struct Expansion {
    /// Claims that are told to grow.
    pub actions: Vec<Action>,
    /// All volumes have their size; absent: it cannot be told.
    pub is_done: Option<bool>,
    /// CamelCase.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

/// The claims of a cluster, with what they should have, whose template says something else.
pub fn wanted<'a>(cluster: &'a Cluster, live: &'a Live) -> Vec<(String, &'a str)> {
    let asked = [(DATA_CLAIM, Some(&cluster.spec.storage)), (AUDIT_CLAIM, cluster.spec.audit_storage.as_ref())];
    let grown = asked.into_iter().filter_map(|(claim, storage)| {
        let size = storage?.size.as_str();
        let is_as_made = live.claim_size(claim).is_none_or(|made| made == size || bytes(made) == bytes(size));
        (!is_as_made).then_some((claim, size))
    });
    grown.flat_map(|(claim, size)| live.nodes.iter().map(move |node| (format!("{claim}-{}", node.name), size))).collect()
}

/// Decides.
pub fn decide(cluster: &Cluster, live: &Live, errors: Errors) -> Result<Expansion, Failure> {
    let (mut actions, mut refused, mut growing, mut unseen) = (Vec::new(), None, Vec::new(), false);
    for (name, size) in wanted(cluster, live) {
        let claim = match live.sized.get(&name) {
            Some(Presence::There(claim)) => claim,
            Some(Presence::Missing) => continue,
            None | Some(Presence::Unknown) => {
                unseen = true;
                continue;
            }
        };
        if is_smaller(&claim.requested, size) {
            let id = format!("expand-{name}-{}-{size}", claim.uid);
            refused = refused.or(errors(&id)?.map(|error| format!("{name}: {}", error.message)));
            actions.push(grow(cluster, &id, &name, size));
        }
        if is_smaller(&claim.capacity, size) {
            growing.push(format!("{name} has {}", if claim.capacity.is_empty() { "no size yet" } else { &claim.capacity }));
        }
    }
    let (is_done, reason, message) = match (refused, growing.as_slice(), unseen) {
        (Some(why), ..) => (
            Some(false),
            "ExpansionRefused",
            format!(
                "{why}; only a storage class with allowVolumeExpansion: true lets volumes grow. Set it there, or restore a snapshot into a new cluster"
            ),
        ),
        (None, [], false) => (Some(true), AS_ASKED, String::new()),
        (None, [], true) => (None, "NotSeen", "the volume claims are not seen yet".to_owned()),
        (None, growing, _) => (Some(false), "Expanding", format!("the storage class's driver makes them larger: {}", growing.join(", "))),
    };
    Ok(Expansion { actions, is_done, reason, message })
}

fn grow(cluster: &Cluster, id: &str, name: &str, size: &str) -> Action {
    let target = ObjectRef::new("v1", "PersistentVolumeClaim", name).in_namespace(cluster.namespace);
    let fields = match json!({"spec": {"resources": {"requests": {"storage": size}}}}) {
        Value::Object(fields) => fields,
        _ => Default::default(),
    };
    Action::new(id, &action::Patch { target, fields, release: false })
}

/// What is not there is smaller; what cannot be read is left alone.
fn is_smaller(size: &str, than: &str) -> bool {
    size.is_empty() || matches!((bytes(size), bytes(than)), (Some(size), Some(than)) if size < than)
}

/// A quantity in thousandths of a byte: what the schema takes, and what the API server makes of it.
fn bytes(quantity: &str) -> Option<u128> {
    let digits = quantity.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(quantity.len());
    let (number, suffix) = quantity.split_at(digits);
    let (base, power): (u128, u32) = match suffix {
        "m" => return number.parse().ok(),
        "" => (1000, 0),
        "k" => (1000, 1),
        "M" => (1000, 2),
        "G" => (1000, 3),
        "T" => (1000, 4),
        "P" => (1000, 5),
        "E" => (1000, 6),
        "Ki" => (1024, 1),
        "Mi" => (1024, 2),
        "Gi" => (1024, 3),
        "Ti" => (1024, 4),
        "Pi" => (1024, 5),
        "Ei" => (1024, 6),
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let scale = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let value: u128 = format!("{whole}{fraction}").parse().ok()?;
    Some(value.checked_mul(base.checked_pow(power)?)?.checked_mul(1000)? / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_compared_by_what_they_mean() {
        for (one, other) in [("1Gi", "1024Mi"), ("1.5Ki", "1536"), ("2000m", "2"), ("1k", "1000"), ("10Gi", "10737418240")] {
            assert_eq!(bytes(one), bytes(other), "{one} {other}");
            assert!(bytes(one).is_some());
        }
        for (one, other) in [("1G", "1Gi"), ("9Gi", "10Gi"), ("999Mi", "1Gi"), ("1Ti", "1Pi"), ("", "1")] {
            assert!(is_smaller(one, other) && !is_smaller(other, one), "{one} {other}");
        }
        for junk in ["x", "1Xi", "-1", "1.2.3", "1e3", "999999999999999999999999999999999999999Ei"] {
            assert_eq!(bytes(junk), None, "{junk}");
            assert!(!is_smaller(junk, "1Gi"));
        }
    }
}
