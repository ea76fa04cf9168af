//! `banhbaoring render`: steps 2–4 on files, the very code that the operator runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use banhbaoring_pipeline::contract::{AnswerOutcome, Json, Platform};
use banhbaoring_pipeline::kinds::KindInfo;
use banhbaoring_pipeline::render::{Desired, Outcome};
use banhbaoring_pipeline::{Graph, Observation, Permitted, admit, compose, render};
use kube::core::{ApiResource, GroupVersionKind};

use crate::args::{Format, RenderArgs};
use crate::error::CliError;
use crate::output;
use crate::sources::{self, Loaded};

use super::owner;

/// What steps 2–4 made of an owner.
pub(super) struct Rendering {
    /// Step 2.
    pub(super) graph: Graph,
    /// Step 3.
    pub(super) desired: Desired,
    /// Step 4.
    pub(super) permitted: Permitted,
}

pub(super) async fn run(args: &RenderArgs) -> Result<ExitCode, CliError> {
    let loaded = sources::load(&args.plugins).await?;
    let answers = args.answers.as_deref().map(recorded).transpose()?.unwrap_or_default();
    let mut manifests = Vec::new();
    let mut wrong = false;
    for document in owner::documents(&args.filename)? {
        let owner = owner::owner(owner::defaulted(document, &loaded)?, Some("default"))?;
        let mut observation = owner::observation(owner, platform(&args.kubernetes_version, &loaded), answers.clone());
        serve(&args.apis, &loaded, &mut observation)?;
        let rendering = rendering(&loaded, &observation);
        for problem in problems(&rendering) {
            wrong = true;
            output::note(&problem);
        }
        manifests.extend(printable(&rendering.permitted));
    }
    output::print(&text(&manifests, args.output)?);
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Steps 2–4.
pub(super) fn rendering(loaded: &Loaded, observation: &Observation) -> Rendering {
    let graph = compose(&observation.owner, &loaded.plugins);
    let desired = render(&graph, observation, &loaded.modules);
    let permitted = admit(&desired, observation);
    Rendering { graph, desired, permitted }
}

/// What keeps components from being rendered, one line each.
pub(super) fn problems(rendering: &Rendering) -> Vec<String> {
    let graph = rendering.graph.problems.iter().map(|problem| {
        let field = problem.field.as_ref().map(|field| format!(" ({field})")).unwrap_or_default();
        format!("{}: {}{field}: {}", problem.component.as_deref().unwrap_or("-"), problem.reason, problem.message)
    });
    let failed = rendering.desired.components.iter().filter_map(|rendered| match &rendered.outcome {
        Outcome::Failed(failure) => {
            let field = failure.field.as_ref().map(|field| format!(" ({field})")).unwrap_or_default();
            Some(format!("{}: {}{field}: {}", rendered.component, failure.reason, failure.message))
        }
        Outcome::Waiting(dependency) => Some(format!("{}: waits for {} ({:?})", rendered.component, dependency.component, dependency.gate)),
        Outcome::Refused(refusal) => Some(format!("{}: {}: {}", rendered.component, refusal.reason, refusal.message)),
        Outcome::Answered(_) => None,
    });
    let refused =
        rendering.permitted.refused.iter().map(|refusal| format!("{}: {}: {}", refusal.component, refusal.reason, refusal.message));
    graph.chain(failed).chain(refused).collect()
}

/// Objects as they would be applied; Secrets without what only the host makes.
fn printable(permitted: &Permitted) -> Vec<Json> {
    let mut manifests = Vec::new();
    for component in &permitted.components {
        for secret in &component.secrets {
            let keys: Vec<&str> = secret.secret.entries.iter().map(|entry| entry.key.as_str()).collect();
            manifests.push(serde_json::json!({
                "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                "metadata": {
                    "name": secret.secret.name,
                    "labels": secret.secret.labels.iter().cloned().collect::<BTreeMap<_, _>>(),
                    "annotations": {"banhbaoring.io/generated": keys.join(",")},
                },
            }));
        }
        manifests.extend(component.objects.iter().map(|object| object.object.manifest.clone()));
    }
    manifests
}

fn text(manifests: &[Json], format: Format) -> Result<String, CliError> {
    let unprintable = |detail: String| CliError::Content { place: "a manifest".to_owned(), detail };
    match format {
        Format::Json => serde_json::to_string_pretty(&serde_json::json!({"apiVersion": "v1", "kind": "List", "items": manifests}))
            .map_err(|error| unprintable(error.to_string())),
        Format::Yaml => {
            let mut text = String::new();
            for manifest in manifests {
                text.push_str("---\n");
                text.push_str(&serde_yaml::to_string(manifest).map_err(|error| unprintable(error.to_string()))?);
            }
            Ok(text)
        }
    }
}

/// `component/id: value`.
fn recorded(path: &Path) -> Result<BTreeMap<(String, String), AnswerOutcome>, CliError> {
    let mut answers = BTreeMap::new();
    for document in owner::documents(path)? {
        let Some(entries) = document.as_object() else { continue };
        for (key, value) in entries {
            let Some((component, id)) = key.split_once('/') else {
                let detail = format!("answers are named component/id, found `{key}`");
                return Err(CliError::Content { place: path.display().to_string(), detail });
            };
            answers.insert((component.to_owned(), id.to_owned()), AnswerOutcome::Ok(value.clone()));
        }
    }
    Ok(answers)
}

/// Makes the cluster serve the kinds of the plugins and what was named on the command line.
fn serve(apis: &[String], loaded: &Loaded, observation: &mut Observation) -> Result<(), CliError> {
    for kind in loaded.plugins.iter().flat_map(|plugin| &plugin.descriptor.kinds) {
        observation.kinds.insert_definition(&kind.crd);
    }
    for api in apis {
        let [group, version, kind] = api.split('/').collect::<Vec<_>>()[..] else {
            return Err(CliError::Refused(format!(
                "--api: expected group/version/Kind such as cert-manager.io/v1/Certificate, found `{api}`"
            )));
        };
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        observation.kinds.insert(&resource.api_version, kind, KindInfo { plural: resource.plural, namespaced: true });
        observation.platform.apis.push(api.clone());
    }
    observation.platform.apis.sort();
    Ok(())
}

/// A cluster with the built-in kinds and those of the plugins.
pub(super) fn platform(version: &str, loaded: &Loaded) -> Platform {
    let mut apis: Vec<String> = [
        "v1/ConfigMap",
        "v1/Secret",
        "v1/Service",
        "v1/ServiceAccount",
        "apps/v1/DaemonSet",
        "apps/v1/Deployment",
        "apps/v1/StatefulSet",
        "autoscaling/v2/HorizontalPodAutoscaler",
        "batch/v1/CronJob",
        "batch/v1/Job",
        "networking.k8s.io/v1/Ingress",
        "networking.k8s.io/v1/NetworkPolicy",
        "policy/v1/PodDisruptionBudget",
        "rbac.authorization.k8s.io/v1/Role",
        "rbac.authorization.k8s.io/v1/RoleBinding",
    ]
    .map(str::to_owned)
    .to_vec();
    for kind in loaded.plugins.iter().flat_map(|plugin| &plugin.descriptor.kinds) {
        let text = |pointer: &str| kind.crd.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
        apis.push(format!("{}/{}/{}", text("/spec/group"), text("/spec/versions/0/name"), text("/spec/names/kind")));
    }
    apis.sort();
    Platform { kubernetes_version: version.to_owned(), apis, cluster_domain: "cluster.local".to_owned(), ..Platform::default() }
}
