//! Whose an object is: what admission decided by names is checked here on the object itself.

use banhbaoring_api::inventory::InventorySpec;
use banhbaoring_api::plugin::NamespacedName;
use banhbaoring_pipeline::admit::Whose;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::request::{Answer, ApiError, Endpoint, Seen, text};

/// In which relation to an owner an object has to stand.
pub(crate) struct Relation<'a> {
    pub(crate) whose: &'a Whose,
    /// The owner's.
    pub(crate) inventory: &'a InventorySpec,
}

impl Relation<'_> {
    /// As far as the inventory and the name tell.
    pub(crate) fn is_recorded(&self, object: &Value) -> bool {
        match self.whose {
            Whose::Any => true,
            Whose::Known(names) => self.records(text(object, "/metadata/uid")) || names.contains(text(object, "/metadata/name")),
            Whose::OfStatefulSet(_) => self.records(text(object, "/metadata/uid")),
        }
    }

    fn records(&self, uid: &str) -> bool {
        self.inventory.children.iter().any(|entry| entry.uid.as_deref() == Some(uid))
    }
}

impl Cluster {
    /// Whether the object stands in that relation.
    pub(crate) async fn stands_in(&self, account: &NamespacedName, relation: &Relation<'_>, object: &Value) -> Result<bool, ApiError> {
        let Whose::OfStatefulSet(reference) = relation.whose else {
            return Ok(relation.is_recorded(object));
        };
        let endpoint = Endpoint::find(&self.clients, &self.discovery, Some(account), reference).await?;
        let Some(stateful_set) = endpoint.get(Answer::Whole).await? else { return Ok(false) };
        Ok(relation.records(text(&stateful_set, "/metadata/uid")) && is_made_for(&stateful_set, object))
    }
}

/// Whether Kubernetes made the object for the StatefulSet. A claim has no owner, but the labels of the StatefulSet's pods and a template's name.
fn is_made_for(stateful_set: &Value, object: &Value) -> bool {
    if text(object, "/kind") == "Pod" {
        return Seen::of(object).controller.as_deref() == Some(text(stateful_set, "/metadata/uid"));
    }
    let labels = |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_object).cloned().unwrap_or_default();
    let (wanted, found) = (labels(stateful_set, "/spec/selector/matchLabels"), labels(object, "/metadata/labels"));
    let mut templates = stateful_set.pointer("/spec/volumeClaimTemplates").and_then(Value::as_array).into_iter().flatten();
    let of = text(stateful_set, "/metadata/name");
    let is_named = |template: &Value| {
        let begin = format!("{}-{of}-", text(template, "/metadata/name"));
        let ordinal = text(object, "/metadata/name").strip_prefix(begin.as_str());
        ordinal.is_some_and(|ordinal| !ordinal.is_empty() && ordinal.bytes().all(|b| b.is_ascii_digit()))
    };
    // Every label: those of a foreign claim that happens to be called so are others.
    templates.any(is_named) && !wanted.is_empty() && wanted.iter().all(|(key, value)| found.get(key) == Some(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_is_a_stateful_sets_by_template_and_labels_and_a_pod_by_its_controller() {
        let stateful_set = json!({"metadata": {"name": "store", "uid": "u"}, "spec": {"selector": {"matchLabels": {"app": "store"}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}}]}});
        let claim = |name: &str, app: &str| json!({"kind": "PersistentVolumeClaim", "metadata": {"name": name, "labels": {"app": app}}});
        assert!(is_made_for(&stateful_set, &claim("data-store-0", "store")));
        for foreign in [
            claim("data-store-0", "other"),
            claim("more-store-0", "store"),
            claim("data-store-x", "store"),
            claim("data-big-store-0", "store"),
            claim("data-store-", "store"),
        ] {
            assert!(!is_made_for(&stateful_set, &foreign), "{foreign}");
        }
        let pod = |controller: bool, uid: &str| json!({"kind": "Pod", "metadata": {"name": "store-0", "ownerReferences": [{"uid": uid, "controller": controller}]}});
        assert!(is_made_for(&stateful_set, &pod(true, "u")));
        assert!(!is_made_for(&stateful_set, &pod(false, "u")) && !is_made_for(&stateful_set, &pod(true, "other")));
    }
}
