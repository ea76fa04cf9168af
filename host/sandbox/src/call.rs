//! One call: a permit, a store, an instance, the limits, and what went wrong in words. Knows no contract version.

use std::cell::Cell;
use std::sync::Arc;

use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Store, Trap, UpdateDeadline};

use crate::engine::{Permits, Runtime};
use crate::error::{CallError, excerpt};
use crate::limits::{CallLimits, GrowthRefused, Limiter};
use crate::meter::{Meter, Spent};

/// What a store holds: the limiter, and nothing that a guest could reach.
pub(crate) struct Guest {
    limiter: Limiter,
}

/// Makes calls into one plugin under its limits.
#[derive(Clone)]
pub(crate) struct Caller {
    runtime: Arc<Runtime>,
    turns: Arc<Permits>,
    pub(crate) limits: CallLimits,
}

impl Caller {
    pub(crate) fn new(runtime: &Arc<Runtime>, limits: CallLimits) -> Self {
        Self { runtime: Arc::clone(runtime), turns: Arc::new(runtime.turns()), limits }
    }

    /// Makes an instance, calls `call` with it and throws it away, whatever came of it: the pool resets memory only when the next instance
    /// is made, and globals and tables of a live one would carry state from owner to owner.
    pub(crate) fn call<T>(
        &self,
        pre: &InstancePre<Guest>,
        call: impl FnOnce(&mut Store<Guest>, &Instance) -> wasmtime::Result<T>,
    ) -> Result<T, CallError> {
        let limits = &self.limits;
        // Declared before the store, so that the slot is free again when the permit is given back.
        let busy = || CallError::Busy { waited_ms: limits.timeout.as_millis() };
        yield_to_the_host();
        let _permit = self.runtime.permit(&self.turns, limits.timeout).ok_or_else(busy)?;
        let mut store = Store::new(&self.runtime.engine, Guest { limiter: Limiter::new(limits.memory) });
        let outcome = (|| {
            store.limiter(|guest| &mut guest.limiter);
            // Before the instance is made: its start functions run under the same limits.
            let meter = Meter::start(limits, &self.runtime.epochs);
            store.set_epoch_deadline(1);
            store.epoch_deadline_callback(move |_| {
                meter.check()?;
                Ok(UpdateDeadline::Continue(1))
            });
            // What comes back is counted while it is copied out, so an answer that is too large is never in the host's memory.
            store.set_hostcall_fuel(limits.response.bytes);
            let instance = pre.instantiate(&mut store)?;
            call(&mut store, &instance)
        })();
        outcome.map_err(|error| self.classify(&error))
    }

    fn classify(&self, error: &wasmtime::Error) -> CallError {
        let limits = &self.limits;
        if let Some(refused) = error.downcast_ref::<GrowthRefused>() {
            return match *refused {
                GrowthRefused::Memory { wanted, limit } => CallError::OutOfMemory { wanted, limit },
                GrowthRefused::Table { .. } => CallError::TooManyResources { detail: refused.to_string() },
            };
        }
        if let Some(spent) = error.downcast_ref::<Spent>() {
            return match spent {
                Spent::Cpu => CallError::OutOfCpu { limit_ms: limits.cpu.as_millis() },
                Spent::Time => CallError::TimedOut { limit_ms: limits.timeout.as_millis() },
            };
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow) => return CallError::StackOverflow,
            Some(
                trap @ (Trap::UnreachableCodeReached
                | Trap::MemoryOutOfBounds
                | Trap::TableOutOfBounds
                | Trap::IndirectCallToNull
                | Trap::BadSignature
                | Trap::IntegerOverflow
                | Trap::IntegerDivisionByZero
                | Trap::BadConversionToInteger),
            ) => return CallError::Trapped { trap: trap.to_string() },
            _ => {}
        }
        let text = format!("{error:#}");
        // The engine gives these two no type of their own; a test of each holds their wording.
        if text.contains("fuel allocated for hostcalls has been exhausted") {
            CallError::ResponseTooLarge { limit: limits.response.bytes }
        } else if text.contains("resource limit exceeded") || error.is::<wasmtime::PoolConcurrencyLimitError>() {
            CallError::TooManyResources { detail: excerpt(&text) }
        } else {
            CallError::Malformed { detail: excerpt(&text) }
        }
    }
}

/// Niceness of threads that run guests.
const NICENESS: i32 = 5;

/// Puts the calling thread behind those that do the host's own work: guests that compute all the time must not keep it from answering,
/// from renewing its Lease first of all. On Linux this is about the thread alone, and there is no way back, which suits threads for calls.
fn yield_to_the_host() {
    thread_local!(static LOWERED: Cell<bool> = const { Cell::new(false) });
    if !LOWERED.replace(true)
        && let Err(error) = rustix::process::setpriority_process(None, NICENESS)
    {
        tracing::debug!(%error, "the priority of a thread for calls was not lowered");
    }
}
