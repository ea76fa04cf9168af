//! Admission: writes of objects that wait for a plugin's verdict on their way into the API server. Pure: what the API server is to ask
//! (`configuration`), which questions a review may ask (`needs`), and what of an answer counts (`verdict`). Serving it is the operator's.
//!
//! Nothing that must hold may rest on it alone: where no answer comes in time, the write goes through.

use crate::contract::{Failure, ReviewRequest, ReviewResponse};
use crate::plugins::ActivePlugin;

/// Calls for verdicts. The sandbox implements it; tests implement it with closures.
pub trait Review {
    /// Asks for a verdict.
    ///
    /// # Errors
    /// As [`crate::render::Render::reconcile`].
    fn review(&self, plugin: &ActivePlugin, request: &ReviewRequest) -> Result<ReviewResponse, Failure>;
}
