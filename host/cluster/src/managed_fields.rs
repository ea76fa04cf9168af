//! What the API server tells of who owns which field, reduced to one hash: the whole of "nothing differs, no write is sent" rests on it.
//! Pure; nothing here reads a cluster.
//!
//! What was seen on a real kube-apiserver 1.36 (`tests/metadata_proof.rs` keeps it true):
//! - An apply that changes nothing leaves `resourceVersion` and our entry alone, `time` included, whatever the server defaulted, an admission
//!   policy changed or normalised (`1000m`, `null`, empty lists). So nothing of the object has to be compared, only our entry.
//! - `time` of an entry is set when that manager changes a value, and is left alone when others take fields away. It is part of the hash:
//!   an apply under *our own* manager's name that changes values but no field set shows in nothing else. Within one second even that is
//!   invisible; whoever can do it has write access and forges on purpose.
//! - Any foreign change of a value that we own (edit, patch, replace, forced apply, `scale`) takes the field from our entry. Changing it back
//!   does not give it back, so an edit followed by its exact revert still costs one apply, which restores the entry.
//! - Writing the same value is no change. Additions, status, and other managers' fields do not touch our entry.
//! - Clearing `managedFields` (`[{}]`) removes our entry: drift. An apply on top makes it anew.
//! - A `POST` leaves an `Update` entry beside the `Apply` entry that a later apply makes, and what it owns is never removed by an apply that
//!   drops it. So nothing of ours is ever created by `POST`.
//! - An object on which nobody owns a field (an empty ConfigMap without labels) has no `managedFields` at all; ours always carry labels.
//! - `managedFields` that somebody saved before an edit and put back after it are believed: with two deliberate writes by somebody who may write the
//!   object anyway, drift can be hidden until the next change of what is desired.
//! - A body that does not fit the schema is answered 500 without a reason (see `request`), not 422.

use banhbaoring_pipeline::json::write_canonical;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Hash of the entries of `manager` in `managed_fields` (`Apply` and `Update`, every subresource, with their times), and of what any other manager
/// owns under the `exclusive` pointers. `None` where the manager has no entry: nothing of the object is ours.
pub fn fields_hash(managed_fields: &[Value], manager: &str, exclusive: &[String]) -> Option<String> {
    let mut ours: Vec<Vec<u8>> = managed_fields
        .iter()
        .filter(|entry| text(entry, "manager") == manager)
        .map(|entry| {
            let mut bytes = Vec::with_capacity(512);
            for field in ["operation", "subresource", "apiVersion", "time", "fieldsV1"] {
                written(entry.get(field), &mut bytes);
            }
            bytes
        })
        .collect();
    if ours.is_empty() {
        return None;
    }
    let mut foreign: Vec<Vec<u8>> = exclusive
        .iter()
        .flat_map(|pointer| {
            let others = managed_fields.iter().filter(|entry| text(entry, "manager") != manager);
            others.filter_map(move |entry| {
                let mut bytes = format!("{pointer}\n").into_bytes();
                written(Some(under(entry, pointer)?), &mut bytes);
                Some(bytes)
            })
        })
        .collect();
    ours.sort_unstable();
    foreign.sort_unstable();
    foreign.dedup();
    let mut digest = Sha256::new();
    for entries in [ours, foreign] {
        digest.update(entries.len().to_be_bytes());
        for entry in entries {
            digest.update(entry);
        }
    }
    Some(hex::encode(digest.finalize()))
}

/// A value in a line of its own: what canonical JSON has none of ends it.
fn written(value: Option<&Value>, bytes: &mut Vec<u8>) {
    // A `Vec` takes every write.
    let _ = write_canonical(value.unwrap_or(&Value::Null), bytes);
    bytes.push(b'\n');
}

/// Whether `manager` has applied the object (operation `Apply` on the main resource).
pub fn has_applied(managed_fields: &[Value], manager: &str) -> bool {
    managed_fields
        .iter()
        .any(|entry| text(entry, "manager") == manager && text(entry, "operation") == "Apply" && text(entry, "subresource").is_empty())
}

/// What one entry owns at a pointer, as `fieldsV1`. A number in the pointer stands for the whole list that it indexes.
pub(crate) fn under<'e>(entry: &'e Value, pointer: &str) -> Option<&'e Value> {
    let mut at = entry.get("fieldsV1")?;
    for token in banhbaoring_pipeline::json::tokens(pointer)? {
        match at.get(format!("f:{token}")) {
            Some(below) => at = below,
            None if token.bytes().all(|b| b.is_ascii_digit()) => return Some(at),
            None => return None,
        }
    }
    Some(at)
}

fn text<'e>(entry: &'e Value, field: &str) -> &'e str {
    entry.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(manager: &str, operation: &str, fields: Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    #[test]
    fn only_our_entries_count_and_their_order_does_not() {
        let ours = entry("banhbaoring/db", "Apply", json!({"f:data": {"f:a": {}}}));
        let update = entry("banhbaoring/db", "Update", json!({"f:data": {"f:b": {}}}));
        let other = entry("kubectl", "Update", json!({"f:data": {"f:c": {}}}));
        let alone = fields_hash(&[ours.clone(), update.clone()], "banhbaoring/db", &[]);
        assert!(alone.is_some());
        assert_eq!(alone, fields_hash(&[other.clone(), update, ours.clone()], "banhbaoring/db", &[]));
        assert_ne!(alone, fields_hash(&[ours], "banhbaoring/db", &[]));
        assert_eq!(fields_hash(&[other], "banhbaoring/db", &[]), None);
    }

    #[test]
    fn foreign_fields_count_under_exclusive_pointers_alone() {
        let ours = entry("banhbaoring/db", "Apply", json!({"f:data": {"f:a": {}}}));
        let inside = entry("kubectl", "Update", json!({"f:data": {"f:c": {}}}));
        let outside = entry("kubectl", "Update", json!({"f:metadata": {"f:labels": {"f:x": {}}}}));
        let exclusive = ["/data".to_owned()];
        let clean = fields_hash(std::slice::from_ref(&ours), "banhbaoring/db", &exclusive);
        assert_eq!(clean, fields_hash(&[ours.clone(), outside], "banhbaoring/db", &exclusive));
        assert_ne!(clean, fields_hash(&[ours, inside], "banhbaoring/db", &exclusive));
    }
}
