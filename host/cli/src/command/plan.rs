//! `banhbaoring plan`: what would change in the cluster, decided by the very steps that the operator takes, proven by server-side dry runs.
//! Nothing is written.

use std::collections::BTreeMap;
use std::process::ExitCode;

use banhbaoring_cluster::observe::views;
use banhbaoring_cluster::{Clients, Cluster, StoredInventory};
use banhbaoring_pipeline::contract::{HostIdentity, Json};
use banhbaoring_pipeline::observation::{Observation, Owner};
use banhbaoring_pipeline::plan as compare;
use banhbaoring_pipeline::plan::{Cause, Plan, Step, Write};
use kube::api::{Patch, PatchParams};
use kube::config::KubeConfigOptions;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client, Config};
use similar::{ChangeTag, TextDiff};

use super::{owner, render};
use crate::args::{ClusterArgs, PlanArgs, PlanFormat};
use crate::error::CliError;
use crate::output::{self, Colour, colour};
use crate::sources::{self, Loaded};

/// Exit code where something would change.
const CHANGES: u8 = 2;

pub(super) async fn run(args: &PlanArgs) -> Result<ExitCode, CliError> {
    let loaded = sources::load(&args.plugins).await?;
    let config = config(&args.cluster).await?;
    let namespace = args.cluster.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let clients = Clients::connect(config).map_err(|error| unreachable("connecting", &error))?.as_oneself();
    let client = clients.host().clone();
    let cluster = Cluster::with_clients(clients, &args.host_namespace);
    let objects = match (&args.filename, &args.owner) {
        (Some(path), _) => {
            let mut objects = Vec::new();
            for document in owner::documents(path)? {
                objects.push(dry_run(&client, &cluster, document, &namespace, "banhbaoring-plan").await?);
            }
            objects
        }
        (None, Some(name)) => vec![live_owner(&args.cluster, name, &loaded).await?],
        (None, None) => return Err(CliError::Refused("of what? Give --filename or --owner kind/name".to_owned())),
    };
    let (mut changes, mut wrong) = (false, false);
    for object in objects {
        let owner = owner::owner(object, Some(&namespace))?;
        let (plan, problems) = decide(&cluster, &loaded, owner).await?;
        for problem in problems {
            wrong = true;
            output::note(&problem);
        }
        changes |= !plan.is_empty();
        output::print(&match args.output {
            PlanFormat::Json => serde_json::to_string_pretty(&plan)
                .map_err(|error| CliError::Content { place: "the plan".to_owned(), detail: error.to_string() })?,
            PlanFormat::Diff => diff(&client, &cluster, &plan).await?,
        });
    }
    Ok(match (wrong, changes) {
        (true, _) => ExitCode::FAILURE,
        (false, true) => ExitCode::from(CHANGES),
        (false, false) => ExitCode::SUCCESS,
    })
}

/// Steps 1–5.
async fn decide(cluster: &Cluster, loaded: &Loaded, owner: Owner) -> Result<(Plan, Vec<String>), CliError> {
    let inventory: StoredInventory =
        cluster.inventories.read(&owner.reference).await.map_err(|error| unreachable("reading the inventory", &error))?;
    let platform =
        cluster.platform("cluster.local", &HostIdentity::default()).await.map_err(|error| unreachable("asking what is served", &error))?;
    let kinds = cluster.discovery.kinds();
    let graph = banhbaoring_pipeline::compose(&owner, &loaded.plugins);
    let observed = cluster.observe_children(&inventory.spec, &views(&graph)).await;
    let mut observation = Observation {
        owner,
        inventory: inventory.spec,
        children: observed.children,
        platform,
        kinds,
        unobserved: observed.failures.iter().map(|failure| (failure.component.clone(), failure.to_string())).collect(),
        now: u64::try_from(chrono::Utc::now().timestamp()).unwrap_or(0),
        ..Observation::default()
    };
    let rendering = render::rendering(loaded, &observation);
    let mut problems = render::problems(&rendering);
    problems.extend(observation.unobserved.values().cloned());
    let mut plan = compare::plan(&rendering.permitted, &observation);
    let asker = graph.nodes.first().map(|node| &node.plugin.account);
    if let (Some(account), Some(namespace), false) = (asker, &observation.owner.reference.namespace, plan.wanted_material.is_empty()) {
        match cluster.observe_material(account, namespace, &plan.wanted_material).await {
            Ok(material) => {
                observation.material = material;
                plan = compare::plan(&rendering.permitted, &observation);
            }
            Err(error) => problems.push(format!("what carries the hash of a Secret is not compared, because that was not read: {error}")),
        }
    }
    problems.extend(plan.problems.iter().map(|problem| format!("{}: {}: {}", problem.component, problem.reason, problem.message)));
    Ok((plan, problems))
}

async fn diff(client: &Client, cluster: &Cluster, plan: &Plan) -> Result<String, CliError> {
    let mut text = String::new();
    let (mut created, mut changed) = (0, 0);
    for step in &plan.steps {
        let sign = match step.cause {
            Cause::Missing | Cause::Interrupted => {
                created += 1;
                colour("+", Colour::Green)
            }
            Cause::Changed | Cause::Drifted | Cause::Expiring => {
                changed += 1;
                colour("~", Colour::Yellow)
            }
        };
        text.push_str(&format!("{sign} {} ({}, {:?})\n", step.reference, step.component, step.cause));
        text.push_str(&step_diff(client, cluster, step).await?);
    }
    for prune in &plan.prune {
        text.push_str(&format!("{} {} ({})\n", colour("-", Colour::Red), prune.reference, prune.component));
    }
    for waiting in &plan.waiting {
        text.push_str(&format!("{} {} ({}): {}\n", colour("?", Colour::Dim), waiting.reference, waiting.component, waiting.message));
    }
    let (deleted, unchanged) = (plan.prune.len(), plan.unchanged.len());
    text.push_str(&format!("plan: {created} to create, {changed} to change, {deleted} to delete, {unchanged} unchanged\n"));
    Ok(text)
}

async fn step_diff(client: &Client, cluster: &Cluster, step: &Step) -> Result<String, CliError> {
    let Write::Object(write) = &step.write else {
        return Ok(colour("    its material is made by the host\n", Colour::Dim));
    };
    let before = match write.create {
        true => String::new(),
        false => yaml(&live(client, cluster, &write.manifest).await?.unwrap_or_default()),
    };
    let after = if write.create {
        yaml(&write.manifest)
    } else {
        yaml(&dry_run(client, cluster, write.manifest.clone(), "default", &write.manager).await?)
    };
    let mut text = String::new();
    for group in TextDiff::from_lines(&before, &after).grouped_ops(2) {
        for op in group {
            for change in TextDiff::from_lines(&before, &after).iter_changes(&op) {
                let line = change.value().trim_end_matches('\n');
                text.push_str(&match change.tag() {
                    ChangeTag::Delete => colour(&format!("    - {line}"), Colour::Red),
                    ChangeTag::Insert => colour(&format!("    + {line}"), Colour::Green),
                    ChangeTag::Equal => format!("      {line}"),
                });
                text.push('\n');
            }
        }
    }
    Ok(text)
}

/// As people read it: without what the API server keeps for itself.
fn yaml(object: &Json) -> String {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Json::as_object_mut) {
        for noise in ["managedFields", "resourceVersion", "generation", "creationTimestamp", "uid"] {
            metadata.remove(noise);
        }
    }
    if object.is_null() { String::new() } else { serde_yaml::to_string(&object).unwrap_or_default() }
}

/// The object as the API server would have it: defaults, admission and all.
async fn dry_run(client: &Client, cluster: &Cluster, object: Json, namespace: &str, manager: &str) -> Result<Json, CliError> {
    let (api, name) = api(client, cluster, &object, namespace).await?;
    let params = PatchParams::apply(manager).force().dry_run();
    let answer = api
        .patch(&name, &params, &Patch::Apply(&object))
        .await
        .map_err(|error| CliError::Cluster { what: format!("{name} is refused by the API server"), detail: error.to_string() })?;
    serde_json::to_value(answer).map_err(|error| CliError::Content { place: name, detail: error.to_string() })
}

async fn live(client: &Client, cluster: &Cluster, object: &Json) -> Result<Option<Json>, CliError> {
    let (api, name) = api(client, cluster, object, "default").await?;
    let found = api.get_opt(&name).await.map_err(|error| unreachable("reading a child", &error))?;
    Ok(found.and_then(|object| serde_json::to_value(object).ok()))
}

async fn api(client: &Client, cluster: &Cluster, object: &Json, namespace: &str) -> Result<(Api<DynamicObject>, String), CliError> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Json::as_str).unwrap_or_default().to_owned();
    let info =
        cluster.discovery.kind(&text("/apiVersion"), &text("/kind")).await.map_err(|error| unreachable("asking what is served", &error))?;
    let (group, version) = info.api_version.split_once('/').unwrap_or(("", &info.api_version));
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, &info.kind), &info.plural);
    let own = Some(text("/metadata/namespace")).filter(|own| !own.is_empty()).unwrap_or_else(|| namespace.to_owned());
    let api =
        if info.namespaced { Api::namespaced_with(client.clone(), &own, &resource) } else { Api::all_with(client.clone(), &resource) };
    Ok((api, text("/metadata/name")))
}

/// An owner in the cluster, `kind/name`; the kind by name, plural or short name of one that the plugins bring.
pub(super) async fn live_owner(args: &ClusterArgs, name: &str, loaded: &Loaded) -> Result<Json, CliError> {
    let (kind, name) = name
        .split_once('/')
        .ok_or_else(|| CliError::Refused(format!("expected kind/name, found `{name}`; for example stack/production")))?;
    let known: BTreeMap<String, ApiResource> =
        loaded.plugins.iter().flat_map(|plugin| &plugin.descriptor.kinds).flat_map(|kind| names(&kind.crd)).collect();
    let Some(resource) = known.get(&kind.to_lowercase()) else {
        let kinds: Vec<&str> = known.values().map(|resource| resource.kind.as_str()).collect();
        return Err(CliError::Refused(format!("no plugin brings a kind `{kind}`; they bring {}", kinds.join(", "))));
    };
    let config = config(args).await?;
    let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config).map_err(|error| unreachable("connecting", &error))?;
    let api: Api<DynamicObject> = Api::namespaced_with(client, &namespace, resource);
    let object = api.get(name).await.map_err(|error| unreachable(&format!("reading {kind} {namespace}/{name}"), &error))?;
    serde_json::to_value(object).map_err(|error| CliError::Content { place: name.to_owned(), detail: error.to_string() })
}

fn names(crd: &Json) -> Vec<(String, ApiResource)> {
    let text = |pointer: &str| crd.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
    let version = crd
        .pointer("/spec/versions")
        .and_then(Json::as_array)
        .and_then(|versions| versions.iter().find(|version| version["storage"] == true))
        .and_then(|version| version["name"].as_str())
        .unwrap_or_default();
    let gvk = GroupVersionKind::gvk(text("/spec/group"), version, text("/spec/names/kind"));
    let resource = ApiResource::from_gvk_with_plural(&gvk, text("/spec/names/plural"));
    let short = crd.pointer("/spec/names/shortNames").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
    [text("/spec/names/kind"), text("/spec/names/plural"), text("/spec/names/singular")]
        .into_iter()
        .chain(short)
        .filter(|name| !name.is_empty())
        .map(|name| (name.to_lowercase(), resource.clone()))
        .collect()
}

/// The cluster, as kubectl finds it.
pub(super) async fn config(args: &ClusterArgs) -> Result<Config, CliError> {
    let options = KubeConfigOptions { context: args.context.clone(), ..KubeConfigOptions::default() };
    let config = match &args.kubeconfig {
        Some(path) => {
            let kubeconfig = kube::config::Kubeconfig::read_from(path).map_err(|error| unreachable("reading the kubeconfig", &error))?;
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| unreachable("reading the kubeconfig", &error))?
        }
        None => Config::infer().await.map_err(|error| unreachable("looking for a cluster", &error))?,
    };
    Ok(config)
}

fn unreachable(what: &str, error: &dyn std::fmt::Display) -> CliError {
    CliError::Cluster { what: what.to_owned(), detail: error.to_string() }
}
