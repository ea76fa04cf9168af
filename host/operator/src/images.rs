//! Answers to needs of the kind `image`: what a name means now, and whether it is signed. Registries are asked and signatures checked by
//! `banhbaoring-artifact`; pull secrets and trust roots are read as the plugin's account.

use banhbaoring_api::plugin::NamespacedName;
use banhbaoring_artifact::{
    Authority, AuthorityKind, Credentials, Digest, Identity, Mode, Reference, RegistryOptions, Requirement, RetryPolicy, Source,
    SourceError, Subject, Transport, Verification, VerifyError, verify_digest,
};
use banhbaoring_cluster::Cluster;
use banhbaoring_contract::need::{self, ImageVerification, ImageView};
use banhbaoring_pipeline::ActivePlugin;
use banhbaoring_pipeline::contract::{AnswerOutcome, OutcomeError};
use serde_json::json;

/// Class of an image that nobody who is trusted has signed.
const UNTRUSTED: &str = "untrusted";
/// Pull secrets that are read for one image.
const MAX_PULL_SECRETS: usize = 8;

/// How registries of images are asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Images {
    /// Plain http is allowed to any registry where it is asked for, not to loopback alone.
    pub(crate) insecure_anywhere: bool,
}

/// Why an image is not known.
struct Unknown(OutcomeError);

impl Unknown {
    fn new(class: &str, message: impl Into<String>) -> Self {
        Self(OutcomeError { class: class.to_owned(), message: message.into() })
    }
}

impl From<SourceError> for Unknown {
    fn from(error: SourceError) -> Self {
        let class = match &error {
            SourceError::NotFound { .. } | SourceError::NoVersion { .. } => "not-found",
            SourceError::Unauthorized { .. } | SourceError::Forbidden { .. } | SourceError::PlainHttpRefused { .. } => "not-permitted",
            error if error.is_transient() => "unavailable",
            _ => "invalid",
        };
        Self::new(class, format!("{}: {error}", error.reason()))
    }
}

impl From<VerifyError> for Unknown {
    fn from(error: VerifyError) -> Self {
        let class = match error {
            // Nothing is known, which is no verdict.
            VerifyError::Source(error) => return error.into(),
            VerifyError::UnusableAuthority { .. } | VerifyError::NothingRequired { .. } => "invalid",
            VerifyError::Unsigned { .. } | VerifyError::NoMatchingSignature { .. } => UNTRUSTED,
        };
        Self::new(class, format!("{}: {error}", error.reason()))
    }
}

impl Images {
    /// Never fails: why there is no answer is an answer.
    pub(crate) async fn answer(
        self,
        cluster: &Cluster,
        plugin: &ActivePlugin,
        image: &need::Image,
        namespace: Option<&str>,
    ) -> AnswerOutcome {
        match self.view(cluster, plugin, image, namespace).await {
            Ok(view) => AnswerOutcome::Ok(json!(view)),
            Err(Unknown(error)) => AnswerOutcome::Error(error),
        }
    }

    async fn view(
        self,
        cluster: &Cluster,
        plugin: &ActivePlugin,
        image: &need::Image,
        namespace: Option<&str>,
    ) -> Result<ImageView, Unknown> {
        let reference = Reference::from_image(&image.reference).map_err(|error| Unknown::new("invalid", error.to_string()))?;
        let credentials = credentials(cluster, &plugin.account, image, namespace).await?;
        let transport = match (image.insecure, self.insecure_anywhere) {
            (false, _) => Transport::Https,
            (true, false) => Transport::PlainHttpOnLoopback,
            (true, true) => Transport::PlainHttpAnywhere,
        };
        // It is asked again anyway: a short attempt now is better than a long one.
        let retry = RetryPolicy { attempts: 2, ..RetryPolicy::default() };
        let options = RegistryOptions { transport, retry, ..RegistryOptions::default() };
        let source = Source::registry(&reference.repository, &credentials, &options)?;
        let digest = source.resolve(&reference.selector).await?;
        let signer = match &image.verify {
            None => None,
            Some(wanted) => {
                let (name, kind) = wanted_signer(cluster, &plugin.account, wanted, namespace).await?;
                Some(signer(&source, &digest, name, kind).await?)
            }
        };
        Ok(ImageView { digest: digest.to_string(), signer })
    }
}

/// How a signer is named to the plugin, and how their signatures are recognised.
async fn wanted_signer(
    cluster: &Cluster,
    account: &NamespacedName,
    wanted: &ImageVerification,
    namespace: Option<&str>,
) -> Result<(String, AuthorityKind), Unknown> {
    match (&wanted.public_key, &wanted.keyless) {
        (Some(pem), None) => {
            let pem = pem.trim().as_bytes().to_vec();
            Ok((format!("key {}", Digest::of(&pem)), AuthorityKind::Key { pem }))
        }
        (None, Some(identity)) => {
            let root = identity.trusted_root.as_ref().ok_or_else(|| Unknown::new("invalid", "expected keyless with a trustedRoot"))?;
            let namespace = namespace.ok_or_else(|| Unknown::new("invalid", "a cluster-scoped owner has no trust root of its own"))?;
            let found = cluster.trust_root(account, namespace, root).await;
            let found = found.map_err(|error| Unknown::new(error.class(), error.to_string()))?;
            let trust_root = found.ok_or_else(|| Unknown::new("not-found", format!("trustedRoot: there is no {root} yet")))?;
            let name = format!("{} by {}", identity.subject, identity.issuer);
            let identities = vec![Identity { issuer: identity.issuer.clone(), subject: Subject::Exact(identity.subject.clone()) }];
            let ignore_transparency_log = wanted.ignore_transparency_log;
            Ok((name, AuthorityKind::Keyless { identities, trust_root, ignore_transparency_log }))
        }
        _ => Err(Unknown::new("invalid", "expected exactly one of publicKey and keyless")),
    }
}

async fn signer(source: &Source, digest: &Digest, name: String, kind: AuthorityKind) -> Result<String, Unknown> {
    let authority = Authority { name: name.clone(), kind };
    let requirement = Requirement { name: "the image's verification".to_owned(), authorities: vec![authority], mode: Mode::Enforce };
    match verify_digest(source, digest, &requirement).await? {
        Verification::Accepted(_) => Ok(name),
        Verification::Warned { why, .. } => Err(why.into()),
    }
}

async fn credentials(
    cluster: &Cluster,
    account: &NamespacedName,
    image: &need::Image,
    namespace: Option<&str>,
) -> Result<Credentials, Unknown> {
    let mut credentials = Credentials::anonymous();
    if image.pull_secrets.len() > MAX_PULL_SECRETS {
        return Err(Unknown::new("invalid", format!("expected at most {MAX_PULL_SECRETS} pull secrets")));
    }
    for name in &image.pull_secrets {
        let namespace = namespace.ok_or_else(|| Unknown::new("invalid", "a cluster-scoped owner has no pull secrets"))?;
        let values =
            cluster.secret_values(account, namespace, name).await.map_err(|error| Unknown::new(error.class(), error.to_string()))?;
        let missing = || Unknown::new("not-found", format!("there is no pull secret {name}"));
        let values = values.ok_or_else(missing)?;
        let found = match (values.get(".dockerconfigjson"), values.get(".dockercfg")) {
            (Some(value), _) => Credentials::from_dockerconfigjson(value),
            (None, Some(value)) => Credentials::from_dockercfg(value),
            (None, None) => {
                let message = format!(
                    "Secret {name} should hold .dockerconfigjson or .dockercfg; make it with kubectl create secret docker-registry"
                );
                return Err(Unknown::new("invalid", message));
            }
        };
        credentials = credentials.or(found.map_err(|error| Unknown::new("invalid", format!("Secret {name}: {error}")))?);
    }
    Ok(credentials)
}
