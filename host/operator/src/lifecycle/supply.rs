//! From a `Plugin`'s source to a verified component: credentials, keys and trust roots are read from Secrets here, everything else is
//! `banhbaoring-artifact`'s.

use banhbaoring_api::plugin::{Authority, KeyAuthority, OciSource, SecretKeyReference, VerifyMode};
use banhbaoring_artifact::{
    Artifact, AuthorityKind, Component, ContentStore, Credentials, Digest, Identity, Limits, Mode, RegistryOptions, Repository,
    Requirement, Selector, Source, Subject, Transport, Verification, Verified, VerifyError,
};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use super::policy::Demand;
use super::progress::{Setback, Stage};

/// Artifacts, from registries or from the content store.
pub struct Supply {
    client: Client,
    store: ContentStore,
    insecure_anywhere: bool,
}

/// A component whose signatures were checked.
pub struct Supplied {
    /// The digest that was verified.
    pub digest: Digest,
    /// Who vouches for it, for people.
    pub verified_by: String,
    /// Why it should not be used, where only a warning was asked for.
    pub warning: Option<String>,
    /// The bytes.
    pub component: Component,
}

impl Supply {
    /// `insecure_anywhere`: plain http is allowed to any registry whose Plugin asks for it, not to loopback alone.
    pub fn new(client: Client, store: ContentStore, insecure_anywhere: bool) -> Self {
        Self { client, store, insecure_anywhere }
    }

    /// The place that a Plugin names, with its pull secret.
    pub async fn source(&self, oci: &OciSource) -> Result<Source, Setback> {
        let repository = oci.url.parse().map_err(|error| setback(Stage::Resolved, error))?;
        let transport = match (oci.insecure, self.insecure_anywhere) {
            (false, _) => Transport::Https,
            (true, false) => Transport::PlainHttpOnLoopback,
            (true, true) => Transport::PlainHttpAnywhere,
        };
        let credentials = self.credentials(oci).await?;
        Source::registry(&repository, &credentials, &RegistryOptions { transport, ..RegistryOptions::default() })
            .map_err(|error| setback(Stage::Resolved, error))
    }

    /// Which digest is meant now.
    pub async fn resolve(&self, oci: &OciSource, source: &Source) -> Result<Digest, Setback> {
        let reference = &oci.reference;
        let selector = Selector::from_fields(reference.digest.as_deref(), reference.semver.as_deref(), reference.tag.as_deref())
            .map_err(|error| setback(Stage::Resolved, error))?;
        source.resolve(&selector).await.map_err(|error| setback(Stage::Resolved, error))
    }

    /// The component of that digest, verified now: from disk where it was kept, as one of the repository `url`, with signatures that still suffice;
    /// else from `source`.
    pub async fn supply(
        &self,
        url: &str,
        source: Option<&Source>,
        digest: &Digest,
        requirements: &[Requirement],
    ) -> Result<Supplied, Setback> {
        match (self.stored(url, digest, requirements).await, source) {
            (Ok(supplied), _) => Ok(supplied),
            (Err(stored), None) => Err(stored),
            (Err(_), Some(source)) => self.pulled(source, digest, requirements).await,
        }
    }

    async fn stored(&self, url: &str, digest: &Digest, requirements: &[Requirement]) -> Result<Supplied, Setback> {
        let repository: Repository = url.parse().map_err(|error| setback(Stage::Resolved, error))?;
        let artifact = self.store.load(digest, Limits::default()).await.map_err(|error| setback(Stage::Loaded, error))?;
        // Policies go by the repository: those of another one did not speak of this.
        if artifact.origin() != repository.to_string() {
            return Err(Setback {
                stage: Stage::Resolved,
                reason: "ArtifactNotFound",
                message: format!("{digest} was kept as one of {}, not of {repository}; the registry has to be asked", artifact.origin()),
                transient: true,
            });
        }
        let artifact = verify(artifact.verify(requirements).await)?;
        supplied(&artifact).await
    }

    async fn pulled(&self, source: &Source, digest: &Digest, requirements: &[Requirement]) -> Result<Supplied, Setback> {
        let artifact = Artifact::fetch(source, digest, Limits::default()).await.map_err(|error| setback(Stage::Resolved, error))?;
        let artifact = verify(artifact.verify(requirements).await)?;
        let supplied = supplied(&artifact).await?;
        if let Err(error) = self.store.save(&artifact, &supplied.component).await {
            tracing::warn!(%error, %digest, "the artifact was not kept: a restart with the registry down will not find it");
        }
        Ok(supplied)
    }

    /// The demands with their keys read.
    pub async fn requirements(&self, demands: Vec<Demand>) -> Result<Vec<Requirement>, Setback> {
        let mut requirements = Vec::with_capacity(demands.len());
        for demand in demands {
            let mut authorities = Vec::with_capacity(demand.authorities.len());
            for authority in demand.authorities {
                authorities.push(self.authority(authority).await?);
            }
            let mode = match demand.mode {
                VerifyMode::Warn => Mode::Warn,
                VerifyMode::Enforce => Mode::Enforce,
            };
            requirements.push(Requirement { name: demand.source, authorities, mode });
        }
        Ok(requirements)
    }

    async fn authority(&self, authority: Authority) -> Result<banhbaoring_artifact::Authority, Setback> {
        let kind = match (authority.key, authority.keyless) {
            (Some(KeyAuthority { data: Some(data), .. }), None) => AuthorityKind::Key { pem: data.into_bytes() },
            (Some(KeyAuthority { secret_ref: Some(reference), .. }), None) => {
                AuthorityKind::Key { pem: self.secret_value(&reference, "key").await? }
            }
            (None, Some(keyless)) => AuthorityKind::Keyless {
                identities: keyless
                    .identities
                    .into_iter()
                    .map(identity)
                    .collect::<Option<_>>()
                    .ok_or_else(|| malformed(&authority.name))?,
                trust_root: self.secret_value(&keyless.trust_root_ref, "trust root").await?,
                ignore_transparency_log: false,
            },
            _ => return Err(malformed(&authority.name)),
        };
        Ok(banhbaoring_artifact::Authority { name: authority.name, kind })
    }

    async fn secret_value(&self, reference: &SecretKeyReference, what: &str) -> Result<Vec<u8>, Setback> {
        let place = format!("key {} of Secret {}/{}", reference.key, reference.namespace, reference.name);
        let secret = self.secret(&reference.namespace, &reference.name, Stage::Verified).await?;
        secret.data.and_then(|mut data| data.remove(&reference.key)).map(|value| value.0).ok_or_else(|| Setback {
            stage: Stage::Verified,
            reason: "KeyNotFound",
            message: format!("an authority's {what} is expected under {place}, which has no such key; create it"),
            transient: true,
        })
    }

    async fn secret(&self, namespace: &str, name: &str, stage: Stage) -> Result<Secret, Setback> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        secrets.get(name).await.map_err(|error| Setback {
            stage,
            reason: "SecretNotReadable",
            message: format!("Secret {namespace}/{name} cannot be read ({error}); create it, or allow the host to read it"),
            transient: true,
        })
    }

    async fn credentials(&self, oci: &OciSource) -> Result<Credentials, Setback> {
        let Some(reference) = &oci.pull_secret_ref else {
            return Ok(Credentials::anonymous());
        };
        let secret = self.secret(&reference.namespace, &reference.name, Stage::Resolved).await?;
        let data = secret.data.unwrap_or_default();
        let credentials = match (data.get(".dockerconfigjson"), data.get(".dockercfg")) {
            (Some(value), _) => Credentials::from_dockerconfigjson(&value.0),
            (None, Some(value)) => Credentials::from_dockercfg(&value.0),
            (None, None) => {
                return Err(Setback {
                    stage: Stage::Resolved,
                    reason: "InvalidPullSecret",
                    message: format!(
                        "Secret {}/{} should hold .dockerconfigjson or .dockercfg; make it with kubectl create secret docker-registry",
                        reference.namespace, reference.name
                    ),
                    transient: true,
                });
            }
        };
        credentials.map_err(|error| setback(Stage::Resolved, error))
    }
}

fn verify(verified: Result<Artifact<Verified>, VerifyError>) -> Result<Artifact<Verified>, Setback> {
    verified.map_err(|error| setback(Stage::Verified, error))
}

async fn supplied(artifact: &Artifact<Verified>) -> Result<Supplied, Setback> {
    let component = artifact.pull().await.map_err(|error| setback(Stage::Loaded, error))?;
    let (met, warning) = match artifact.verification() {
        Verification::Accepted(met) => (met, None),
        Verification::Warned { met, why } => (met, Some(why.to_string())),
    };
    let mut names: Vec<&str> = met.iter().map(|by| by.authority.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let verified_by = if names.is_empty() { "unverified (warn)".to_owned() } else { names.join(", ") };
    Ok(Supplied { digest: artifact.digest(), verified_by, warning, component })
}

/// Of a certificate. None: the schema did not see it, or it is older than its rule.
fn identity(identity: banhbaoring_api::plugin::Identity) -> Option<Identity> {
    let subject = match (identity.subject, identity.subject_reg_exp) {
        (Some(subject), None) => Subject::Exact(subject),
        (None, Some(pattern)) => Subject::Pattern(pattern),
        _ => return None,
    };
    Some(Identity { issuer: identity.issuer, subject })
}

fn malformed(authority: &str) -> Setback {
    Setback {
        stage: Stage::Verified,
        reason: "InvalidAuthority",
        message: format!(
            "authority {authority} must have either a key (data or secretRef) or keyless identities, each with a subject or a subjectRegExp"
        ),
        transient: false,
    }
}

fn setback(stage: Stage, error: impl Into<banhbaoring_artifact::Error>) -> Setback {
    let error: banhbaoring_artifact::Error = error.into();
    // What the registry would not give is a matter of the source, whatever was being asked of it; a bad signature never is.
    Setback { stage, reason: error.reason(), message: error.to_string(), transient: error.is_transient() }
}
