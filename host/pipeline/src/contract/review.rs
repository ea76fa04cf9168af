//! What a plugin is asked about a write that waits for its verdict, and what it answers.

use serde::{Deserialize, Serialize};

use super::{Answer, Json, Need, Operation, Platform};

/// One write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReviewRequest {
    /// What is done.
    pub operation: Operation,
    /// `group/Kind`.
    pub kind: String,
    /// As it shall be; absent where it is deleted.
    pub object: Option<Json>,
    /// As it is; absent where it is created.
    pub old_object: Option<Json>,
    /// Name of who writes.
    pub user: String,
    /// Their groups.
    pub groups: Vec<String>,
    /// Nothing will be stored.
    pub dry_run: bool,
    /// Sorted by id.
    pub answers: Vec<Answer>,
    /// The cluster.
    pub platform: Platform,
    /// `Plugin.spec.config`.
    pub plugin_config: Json,
}

/// A verdict.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReviewResponse {
    /// The write may go on.
    pub allowed: bool,
    /// Why not, and what to do next.
    pub message: String,
    /// For who writes.
    pub warnings: Vec<String>,
    /// Changes, in this order.
    pub patches: Vec<ReviewPatch>,
    /// Questions to be answered first.
    pub needs: Vec<Need>,
}

/// A change of one place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReviewPatch {
    /// JSON pointer.
    pub path: String,
    /// Absent removes.
    pub value: Option<Json>,
}
