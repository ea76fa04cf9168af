//! What serves is asked about writes. That it is not keeps nothing from serving: a condition of its own tells.

use std::time::Duration;

use banhbaoring_api::plugin::Plugin;
use banhbaoring_pipeline::ActivePlugin;
use tracing::warn;

use super::{Lifecycle, Progress};
use crate::admission::withdraw;

/// When it is tried again to tell the API server.
const RETRY: Duration = Duration::from_secs(30);

impl Lifecycle {
    /// From now on the API server asks `serving` about writes, if it judges any. Returns when to look again at the latest.
    pub(super) async fn configure_admission(&self, plugin: &Plugin, serving: &ActivePlugin, progress: &mut Progress) -> Duration {
        let Some(admission) = &self.admission else { return self.withdraw_admission(serving, progress).await };
        let Some(uid) = &plugin.metadata.uid else { return Duration::MAX };
        if serving.descriptor.admissions.is_empty() && !progress.knows_of_admission() {
            return Duration::MAX;
        }
        let told = admission.configure(serving, uid).await;
        progress.admission(told.as_ref());
        match told.filter(|told| !told.served) {
            Some(told) => {
                warn!(plugin = %serving.name, reason = told.reason, message = %told.message, "writes are not judged");
                RETRY
            }
            None => Duration::MAX,
        }
    }

    /// Switched off, and what was told before would go on.
    async fn withdraw_admission(&self, serving: &ActivePlugin, progress: &mut Progress) -> Duration {
        if !progress.knows_of_admission() {
            return Duration::MAX;
        }
        match withdraw(&self.cluster, &serving.name).await {
            Ok(()) => {
                progress.admission(None);
                Duration::MAX
            }
            Err(error) => {
                warn!(plugin = %serving.name, %error, "the API server still asks about writes, although nobody answers any more");
                RETRY
            }
        }
    }
}
