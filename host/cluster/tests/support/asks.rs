//! Needs and actions as the pipeline admits them.

use std::sync::Arc;

use banhbaoring_api::grants::Grants;
use banhbaoring_api::inventory::InventorySpec;
use banhbaoring_pipeline::contract::{
    Action, ComponentDescriptor, Criticality, Descriptor, Failure, Need, Request, Response, Seal, SealRequest, State,
};
use banhbaoring_pipeline::observation::{Observation, Owner};
use banhbaoring_pipeline::{ActivePlugin, Permitted, PluginSet, Render, admit, compose, render};
use serde_json::{Value, json};

use super::{COMPONENT, Fixture};

/// Asks for these and nothing else.
#[derive(Default)]
pub struct Asks {
    pub needs: Vec<Need>,
    pub actions: Vec<Action>,
}

impl Asks {
    pub fn need(need: Need) -> Self {
        Self { needs: vec![need], ..Self::default() }
    }

    pub fn action(action: Action) -> Self {
        Self { actions: vec![action], ..Self::default() }
    }
}

impl Render for Asks {
    fn reconcile(&self, _: &ActivePlugin, _: &Request) -> Result<Arc<Response>, Failure> {
        Ok(Arc::new(Response {
            objects: Vec::new(),
            secrets: Vec::new(),
            needs: self.needs.clone(),
            actions: self.actions.clone(),
            outputs: json!({}),
            status: json!({}),
            conditions: Vec::new(),
            events: Vec::new(),
            metrics: Vec::new(),
            state: State::Progressing,
            reason: "Asking".to_owned(),
            message: String::new(),
            requeue_after_seconds: None,
            finalized: false,
        }))
    }

    fn render_seal(&self, _: &ActivePlugin, _: &str, _: &SealRequest) -> Result<Arc<Seal>, Failure> {
        unreachable!("there is no slot")
    }
}

/// A plugin with these grants, served by the fixture's account.
pub fn plugin(fixture: &Fixture, grants: Value) -> ActivePlugin {
    ActivePlugin {
        name: "plugin".to_owned(),
        digest: "sha256:1".to_owned(),
        descriptor: Descriptor {
            name: "plugin".to_owned(),
            version: "1.0.0".to_owned(),
            summary: String::new(),
            homepage: None,
            license: None,
            kinds: Vec::new(),
            components: vec![ComponentDescriptor {
                name: COMPONENT.to_owned(),
                kind: "/ConfigMap".to_owned(),
                config_path: "/".to_owned(),
                after: Vec::new(),
                criticality: Criticality::Required,
                phase_on_failure: None,
                status_path: String::new(),
                condition_types: Vec::new(),
                slots: Vec::new(),
                config_schema: None,
                children: Vec::new(),
                metrics: Vec::new(),
                clock_seconds: None,
                consumable: false,
            }],
            unseal_providers: Vec::new(),
            admissions: Vec::new(),
            webhooks: Vec::new(),
            images: Vec::new(),
            permissions: json!({}),
            config_schema: None,
        },
        grants: serde_json::from_value::<Grants>(grants).unwrap(),
        account: fixture.account.clone(),
        config: json!({}),
        allowed_namespaces: Vec::new(),
    }
}

/// What is admitted for an owner of these children, whose spec names `named`.
pub async fn admitted(fixture: &Fixture, plugin: &ActivePlugin, asks: Asks, inventory: &InventorySpec) -> Permitted {
    fixture.cluster.discovery.refresh().await.unwrap();
    let observation = Observation {
        owner: Owner { reference: fixture.owner.clone(), object: json!({"spec": {"use": "named"}}), ..Owner::default() },
        inventory: inventory.clone(),
        kinds: fixture.cluster.discovery.kinds(),
        ..Observation::default()
    };
    let plugins = PluginSet::default().with(plugin.clone());
    let desired = render(&compose(&observation.owner, &plugins), &observation, &asks);
    let permitted = admit(&desired, &observation);
    assert_eq!(permitted.refused, []);
    permitted
}
