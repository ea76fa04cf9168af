//! The pure steps on plugins in this process, without any cluster: owners are data, and what the API server would do is played.

use anyhow::{Context as _, Result, bail};
use banhbaoring_api::Grants;
use banhbaoring_api::inventory::{ChildEntry, InventorySpec, OwnerReference};
use banhbaoring_api::plugin::NamespacedName;
use banhbaoring_pipeline::contract::{Platform, ReadinessState};
use banhbaoring_pipeline::kinds::{KindInfo, KindTable};
use banhbaoring_pipeline::observation::{ObservedChild, Owner, Readiness};
use banhbaoring_pipeline::plan::{Step, Write};
use banhbaoring_pipeline::render::{Outcome, Render};
use banhbaoring_pipeline::report::Facts;
use banhbaoring_pipeline::{ActivePlugin, Desired, Observation, Plan, PluginSet, Report, admit, compose, plan, render, report};
use banhbaoring_sandbox::{CallLimits, EngineSettings, Modules, Sandbox, TrustedComponent};
use banhbaoring_testing::guests;
use serde_json::{Value, json};

/// An owner comes to rest after so many passes, or something is wrong.
const PASSES: usize = 10;

/// Loaded plugins with the grants that they ask for.
pub(crate) struct World {
    pub(crate) plugins: PluginSet,
    pub(crate) modules: Modules,
    pub(crate) sandbox: Sandbox,
}

impl World {
    /// Loads components that `cargo xtask plugins` built.
    pub(crate) fn load(names: &[&str]) -> Result<Self> {
        let sandbox = Sandbox::new(EngineSettings::default(), None)?;
        let mut world = Self { plugins: PluginSet::default(), modules: Modules::default(), sandbox };
        for name in names {
            let module = world.sandbox.load(&component(name)?, CallLimits::default())?;
            let descriptor = module.describe()?;
            let grants: Grants = serde_json::from_value(descriptor.permissions.clone()).context("permissions")?;
            let plugin = ActivePlugin {
                name: descriptor.name.clone(),
                digest: module.digest().to_owned(),
                account: NamespacedName { namespace: "bench".to_owned(), name: descriptor.name.clone() },
                config: json!({}),
                allowed_namespaces: Vec::new(),
                grants,
                descriptor,
            };
            world.modules = world.modules.with(&plugin.name, &plugin.digest, module);
            world.plugins = world.plugins.with(plugin);
        }
        Ok(world)
    }
}

/// A built component.
pub(crate) fn component(name: &str) -> Result<TrustedComponent> {
    Ok(TrustedComponent::local_file(std::fs::read(guests::component(name)?)?))
}

/// Steps 2–5 and 8 of one reconcile.
pub(crate) struct Pass {
    pub(crate) desired: Desired,
    pub(crate) plan: Plan,
    pub(crate) report: Report,
    refused: Vec<String>,
}

impl Pass {
    /// Whether nothing would be sent: no object, no status, no event.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.plan.is_empty() && self.plan.waiting.is_empty() && !self.report.status_changed && self.report.events.is_empty()
    }
}

/// Runs the pure steps.
pub(crate) fn pass(plugins: &PluginSet, renderer: &dyn Render, observation: &Observation) -> Pass {
    let graph = compose(&observation.owner, plugins);
    let desired = render(&graph, observation, renderer);
    let permitted = admit(&desired, observation);
    let plan = plan(&permitted, observation);
    let report = report(Facts { observation, graph: &graph, desired: &desired, permitted: &permitted, plan: &plan, mishaps: &[] });
    let refused = permitted.refused.iter().map(|refusal| refusal.message.clone()).collect();
    Pass { desired, plan, report, refused }
}

/// An owner that nobody has looked at yet.
pub(crate) fn unseen(mut object: Value, namespace: &str, uid: &str) -> Observation {
    object["metadata"]["namespace"] = json!(namespace);
    object["metadata"]["uid"] = json!(uid);
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let reference = OwnerReference {
        api_version: text("/apiVersion"),
        kind: text("/kind"),
        namespace: Some(namespace.to_owned()),
        name: text("/metadata/name"),
        uid: uid.to_owned(),
    };
    let apis = [
        "apps/v1/Deployment",
        "apps/v1/StatefulSet",
        "cert-manager.io/v1/Certificate",
        "networking.k8s.io/v1/NetworkPolicy",
        "policy/v1/PodDisruptionBudget",
        "rbac.authorization.k8s.io/v1/Role",
        "rbac.authorization.k8s.io/v1/RoleBinding",
        "v1/ConfigMap",
        "v1/Secret",
        "v1/Service",
        "v1/ServiceAccount",
    ];
    let mut kinds = KindTable::default();
    kinds.insert("cert-manager.io/v1", "Certificate", KindInfo { plural: "certificates".to_owned(), namespaced: true });
    Observation {
        kinds,
        inventory: InventorySpec { owner: reference.clone(), ..InventorySpec::default() },
        owner: Owner { reference, generation: 1, deleting: false, object },
        platform: Platform {
            kubernetes_version: "v1.34.0".to_owned(),
            apis: apis.map(str::to_owned).to_vec(),
            cluster_domain: "cluster.local".to_owned(),
            ..Platform::default()
        },
        now: 1_700_000_000,
        ..Observation::default()
    }
}

/// A Stack.
pub(crate) fn stack(namespace: &str, name: &str) -> Observation {
    let object = json!({
        "apiVersion": "bench.banhbaoring.io/v1alpha1", "kind": "Stack", "metadata": {"name": name}, "spec": {"message": "hello"},
    });
    unseen(object, namespace, &format!("uid-{name}"))
}

/// Plays the cluster until the owner is at rest: whatever is sent is there and ready a moment later.
pub(crate) fn settled(plugins: &PluginSet, renderer: &dyn Render, mut observation: Observation) -> Result<Observation> {
    let mut last = None;
    for _ in 0..PASSES {
        let pass = pass(plugins, renderer, &observation);
        if let Some(refused) = pass.refused.first() {
            bail!("{}: {refused}", observation.owner.reference.name);
        }
        for rendered in &pass.desired.components {
            if !matches!(rendered.outcome, Outcome::Answered(_)) {
                bail!("{} of {}: {:?}", rendered.component, observation.owner.reference.name, rendered.outcome);
            }
        }
        if pass.is_at_rest() {
            return Ok(observation);
        }
        pass.plan.steps.iter().for_each(|step| store(&mut observation, step));
        observation.material.extend(pass.plan.wanted_material.iter().map(|wanted| (wanted.clone(), "there".to_owned())));
        observation.inventory.events.extend(pass.report.events.iter().filter_map(|event| event.told.clone()));
        observation.owner.object["status"] = pass.report.status.clone();
        last = Some(pass);
    }
    bail!("{} does not come to rest: {:?}", observation.owner.reference.name, last.map(|pass| pass.plan))
}

fn store(observation: &mut Observation, step: &Step) {
    let reference = &step.reference;
    let uid = format!("{}-{}-{}", observation.owner.reference.uid, reference.kind, reference.name);
    let mut entry = ChildEntry {
        api_version: reference.api_version.clone(),
        kind: reference.kind.clone(),
        namespace: reference.namespace.clone(),
        name: reference.name.clone(),
        component: step.component.clone(),
        account: format!("{}/{}", step.account.namespace, step.account.name),
        uid: Some(uid.clone()),
        fields_hash: Some("as applied".to_owned()),
        keep: step.keep,
        ..ChildEntry::default()
    };
    match &step.write {
        Write::Object(write) => {
            entry.desired_hash = Some(write.desired_hash.clone());
            entry.exclusive.clone_from(&write.exclusive);
        }
        Write::Secret(write) => {
            entry.desired_hash = Some(write.desired_hash.clone());
            // A certificate is one entry and several keys.
            let certificate = ["", "ca.crt", "tls.crt", "tls.key"].map(str::to_owned);
            let keys = write.secret.entries.iter().map(|entry| entry.key.clone()).chain(certificate);
            entry.material = keys.map(|key| (key, "made".to_owned())).collect();
        }
    }
    observation.inventory.children.retain(|known| (&known.kind, &known.name) != (&entry.kind, &entry.name));
    observation.inventory.children.push(entry);
    let child = ObservedChild {
        reference: reference.clone(),
        uid,
        resource_version: "2".to_owned(),
        fields_hash: Some("as applied".to_owned()),
        controller: Some(observation.owner.reference.uid.clone()),
        deleting: false,
        readiness: Readiness { state: ReadinessState::Ready, reason: "Ready".to_owned(), message: String::new() },
        fields: json!({}),
    };
    observation.children.insert(reference.clone(), child);
}
