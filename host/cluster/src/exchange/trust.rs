//! The certificate authority that a server's certificate is judged by.

use banhbaoring_contract::http::TrustRoot;

use super::{Asking, ExchangeError};
use crate::cluster::Cluster;

/// Bytes of a bundle.
const MAX_BUNDLE: usize = 256 << 10;

impl Cluster {
    /// In PEM, from where the request says, read as the plugin's account.
    pub(super) async fn certificates(&self, asking: Asking<'_>, root: &TrustRoot) -> Result<String, ExchangeError> {
        let found = self.trust_root(&asking.plugin.account, asking.namespace()?, root).await?;
        let pem = found.ok_or_else(|| ExchangeError::Missing(format!("tls.ca: there is no {root} yet")))?;
        if pem.len() > MAX_BUNDLE {
            return Err(ExchangeError::Invalid(format!("tls.ca: expected at most {MAX_BUNDLE} bytes, found {}", pem.len())));
        }
        String::from_utf8(pem).map_err(|_| ExchangeError::Invalid(format!("tls.ca: {root} is not text")))
    }
}
