//! What the API server is told about one plugin, and what becomes of it.

use std::collections::BTreeMap;

use banhbaoring_cluster::Cluster;
use banhbaoring_cluster::admission::AdmissionError;
use banhbaoring_pipeline::ActivePlugin;
use banhbaoring_pipeline::review::{Configuration, ConfigurationInput, configuration, name};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Admission;

/// What a Plugin's condition says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// Writes are judged.
    pub(crate) served: bool,
    /// CamelCase, bounded.
    pub(crate) reason: &'static str,
    /// For people.
    pub(crate) message: String,
}

/// Takes back what the API server was told about a plugin, where nobody is asked any more.
pub(crate) async fn withdraw(cluster: &Cluster, plugin: &str) -> Result<(), AdmissionError> {
    let serves = |kind: &str| cluster.discovery.preferred(&format!("admissionregistration.k8s.io/{kind}")).is_some();
    cluster.configure_admission(&name(plugin), &Configuration::nothing(serves)).await
}

impl Admission {
    /// Tells the API server what to ask `plugin`, whose resource has this uid. `None` where it judges nothing.
    pub(crate) async fn configure(&self, plugin: &ActivePlugin, uid: &str) -> Option<Told> {
        let judges = !plugin.descriptor.admissions.is_empty();
        let authority = self.certificates.authority().borrow().clone();
        let told = match authority {
            // Without a certificate nobody can ask; what was told before stays.
            None if judges => Told {
                served: false,
                reason: "NoCertificate",
                message: format!(
                    "the host has no certificate yet, which it keeps in the Secret {}; see its log",
                    super::certificate::SECRET
                ),
            },
            // Taking back what an earlier version was told takes none.
            authority => match self.tell(plugin, uid, &authority.unwrap_or_default()).await {
                Ok(told) if !told.unserved.is_empty() => Told {
                    served: false,
                    reason: "KindUnknown",
                    message: format!("nobody serves {}, whose writes it would judge; install its definition", told.unserved.join(", ")),
                },
                Ok(told) if judges && told.wanted.is_empty() => Told {
                    served: false,
                    reason: "NotGranted",
                    message: "it would judge writes, and nothing of that is granted; see spec.grants.admission".to_owned(),
                },
                Ok(_) => Told { served: true, reason: "Served", message: "the API server asks it about writes".to_owned() },
                Err(error) => Told {
                    served: false,
                    reason: error.reason(),
                    message: format!(
                        "the API server was not told to ask it: {error}; the host needs get, create, patch and delete of the admission objects named {}",
                        name(&plugin.name)
                    ),
                },
            },
        };
        (judges || !told.served).then_some(told)
    }

    async fn tell(&self, plugin: &ActivePlugin, uid: &str, authority: &str) -> Result<Configuration, AdmissionError> {
        let cluster = &self.parts.cluster;
        let platform =
            cluster.platform(&self.parts.cluster_domain, &self.parts.host).await.map_err(banhbaoring_cluster::request::ApiError::from)?;
        let mut resources = BTreeMap::new();
        for admission in &plugin.descriptor.admissions {
            if let Some(served) = cluster.discovery.preferred(&admission.kind) {
                resources.insert(admission.kind.clone(), served);
            }
        }
        let told = configuration(&ConfigurationInput {
            plugin,
            uid,
            host: &self.account(),
            reach: &self.reach,
            ca_bundle: &STANDARD.encode(authority),
            platform: &platform,
            resources: &resources,
        });
        cluster.configure_admission(&name(&plugin.name), &told).await?;
        Ok(told)
    }
}
