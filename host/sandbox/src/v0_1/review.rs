//! Reviews of 0.1, both ways.

use banhbaoring_pipeline::contract as pipeline;

use super::request::{answer, platform};
use super::response::{each, needs};
use super::wit;
use crate::answer::Reader;
use crate::error::CallError;

pub(super) fn write(request: &pipeline::ReviewRequest) -> wit::ReviewRequest {
    wit::ReviewRequest {
        operation: match request.operation {
            pipeline::Operation::Create => wit::Operation::Create,
            pipeline::Operation::Update => wit::Operation::Update,
            pipeline::Operation::Delete => wit::Operation::Delete,
        },
        kind: request.kind.clone(),
        object: request.object.as_ref().map(ToString::to_string),
        old_object: request.old_object.as_ref().map(ToString::to_string),
        user: request.user.clone(),
        groups: request.groups.clone(),
        dry_run: request.dry_run,
        answers: request.answers.iter().map(answer).collect(),
        platform: platform(&request.platform),
        plugin_config: request.plugin_config.to_string(),
    }
}

pub(super) fn read(response: wit::ReviewResponse, reader: &mut Reader) -> Result<pipeline::ReviewResponse, CallError> {
    let limits = *reader.limits();
    let patches = Reader::counted("patches", response.patches, limits.items)?;
    Ok(pipeline::ReviewResponse {
        allowed: response.allowed,
        message: Reader::message("message", response.message)?,
        warnings: each(Reader::counted("warnings", response.warnings, limits.items)?, "warnings", |at, warning| {
            Reader::message(at, warning)
        })?,
        patches: each(patches, "patches", |at, patch| {
            let value = patch.value.map(|value| reader.json(&format!("{at}.value"), &value)).transpose()?;
            Ok(pipeline::ReviewPatch { path: patch.path, value })
        })?,
        needs: needs(response.needs, reader)?,
    })
}
