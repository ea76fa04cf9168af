//! Objects of any kind as JSON: applied, and waited for by their conditions.

use std::time::Duration;

use anyhow::{Context as _, Result};
use banhbaoring_testing::wait;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::Value;

/// Type, status and reason of a condition.
pub type Wanted<'a> = (&'a str, &'a str, &'a str);

/// The kind of the Plugins of the host.
#[must_use]
pub fn plugins() -> ApiResource {
    resource("plugins.banhbaoring.io", "Plugin")
}

/// A kind whose plural is its name in lower case with an `s`, served as `v1alpha1`.
#[must_use]
pub fn resource(group: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1alpha1", kind), &format!("{}s", kind.to_lowercase()))
}

/// Server-side applies an object.
///
/// # Errors
/// The API server refused.
pub async fn apply(api: &Api<DynamicObject>, object: &Value) -> Result<Value> {
    let name = object["metadata"]["name"].as_str().context("an object without a name")?;
    let applied = api.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(object)).await;
    Ok(serde_json::to_value(applied.with_context(|| format!("apply {name}"))?)?)
}

/// Merges a patch into an object.
///
/// # Errors
/// The API server refused.
pub async fn merge(api: &Api<DynamicObject>, name: &str, patch: &Value) -> Result<Value> {
    let merged = api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
    Ok(serde_json::to_value(merged.with_context(|| format!("patch {name}"))?)?)
}

/// Waits until an object's status is about its current generation and has all of these conditions; gives the object.
///
/// # Errors
/// It did not in time; the error has the conditions that it had.
pub async fn until(api: &Api<DynamicObject>, name: &str, deadline: Duration, wanted: &[Wanted<'_>]) -> Result<Value> {
    let found = wait::until(deadline, format!("{name} to have {wanted:?}"), async || {
        let object = api.get(name).await.map_err(|error| error.to_string())?;
        let object = serde_json::to_value(object).map_err(|error| error.to_string())?;
        let current = object.pointer("/status/observedGeneration") == object.pointer("/metadata/generation");
        let holds = |(kind, status, reason): &Wanted<'_>| {
            condition(&object, kind).is_some_and(|found| found["status"] == **status && found["reason"] == **reason)
        };
        if current && wanted.iter().all(holds) { Ok(object) } else { Err(told(&object)) }
    });
    Ok(found.await?)
}

/// A condition of an object.
#[must_use]
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object.pointer("/status/conditions")?.as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// The message of a condition; empty where there is none.
#[must_use]
pub fn message(object: &Value, kind: &str) -> String {
    condition(object, kind).and_then(|condition| condition["message"].as_str()).unwrap_or_default().to_owned()
}

fn told(object: &Value) -> String {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    let lines = conditions.map(|condition| {
        let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
        format!("{}={} {}: {}", text("type"), text("status"), text("reason"), text("message"))
    });
    let lines: Vec<String> = lines.collect();
    let generations = (object.pointer("/metadata/generation"), object.pointer("/status/observedGeneration"));
    format!("generations {generations:?}, conditions:\n{}", lines.join("\n"))
}
