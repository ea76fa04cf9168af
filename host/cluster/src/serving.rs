//! The certificate that the host shows to an API server that asks it: made by the host, kept in a Secret of its own, made anew before it ends. The
//! authority keeps its key, so that whoever trusts its older certificate trusts what it signs now.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use banhbaoring_contract::generator::{self, Ca, CaSource, Certificate, CertificateUsage, GeneratorSpec as _, KeyAlgorithm};
use banhbaoring_pipeline::contract::{GeneratedSecret, ObjectReference, SecretClass, SecretEntry};
use banhbaoring_pipeline::plan::{MANAGED_BY, MANAGED_BY_LABEL};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tracing::warn;

use crate::apply::{creation, set_metadata};
use crate::cluster::Cluster;
use crate::request::{Answer, ApiError, Endpoint, Seen};
use crate::secret::generate::{self, Made, Source};
use crate::secret::{SecretError, material};

/// Field manager of the Secret.
const MANAGER: &str = "banhbaoring/serving";
/// 90 days, as is usual for certificates that renew themselves; 30 of them remain at renewal.
const VALID_DAYS: u32 = 90;
const AUTHORITY_VALID_DAYS: u32 = 3650;
const RENEW_BEFORE_SECONDS: u32 = 30 * 86_400;

const AUTHORITY_KEY: &str = "ca.key";
const AUTHORITY: &str = "ca.crt";
const KEY: &str = "tls.key";
const CERTIFICATE: &str = "tls.crt";

/// By which names a certificate is to be good.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServedAs {
    /// DNS names; the first one is the common name too.
    pub dns_names: Vec<String>,
    /// IP addresses.
    pub ip_addresses: Vec<String>,
}

/// A certificate, the key to it, and whose signature it carries. All PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct ServingCertificate {
    /// Of the authority; what an API server is told to trust.
    pub authority: Vec<u8>,
    /// What is shown.
    pub certificate: Vec<u8>,
    /// The private key.
    pub key: Vec<u8>,
}

impl std::fmt::Debug for ServingCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServingCertificate")
    }
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum ServingError {
    /// It cannot be read or written.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// It cannot be made.
    #[error(transparent)]
    Made(#[from] SecretError),
}

impl Cluster {
    /// The certificate in the Secret `name` of the host's namespace, as it is, whatever it holds; `None` where there is none that is whole.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn serving_certificate(&self, namespace: &str, name: &str) -> Result<Option<ServingCertificate>, ServingError> {
        let endpoint = self.serving_endpoint(namespace, name).await?;
        Ok(endpoint.get(Answer::Whole).await?.and_then(|secret| certificate_of(material::values_of(&secret))))
    }

    /// The same; made where it is missing, due or good for other names. What cannot be read as what it should be is made anew: nothing is lost by that.
    ///
    /// # Errors
    /// It cannot be read, made or written; among them that another replica wrote it at the same time.
    pub async fn keep_serving_certificate(
        &self,
        namespace: &str,
        name: &str,
        served_as: &ServedAs,
    ) -> Result<Option<ServingCertificate>, ServingError> {
        let endpoint = self.serving_endpoint(namespace, name).await?;
        let live = endpoint.get(Answer::Whole).await?;
        let existing = live.as_ref().map(material::values_of).unwrap_or_default();
        let secret = described(name, served_as);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let make = |existing: &BTreeMap<String, Vec<u8>>| {
            generate::make(&secret, existing, &BTreeMap::new(), &mut Source { random: &mut rand::rng(), now })
        };
        let Made { values, .. } = match make(&existing) {
            Err(error) if !existing.is_empty() => {
                warn!(secret = name, %error, "the host's own certificate is not usable; making it anew");
                make(&BTreeMap::new())?
            }
            made => made?,
        };
        if values != existing {
            let data: BTreeMap<&String, String> = values.iter().map(|(key, value)| (key, STANDARD.encode(value))).collect();
            let metadata = json!({"name": name, "namespace": namespace});
            let mut manifest = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data});
            match &live {
                // Nothing but the data: the rest is whose who made it, a chart for one. With the version that was read: whoever was faster wins, and both
                // show the same.
                Some(live) => set_metadata(&mut manifest, "resourceVersion", json!(Seen::of(live).resource_version)),
                None => {
                    set_metadata(&mut manifest, "labels", json!({MANAGED_BY_LABEL: MANAGED_BY}));
                    manifest = creation(&manifest, None);
                }
            }
            endpoint.apply(&manifest, MANAGER, Answer::Metadata).await?;
        }
        Ok(certificate_of(values))
    }

    async fn serving_endpoint(&self, namespace: &str, name: &str) -> Result<Endpoint, ApiError> {
        let reference = ObjectReference {
            api_version: "v1".to_owned(),
            kind: "Secret".to_owned(),
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        };
        Endpoint::find(&self.clients, &self.discovery, None, &reference).await
    }
}

fn certificate_of(mut values: BTreeMap<String, Vec<u8>>) -> Option<ServingCertificate> {
    Some(ServingCertificate { authority: values.remove(AUTHORITY)?, certificate: values.remove(CERTIFICATE)?, key: values.remove(KEY)? })
}

fn described(name: &str, served_as: &ServedAs) -> GeneratedSecret {
    let entry = |key: &str, generator: &str, spec: Value| SecretEntry { key: key.to_owned(), generator: generator.to_owned(), spec };
    let authority = Ca {
        common_name: format!("{name} authority"),
        valid_days: AUTHORITY_VALID_DAYS,
        algorithm: KeyAlgorithm::EcdsaP256,
        certificate: AUTHORITY.to_owned(),
    };
    let certificate = Certificate {
        common_name: served_as.dns_names.first().cloned().unwrap_or_else(|| name.to_owned()),
        dns_names: served_as.dns_names.clone(),
        ip_addresses: served_as.ip_addresses.clone(),
        uris: Vec::new(),
        usages: vec![CertificateUsage::Server],
        valid_days: VALID_DAYS,
        algorithm: KeyAlgorithm::EcdsaP256,
        certificate: CERTIFICATE.to_owned(),
        ca_certificate: None,
        ca: CaSource { secret: name.to_owned(), private_key: AUTHORITY_KEY.to_owned(), certificate: AUTHORITY.to_owned() },
    };
    GeneratedSecret {
        name: name.to_owned(),
        class: SecretClass::Renewable(RENEW_BEFORE_SECONDS),
        labels: Vec::new(),
        entries: vec![entry(AUTHORITY_KEY, Ca::NAME, json!(authority)), entry(KEY, generator::Certificate::NAME, json!(certificate))],
        publish: Vec::new(),
        restore_from: None,
        keep: false,
    }
}
