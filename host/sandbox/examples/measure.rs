//! Prints what a call costs: compile, load from the cache, fresh instance and call, memory per plugin. For people; asserts nothing.
//! `cargo run --release -p banhbaoring-sandbox --example measure [component.wasm request.json]`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program for people: it prints, and stops at the first error"
)]

use std::time::{Duration, Instant};

use banhbaoring_hostile::Puppet;
use banhbaoring_pipeline::contract::{Platform, Request};
use banhbaoring_sandbox::{Allocation, CacheKey, CallLimits, CodeCache, EngineSettings, Sandbox, TrustedComponent, golden};
use serde_json::json;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (component, request) = match arguments.as_slice() {
        [component, request] => {
            (std::fs::read(component).unwrap(), Some(serde_json::from_slice(&std::fs::read(request).unwrap()).unwrap()))
        }
        _ => (Puppet::default().component(), None::<serde_json::Value>),
    };
    let component = TrustedComponent::local_file(component);
    let directory = tempfile::tempdir().unwrap();
    for allocation in [Allocation::Pooling, Allocation::OnDemand] {
        let cache = || Some(CodeCache::open(&directory.path().join("code"), CacheKey::new([1; 32])).unwrap());
        let settings = EngineSettings { allocation: Some(allocation), concurrent_calls: 32 };
        let sandbox = Sandbox::new(settings, cache()).unwrap();
        let (compiled, _) = timed(|| sandbox.load(&component, CallLimits::default()).unwrap());
        let (cached, module) = timed(|| sandbox.load(&component, CallLimits::default()).unwrap());
        println!("{allocation:?}: compiled in {compiled:?}, from the cache in {cached:?}");

        let before = resident();
        let kept: Vec<_> = (0..20).map(|_| sandbox.load(&component, CallLimits::default()).unwrap()).collect();
        println!("  20 further modules: {} KiB each", (resident() - before) / 20);
        drop(kept);

        let small = small();
        let answer = || match &request {
            Some(request) => drop(golden::reconcile(&module, request.clone()).unwrap()),
            None => drop(module.reconcile(&small).unwrap().unwrap()),
        };
        (0..200).for_each(|_| answer());
        let mut times: Vec<Duration> = (0..5_000).map(|_| timed(answer).0).collect();
        times.sort();
        println!("  a fresh instance and a call: p50 {:?}, p99 {:?}", times[2_500], times[4_950]);
        let (describing, _) = timed(|| (0..1_000).for_each(|_| drop(module.describe().unwrap())));
        println!("  describe, two instances: {:?}", describing / 1_000);
        println!("  resident: {} KiB", resident());
    }
}

fn small() -> Request {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "b"}});
    let spec = json!({"objects": [object]});
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

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let started = Instant::now();
    let result = work();
    (started.elapsed(), result)
}

/// Resident memory in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
