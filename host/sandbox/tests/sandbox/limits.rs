//! Limits that a Plugin sets, and those of the sandbox as a whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use banhbaoring_hostile::Puppet;
use banhbaoring_sandbox::{Allocation, CallError, CallLimits, EngineSettings, Sandbox, TrustedComponent};

use crate::{POOLING, behaving, load, sandboxes};

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
fn time_that_others_take_does_not_count_as_a_plugins_cpu() {
    let limits = CallLimits { cpu: Duration::from_millis(300), timeout: Duration::from_secs(60), ..CallLimits::default() };
    let busy = Arc::new(AtomicBool::new(true));
    let neighbours: Vec<_> =
        (0..8).map(|_| Arc::clone(&busy)).map(|busy| std::thread::spawn(move || while busy.load(Ordering::Relaxed) {})).collect();
    for sandbox in sandboxes() {
        let module = load(sandbox, Puppet::default().component(), limits);
        let before = cpu_of_this_thread();
        assert_eq!(module.reconcile(&behaving("loop")).unwrap_err(), CallError::OutOfCpu { limit_ms: 300 });
        let used = cpu_of_this_thread().checked_sub(before).unwrap();
        assert!(used >= limits.cpu, "the call was ended after {used:?} of CPU");
    }
    busy.store(false, Ordering::Relaxed);
    neighbours.into_iter().for_each(|neighbour| neighbour.join().unwrap());
}

fn cpu_of_this_thread() -> Duration {
    rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime).try_into().unwrap()
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
