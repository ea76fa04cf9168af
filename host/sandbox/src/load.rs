//! From bytes that may be trusted to a [`Module`] that can be called: inspect, compile (or take from the cache), link with nothing.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use wasmtime::component::{Component, Linker};

use crate::cache::CodeCache;
use crate::call::Caller;
use crate::complexity;
use crate::engine::{Allocation, EngineError, EngineSettings, Runtime};
use crate::error::excerpt;
use crate::inspect::inspect;
use crate::limits::CallLimits;
use crate::module::{Module, TrustedComponent};
use crate::version::Versioned;

/// Largest component that is compiled: several times the largest known toolchain's.
const MAX_COMPONENT: usize = 64 << 20;

/// Why a component cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The bytes are not those that were verified.
    #[error("the component's digest is {found}, {expected} was verified; pull the artifact again")]
    DigestMismatch {
        /// As verified.
        expected: String,
        /// Of the bytes.
        found: String,
    },
    /// The component is larger than any that is compiled.
    #[error("the component has {size} bytes, at most {limit} are compiled; build it without debug information")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Compiling it would take longer, or more memory, than any component is worth.
    #[error("the component has {found} {what}, at most {limit} are compiled; build it with optimisation, and split what is generated")]
    TooComplex {
        /// Of what.
        what: &'static str,
        /// At least so much.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A core module, or something else that is WebAssembly but no component.
    #[error("expected a WebAssembly component, found a core module; encode it with `banhbaoring plugin build` or wit-component")]
    NotAComponent,
    /// Not WebAssembly, or not valid.
    #[error("the component is not valid: {detail}")]
    Invalid {
        /// The engine's description.
        detail: String,
    },
    /// It imports something.
    #[error("a plugin imports nothing, this one imports {count}: {imports}; build it for wasm32-unknown-unknown, without WASI")]
    ForbiddenImports {
        /// The first of them.
        imports: String,
        /// How many.
        count: usize,
    },
    /// It does not export the metadata interface.
    #[error("expected an export of banhbaoring:plugin/metadata, found {exports}; the component is not a plugin of this host")]
    MissingMetadata {
        /// The first exports.
        exports: String,
    },
    /// It speaks another version of the contract.
    #[error("the plugin speaks {found}, this host speaks {supported}; rebuild the plugin or upgrade the host")]
    UnsupportedContract {
        /// The metadata export.
        found: String,
        /// What is spoken.
        supported: &'static str,
    },
    /// An export does not have the contract's type.
    #[error("{interface} is exported with other types than the contract's: {detail}")]
    WrongType {
        /// Which interface.
        interface: &'static str,
        /// The engine's description.
        detail: String,
    },
}

impl LoadError {
    /// CamelCase, bounded: for conditions and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::DigestMismatch { .. } => "DigestMismatch",
            Self::TooLarge { .. } => "ComponentTooLarge",
            Self::TooComplex { .. } => "ComponentTooComplex",
            Self::NotAComponent => "NotAComponent",
            Self::Invalid { .. } => "InvalidComponent",
            Self::ForbiddenImports { .. } => "ForbiddenImports",
            Self::MissingMetadata { .. } => "MissingMetadata",
            Self::UnsupportedContract { .. } => "UnsupportedContract",
            Self::WrongType { .. } => "WrongInterfaceType",
        }
    }

    pub(crate) fn invalid(error: &impl std::fmt::Display) -> Self {
        Self::Invalid { detail: excerpt(&format!("{error:#}")) }
    }
}

/// The engine and the cache: loads components. One per process; cheap to share.
#[derive(Clone)]
pub struct Sandbox {
    runtime: Arc<Runtime>,
    cache: Option<Arc<CodeCache>>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("allocation", &self.allocation()).field("cache", &self.cache).finish()
    }
}

impl Sandbox {
    /// Makes the engine. Without a cache every load compiles.
    ///
    /// # Errors
    /// If the engine cannot be configured on this machine.
    pub fn new(settings: EngineSettings, cache: Option<CodeCache>) -> Result<Self, EngineError> {
        Ok(Self { runtime: Runtime::new(settings)?, cache: cache.map(Arc::new) })
    }

    /// Where instances come from on this machine.
    pub fn allocation(&self) -> Allocation {
        self.runtime.allocation
    }

    /// The cache of compiled code, if there is one.
    pub fn cache(&self) -> Option<&CodeCache> {
        self.cache.as_deref()
    }

    /// Makes a component callable. Takes as long as compiling takes unless the cache has it: not for an async worker.
    ///
    /// # Errors
    /// If it is no component, imports anything, or does not speak the contract.
    pub fn load(&self, component: &TrustedComponent, limits: CallLimits) -> Result<Module, LoadError> {
        let bytes = component.bytes();
        if bytes.len() > MAX_COMPONENT {
            return Err(LoadError::TooLarge { size: bytes.len(), limit: MAX_COMPONENT });
        }
        let inspected = inspect(bytes)?;
        let compiled = self.compile(component)?;
        // Links against an empty linker: even an import that `inspect` had missed would have nothing behind it.
        let pre = Linker::new(&self.runtime.engine).instantiate_pre(&compiled).map_err(|e| LoadError::invalid(&e))?;
        let versioned = Versioned::new(inspected.version, pre)?;
        let caller = Caller::new(&self.runtime, limits);
        Ok(Module::new(component, inspected, versioned, caller))
    }

    /// Loads several components side by side, on at most as many threads as there are processors, and reports each as soon as it is there:
    /// the first is usable while the last still compiles.
    pub fn load_all(&self, components: &[(TrustedComponent, CallLimits)], loaded: impl Fn(usize, Result<Module, LoadError>) + Sync) {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(components.len());
        let next = Mutex::new(0..components.len());
        let work = || {
            loop {
                let index = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(index) = index else { break };
                if let Some((component, limits)) = components.get(index) {
                    loaded(index, self.load(component, *limits));
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
    }

    fn compile(&self, component: &TrustedComponent) -> Result<Component, LoadError> {
        let engine = &self.runtime.engine;
        if let Some(cache) = &self.cache
            && let Some(compiled) = cache.get(engine, component.digest_bytes())
        {
            return Ok(compiled);
        }
        complexity::check(component.bytes())?;
        let compiled = Component::from_binary(engine, component.bytes()).map_err(|e| LoadError::invalid(&e))?;
        if let Some(cache) = &self.cache {
            cache.put(engine, component.digest_bytes(), &compiled);
        }
        Ok(compiled)
    }
}
