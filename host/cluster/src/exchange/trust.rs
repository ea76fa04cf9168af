//! The certificate authority that a server's certificate is judged by.

use banhbaoring_contract::http::TrustRoot;
use banhbaoring_pipeline::contract::ObjectReference;
use serde_json::Value;

use super::{Asking, ExchangeError};
use crate::cluster::Cluster;
use crate::request::{Answer, Endpoint};

/// Bytes of a bundle.
const MAX_BUNDLE: usize = 256 << 10;

impl Cluster {
    /// In PEM, from where the request says, read as the plugin's account.
    pub(super) async fn trust_root(&self, asking: Asking<'_>, root: &TrustRoot) -> Result<String, ExchangeError> {
        let pem = match root {
            TrustRoot::Secret(from) => self.secret_value(asking, &from.secret, &from.key).await?,
            TrustRoot::ConfigMap(from) => {
                let reference = ObjectReference {
                    api_version: "v1".to_owned(),
                    kind: "ConfigMap".to_owned(),
                    namespace: Some(asking.namespace()?.to_owned()),
                    name: from.config_map.clone(),
                };
                let endpoint = Endpoint::find(&self.clients, &self.discovery, Some(&asking.plugin.account), &reference).await?;
                let found = endpoint.get(Answer::Whole).await?;
                let value = found.as_ref().and_then(|object| object.get("data")?.get(&from.key)).and_then(Value::as_str);
                value.map(ToOwned::to_owned).ok_or_else(|| {
                    ExchangeError::Missing(format!("tls.ca: there is no key {} in ConfigMap {} yet", from.key, from.config_map))
                })?
            }
        };
        if pem.len() > MAX_BUNDLE {
            return Err(ExchangeError::Invalid(format!("tls.ca: expected at most {MAX_BUNDLE} bytes, found {}", pem.len())));
        }
        Ok(pem)
    }
}
