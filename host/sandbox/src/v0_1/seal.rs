//! Seals of 0.1, both ways: a provider answers with one, and a component is given it.

use banhbaoring_pipeline::contract as pipeline;

use super::response::secrets;
use super::{key_values, pairs, wit};
use crate::answer::Reader;
use crate::error::CallError;

pub(super) fn read(seal: wit::Seal, prefix: &str, reader: &mut Reader) -> Result<pipeline::Seal, CallError> {
    Ok(pipeline::Seal {
        stanza: seal.stanza,
        attributes: reader
            .entries("attributes", seal.attributes)?
            .into_iter()
            .map(|attribute| pipeline::SealAttribute {
                key: attribute.key,
                value: match attribute.value {
                    wit::Scalar::Text(text) => pipeline::Scalar::Text(text),
                    wit::Scalar::Integer(integer) => pipeline::Scalar::Integer(integer),
                    wit::Scalar::Boolean(boolean) => pipeline::Scalar::Boolean(boolean),
                },
            })
            .collect(),
        env: reader.entries("env", seal.env)?.into_iter().map(read_env).collect(),
        volumes: reader
            .entries("volumes", seal.volumes)?
            .into_iter()
            .map(|volume| read_volume(volume, reader))
            .collect::<Result<_, _>>()?,
        secrets: secrets(seal.secrets, prefix, reader)?,
        service_account_annotations: pairs("service-account-annotations", seal.service_account_annotations, reader)?,
        pod_labels: pairs("pod-labels", seal.pod_labels, reader)?,
        kms_plugin: seal.kms_plugin.map(|plugin| read_kms_plugin(plugin, reader)).transpose()?,
        egress: reader
            .entries("egress", seal.egress)?
            .into_iter()
            .map(|egress| pipeline::Egress { cidr: egress.cidr, port: egress.port })
            .collect(),
        credentials: match seal.credentials {
            wit::SealCredentials::Ambient => pipeline::SealCredentials::Ambient,
            wit::SealCredentials::Secrets(names) => pipeline::SealCredentials::Secrets(reader.entries("credentials", names)?),
        },
        warnings: reader
            .entries("warnings", seal.warnings)?
            .into_iter()
            .map(|warning| Reader::message("warnings", warning))
            .collect::<Result<_, _>>()?,
    })
}

fn read_env(variable: wit::EnvVar) -> pipeline::EnvVar {
    pipeline::EnvVar {
        name: variable.name,
        value: match variable.value {
            wit::EnvValue::Literal(text) => pipeline::EnvValue::Literal(text),
            wit::EnvValue::SecretKey(key) => pipeline::EnvValue::SecretKey(pipeline::SecretKey { secret: key.secret, key: key.key }),
        },
    }
}

fn read_volume(volume: wit::SealVolume, reader: &Reader) -> Result<pipeline::SealVolume, CallError> {
    Ok(pipeline::SealVolume {
        name: volume.name,
        mount_path: volume.mount_path,
        source: match volume.source {
            wit::VolumeSource::Secret(source) => pipeline::VolumeSource::Secret(pipeline::SecretVolume {
                secret: source.secret,
                items: reader
                    .entries("items of a volume", source.items)?
                    .into_iter()
                    .map(|item| pipeline::KeyPath { key: item.key, path: item.path })
                    .collect(),
            }),
            wit::VolumeSource::Token(token) => pipeline::VolumeSource::Token(pipeline::TokenVolume {
                audience: token.audience,
                path: token.path,
                expiration_seconds: token.expiration_seconds,
            }),
        },
    })
}

fn read_kms_plugin(plugin: wit::KmsPlugin, reader: &Reader) -> Result<pipeline::KmsPlugin, CallError> {
    Ok(pipeline::KmsPlugin {
        name: plugin.name,
        source: match plugin.source {
            wit::KmsPluginSource::Image(image) => pipeline::KmsPluginSource::Image(image),
            wit::KmsPluginSource::Command(command) => pipeline::KmsPluginSource::Command(command),
        },
        version: plugin.version,
        sha256: plugin.sha256,
        binary_name: plugin.binary_name,
        args: reader.entries("args", plugin.args)?,
        env: pairs("env of the KMS plugin", plugin.env, reader)?,
    })
}

pub(super) fn write(seal: &pipeline::Seal) -> wit::Seal {
    wit::Seal {
        stanza: seal.stanza.clone(),
        attributes: seal
            .attributes
            .iter()
            .map(|attribute| wit::SealAttribute {
                key: attribute.key.clone(),
                value: match &attribute.value {
                    pipeline::Scalar::Text(text) => wit::Scalar::Text(text.clone()),
                    pipeline::Scalar::Integer(integer) => wit::Scalar::Integer(*integer),
                    pipeline::Scalar::Boolean(boolean) => wit::Scalar::Boolean(*boolean),
                },
            })
            .collect(),
        env: seal
            .env
            .iter()
            .map(|variable| wit::EnvVar {
                name: variable.name.clone(),
                value: match &variable.value {
                    pipeline::EnvValue::Literal(text) => wit::EnvValue::Literal(text.clone()),
                    pipeline::EnvValue::SecretKey(key) => {
                        wit::EnvValue::SecretKey(wit::SecretKey { secret: key.secret.clone(), key: key.key.clone() })
                    }
                },
            })
            .collect(),
        volumes: seal.volumes.iter().map(write_volume).collect(),
        secrets: seal.secrets.iter().map(write_secret).collect(),
        service_account_annotations: key_values(&seal.service_account_annotations),
        pod_labels: key_values(&seal.pod_labels),
        kms_plugin: seal.kms_plugin.as_ref().map(|plugin| wit::KmsPlugin {
            name: plugin.name.clone(),
            source: match &plugin.source {
                pipeline::KmsPluginSource::Image(image) => wit::KmsPluginSource::Image(image.clone()),
                pipeline::KmsPluginSource::Command(command) => wit::KmsPluginSource::Command(command.clone()),
            },
            version: plugin.version.clone(),
            sha256: plugin.sha256.clone(),
            binary_name: plugin.binary_name.clone(),
            args: plugin.args.clone(),
            env: key_values(&plugin.env),
        }),
        egress: seal.egress.iter().map(|e| wit::Egress { cidr: e.cidr.clone(), port: e.port }).collect(),
        credentials: match &seal.credentials {
            pipeline::SealCredentials::Ambient => wit::SealCredentials::Ambient,
            pipeline::SealCredentials::Secrets(names) => wit::SealCredentials::Secrets(names.clone()),
        },
        warnings: seal.warnings.clone(),
    }
}

fn write_volume(volume: &pipeline::SealVolume) -> wit::SealVolume {
    wit::SealVolume {
        name: volume.name.clone(),
        mount_path: volume.mount_path.clone(),
        source: match &volume.source {
            pipeline::VolumeSource::Secret(source) => wit::VolumeSource::Secret(wit::SecretVolume {
                secret: source.secret.clone(),
                items: source.items.iter().map(|item| wit::KeyPath { key: item.key.clone(), path: item.path.clone() }).collect(),
            }),
            pipeline::VolumeSource::Token(token) => wit::VolumeSource::Token(wit::TokenVolume {
                audience: token.audience.clone(),
                path: token.path.clone(),
                expiration_seconds: token.expiration_seconds,
            }),
        },
    }
}

fn write_secret(secret: &pipeline::GeneratedSecret) -> wit::GeneratedSecret {
    wit::GeneratedSecret {
        name: secret.name.clone(),
        class: match secret.class {
            pipeline::SecretClass::Identity => wit::SecretClass::Identity,
            pipeline::SecretClass::Renewable(before) => wit::SecretClass::Renewable(before),
        },
        labels: key_values(&secret.labels),
        entries: secret
            .entries
            .iter()
            .map(|entry| wit::SecretEntry { key: entry.key.clone(), generator: entry.generator.clone(), spec: entry.spec.to_string() })
            .collect(),
        publish: secret
            .publish
            .iter()
            .map(|p| wit::Publication { key: p.key.clone(), config_map: p.config_map.clone(), config_map_key: p.config_map_key.clone() })
            .collect(),
        restore_from: secret.restore_from.clone(),
        keep: secret.keep,
    }
}
