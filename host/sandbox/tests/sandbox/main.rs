//! Plugins of every sort through the real sandbox: what a plugin may rely on, and what a hostile one gets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cached_code;
mod determinism;
mod golden;
mod hostile_answers;
mod hostile_components;
mod hostile_reviews;
mod limits;
mod rendering;

use std::sync::LazyLock;
use std::time::Duration;

use banhbaoring_hostile::Puppet;
use banhbaoring_pipeline::contract::{Json, Platform, Request};
use banhbaoring_sandbox::{Allocation, CallLimits, EngineSettings, Module, Sandbox, TrustedComponent};
use serde_json::json;

static POOLING: LazyLock<Sandbox> = LazyLock::new(|| sandbox(Allocation::Pooling));
static ON_DEMAND: LazyLock<Sandbox> = LazyLock::new(|| sandbox(Allocation::OnDemand));

fn sandbox(allocation: Allocation) -> Sandbox {
    Sandbox::new(EngineSettings { allocation: Some(allocation), concurrent_calls: 4 }, None).unwrap()
}

/// Both ways in which instances are made: what holds for one must hold for the other.
fn sandboxes() -> [&'static Sandbox; 2] {
    [&POOLING, &ON_DEMAND]
}

fn puppet(sandbox: &Sandbox) -> Module {
    load(sandbox, Puppet::default().component(), patient())
}

/// The limits as they are by default, but for the wall clock: a machine that is busy with other tests must not run into it first.
fn patient() -> CallLimits {
    CallLimits { timeout: Duration::from_secs(120), ..CallLimits::default() }
}

fn load(sandbox: &Sandbox, component: Vec<u8>, limits: CallLimits) -> Module {
    sandbox.load(&TrustedComponent::local_file(component), limits).unwrap()
}

/// A request for an owner with this spec.
fn request(spec: Json) -> Request {
    Request {
        owner: json!({"apiVersion": "tests.banhbaoring.io/v1alpha1", "kind": "Puppet", "metadata": {"name": "a"}, "spec": spec}),
        component: "puppet".to_owned(),
        config: spec,
        plugin_config: json!({}),
        previous: None,
        platform: Platform::default(),
        children: Vec::new(),
        inputs: Vec::new(),
        slots: Vec::new(),
        answers: Vec::new(),
        results: Vec::new(),
        deleting: false,
        time: None,
    }
}

fn behaving(behaviour: &str) -> Request {
    request(json!({ "behaviour": behaviour }))
}

fn config_map(name: &str) -> Json {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"text": "a \"{[ b"}})
}
