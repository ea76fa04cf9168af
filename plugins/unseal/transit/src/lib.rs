//! The seal `transit`: OpenBao unseals itself with a key of another OpenBao or Vault. Pure; the token is named here and read by the pod.

mod config;

use banhbaoring_sdk::prelude::*;
use banhbaoring_sdk::seal::ServiceAddress;
use banhbaoring_sdk::wit::SecretKey;
use serde_json::json;

pub use config::{ClientCertificate, Config};

/// Where a Secret of credentials is mounted.
const CREDENTIALS_DIRECTORY: &str = "/etc/bao/seal-creds";
/// Where the other server's certificate authority is mounted.
const AUTHORITY_DIRECTORY: &str = "/etc/bao/seal-ca";
/// Where the client certificate is mounted.
const CERTIFICATE_DIRECTORY: &str = "/etc/bao/seal-tls";
/// Read by the transit seal alone. `BAO_TOKEN` would also become the token of every `bao` command in the pod.
const TOKEN_VARIABLE: &str = "VAULT_TRANSIT_SEAL_TOKEN";

/// The provider.
pub struct Transit;

impl UnsealProvider for Transit {
    const NAME: &'static str = "transit";
    type Config = Config;

    fn render(cx: &SealContext<Self>) -> Result<Seal, Failure> {
        let Config {
            address,
            mount_path,
            key_name,
            namespace,
            key_id_prefix,
            disable_renewal,
            token,
            credentials_secret_ref,
            tls_ca_cert,
            tls_client,
            tls_server_name,
            tls_skip_verify,
        } = cx.config();
        let service = ServiceAddress::parse(address).ok_or_else(|| {
            Failure::invalid(cx.field("address"), "expected the address of another OpenBao or Vault such as https://vault.example.com:8200")
        })?;
        let mut seal = Seal::stanza("transit")
            .attribute("address", address)
            .attribute("mount_path", cx.required("mountPath", mount_path)?)
            .attribute("key_name", cx.required("keyName", key_name)?)
            .attribute_opt("namespace", namespace.as_ref())
            .attribute_opt("key_id_prefix", key_id_prefix.as_ref())
            .egress(service.port);
        if *disable_renewal {
            // Every version reads the values of a seal as text.
            seal = seal.attribute("disable_renewal", "true");
        }
        if !service.encrypted {
            seal = seal.warning("the transit address is plain http: whoever sees the network sees what unseals this OpenBao; use https");
        }
        if let Some(authority) = tls_ca_cert {
            let SecretKey { secret, key } = authority.checked(&cx.field("tlsCaCert"))?;
            seal = seal
                .mount_keys("seal-ca", AUTHORITY_DIRECTORY, secret, &[(&key, "ca.crt")])
                .attribute("tls_ca_cert", format!("{AUTHORITY_DIRECTORY}/ca.crt"));
        }
        if let Some(ClientCertificate { secret_name }) = tls_client {
            let secret = cx.required("tlsClient.secretName", secret_name)?;
            seal = seal
                .mount_keys("seal-tls", CERTIFICATE_DIRECTORY, secret, &[("tls.crt", "tls.crt"), ("tls.key", "tls.key")])
                .attribute("tls_client_cert", format!("{CERTIFICATE_DIRECTORY}/tls.crt"))
                .attribute("tls_client_key", format!("{CERTIFICATE_DIRECTORY}/tls.key"));
        }
        seal = seal.attribute_opt("tls_server_name", tls_server_name.as_ref());
        if *tls_skip_verify {
            seal = seal
                .attribute("tls_skip_verify", "true")
                .warning("tlsSkipVerify is set: anybody on the network can pose as the transit server; set tlsCaCert instead");
        }
        match (token, credentials_secret_ref) {
            (Some(token), None) => Ok(seal.env_from(TOKEN_VARIABLE, token.checked(&cx.field("token"))?)),
            (None, Some(secret)) => {
                let secret = cx.required("credentialsSecretRef.name", &secret.name)?;
                let key = SecretKey { secret: secret.to_owned(), key: "token".to_owned() };
                Ok(seal.mount_secret("seal-creds", CREDENTIALS_DIRECTORY, secret).env_from(TOKEN_VARIABLE, key))
            }
            (None, None) => Err(Failure::invalid(
                cx.field("token"),
                "expected `token` with the Secret that holds the transit token, or `credentialsSecretRef` with a key `token`",
            )),
            (Some(_), Some(_)) => Err(Failure::invalid(
                cx.field("credentialsSecretRef"),
                "expected one of `token` and `credentialsSecretRef`, found both; keep the one that is meant",
            )),
        }
    }
}

export_plugin!(
    name: "unseal-transit",
    summary: "Auto-unseal of OpenBao by the transit engine of another OpenBao or Vault",
    unseal_providers: [Transit],
    permissions: json!({"pods": {"secretRefs": ["owner-spec"]}}),
);
