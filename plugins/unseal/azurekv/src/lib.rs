//! The seal `azurekeyvault`, which owners may also call `azurekv`: OpenBao unseals itself with a key of Azure Key Vault. Pure; the
//! credentials are named here and read by the pod.

mod config;

use banhbaoring_sdk::prelude::*;
use banhbaoring_sdk::wit::SecretKey;
use serde_json::json;

pub use config::{Config, Credentials};

/// Where a Secret of credentials is mounted.
const CREDENTIALS_DIRECTORY: &str = "/etc/bao/seal-creds";
/// The label by which a pod takes part in workload identity.
const IDENTITY_LABEL: &str = "azure.workload.identity/use";
/// The annotation that tells which identity a service account takes.
const IDENTITY_ANNOTATION: &str = "azure.workload.identity/client-id";

/// Where pods without credentials of their own get those of the node's managed identity.
const PLATFORM: &str = "169.254.169.254/32";

/// The provider.
pub struct AzureKeyVault;

impl UnsealProvider for AzureKeyVault {
    const NAME: &'static str = "azurekv";
    const ALIASES: &'static [&'static str] = &["azurekeyvault"];
    type Config = Config;

    fn render(cx: &SealContext<Self>) -> Result<Seal, Failure> {
        let Config { tenant_id, vault_name, key_name, environment, resource, client_id, credentials, credentials_secret_ref, plugin } =
            cx.config();
        let seal = Seal::stanza("azurekeyvault")
            .attribute("tenant_id", cx.required("tenantId", tenant_id)?)
            .attribute("vault_name", cx.required("vaultName", vault_name)?)
            .attribute("key_name", cx.required("keyName", key_name)?)
            .attribute_opt("environment", environment.as_ref())
            .attribute_opt("resource", resource.as_ref())
            .kms_plugin(cx.kms_plugin("azurekeyvault", plugin.as_ref())?)
            .egress(443);
        let ways = [credentials.is_some(), credentials_secret_ref.is_some(), client_id.is_some()];
        if ways.into_iter().filter(|way| *way).count() > 1 {
            return Err(Failure::invalid(
                cx.field("credentials"),
                "expected one of `credentials`, `credentialsSecretRef` and `clientId`, found several; keep the one that is meant",
            ));
        }
        if let Some(client) = client_id {
            return Ok(seal
                .label_pods(IDENTITY_LABEL, "true")
                .annotate_service_account(IDENTITY_ANNOTATION, cx.required("clientId", client)?));
        }
        if let Some(secret) = credentials_secret_ref {
            let secret = cx.required("credentialsSecretRef.name", &secret.name)?;
            let key = |key: &str| SecretKey { secret: secret.to_owned(), key: key.to_owned() };
            return Ok(seal
                .mount_secret("seal-creds", CREDENTIALS_DIRECTORY, secret)
                .env_from("AZURE_CLIENT_ID", key("client-id"))
                .env_from("AZURE_CLIENT_SECRET", key("client-secret")));
        }
        let Some(Credentials { client_id, client_secret }) = credentials else {
            return Ok(seal.egress_to(PLATFORM, 80));
        };
        Ok(seal
            .env_from("AZURE_CLIENT_ID", client_id.checked(&cx.field("credentials.clientId"))?)
            .env_from("AZURE_CLIENT_SECRET", client_secret.checked(&cx.field("credentials.clientSecret"))?))
    }
}

export_plugin!(
    name: "unseal-azurekv",
    summary: "Auto-unseal of OpenBao by Azure Key Vault",
    unseal_providers: [AzureKeyVault],
    permissions: json!({
        "pods": {
            "secretRefs": ["owner-spec"],
            "images": ["owner-spec"],
            "accountAnnotations": [IDENTITY_ANNOTATION],
            "podLabels": [IDENTITY_LABEL],
        },
    }),
);
