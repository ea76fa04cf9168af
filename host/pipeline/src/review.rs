//! Admission: writes of objects that wait for a plugin's verdict on their way into the API server. Pure: what the API server is to ask
//! (`configuration`), how it asks (`question`) and what of an answer counts (`verdict`); which questions a review may ask is [`crate::admit::admit_review`]'s. Serving it is
//! the operator's.
//!
//! Nothing that must hold may rest on it alone: where no answer comes in time, the write goes through.

mod configuration;
mod question;
#[cfg(test)]
mod tests;
mod verdict;

pub use configuration::{Configuration, ConfigurationInput, Reach, configuration, name};
pub use question::{Question, Unreadable, allowed, denied};
pub use verdict::{Verdict, verdict};

use banhbaoring_api::plugin::NamespacedName;

use crate::contract::{AdmissionDescriptor, Failure, Operation, ReviewRequest, ReviewResponse};
use crate::plugins::ActivePlugin;

/// Times that a plugin is asked about one write: the first, and once for each set of answers.
pub const MAX_ROUNDS: usize = 4;

/// Calls for verdicts. The sandbox implements it; tests implement it with closures.
pub trait Review {
    /// Asks for a verdict.
    ///
    /// # Errors
    /// As [`crate::render::Render::reconcile`].
    fn review(&self, plugin: &ActivePlugin, request: &ReviewRequest) -> Result<ReviewResponse, Failure>;
}

/// One write, as the API server tells of it.
#[derive(Debug, Clone, Copy)]
pub struct Write<'a> {
    /// `group/Kind`.
    pub kind: &'a str,
    /// What is done.
    pub operation: Operation,
    /// Namespace of the object; absent for cluster-scoped ones.
    pub namespace: Option<&'a str>,
    /// Who writes.
    pub user: &'a str,
}

/// The admission of `plugin` that has to judge this write. `None` where it has none, where it may not serve that namespace, or where the host writes,
/// itself or for this plugin: who waits for itself is locked out.
pub fn judging<'p>(plugin: &'p ActivePlugin, host: &NamespacedName, write: &Write<'_>) -> Option<&'p AdmissionDescriptor> {
    if [host, &plugin.account].iter().any(|account| user(account) == write.user) {
        return None;
    }
    let judges = |admission: &&AdmissionDescriptor| {
        admission.kind == write.kind && admission.operations.contains(&write.operation) && is_granted(plugin, admission)
    };
    plugin.descriptor.admissions.iter().find(judges).filter(|_| plugin.may_serve(write.namespace))
}

/// What was granted may have been cut since it was activated.
fn is_granted(plugin: &ActivePlugin, admission: &AdmissionDescriptor) -> bool {
    plugin.grants.admission.iter().any(|grant| crate::describe::admission_is_granted(grant, admission))
}

/// The name under which an account's requests come.
fn user(account: &NamespacedName) -> String {
    format!("system:serviceaccount:{}:{}", account.namespace, account.name)
}
