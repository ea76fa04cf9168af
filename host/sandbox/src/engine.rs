//! The engine: one configuration for all plugins, deterministic, with the pooling allocator where the address space allows it, the
//! ticker behind the limits of CPU and time, and the permits in front of the pool. No plugin is known here.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wasmtime::{Config, Enabled, Engine, EngineWeak, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use crate::limits::{CORE_INSTANCES, CallLimits, MEMORIES, TABLE_ELEMENTS, TABLES};
use crate::meter::{EPOCH, Epochs};

/// Stack of a guest. Calls run on threads of at least 2 MiB; the rest is for the host's side of the call.
const WASM_STACK: usize = 512 << 10;

/// Memory of a slot that is zeroed in place instead of given back to the kernel between two calls: all that a render of some 20 objects writes. Without it
/// the page faults are a quarter of such a call and half of a small one. A guest of Rust begins with 1 MiB of stack, hence as much again.
const KEEP_RESIDENT: usize = 2 << 20;

/// The engine cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The configuration does not fit this machine.
    #[error("the WebAssembly engine cannot be configured on this machine: {0}")]
    Configuration(String),
    /// The ticker's thread cannot be started.
    #[error("the thread behind the wall-clock limit cannot be started: {0}; raise the limit of threads")]
    Ticker(#[source] std::io::Error),
}

/// Where instances come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocation {
    /// A pool that is reserved once: instances cost no system call.
    Pooling,
    /// Mapped for each call, with explicit bounds checks: works in any address space.
    OnDemand,
}

/// How the engine is set up.
#[derive(Debug, Clone, Copy)]
pub struct EngineSettings {
    /// Where instances come from; absent: the pool where it can be reserved, else on demand.
    pub allocation: Option<Allocation>,
    /// Calls at the same time; more wait for a free instance.
    pub concurrent_calls: u32,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self { allocation: None, concurrent_calls: 32 }
    }
}

fn processors() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX))
}

/// The engine with what surrounds it. Shared by every module.
pub(crate) struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) allocation: Allocation,
    pub(crate) epochs: Epochs,
    permits: Permits,
    calls: u32,
}

impl Runtime {
    pub(crate) fn new(settings: EngineSettings) -> Result<Arc<Self>, EngineError> {
        let calls = settings.concurrent_calls.clamp(1, 1_000);
        let (engine, allocation) = match settings.allocation {
            Some(allocation) => (Engine::new(&config(allocation, calls)).map_err(configuration)?, allocation),
            None => match Engine::new(&config(Allocation::Pooling, calls)) {
                Ok(engine) => (engine, Allocation::Pooling),
                Err(error) => {
                    tracing::warn!(%error, "the instance pool cannot be reserved; instances are allocated on demand");
                    (Engine::new(&config(Allocation::OnDemand, calls)).map_err(configuration)?, Allocation::OnDemand)
                }
            },
        };
        let epochs = Epochs::default();
        start_ticker(engine.weak(), epochs.clone())?;
        Ok(Arc::new(Self { engine, allocation, epochs, permits: Permits::new(calls), calls }))
    }

    /// The turns of one plugin: as many as there are processors, since calls do nothing but compute, and never all permits, so that a plugin
    /// whose calls do not end leaves instances to the others.
    pub(crate) fn turns(&self) -> Permits {
        Permits::new(processors().min(self.calls.saturating_sub(1)).max(1))
    }

    /// Waits for one of the plugin's `turns` and then for the right to have an instance, at most for `timeout` in all.
    pub(crate) fn permit<'a>(&'a self, turns: &'a Permits, timeout: Duration) -> Option<[Permit<'a>; 2]> {
        let deadline = Instant::now() + timeout;
        let turn = turns.acquire(deadline)?;
        Some([turn, self.permits.acquire(deadline)?])
    }
}

#[allow(clippy::needless_pass_by_value, reason = "its use as a function of `map_err`")]
fn configuration(error: wasmtime::Error) -> EngineError {
    EngineError::Configuration(format!("{error:#}"))
}

fn config(allocation: Allocation, calls: u32) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // Left on, the bookkeeping of concurrent tasks costs several times the call itself.
        .concurrency_support(false)
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .shared_memory(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_shared_everything_threads(false)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK)
        // Nobody unwinds through guests or reads their backtraces, and compiled code is most of what a plugin costs in memory.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .native_unwind_info(false)
        .debug_symbols(false);
    match allocation {
        Allocation::Pooling => {
            let mut pool = PoolingAllocationConfig::new();
            pool.total_component_instances(calls)
                .total_core_instances(calls * CORE_INSTANCES)
                .total_memories(calls * MEMORIES)
                .total_tables(calls * TABLES)
                .max_core_instances_per_component(CORE_INSTANCES)
                .max_memories_per_component(MEMORIES)
                .max_tables_per_component(TABLES)
                .max_tables_per_module(TABLES)
                .table_elements(TABLE_ELEMENTS)
                .max_memory_size(CallLimits::MAX_MEMORY)
                // Slots that no call needs at the moment are reused rather than kept warm for each plugin.
                .max_unused_warm_slots(calls.min(8))
                .linear_memory_keep_resident(KEEP_RESIDENT)
                // Where the kernel can tell (Linux 6.7), only what a call has written is zeroed and kept; else the lowest part, whatever is in it.
                .pagemap_scan(Enabled::Auto)
                .table_keep_resident(16 << 10);
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        }
        Allocation::OnDemand => {
            // Whoever cannot reserve the pool cannot reserve 4 GiB a memory either. What most plugins may have is: growing by copying costs CPU.
            config
                .allocation_strategy(InstanceAllocationStrategy::OnDemand)
                .memory_reservation(0)
                .memory_guard_size(0)
                .memory_reservation_for_growth(64 << 20);
        }
    }
    config
}

/// Advances the epoch until the engine is gone. The handle is weak, so that the thread does not keep the engine alive.
fn start_ticker(engine: EngineWeak, epochs: Epochs) -> Result<(), EngineError> {
    std::thread::Builder::new()
        .name("sandbox-epoch".to_owned())
        .spawn(move || {
            loop {
                std::thread::sleep(EPOCH);
                match engine.upgrade() {
                    Some(engine) => {
                        epochs.advance();
                        engine.increment_epoch();
                    }
                    None => break,
                }
            }
        })
        .map(drop)
        .map_err(EngineError::Ticker)
}

/// Counts what is free, instances or turns: an exhausted pool is an error, waiting for a turn is not. Who came first is first, or plugins
/// with many calls would overtake those with one.
pub(crate) struct Permits {
    state: Mutex<Queue>,
    moved: Condvar,
}

struct Queue {
    free: u32,
    next: u64,
    waiting: VecDeque<u64>,
}

impl Permits {
    fn new(free: u32) -> Self {
        Self { state: Mutex::new(Queue { free, next: 0, waiting: VecDeque::new() }), moved: Condvar::new() }
    }

    fn acquire(&self, deadline: Instant) -> Option<Permit<'_>> {
        let mut queue = self.lock();
        let ticket = queue.next;
        queue.next += 1;
        queue.waiting.push_back(ticket);
        loop {
            if queue.free > 0 && queue.waiting.front() == Some(&ticket) {
                queue.waiting.pop_front();
                queue.free -= 1;
                self.moved.notify_all();
                return Some(Permit(self));
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                queue.waiting.retain(|waiting| *waiting != ticket);
                self.moved.notify_all();
                return None;
            };
            (queue, _) = self.moved.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to have one of what is counted.
pub(crate) struct Permit<'a>(&'a Permits);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.lock().free += 1;
        self.0.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime(concurrent_calls: u32) -> Arc<Runtime> {
        Runtime::new(EngineSettings { allocation: Some(Allocation::OnDemand), concurrent_calls }).unwrap()
    }

    #[test]
    fn a_permit_is_waited_for_and_given_back() {
        let permits = Permits::new(1);
        let soon = || Instant::now() + Duration::from_secs(30);
        let held = permits.acquire(soon()).unwrap();
        assert!(permits.acquire(Instant::now()).is_none());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| permits.acquire(soon()).is_some());
            drop(held);
            assert!(waiting.join().unwrap());
        });
        assert!(permits.acquire(soon()).is_some());
    }

    #[test]
    fn who_came_first_is_first_and_who_gave_up_holds_up_nobody() {
        let permits = Permits::new(1);
        let soon = || Instant::now() + Duration::from_secs(30);
        let held = permits.acquire(soon()).unwrap();
        let order = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let gives_up = scope.spawn(|| permits.acquire(Instant::now() + Duration::from_millis(50)).is_none());
            while permits.lock().next < 2 {
                std::thread::yield_now();
            }
            for number in 0..4_u64 {
                scope.spawn({
                    let (permits, order) = (&permits, &order);
                    move || {
                        let _permit = permits.acquire(soon()).unwrap();
                        order.lock().unwrap().push(number);
                    }
                });
                // One after the other, whether or not the first has given up by now.
                while permits.lock().next < number + 3 {
                    std::thread::yield_now();
                }
            }
            assert!(gives_up.join().unwrap());
            drop(held);
        });
        assert_eq!(order.into_inner().unwrap(), [0, 1, 2, 3]);
    }

    #[test]
    fn a_plugin_whose_calls_do_not_end_leaves_instances_to_the_others() {
        for concurrent_calls in [2, 3, 8, 32] {
            let runtime = runtime(concurrent_calls);
            let (greedy, other) = (runtime.turns(), runtime.turns());
            let held: Vec<_> = std::iter::from_fn(|| runtime.permit(&greedy, Duration::ZERO)).collect();
            assert!(!held.is_empty());
            assert!(runtime.permit(&other, Duration::ZERO).is_some(), "{} of {concurrent_calls} are held", held.len());
            drop(held);
            assert!(runtime.permit(&greedy, Duration::ZERO).is_some());
        }
    }

    #[test]
    fn who_waits_for_an_instance_in_vain_gives_the_turn_back() {
        let runtime = runtime(1);
        let (first, second) = (runtime.turns(), runtime.turns());
        let held = runtime.permit(&first, Duration::ZERO);
        assert!(runtime.permit(&second, Duration::ZERO).is_none());
        drop(held);
        assert!(runtime.permit(&second, Duration::ZERO).is_some());
    }

    #[test]
    fn the_ticker_ends_with_its_engine() {
        let runtime = runtime(1);
        let weak = runtime.engine.weak();
        drop(runtime);
        let deadline = Instant::now() + Duration::from_secs(10);
        while weak.upgrade().is_some() {
            assert!(Instant::now() < deadline, "somebody still holds the engine");
            std::thread::yield_now();
        }
    }
}
