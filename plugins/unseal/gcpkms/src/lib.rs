//! The seal `gcpckms`, which owners may also call `gcpkms`: OpenBao unseals itself with a key of Google Cloud KMS. Pure; the
//! credentials are named here and read by the pod.

mod config;

use banhbaoring_sdk::prelude::*;
use banhbaoring_sdk::wit::SecretKey;
use serde_json::json;

pub use config::{Config, Credentials};

/// Where credentials are mounted.
const CREDENTIALS_DIRECTORY: &str = "/etc/bao/seal-creds";
/// File of the service account's key in that directory.
const CREDENTIALS_FILE: &str = "credentials.json";
/// The annotation by which GKE gives a Google service account to a Kubernetes one.
const ACCOUNT_ANNOTATION: &str = "iam.gke.io/gcp-service-account";

/// Where pods without credentials of their own get those of Workload Identity or of the node; the port differs with the network of GKE.
const PLATFORM: [(&str, u16); 2] = [("169.254.169.254/32", 80), ("169.254.169.252/32", 988)];

/// The provider.
pub struct GcpKms;

impl UnsealProvider for GcpKms {
    const NAME: &'static str = "gcpkms";
    const ALIASES: &'static [&'static str] = &["gcpckms"];
    type Config = Config;

    fn render(cx: &SealContext<Self>) -> Result<Seal, Failure> {
        let Config { project, location, key_ring, crypto_key, service_account, credentials, credentials_secret_ref, plugin } = cx.config();
        let seal = Seal::stanza("gcpckms")
            .attribute("project", cx.required("project", project)?)
            .attribute("region", cx.required("location", location)?)
            .attribute("key_ring", cx.required("keyRing", key_ring)?)
            .attribute("crypto_key", cx.required("cryptoKey", crypto_key)?)
            .kms_plugin(cx.kms_plugin("gcpckms", plugin.as_ref())?)
            .egress(443);
        let ways = [credentials.is_some(), credentials_secret_ref.is_some(), service_account.is_some()];
        if ways.into_iter().filter(|way| *way).count() > 1 {
            return Err(Failure::invalid(
                cx.field("credentials"),
                "expected one of `credentials`, `credentialsSecretRef` and `serviceAccount`, found several; keep the one that is meant",
            ));
        }
        let seal = match service_account {
            Some(account) => seal.annotate_service_account(ACCOUNT_ANNOTATION, cx.required("serviceAccount", account)?),
            None => seal,
        };
        let seal = match (credentials, credentials_secret_ref) {
            (Some(Credentials { service_account_key }), _) => {
                let SecretKey { secret, key } = service_account_key.checked(&cx.field("credentials.serviceAccountKey"))?;
                seal.mount_keys("seal-creds", CREDENTIALS_DIRECTORY, secret, &[(&key, CREDENTIALS_FILE)])
            }
            (None, Some(secret)) => {
                let secret = cx.required("credentialsSecretRef.name", &secret.name)?;
                seal.mount_secret("seal-creds", CREDENTIALS_DIRECTORY, secret)
            }
            (None, None) => return Ok(PLATFORM.into_iter().fold(seal, |seal, (cidr, port)| seal.egress_to(cidr, port))),
        };
        Ok(seal.env("GOOGLE_APPLICATION_CREDENTIALS", format!("{CREDENTIALS_DIRECTORY}/{CREDENTIALS_FILE}")))
    }
}

export_plugin!(
    name: "unseal-gcpkms",
    summary: "Auto-unseal of OpenBao by Google Cloud KMS",
    unseal_providers: [GcpKms],
    permissions: json!({
        "pods": {"secretRefs": ["owner-spec"], "images": ["owner-spec"], "accountAnnotations": [ACCOUNT_ANNOTATION]},
    }),
);
