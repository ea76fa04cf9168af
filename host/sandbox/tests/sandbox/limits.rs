//! Limits that a Plugin sets, and those of the sandbox as a whole.

use std::time::{Duration, Instant};

use banhbaoring_hostile::Puppet;
use banhbaoring_sandbox::{Allocation, CallError, CallLimits, EngineSettings, Sandbox, TrustedComponent};
use serde_json::json;

use crate::{POOLING, behaving, load, request, sandboxes};

#[test]
fn the_wall_clock_ends_what_the_cpu_limit_lets_through() {
    let limits = CallLimits { cpu: Duration::from_secs(60), timeout: Duration::from_millis(100), ..CallLimits::default() };
    for sandbox in sandboxes() {
        let module = load(sandbox, Puppet::default().component(), limits);
        let started = Instant::now();
        assert_eq!(module.reconcile(&behaving("loop")).unwrap_err(), CallError::TimedOut { limit_ms: 100 });
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    }
}

#[test]
fn the_cpu_limit_is_the_same_on_every_run() {
    // Just enough for this request on this component; a limit by time would let it through on one day and not on the other.
    let spec = request(json!({"objects": (0..20).map(|n| crate::config_map(&format!("c{n}"))).collect::<Vec<_>>()}));
    let limits = |ms| CallLimits { cpu: Duration::from_millis(ms), ..CallLimits::default() };
    let enough = (1..100).find(|ms| load(&POOLING, Puppet::default().component(), limits(*ms)).reconcile(&spec).is_ok());
    let module = load(&POOLING, Puppet::default().component(), limits(enough.unwrap()));
    for _ in 0..50 {
        module.reconcile(&spec).unwrap().unwrap();
    }
}

#[test]
fn a_plugin_is_given_the_memory_that_its_limit_says() {
    let with = |memory| CallLimits { memory, ..CallLimits::default() };
    for sandbox in sandboxes() {
        let small = load(sandbox, Puppet::default().component(), with(8 << 20));
        small.describe().unwrap();
        let error = small.reconcile(&behaving("big")).unwrap_err();
        assert!(matches!(error, CallError::OutOfMemory { limit, .. } if limit == 8 << 20), "{error}");
        let large = load(sandbox, Puppet::default().component(), with(32 << 20));
        assert_eq!(large.reconcile(&behaving("big")).unwrap_err().reason(), "ResponseTooLarge");
    }
}

#[test]
fn more_calls_than_instances_wait_for_their_turn() {
    let settings = EngineSettings { allocation: Some(Allocation::Pooling), concurrent_calls: 2 };
    let sandbox = Sandbox::new(settings, None).unwrap();
    let limits = CallLimits { timeout: Duration::from_secs(60), ..CallLimits::default() };
    let module = sandbox.load(&TrustedComponent::local_file(Puppet::default().component()), limits).unwrap();
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..12)
            .map(|n| {
                let module = &module;
                // Memory of every slot is used and dirtied on the way.
                scope.spawn(move || match n % 3 {
                    0 => assert_eq!(module.reconcile(&behaving("bomb")).unwrap_err().reason(), "MemoryLimitExceeded"),
                    _ => assert!(module.reconcile(&behaving("none")).unwrap().is_ok()),
                })
            })
            .collect();
        calls.into_iter().for_each(|call| call.join().unwrap());
    });
}

#[test]
fn the_thread_of_a_call_yields_to_all_others() {
    let niceness = || rustix::process::getpriority_process(None).unwrap();
    let module = load(&POOLING, Puppet::default().component(), CallLimits::default());
    let before = niceness();
    let calling = std::thread::spawn(move || {
        module.reconcile(&behaving("none")).unwrap().unwrap();
        niceness()
    });
    assert_eq!((calling.join().unwrap(), niceness()), (5.max(before), before));
}
