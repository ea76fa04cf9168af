//! Generated Secrets: material is made here, written once, and never logged, returned or given to a plugin.

mod error;
pub(crate) mod material;

use banhbaoring_pipeline::plan::{SecretWrite, Step};

pub use error::SecretError;

use crate::apply::{Done, Ledger, StepError};
use crate::cluster::Cluster;

impl Cluster {
    pub(crate) async fn write_secret(&self, step: &Step, write: &SecretWrite, ledger: &Ledger) -> Result<Done, StepError> {
        let _ = (step, write, ledger);
        Err(SecretError::Unsupported { generator: "any".to_owned(), message: "not yet".to_owned() }.into())
    }
}
