//! Deletion of what is no longer desired: only what the inventory holds, only the very object that was observed, never what is kept. The foreground
//! is not waited for: what has finalizers stays in the inventory until it is gone.

use banhbaoring_pipeline::contract::ObjectReference;
use banhbaoring_pipeline::plan::{Plan, Prune};
use banhbaoring_pipeline::report::Mishap;
use futures::StreamExt as _;
use serde_json::Value;

use crate::apply::{Applied, INTENT_ANNOTATION, Ledger};
use crate::cluster::Cluster;
use crate::request::{Answer, ApiError, Endpoint, Propagation, Seen};

/// Deletions of one component that are under way at a time.
const PARALLEL: usize = 8;

/// How one deletion ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// The component that had made it.
    pub component: String,
    /// Which object.
    pub reference: ObjectReference,
    /// How it ended.
    pub outcome: PruneOutcome,
}

/// How a deletion ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PruneOutcome {
    /// It is gone, or was.
    Gone,
    /// It waits for finalizers.
    Terminating,
    /// It is not the one that was observed, or not ours: it was left alone.
    Left(String),
    /// It was not tried.
    Skipped(String),
    /// It was refused.
    Failed(ApiError),
}

impl Pruned {
    pub(crate) fn mishap(&self) -> Option<Mishap> {
        let tell = |reason: &str, message: String, transient| {
            Some(Mishap { component: self.component.clone(), reason: reason.to_owned(), message, transient })
        };
        match &self.outcome {
            PruneOutcome::Gone | PruneOutcome::Terminating => None,
            PruneOutcome::Left(why) => tell("NotPruned", format!("{} was not deleted: {why}", self.reference), true),
            PruneOutcome::Skipped(why) => tell("NotPruned", format!("{} was not deleted: {why}", self.reference), true),
            PruneOutcome::Failed(error) => tell(error.reason(), error.to_string(), error.is_transient()),
        }
    }
}

impl Cluster {
    pub(crate) async fn prune(&self, plan: &Plan, ledger: &mut Ledger, applied: &mut Applied) {
        for prunes in plan.prune.chunk_by(|a, b| a.component == b.component) {
            let before = &*ledger;
            let failed = prunes.first().is_some_and(|prune| applied.has_failed(&prune.component));
            let deletions: Vec<_> = prunes
                .iter()
                .map(|prune| async move {
                    if failed {
                        return (prune, PruneOutcome::Skipped("its component could not be applied".to_owned()));
                    }
                    (prune, self.prune_one(prune, before).await.unwrap_or_else(PruneOutcome::Failed))
                })
                .collect();
            let outcomes = futures::stream::iter(deletions).buffered(PARALLEL).collect::<Vec<_>>().await;
            for (prune, outcome) in outcomes {
                if outcome == PruneOutcome::Gone {
                    ledger.forget(&prune.reference);
                }
                applied.pruned.push(Pruned { component: prune.component.clone(), reference: prune.reference.clone(), outcome });
            }
        }
    }

    async fn prune_one(&self, prune: &Prune, ledger: &Ledger) -> Result<PruneOutcome, ApiError> {
        let Some(entry) = ledger.entry(&prune.reference) else {
            return Ok(PruneOutcome::Left("it is not in the inventory".to_owned()));
        };
        if entry.keep {
            return Ok(PruneOutcome::Left("it is kept".to_owned()));
        }
        let endpoint = Endpoint::find(&self.clients, &self.discovery, Some(&prune.account), &prune.reference).await?;
        if let Some(uid) = &entry.uid {
            if *uid != prune.uid {
                return Ok(PruneOutcome::Left("its uid is not the one that was recorded".to_owned()));
            }
        } else {
            // Only intended: it is ours if it carries the token.
            let Some(object) = endpoint.get(Answer::Metadata).await? else {
                return Ok(PruneOutcome::Gone);
            };
            let seen = Seen::of(&object);
            let token = seen.annotations.get(INTENT_ANNOTATION).and_then(Value::as_str);
            if seen.uid != prune.uid || token.is_none() || token != entry.intent.as_deref() {
                return Ok(PruneOutcome::Left("it is not the one whose creation was intended".to_owned()));
            }
        }
        match endpoint.delete(&prune.uid, Some(&prune.resource_version), Propagation::Background).await {
            Ok(true) | Err(ApiError::NotFound { .. }) => Ok(PruneOutcome::Gone),
            Ok(false) => Ok(PruneOutcome::Terminating),
            Err(ApiError::Conflict { .. }) => Ok(PruneOutcome::Left("it changed since it was observed".to_owned())),
            Err(error) => Err(error),
        }
    }
}
