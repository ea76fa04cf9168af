//! From the pipeline's requests to those of 0.1.

use banhbaoring_pipeline::contract as pipeline;

use super::{key_values, seal, wit};

pub(super) fn write(request: &pipeline::Request) -> wit::Request {
    wit::Request {
        owner: request.owner.to_string(),
        component: request.component.clone(),
        config: request.config.to_string(),
        plugin_config: request.plugin_config.to_string(),
        previous: request.previous.as_ref().map(ToString::to_string),
        platform: platform(&request.platform),
        children: request.children.iter().map(child).collect(),
        inputs: request.inputs.iter().map(input).collect(),
        slots: request.slots.iter().map(slot).collect(),
        answers: request.answers.iter().map(answer).collect(),
        results: request.results.iter().map(result).collect(),
        deleting: request.deleting,
        time: request.time,
    }
}

pub(super) fn write_seal(request: &pipeline::SealRequest) -> wit::SealRequest {
    wit::SealRequest {
        config: request.config.to_string(),
        openbao_version: request.openbao_version.clone(),
        owner: request.owner.to_string(),
        platform: platform(&request.platform),
        plugin_config: request.plugin_config.to_string(),
    }
}

pub(super) fn platform(platform: &pipeline::Platform) -> wit::Platform {
    wit::Platform {
        kubernetes_version: platform.kubernetes_version.clone(),
        apis: platform.apis.clone(),
        cluster_domain: platform.cluster_domain.clone(),
        host: wit::HostIdentity {
            namespace: platform.host.namespace.clone(),
            service_account: platform.host.service_account.clone(),
            pod_labels: key_values(&platform.host.pod_labels),
            webhook_service: platform.host.webhook_service.clone(),
            api_server_endpoints: platform.host.api_server_endpoints.clone(),
        },
    }
}

fn child(child: &pipeline::Child) -> wit::Child {
    wit::Child {
        reference: wit::ObjectReference {
            api_version: child.reference.api_version.clone(),
            kind: child.reference.kind.clone(),
            namespace: child.reference.namespace.clone(),
            name: child.reference.name.clone(),
        },
        readiness: match child.readiness {
            pipeline::ReadinessState::Ready => wit::ReadinessState::Ready,
            pipeline::ReadinessState::Progressing => wit::ReadinessState::Progressing,
            pipeline::ReadinessState::Failed => wit::ReadinessState::Failed,
        },
        reason: child.reason.clone(),
        message: child.message.clone(),
        fields: child.fields.to_string(),
    }
}

fn input(input: &pipeline::Input) -> wit::Input {
    wit::Input { component: input.component.clone(), outputs: input.outputs.to_string() }
}

fn slot(slot: &pipeline::SlotAnswer) -> wit::SlotAnswer {
    wit::SlotAnswer {
        slot: slot.slot.clone(),
        provider: slot.provider.clone(),
        filling: match &slot.filling {
            pipeline::SlotFilling::Seal(answer) => wit::SlotFilling::Seal(seal::write(answer)),
        },
    }
}

pub(super) fn answer(answer: &pipeline::Answer) -> wit::Answer {
    wit::Answer {
        id: answer.id.clone(),
        outcome: match &answer.outcome {
            pipeline::AnswerOutcome::Pending => wit::AnswerOutcome::Pending,
            pipeline::AnswerOutcome::Ok(value) => wit::AnswerOutcome::Ok(value.to_string()),
            pipeline::AnswerOutcome::Error(error) => wit::AnswerOutcome::Error(outcome_error(error)),
        },
    }
}

fn result(result: &pipeline::ActionResult) -> wit::ActionResult {
    wit::ActionResult {
        id: result.id.clone(),
        outcome: match &result.outcome {
            pipeline::ActionOutcome::Ok(value) => wit::ActionOutcome::Ok(value.to_string()),
            pipeline::ActionOutcome::Error(error) => wit::ActionOutcome::Error(outcome_error(error)),
            pipeline::ActionOutcome::Unknown => wit::ActionOutcome::Unknown,
        },
    }
}

fn outcome_error(error: &pipeline::OutcomeError) -> wit::OutcomeError {
    wit::OutcomeError { class: error.class.clone(), message: error.message.clone() }
}
