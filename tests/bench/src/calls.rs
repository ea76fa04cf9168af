//! One call of a real component in a fresh instance, against the same crate compiled natively with the same request.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use banhbaoring_pipeline::ActivePlugin;
use banhbaoring_pipeline::contract::{Failure, Request, Response, Seal, SealRequest};
use banhbaoring_pipeline::render::Render;
use banhbaoring_sandbox::{Module, Modules};
use banhbaoring_sdk::{Plugin, wit};
use banhbaoring_testing::tools::workspace_root;
use serde_json::{Value, json};

use crate::report::{Row, Section};
use crate::samples::{Samples, in_turns, spoken, timed};
use crate::world::{World, pass, unseen};

/// Most that OpenBao's renderer may take, as a multiple of its native run.
const RATIO: f64 = 2.0;
/// Most that a call of a small component may cost beyond its native run, in microseconds.
const OVERHEAD: f64 = 40.0;

pub(crate) fn measure(count: usize) -> Result<Section> {
    let mut section = Section::new("One call of a component, in a fresh instance");
    let world = World::load(&["openbao", "unseal-awskms", "hello"])?;

    let openbao = compared::<banhbaoring_plugin_openbao::Exports>(&world, "openbao", example("examples/production.yaml")?, count)?;
    section.rows.push(
        Row::told(format!("reconcile of openbao ({} objects and Secrets)", openbao.objects), spoken(openbao.sandboxed.p50()))
            .against(format!("natively {}", spoken(openbao.native.p50())))
            .at_most(openbao.sandboxed.p50() / openbao.native.p50(), RATIO, "×"),
    );
    let hello = compared::<banhbaoring_plugin_hello::Exports>(&world, "hello", example("examples/plugins/rust-hello/hello.yaml")?, count)?;
    section.rows.push(
        Row::told(format!("reconcile of hello ({} objects)", hello.objects), spoken(hello.sandboxed.p50()))
            .against(format!("natively {}", spoken(hello.native.p50())))
            .at_most(hello.sandboxed.p50() - hello.native.p50(), OVERHEAD, " µs"),
    );
    let tails = format!("p99: openbao {}, hello {}", spoken(openbao.sandboxed.p99()), spoken(hello.sandboxed.p99()));
    section.note(format!("medians of the CPU time of {count} calls in turns with the native ones; {tails}"));
    section.note("a call is all of it: the request as text into the instance, the instance, the answer parsed and checked");
    Ok(section)
}

struct Compared {
    objects: usize,
    sandboxed: Samples,
    native: Samples,
}

/// The first request that the pipeline makes for an owner, both ways.
fn compared<P: Plugin>(world: &World, plugin: &str, owner: Value, count: usize) -> Result<Compared> {
    let recorder = Recorder { inner: &world.modules, requests: Mutex::default() };
    pass(&world.plugins, &recorder, &unseen(owner, "bench", "6b1f5e0a-0000-4000-8000-000000000009"));
    let requests = recorder.requests.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (asked, request) =
        requests.into_iter().find(|(asked, _)| asked.name == plugin).with_context(|| format!("{plugin} was not asked"))?;
    let module = world.modules.get(&asked.name, &asked.digest).context("the module")?;
    let native = natively(&request)?;

    let answer = answered(module, &request)?;
    let expected = P::reconcile(native.clone()).map_err(|failure| anyhow::anyhow!("{plugin}, natively: {}", failure.message))?;
    let manifests = |texts: Vec<String>| texts.iter().map(|text| serde_json::from_str(text)).collect::<Result<Vec<Value>, _>>();
    let expected_manifests = manifests(expected.objects.iter().map(|object| object.manifest.clone()).collect())?;
    let found: Vec<Value> = answer.objects.iter().map(|object| object.manifest.clone()).collect();
    ensure!(found == expected_manifests, "{plugin} answers differently natively; run cargo xtask plugins");

    let (sandboxed, native) = in_turns(
        count,
        || timed(|| module.reconcile(&request)).0,
        || {
            let request = native.clone();
            timed(|| P::reconcile(request)).0
        },
    );
    Ok(Compared { objects: answer.objects.len() + answer.secrets.len(), sandboxed, native })
}

fn answered(module: &Module, request: &Request) -> Result<Response> {
    module.reconcile(request)?.map_err(|failure| anyhow::anyhow!("{}: {}", failure.reason, failure.message))
}

pub(crate) fn example(path: &str) -> Result<Value> {
    let text = std::fs::read_to_string(workspace_root().join(path)).with_context(|| format!("read {path}"))?;
    serde_yaml::from_str(&text).with_context(|| format!("parse {path}"))
}

/// Keeps the requests that the pipeline makes.
struct Recorder<'a> {
    inner: &'a Modules,
    requests: Mutex<Vec<(ActivePlugin, Request)>>,
}

impl Render for Recorder<'_> {
    fn reconcile(&self, plugin: &ActivePlugin, request: &Request) -> Result<Arc<Response>, Failure> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push((plugin.clone(), request.clone()));
        self.inner.reconcile(plugin, request)
    }

    fn render_seal(&self, plugin: &ActivePlugin, provider: &str, request: &SealRequest) -> Result<Arc<Seal>, Failure> {
        self.inner.render_seal(plugin, provider, request)
    }
}

/// The request in the types of the guest. Both serialise alike but for JSON, which crosses as text, and pairs, which cross as records.
fn natively(request: &Request) -> Result<wit::Request> {
    let mut value = serde_json::to_value(request)?;
    for field in ["owner", "config", "plugin_config", "previous"] {
        as_text(&mut value[field]);
    }
    as_records(&mut value["platform"]["host"]["pod_labels"]);
    for slot in value["slots"].as_array_mut().into_iter().flatten() {
        let seal = &mut slot["filling"]["Seal"];
        as_records(&mut seal["service_account_annotations"]);
        as_records(&mut seal["pod_labels"]);
        if seal["kms_plugin"].is_object() {
            as_records(&mut seal["kms_plugin"]["env"]);
        }
        for secret in seal["secrets"].as_array_mut().into_iter().flatten() {
            as_records(&mut secret["labels"]);
            secret["entries"].as_array_mut().into_iter().flatten().for_each(|entry| as_text(&mut entry["spec"]));
        }
    }
    serde_json::from_value(value).context("the request in the guest's types")
}

fn as_text(value: &mut Value) {
    if !value.is_null() {
        *value = Value::String(value.to_string());
    }
}

fn as_records(value: &mut Value) {
    for pair in value.as_array_mut().into_iter().flatten() {
        *pair = json!({"key": pair[0], "value": pair[1]});
    }
}
