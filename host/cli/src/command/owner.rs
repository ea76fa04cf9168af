//! An owner from a file or from the cluster, and the observation that a command without an operator starts from.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use banhbaoring_api::inventory::{InventorySpec, OwnerReference};
use banhbaoring_pipeline::config;
use banhbaoring_pipeline::contract::{AnswerOutcome, Json, Platform};
use banhbaoring_pipeline::observation::{Observation, Owner};
use serde::Deserialize as _;

use crate::error::CliError;
use crate::sources::Loaded;

/// What stands for the uid of an owner that is in no cluster.
const NO_UID: &str = "00000000-0000-0000-0000-000000000000";

/// All documents of a file; `-` is standard input.
pub(super) fn documents(path: &Path) -> Result<Vec<Json>, CliError> {
    let place = path.display().to_string();
    let mut text = String::new();
    if path.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text).map(|_| ())
    } else {
        std::fs::read_to_string(path).map(|read| text = read)
    }
    .map_err(|source| CliError::File { what: "cannot read", path: path.to_owned(), source })?;
    let mut documents = Vec::new();
    for document in serde_yaml::Deserializer::from_str(&text) {
        let value = Json::deserialize(document)
            .map_err(|error| CliError::Content { place: place.clone(), detail: format!("not YAML: {error}") })?;
        if !value.is_null() {
            documents.push(value);
        }
    }
    if documents.is_empty() {
        return Err(CliError::Content { place, detail: "expected a resource, found an empty file".to_owned() });
    }
    Ok(documents)
}

/// The resource as the pipeline takes it. Where it names no namespace, it is in the default one, as it would be once applied: components read it
/// from the resource.
pub(super) fn owner(mut object: Json, default_namespace: Option<&str>) -> Result<Owner, CliError> {
    if let (Some(default), Some(metadata)) = (default_namespace, object.pointer_mut("/metadata").and_then(Json::as_object_mut)) {
        metadata.entry("namespace").or_insert_with(|| Json::String(default.to_owned()));
    }
    let text = |pointer: &str| object.pointer(pointer).and_then(Json::as_str).map(str::to_owned);
    let required = |pointer: &str| {
        text(pointer).ok_or_else(|| CliError::Content {
            place: "the resource".to_owned(),
            detail: format!("expected {}, found none", pointer.trim_start_matches('/').replace('/', ".")),
        })
    };
    Ok(Owner {
        reference: OwnerReference {
            api_version: required("/apiVersion")?,
            kind: required("/kind")?,
            namespace: text("/metadata/namespace"),
            name: required("/metadata/name")?,
            uid: text("/metadata/uid").unwrap_or_else(|| NO_UID.to_owned()),
        },
        generation: object.pointer("/metadata/generation").and_then(Json::as_i64).unwrap_or(1),
        deleting: text("/metadata/deletionTimestamp").is_some(),
        object,
    })
}

/// The resource with the defaults of its kind's definition, which the API server would fill in. A kind that no plugin brings has none.
pub(super) fn defaulted(object: Json, loaded: &Loaded) -> Result<Json, CliError> {
    completed(object, loaded.plugins.iter().flat_map(|plugin| &plugin.descriptor.kinds).map(|kind| &kind.crd))
}

fn completed<'d>(object: Json, mut definitions: impl Iterator<Item = &'d Json>) -> Result<Json, CliError> {
    let text = |value: &Json, pointer: &str| value.pointer(pointer).and_then(Json::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (text(&object, "/apiVersion"), text(&object, "/kind"));
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let schema = definitions
        .find(|definition| text(definition, "/spec/group") == group && text(definition, "/spec/names/kind") == kind)
        .and_then(|definition| definition.pointer("/spec/versions")?.as_array()?.iter().find(|served| text(served, "/name") == version))
        .and_then(|served| served.pointer("/schema/openAPIV3Schema"));
    config::completed(schema, Cow::Owned(object))
        .map_err(|error| CliError::Content { place: format!("the definition of {kind}"), detail: error.to_string() })
}

/// What is known where no cluster is: the owner, and answers from a file.
pub(super) fn observation(owner: Owner, platform: Platform, answers: BTreeMap<(String, String), AnswerOutcome>) -> Observation {
    Observation {
        inventory: InventorySpec { owner: owner.reference.clone(), ..InventorySpec::default() },
        owner,
        platform,
        answers,
        ..Observation::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_without_a_namespace_is_in_the_default_one_for_its_components_too() {
        let file = serde_json::json!({"apiVersion": "example.org/v1", "kind": "Stack", "metadata": {"name": "one"}});
        let owner = owner(file, Some("team")).unwrap();
        assert_eq!((owner.reference.namespace.as_deref(), &owner.object["metadata"]["namespace"]), (Some("team"), &Json::from("team")));
    }

    #[test]
    fn a_resource_that_names_its_namespace_keeps_it() {
        let file = serde_json::json!({"apiVersion": "example.org/v1", "kind": "Stack", "metadata": {"name": "one", "namespace": "own"}});
        assert_eq!(owner(file, Some("team")).unwrap().reference.namespace.as_deref(), Some("own"));
    }

    #[test]
    fn what_the_definition_defaults_is_filled_in_and_what_is_written_stays() {
        let crd = serde_json::json!({"spec": {"group": "example.org", "names": {"kind": "Stack"}, "versions": [
            {"name": "v1alpha1", "schema": {"openAPIV3Schema": {}}},
            {"name": "v1", "schema": {"openAPIV3Schema": {"properties": {"spec": {"default": {}, "properties": {
                "size": {"type": "integer", "default": 3}, "name": {"type": "string", "default": "a"}}}}}}},
        ]}});
        let file =
            |version: &str, spec: Json| serde_json::json!({"apiVersion": format!("example.org/{version}"), "kind": "Stack", "spec": spec});
        let spec = |version: &str, spec: Json| completed(file(version, spec), std::iter::once(&crd)).unwrap()["spec"].clone();
        assert_eq!(spec("v1", serde_json::json!({"name": "b"})), serde_json::json!({"name": "b", "size": 3}));
        assert_eq!(spec("v1alpha1", serde_json::json!({})), serde_json::json!({}));
        let strange = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {}});
        assert_eq!(completed(strange.clone(), std::iter::once(&crd)).unwrap(), strange);
    }
}
