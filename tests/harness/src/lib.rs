//! Finds, starts and stops the real servers that the tests, the demo and the benchmarks run against.
//!
//! Here lives what it takes to have a real etcd, API server, registry or `bao` on a free port and to be sure that it is gone afterwards. What must
//! not live here: anything that asserts about BanhBaoRing itself, and any stand-in for a server.
//!
//! The module [`tools`] needs nothing but the standard library and a hash, because `xtask` compiles it; everything else is behind the feature
//! `servers` (on by default); [`proxy`], [`registry`] and [`sigstore`] also behind one of their own.
//!
//! ```no_run
//! # async fn a_test() -> Result<(), Box<dyn std::error::Error>> {
//! use banhbaoring_testing::{control_plane::ControlPlane, registry::Registry};
//! let cluster = ControlPlane::shared().await?;
//! let namespace = cluster.namespace("drift").await?;
//! let client = cluster.client().await?;
//! let registry = Registry::start().await?;
//! # Ok(())
//! # }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

/// Names the kubeconfig of a control plane that runs already; `ControlPlane::shared` connects to it instead of starting one.
pub const KUBECONFIG_VARIABLE: &str = "BANHBAORING_KUBECONFIG";

pub mod cosign;
pub mod guests;
pub mod tools;

#[cfg(feature = "servers")]
pub mod address;
#[cfg(feature = "servers")]
pub mod bao;
#[cfg(feature = "servers")]
pub mod control_plane;
#[cfg(feature = "servers")]
pub mod dashboard;
#[cfg(feature = "processes")]
mod error;
#[cfg(feature = "processes")]
pub mod http;
#[cfg(feature = "servers")]
pub mod http_server;
#[cfg(feature = "servers")]
pub mod kubectl;
#[cfg(feature = "servers")]
pub mod moto;
#[cfg(feature = "servers")]
pub mod node;
#[cfg(feature = "registries")]
pub mod pki;
#[cfg(feature = "processes")]
pub mod ports;
#[cfg(feature = "proxy")]
pub mod proxy;
#[cfg(feature = "registries")]
pub mod registry;
#[cfg(feature = "processes")]
pub mod scratch;
#[cfg(feature = "processes")]
pub mod server;
#[cfg(feature = "sigstore")]
pub mod sigstore;
#[cfg(feature = "processes")]
pub mod wait;

#[cfg(feature = "processes")]
pub use error::{Error, NotReady, Result};
