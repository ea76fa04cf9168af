//! Owners: the custom resources that plugins serve. One controller per kind (`kinds`, `controller`), one reconcile for all of them
//! (`reconcile`): the eight steps of `design/architecture.md`, by name.

mod acts;
mod answers;
mod controller;
mod effects;
mod kinds;
mod memory;
mod outputs;
mod reconcile;
mod removal;
mod runs;
mod steady;

use std::sync::Arc;

use banhbaoring_cluster::Cluster;
use banhbaoring_pipeline::contract::HostIdentity;
use banhbaoring_pipeline::memo::Memo;
use kube::runtime::events::Recorder;

use acts::Acts;
use answers::Answers;
pub use kinds::{OwnerKind, run};
use memory::Memories;
use runs::Runs;

use crate::active::ActivePlugins;
use crate::fence::Fence;
use crate::images::Images;
use crate::metrics::Metrics;

/// What all reconciles share.
pub struct Owners {
    /// The cluster.
    pub cluster: Cluster,
    /// What serves.
    pub active: Arc<ActivePlugins>,
    /// Remembered answers.
    pub memo: Arc<Memo>,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Events, with the host's own account.
    pub recorder: Recorder,
    /// The host, as plugins may name it.
    pub host: HostIdentity,
    /// DNS domain of the cluster.
    pub cluster_domain: String,
    /// Owners of a kind that are reconciled at the same time.
    pub concurrency: u16,
    acts: Acts,
    answers: Answers,
    memories: Memories,
    runs: Arc<Runs>,
}

impl Owners {
    /// What all reconciles share.
    #[allow(clippy::too_many_arguments, reason = "wiring: every part is named once, here")]
    pub(crate) fn new(
        cluster: Cluster,
        active: Arc<ActivePlugins>,
        memo: Arc<Memo>,
        metrics: Arc<Metrics>,
        recorder: Recorder,
        host: HostIdentity,
        cluster_domain: String,
        concurrency: u16,
        fence: Fence,
        images: Images,
    ) -> Self {
        let runs = Arc::<Runs>::default();
        let acts = Acts::new(cluster.clone(), fence, runs.clone());
        let answers = Answers::new(cluster.clone(), images, runs.clone());
        let memories = Memories::default();
        Self { cluster, active, memo, metrics, recorder, host, cluster_domain, concurrency, acts, answers, memories, runs }
    }
}
