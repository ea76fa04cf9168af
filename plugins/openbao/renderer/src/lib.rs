//! The plugin that brings the kind `OpenBaoCluster` and renders it.
//!
//! ```text
//! spec ─┐                      ┌─ config   config.hcl, written by hcl
//!       ├─ component ─ cluster ┼─ prepared what is refused, for component and admission alike
//!       │                      ├─ objects  StatefulSet, Services, …
//! seal ─┘                      ├─ secrets  what the host shall make
//!                              ├─ captured how the operator initialises the store, where it shall
//!                              ├─ plugin_catalog which plugins OpenBao knows
//!                              ├─ operation what is done to nodes that run: rollout, scale
//!                              └─ report   what live tells
//! ```
//!
//! Nothing here draws a random number, reads a clock or sees a Secret's value. Unseal providers live in crates of their own: only their
//! answer ([`banhbaoring_sdk::wit::Seal`]) comes in.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

pub mod access;
pub mod admission;
pub mod captured;
pub mod check;
pub mod cluster;
pub mod component;
pub mod config;
pub mod deletion;
pub mod digest;
pub mod expansion;
pub mod hcl;
pub mod image;
pub mod initialization;
pub mod live;
pub mod objects;
pub mod operation;
pub mod permissions;
pub mod plugin_catalog;
pub mod plugin_config;
pub mod prepared;
pub mod report;
pub mod rollout;
pub mod scale;
pub mod secrets;
pub mod told;
pub mod version;

use banhbaoring_sdk::{KindSource, export_plugin};

/// Memory is handed out and never taken back: an instance lives for one call, and a render of a whole store asks for a few MiB in all.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: mini_alloc::MiniAlloc = mini_alloc::MiniAlloc::INIT;

pub use admission::ClusterAdmission;
pub use component::OpenBao;

/// Repository of the image where nobody names one.
pub const DEFAULT_REPOSITORY: &str = "openbao/openbao";

/// Seconds between looks at children: only the clusters themselves are watched.
const POLL_SECONDS: u32 = 30;

/// The kind's definition. One that does not parse is null, which the host refuses by name.
fn definition() -> serde_json::Value {
    serde_json::from_str(banhbaoring_openbao_api::CRD_JSON).unwrap_or_default()
}

export_plugin!(
    name: "openbao",
    summary: "OpenBao clusters with integrated Raft storage that unseal themselves",
    config: plugin_config::PluginConfig,
    components: [OpenBao],
    admissions: [ClusterAdmission],
    kinds: [KindSource::poll(&definition(), POLL_SECONDS)],
    images: {"openbao": "openbao/openbao:2.4.0"},
    permissions: permissions::permissions(),
);
