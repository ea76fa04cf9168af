//! Answers of unseal providers, written by hand: what the contract allows, not what our own providers happen to say.

use banhbaoring_sdk::wit::{
    Egress, EnvValue, EnvVar, KeyValue, KmsPlugin, KmsPluginSource, Scalar, Seal, SealAttribute, SealCredentials, SealVolume, SecretKey,
    SecretVolume, TokenVolume, VolumeSource,
};

/// The generated key of a cluster.
pub fn generated_key(cluster: &str) -> Seal {
    let secret = format!("{cluster}-unseal-key");
    Seal {
        volumes: vec![SealVolume {
            name: "unseal-key".to_owned(),
            mount_path: "/etc/bao/unseal".to_owned(),
            source: VolumeSource::Secret(SecretVolume { secret: secret.clone(), items: Vec::new() }),
        }],
        credentials: SealCredentials::Secrets(vec![secret]),
        ..stanza("static", &[("current_key", "file:///etc/bao/unseal/key"), ("current_key_id", "operator-generated-v1")])
    }
}

/// A KMS of Amazon with explicit credentials, a region in the environment and the role's token.
pub fn awskms() -> Seal {
    Seal {
        env: vec![
            secret_env("AWS_ACCESS_KEY_ID", "aws-credentials", "access-key-id"),
            secret_env("AWS_SECRET_ACCESS_KEY", "aws-credentials", "secret-access-key"),
        ],
        volumes: vec![SealVolume {
            name: "aws-token".to_owned(),
            mount_path: "/var/run/secrets/eks.amazonaws.com/serviceaccount".to_owned(),
            source: VolumeSource::Token(TokenVolume {
                audience: "sts.amazonaws.com".to_owned(),
                path: "token".to_owned(),
                expiration_seconds: 86_400,
            }),
        }],
        service_account_annotations: vec![pair("eks.amazonaws.com/role-arn", "arn:aws:iam::111122223333:role/openbao-unseal")],
        egress: vec![Egress { cidr: None, port: 443 }],
        credentials: SealCredentials::Secrets(vec!["aws-credentials".to_owned()]),
        ..stanza("awskms", &[("region", "us-east-1"), ("kms_key_id", "alias/banhbaoring-unseal")])
    }
}

/// A KMS of Google with a key file.
pub fn gcpckms() -> Seal {
    Seal {
        volumes: vec![SealVolume {
            name: "seal-creds".to_owned(),
            mount_path: "/etc/bao/seal-creds".to_owned(),
            source: VolumeSource::Secret(SecretVolume { secret: "gcp-credentials".to_owned(), items: Vec::new() }),
        }],
        env: vec![EnvVar {
            name: "GOOGLE_APPLICATION_CREDENTIALS".to_owned(),
            value: EnvValue::Literal("/etc/bao/seal-creds/service-account.json".to_owned()),
        }],
        egress: vec![Egress { cidr: None, port: 443 }],
        credentials: SealCredentials::Secrets(vec!["gcp-credentials".to_owned()]),
        ..stanza("gcpckms", &[("project", "my-gcp-project"), ("region", "global"), ("key_ring", "banhbaoring"), ("crypto_key", "unseal")])
    }
}

/// A vault of Azure through workload identity.
pub fn azurekeyvault() -> Seal {
    Seal {
        pod_labels: vec![pair("azure.workload.identity/use", "true")],
        service_account_annotations: vec![pair("azure.workload.identity/client-id", "00000000-0000-0000-0000-000000000001")],
        egress: vec![Egress { cidr: None, port: 443 }],
        ..stanza(
            "azurekeyvault",
            &[("tenant_id", "00000000-0000-0000-0000-000000000000"), ("vault_name", "banhbaoring-vault"), ("key_name", "unseal-key")],
        )
    }
}

/// Another OpenBao.
pub fn transit() -> Seal {
    let mut seal = Seal {
        env: vec![secret_env("BAO_TOKEN", "transit-token", "token")],
        egress: vec![Egress { cidr: Some("192.0.2.7/32".to_owned()), port: 8200 }],
        credentials: SealCredentials::Secrets(vec!["transit-token".to_owned()]),
        warnings: vec!["the token must be periodic".to_owned()],
        ..stanza("transit", &[("address", "https://vault.example.com:8200"), ("mount_path", "transit/"), ("key_name", "autounseal")])
    };
    seal.attributes.push(SealAttribute { key: "disable_renewal".to_owned(), value: Scalar::Boolean(false) });
    seal
}

/// The same seal out of a plugin's image.
pub fn from_plugin(seal: Seal) -> Seal {
    let plugin = KmsPlugin {
        name: seal.stanza.clone(),
        source: KmsPluginSource::Image("ghcr.io/openbao/openbao-plugin-kms-aws".to_owned()),
        version: "v0.1.0".to_owned(),
        sha256: "9fdd8be7947e4a4caf7cce4f0e02695081b6c85178aa912df5d37be97363144c".to_owned(),
        binary_name: Some("openbao-plugin-kms-aws".to_owned()),
        args: vec!["-log-level=info".to_owned()],
        env: vec![pair("HTTPS_PROXY", "http://proxy.example.com:3128")],
    };
    Seal { kms_plugin: Some(plugin), ..seal }
}

/// A bare stanza with texts.
pub fn stanza(name: &str, attributes: &[(&str, &str)]) -> Seal {
    let attributes =
        attributes.iter().map(|(key, value)| SealAttribute { key: (*key).to_owned(), value: Scalar::Text((*value).to_owned()) });
    Seal { attributes: attributes.collect(), ..Seal::stanza(name) }
}

/// A variable from a Secret.
pub fn secret_env(name: &str, secret: &str, key: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: EnvValue::SecretKey(SecretKey { secret: secret.to_owned(), key: key.to_owned() }) }
}

/// A pair.
pub fn pair(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: value.to_owned() }
}
