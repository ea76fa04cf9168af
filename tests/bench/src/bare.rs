//! What an operator is compared with: a loop that applies the same objects with the same client, and does nothing else.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use banhbaoring_pipeline::plan::{MANAGED_BY_LABEL, Write};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use serde_json::Value;

use crate::arrivals::Arrivals;
use crate::world::{World, pass, stack};

/// Owners at a time, and objects of one owner at a time: as the operator has it.
const OWNERS: usize = 16;
const OBJECTS: usize = 8;

/// The bodies that the operator sends for so many stacks, with another's label: an operator that runs beside them does not look at them.
pub(crate) fn manifests(world: &World, namespace: &str, owners: usize) -> Vec<Vec<Value>> {
    let of_one = |index: usize| {
        let plan = pass(&world.plugins, &world.modules, &stack(namespace, &name(index))).plan;
        let manifest = |write| if let Write::Object(write) = write { Some(relabelled(write.manifest)) } else { None };
        plan.steps.into_iter().filter_map(|step| manifest(step.write)).collect()
    };
    (0..owners).map(of_one).collect()
}

fn relabelled(mut manifest: Value) -> Value {
    manifest["metadata"]["labels"][MANAGED_BY_LABEL] = Value::from("bareapplier");
    manifest
}

/// The name of a stack.
pub(crate) fn name(index: usize) -> String {
    format!("s-{index:05}")
}

/// Applies everything; how long it took by the watch.
pub(crate) async fn apply_all(client: &Client, namespace: &str, owners: Vec<Vec<Value>>) -> Result<Arrivals> {
    let count = owners.iter().map(Vec::len).sum();
    let arrivals = Arrivals::begin(client, namespace).await?;
    stream::iter(owners)
        .map(|objects| async move {
            stream::iter(objects)
                .map(|object| async move { apply(client, namespace, &object).await })
                .buffer_unordered(OBJECTS)
                .try_collect::<Vec<_>>()
                .await
        })
        .buffer_unordered(OWNERS)
        .try_collect::<Vec<_>>()
        .await?;
    arrivals.until(count, Duration::from_secs(60)).await?;
    Ok(arrivals)
}

/// Applies one object; how long the request took.
pub(crate) async fn apply(client: &Client, namespace: &str, object: &Value) -> Result<Duration> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).with_context(|| format!("{pointer} of an object"));
    let (group, version) = text("/apiVersion")?.split_once('/').unwrap_or(("", text("/apiVersion")?));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("/kind")?));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let started = Instant::now();
    api.patch(text("/metadata/name")?, &PatchParams::apply("bare").force(), &Patch::Apply(object)).await?;
    Ok(started.elapsed())
}
