//! From the descriptors of 0.1 to the pipeline's: counted, parsed, bounded.

use banhbaoring_pipeline::contract as pipeline;

use super::response::each;
use super::{pairs, wit};
use crate::answer::Reader;
use crate::error::CallError;

pub(super) fn read(descriptor: wit::Descriptor, reader: &mut Reader) -> Result<pipeline::Descriptor, CallError> {
    let items = reader.limits().items;
    if descriptor.name.is_empty() || descriptor.name.len() > 63 {
        return Err(CallError::invalid("name", "expected between 1 and 63 bytes"));
    }
    if semver::Version::parse(&descriptor.version).is_err() {
        return Err(CallError::invalid("version", "expected a semantic version, like 1.2.3"));
    }
    Ok(pipeline::Descriptor {
        name: descriptor.name,
        version: Reader::reason("version", descriptor.version)?,
        summary: Reader::message("summary", descriptor.summary)?,
        homepage: descriptor.homepage.map(|url| Reader::reason("homepage", url)).transpose()?,
        license: descriptor.license.map(|license| Reader::reason("license", license)).transpose()?,
        kinds: each(Reader::counted("kinds", descriptor.kinds, items)?, "kinds", |at, k| kind(at, k, reader))?,
        components: each(Reader::counted("components", descriptor.components, items)?, "components", |at, c| component(at, c, reader))?,
        unseal_providers: each(
            Reader::counted("unseal-providers", descriptor.unseal_providers, items)?,
            "unseal-providers",
            |at, provider| {
                Ok(pipeline::UnsealProviderDescriptor {
                    name: provider.name,
                    aliases: reader.entries("aliases", provider.aliases)?,
                    config_schema: reader.optional(&format!("{at}.config-schema"), provider.config_schema.as_deref())?,
                })
            },
        )?,
        admissions: each(Reader::counted("admissions", descriptor.admissions, items)?, "admissions", |_, a| admission(a, reader))?,
        webhooks: Reader::counted("webhooks", descriptor.webhooks, items)?
            .into_iter()
            .map(|webhook| pipeline::WebhookDescriptor {
                name: webhook.name,
                max_payload_bytes: webhook.max_payload_bytes,
                signature_header: webhook.signature_header,
                signature_scheme: match webhook.signature_scheme {
                    wit::SignatureScheme::HmacSha256Hex => pipeline::SignatureScheme::HmacSha256Hex,
                },
            })
            .collect(),
        images: reader
            .entries("images", descriptor.images)?
            .into_iter()
            .map(|image| pipeline::DefaultImage { role: image.role, image: image.image })
            .collect(),
        permissions: reader.object("permissions", &descriptor.permissions)?,
        config_schema: reader.optional("config-schema", descriptor.config_schema.as_deref())?,
    })
}

fn kind(at: &str, kind: wit::Kind, reader: &mut Reader) -> Result<pipeline::Kind, CallError> {
    Ok(pipeline::Kind {
        crd: reader.object(&format!("{at}.crd"), &kind.crd)?,
        observation: match kind.observation {
            wit::Observation::Watch => pipeline::Observation::Watch,
            wit::Observation::Poll(seconds) => pipeline::Observation::Poll(seconds),
        },
        finalizer: kind.finalizer.map(|finalizer| pipeline::Finalizer {
            name: finalizer.name,
            timeout_seconds: finalizer.timeout_seconds,
            on_timeout: match finalizer.on_timeout {
                wit::FinalizerTimeout::Force => pipeline::FinalizerTimeout::Force,
                wit::FinalizerTimeout::Block => pipeline::FinalizerTimeout::Block,
            },
        }),
        phase: match kind.phase {
            wit::PhaseSource::Aggregated => pipeline::PhaseSource::Aggregated,
            wit::PhaseSource::Told => pipeline::PhaseSource::Told,
        },
    })
}

fn component(at: &str, component: wit::ComponentDescriptor, reader: &mut Reader) -> Result<pipeline::ComponentDescriptor, CallError> {
    Ok(pipeline::ComponentDescriptor {
        config_schema: reader.optional(&format!("{at}.config-schema"), component.config_schema.as_deref())?,
        name: component.name,
        kind: component.kind,
        config_path: component.config_path,
        after: reader.entries("dependencies", component.after)?.into_iter().map(dependency).collect(),
        criticality: match component.criticality {
            wit::Criticality::Required => pipeline::Criticality::Required,
            wit::Criticality::Degrading => pipeline::Criticality::Degrading,
            wit::Criticality::BestEffort => pipeline::Criticality::BestEffort,
        },
        phase_on_failure: component.phase_on_failure,
        status_path: component.status_path,
        condition_types: reader.entries("condition-types", component.condition_types)?,
        slots: reader.entries("slots", component.slots)?.into_iter().map(slot).collect(),
        children: reader
            .entries("children", component.children)?
            .into_iter()
            .map(|view| {
                Ok(pipeline::ChildView {
                    api_version: view.api_version,
                    kind: view.kind,
                    fields: reader.entries("fields of a child", view.fields)?,
                })
            })
            .collect::<Result<_, CallError>>()?,
        metrics: reader
            .entries("metrics", component.metrics)?
            .into_iter()
            .map(|metric| {
                Ok(pipeline::MetricDescriptor {
                    name: metric.name,
                    metric_type: match metric.metric_type {
                        wit::MetricType::Gauge => pipeline::MetricType::Gauge,
                        wit::MetricType::Counter => pipeline::MetricType::Counter,
                    },
                    help: metric.help,
                    labels: reader.entries("labels of a metric", metric.labels)?,
                })
            })
            .collect::<Result<_, CallError>>()?,
        clock_seconds: component.clock_seconds,
        consumable: component.consumable,
    })
}

fn dependency(dependency: wit::Dependency) -> pipeline::Dependency {
    pipeline::Dependency {
        component: dependency.component,
        gate: match dependency.gate {
            wit::Gate::Applied => pipeline::Gate::Applied,
            wit::Gate::Ready => pipeline::Gate::Ready,
            wit::Gate::Outputs => pipeline::Gate::Outputs,
        },
    }
}

fn slot(slot: wit::Slot) -> pipeline::Slot {
    pipeline::Slot {
        name: slot.name,
        interface_name: slot.interface_name,
        selector: slot.selector,
        config_path: slot.config_path,
        default_provider: slot.default_provider,
    }
}

fn admission(admission: wit::AdmissionDescriptor, reader: &Reader) -> Result<pipeline::AdmissionDescriptor, CallError> {
    Ok(pipeline::AdmissionDescriptor {
        kind: admission.kind,
        operations: reader
            .entries("operations", admission.operations)?
            .into_iter()
            .map(|operation| match operation {
                wit::Operation::Create => pipeline::Operation::Create,
                wit::Operation::Update => pipeline::Operation::Update,
                wit::Operation::Delete => pipeline::Operation::Delete,
            })
            .collect(),
        mutating: admission.mutating,
        match_conditions: pairs("match-conditions", admission.match_conditions, reader)?,
        may_touch: reader.entries("may-touch", admission.may_touch)?,
        validations: reader
            .entries("validations", admission.validations)?
            .into_iter()
            .map(|validation| pipeline::Validation { expression: validation.expression, message: validation.message })
            .collect(),
    })
}
