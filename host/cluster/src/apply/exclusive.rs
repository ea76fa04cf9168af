//! Pointers that a component marked exclusive: what others added below them is taken away. What is foreign is told by `managedFields`, so defaults
//! of the API server, which nobody owns, stay.

use banhbaoring_pipeline::plan::ObjectWrite;
use serde_json::{Value, json};

use crate::managed_fields::under;
use crate::request::{Answer, ApiError, Endpoint, Seen};

/// More than this in one object is not drift but a fight.
const MAX_REMOVALS: usize = 256;

/// Takes foreign additions away and returns the object as it is then.
pub(super) async fn enforce(endpoint: &Endpoint, write: &ObjectWrite, object: Value) -> Result<Value, ApiError> {
    if write.exclusive.is_empty() {
        return Ok(object);
    }
    let removals = foreign(&object, &write.manager, &write.exclusive);
    if removals.is_empty() {
        return Ok(object);
    }
    let seen = Seen::of(&object);
    let mut operations = vec![json!({"op": "test", "path": "/metadata/resourceVersion", "value": seen.resource_version})];
    operations.extend(removals.iter().map(|path| json!({"op": "remove", "path": path})));
    endpoint.json_patch(&Value::Array(operations), Answer::Whole).await
}

/// Paths in `object` below the pointers that others own and `manager` does not; list items from the back, so that indices stay true.
fn foreign(object: &Value, manager: &str, pointers: &[String]) -> Vec<String> {
    let managed = object.pointer("/metadata/managedFields").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_ours = |entry: &Value| entry.get("manager").and_then(Value::as_str) == Some(manager);
    let mut paths = Vec::new();
    for pointer in pointers {
        let Some(live) = object.pointer(pointer) else { continue };
        let ours: Vec<&Value> = managed.iter().filter(|entry| is_ours(entry)).filter_map(|entry| under(entry, pointer)).collect();
        for theirs in managed.iter().filter(|entry| !is_ours(entry)).filter_map(|entry| under(entry, pointer)) {
            collect(theirs, &ours, live, pointer, &mut paths);
        }
    }
    paths.sort_by_key(|path| std::cmp::Reverse(order(path)));
    paths.dedup();
    paths.truncate(MAX_REMOVALS);
    paths
}

/// Numbers compare as numbers, so that item 10 goes before item 9.
fn order(path: &str) -> Vec<(Option<usize>, String)> {
    path.split('/').map(|token| (token.parse().ok(), token.to_owned())).collect()
}

fn collect(theirs: &Value, ours: &[&Value], live: &Value, path: &str, paths: &mut Vec<String>) {
    let Some(fields) = theirs.as_object() else { return };
    for (field, below) in fields {
        let Some((token, live)) = locate(live, field) else { continue };
        let path = format!("{path}/{}", token.replace('~', "~0").replace('/', "~1"));
        let ours: Vec<&Value> = ours.iter().filter_map(|ours| ours.get(field)).collect();
        if ours.is_empty() {
            paths.push(path);
        } else if ours.iter().any(|ours| ours.as_object().is_some_and(|ours| !ours.is_empty())) {
            collect(below, &ours, live, &path, paths);
        }
    }
}

/// Where a member of `fieldsV1` lies in the live value: `f:name`, `k:{keys}`, `v:value`, `i:index`.
fn locate<'v>(live: &'v Value, field: &str) -> Option<(String, &'v Value)> {
    let (kind, rest) = field.split_once(':')?;
    if kind == "f" {
        return live.get(rest).map(|below| (rest.to_owned(), below));
    }
    let items = live.as_array()?;
    let at = match kind {
        "k" => {
            let keys: Value = serde_json::from_str(rest).ok()?;
            let keys = keys.as_object()?;
            items.iter().position(|item| keys.iter().all(|(key, value)| item.get(key) == Some(value)))?
        }
        "v" => {
            let value: Value = serde_json::from_str(rest).ok()?;
            items.iter().position(|item| *item == value)?
        }
        "i" => rest.parse().ok()?,
        _ => return None,
    };
    items.get(at).map(|item| (at.to_string(), item))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_own_below_the_pointer_goes_and_defaults_stay() {
        let object = json!({
            "metadata": {"managedFields": [
                {"manager": "banhbaoring/db", "fieldsV1": {"f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {".": {}, "f:image": {}, "f:name": {}}}}}},
                {"manager": "kubectl", "fieldsV1": {"f:spec": {"f:containers": {
                    "k:{\"name\":\"a\"}": {"f:tty": {}}, "k:{\"name\":\"x\"}": {".": {}, "f:image": {}, "f:name": {}}, "k:{\"name\":\"y\"}": {".": {}}}, "f:other": {}}}},
            ]},
            "spec": {"other": 1, "containers": [
                {"name": "a", "image": "i", "tty": true, "imagePullPolicy": "Always"}, {"name": "x", "image": "evil"}, {"name": "y"}]},
        });
        let paths = foreign(&object, "banhbaoring/db", &["/spec/containers".to_owned()]);
        assert_eq!(paths, ["/spec/containers/2", "/spec/containers/1", "/spec/containers/0/tty"]);
    }
}
