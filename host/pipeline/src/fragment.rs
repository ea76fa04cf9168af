//! Whose what is in an owner's status: the host's fields, and each component's fragment at its place. What a fragment says is the component's; how a
//! status is put together is [`crate::report`]'s.

use serde_json::{Map, Value};

use crate::contract::{Json, PhaseSource};
use crate::graph::{Graph, Node};
use crate::json;
use crate::observation::Owner;

/// Fields at the top of every status that only the host writes.
pub const RESERVED: [&str; 3] = ["conditions", "observedGeneration", "components"];

/// Whether the phase of this owner is told by the plugin of that component, and not computed.
pub fn tells_phase(node: &Node, owner: &Owner) -> bool {
    let kind = owner.kind();
    node.plugin.descriptor.kinds.iter().any(|described| {
        let text = |pointer: &str| described.crd.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        described.phase == PhaseSource::Told && kind == format!("{}/{}", text("/spec/group"), text("/spec/names/kind"))
    })
}

/// What the component with that path told before, without what the host and other components put beside or below it; absent where that is nothing.
pub fn told_before(owner: &Owner, graph: &Graph, own: &str, tells_phase: bool) -> Option<Json> {
    let mut told = json::get(owner.status()?, own)?.clone();
    if own.is_empty()
        && let Some(fields) = told.as_object_mut()
    {
        for reserved in RESERVED {
            fields.remove(reserved);
        }
        if !tells_phase {
            fields.remove("phase");
        }
    }
    let kept_out = graph.kept_out.iter().map(|component| component.status_path.as_str());
    for other in graph.nodes.iter().map(|other| other.component.status_path.as_str()).chain(kept_out) {
        if let Some(below) = other.strip_prefix(own).filter(|below| below.starts_with('/')) {
            json::remove_pointer(&mut told, below);
        }
    }
    let empty = told.as_object().is_none_or(Map::is_empty);
    (!empty).then_some(told)
}
