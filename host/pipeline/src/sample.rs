//! Plugins, owners and renderers to test steps 2 and 3 with.

use std::sync::Arc;
use std::sync::Mutex;

use banhbaoring_api::Grants;
use banhbaoring_api::inventory::{ChildEntry, OwnerReference};
use banhbaoring_api::plugin::NamespacedName;
use serde_json::json;

use crate::contract::{
    ComponentDescriptor, Criticality, Dependency, Descriptor, Failure, Gate, Json, Object, ObjectReference, ReadinessState, Request,
    Response, Seal, SealCredentials, SealRequest, State, UnsealProviderDescriptor,
};
use crate::observation::{Observation, ObservedChild, Owner, Readiness};
use crate::plugins::ActivePlugin;
use crate::render::Render;

pub(crate) fn plugin(name: &str, components: Vec<ComponentDescriptor>) -> ActivePlugin {
    ActivePlugin {
        name: name.to_owned(),
        digest: format!("sha256:{name}"),
        descriptor: Descriptor {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            summary: String::new(),
            homepage: None,
            license: None,
            kinds: Vec::new(),
            components,
            unseal_providers: Vec::new(),
            admissions: Vec::new(),
            webhooks: Vec::new(),
            images: Vec::new(),
            permissions: json!({}),
            config_schema: None,
        },
        grants: Grants::default(),
        account: NamespacedName { namespace: "host".to_owned(), name: name.to_owned() },
        config: json!({}),
        allowed_namespaces: Vec::new(),
    }
}

pub(crate) fn provider(plugin_name: &str, name: &str, aliases: &[&str]) -> ActivePlugin {
    let mut provider = plugin(plugin_name, Vec::new());
    let aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
    provider.descriptor.unseal_providers.push(UnsealProviderDescriptor { name: name.to_owned(), aliases, config_schema: None });
    provider
}

pub(crate) fn component(name: &str, after: &[(&str, Gate)]) -> ComponentDescriptor {
    ComponentDescriptor {
        name: name.to_owned(),
        kind: "example.org/Stack".to_owned(),
        config_path: format!("/{name}"),
        after: after.iter().map(|(component, gate)| Dependency { component: (*component).to_owned(), gate: *gate }).collect(),
        criticality: Criticality::Required,
        phase_on_failure: None,
        status_path: format!("/{name}"),
        condition_types: Vec::new(),
        slots: Vec::new(),
        config_schema: None,
        children: Vec::new(),
        metrics: Vec::new(),
        clock_seconds: None,
        consumable: false,
    }
}

pub(crate) fn owner(spec: Json) -> Owner {
    Owner {
        reference: OwnerReference {
            api_version: "example.org/v1".to_owned(),
            kind: "Stack".to_owned(),
            namespace: Some("team".to_owned()),
            name: "one".to_owned(),
            uid: "uid-1".to_owned(),
        },
        generation: 1,
        deleting: false,
        object: json!({
            "apiVersion": "example.org/v1", "kind": "Stack",
            "metadata": {"name": "one", "namespace": "team", "uid": "uid-1"},
            "spec": spec,
        }),
    }
}

pub(crate) fn observation(owner: Owner) -> Observation {
    Observation { owner, now: 1_000_007, ..Observation::default() }
}

/// Puts a child into the inventory and, with a state, into what was observed.
pub(crate) fn child(observation: &mut Observation, component: &str, kind: &str, name: &str, state: Option<ReadinessState>, fields: Json) {
    let uid = format!("uid-{kind}-{name}");
    observation.inventory.children.push(ChildEntry {
        api_version: "v1".to_owned(),
        kind: kind.to_owned(),
        namespace: Some("team".to_owned()),
        name: name.to_owned(),
        component: component.to_owned(),
        uid: Some(uid.clone()),
        ..ChildEntry::default()
    });
    let Some(state) = state else { return };
    let reference =
        ObjectReference { api_version: "v1".to_owned(), kind: kind.to_owned(), namespace: Some("team".to_owned()), name: name.to_owned() };
    let readiness = Readiness { state, reason: String::new(), message: String::new() };
    observation.children.insert(
        reference.clone(),
        ObservedChild {
            reference,
            uid,
            resource_version: "5".to_owned(),
            fields_hash: None,
            controller: Some("uid-1".to_owned()),
            deleting: false,
            readiness,
            fields,
        },
    );
}

pub(crate) fn response(state: State) -> Response {
    Response {
        objects: Vec::new(),
        secrets: Vec::new(),
        needs: Vec::new(),
        actions: Vec::new(),
        outputs: json!({}),
        status: json!({}),
        conditions: Vec::new(),
        events: Vec::new(),
        metrics: Vec::new(),
        state,
        reason: "Fine".to_owned(),
        message: String::new(),
        requeue_after_seconds: None,
        finalized: false,
    }
}

pub(crate) fn config_map(name: &str) -> Object {
    Object {
        manifest: json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}),
        mode: crate::contract::ApplyMode::Apply,
        keep: false,
        create_only_fields: Vec::new(),
        exclusive: Vec::new(),
        recreate: None,
    }
}

pub(crate) fn seal() -> Seal {
    Seal {
        stanza: "awskms".to_owned(),
        attributes: Vec::new(),
        env: Vec::new(),
        volumes: Vec::new(),
        secrets: Vec::new(),
        service_account_annotations: Vec::new(),
        pod_labels: Vec::new(),
        kms_plugin: None,
        egress: Vec::new(),
        credentials: SealCredentials::Ambient,
        warnings: Vec::new(),
    }
}

/// Answers with closures and keeps what it was asked.
pub(crate) struct Scripted<F, S> {
    pub(crate) component: F,
    pub(crate) seal: S,
    pub(crate) asked: Mutex<Vec<Request>>,
    pub(crate) seals_asked: Mutex<Vec<SealRequest>>,
}

pub(crate) fn scripted<F: Fn(&Request) -> Result<Response, Failure>>(component: F) -> Scripted<F, fn(&SealRequest) -> Seal> {
    with_seals(component, |_| seal())
}

pub(crate) fn with_seals<F, S>(component: F, seal: S) -> Scripted<F, S>
where
    F: Fn(&Request) -> Result<Response, Failure>,
    S: Fn(&SealRequest) -> Seal,
{
    Scripted { component, seal, asked: Mutex::default(), seals_asked: Mutex::default() }
}

impl<F, S> Scripted<F, S> {
    pub(crate) fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }
}

impl<F: Fn(&Request) -> Result<Response, Failure>, S: Fn(&SealRequest) -> Seal> Render for Scripted<F, S> {
    fn reconcile(&self, _: &ActivePlugin, request: &Request) -> Result<Arc<Response>, Failure> {
        self.asked.lock().unwrap().push(request.clone());
        (self.component)(request).map(Arc::new)
    }

    fn render_seal(&self, _: &ActivePlugin, _: &str, request: &SealRequest) -> Result<Arc<Seal>, Failure> {
        self.seals_asked.lock().unwrap().push(request.clone());
        Ok(Arc::new((self.seal)(request)))
    }
}
