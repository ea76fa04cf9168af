//! The seal `awskms`: OpenBao unseals itself with a key of AWS KMS. Pure; the credentials are named here and read by the pod.

mod config;

use banhbaoring_sdk::prelude::*;
use banhbaoring_sdk::seal::ServiceAddress;
use serde_json::json;

pub use config::{Config, Credentials};

/// Where a Secret of credentials is mounted.
const CREDENTIALS_DIRECTORY: &str = "/etc/bao/seal-creds";
/// The annotation by which EKS gives a role to a service account.
const ROLE_ANNOTATION: &str = "eks.amazonaws.com/role-arn";

/// Where pods without credentials of their own get those of the node (the first two) or of their account (EKS Pod Identity).
const PLATFORM: [&str; 4] = ["169.254.169.254/32", "fd00:ec2::254/128", "169.254.170.23/32", "fd00:ec2::23/128"];

/// The provider.
pub struct AwsKms;

impl UnsealProvider for AwsKms {
    const NAME: &'static str = "awskms";
    type Config = Config;

    fn render(cx: &SealContext<Self>) -> Result<Seal, Failure> {
        let Config { key_id, region, endpoint, role_arn, credentials, credentials_secret_ref, plugin } = cx.config();
        let seal = Seal::stanza("awskms")
            .attribute_opt("region", region.as_ref())
            .attribute("kms_key_id", cx.required("keyId", key_id)?)
            .attribute_opt("endpoint", endpoint.as_ref())
            .kms_plugin(cx.kms_plugin("awskms", plugin.as_ref())?)
            .egress(endpoint_port(cx, endpoint.as_deref())?);
        let seal = match region {
            Some(region) => cx.required("region", region).map(|_| seal)?,
            None => seal.warning("no `region`: OpenBao takes it from the pod's environment or the node, and us-east-1 where neither tells"),
        };
        let ways = [credentials.is_some(), credentials_secret_ref.is_some(), role_arn.is_some()];
        if ways.into_iter().filter(|way| *way).count() > 1 {
            return Err(Failure::invalid(
                cx.field("credentials"),
                "expected one of `credentials`, `credentialsSecretRef` and `roleArn`, found several; keep the one that is meant",
            ));
        }
        if let Some(role) = role_arn {
            let role = cx.required("roleArn", role)?;
            // The token is exchanged at the security token service, on 443 whatever the endpoint of the key service is.
            return Ok(seal.annotate_service_account(ROLE_ANNOTATION, role).egress(443));
        }
        if let Some(secret) = credentials_secret_ref {
            let secret = cx.required("credentialsSecretRef.name", &secret.name)?;
            return Ok(seal
                .mount_secret("seal-creds", CREDENTIALS_DIRECTORY, secret)
                .env("AWS_SHARED_CREDENTIALS_FILE", format!("{CREDENTIALS_DIRECTORY}/credentials")));
        }
        let Some(Credentials { access_key_id, secret_access_key, session_token }) = credentials else {
            return Ok(PLATFORM.into_iter().fold(seal, |seal, cidr| seal.egress_to(cidr, 80)));
        };
        let seal = seal
            .env_from("AWS_ACCESS_KEY_ID", access_key_id.checked(&cx.field("credentials.accessKeyId"))?)
            .env_from("AWS_SECRET_ACCESS_KEY", secret_access_key.checked(&cx.field("credentials.secretAccessKey"))?);
        Ok(match session_token {
            Some(token) => seal.env_from("AWS_SESSION_TOKEN", token.checked(&cx.field("credentials.sessionToken"))?),
            None => seal,
        })
    }
}

fn endpoint_port(cx: &SealContext<AwsKms>, endpoint: Option<&str>) -> Result<u16, Failure> {
    let Some(endpoint) = endpoint else {
        return Ok(443);
    };
    ServiceAddress::parse(endpoint).map(|address| address.port).ok_or_else(|| {
        Failure::invalid(cx.field("endpoint"), "expected an address such as https://vpce-1.kms.eu-west-1.vpce.amazonaws.com")
    })
}

export_plugin!(
    name: "unseal-awskms",
    summary: "Auto-unseal of OpenBao by AWS KMS",
    unseal_providers: [AwsKms],
    permissions: json!({
        "pods": {"secretRefs": ["owner-spec"], "images": ["owner-spec"], "accountAnnotations": [ROLE_ANNOTATION]},
    }),
);
