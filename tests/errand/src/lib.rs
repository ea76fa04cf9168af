//! The plugin that tests of side effects ask with: an `Errand` has a StatefulSet behind a Service, and asks that Service to do what its spec lists.
//! What came of it stands in its status. Nothing that anybody would use lives here.

use std::collections::BTreeMap;

use banhbaoring_sdk::answer::{Answer, Outcome};
use banhbaoring_sdk::contract::http::{Destination, Endpoint, HttpAnswer, Method, Scheme, ServiceDestination};
use banhbaoring_sdk::contract::reference::ObjectRef;
use banhbaoring_sdk::contract::{action, need};
use banhbaoring_sdk::prelude::*;
use banhbaoring_sdk::{Action, Need};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

const VERBS: [&str; 6] = ["get", "list", "watch", "create", "patch", "delete"];
const GROUP: &str = "errands.tests.banhbaoring.io";
const KIND: &str = "errands.tests.banhbaoring.io/Errand";
const IMAGE: &str = "registry.k8s.io/pause:3.10";

/// The spec of an `Errand`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Port of its pod.
    #[serde(default = "eighty")]
    pub port: u16,
    /// Sent in this order, each as `PUT /v1/<id>`.
    #[serde(default)]
    pub ids: Vec<String>,
    /// Asks `GET /v1/look` every so many seconds.
    #[serde(default)]
    pub look: Option<u32>,
    /// Asks every second what an image is: the spec of the need.
    #[serde(default)]
    pub image: Option<Value>,
    /// Runs a Job under this key, and asks how it fares.
    #[serde(default)]
    pub run: Option<String>,
    /// What other errands are told.
    #[serde(default)]
    pub say: Option<String>,
    /// The name of another errand in the namespace: what it says.
    #[serde(default)]
    pub consume: Option<String>,
}

fn eighty() -> u16 {
    80
}

/// The component.
pub struct Errand;

impl Component for Errand {
    const NAME: &'static str = "errand";
    type Owner = DynamicObject;
    type Config = Config;

    fn describe() -> ComponentDescriptor {
        ComponentDescriptor::at("").kind(KIND).consumable()
    }

    fn reconcile(cx: &Context<Self>) -> Result<Response, Failure> {
        let config = cx.config();
        let mut response = objects(cx.name(), cx.namespace(), config.port).into_iter().fold(Response::ready(), |all, one| all.apply(&one));
        let mut outcomes = BTreeMap::new();
        for id in &config.ids {
            let spec = action::Http {
                endpoint: endpoint(cx.name(), &format!("/v1/{id}")),
                method: Method::Put,
                body: Value::Null,
                capture: vec![],
            };
            response = response.action(Action::new(id.clone(), &spec));
            outcomes.insert(id.clone(), told(cx.outcome::<action::Http>(id)?));
        }
        let mut looked = Value::Null;
        if let Some(seconds) = config.look {
            response = response.need(Need::poll("look", seconds, &need::Http { endpoint: endpoint(cx.name(), "/v1/look") }));
            looked = match cx.answer::<need::Http>("look")? {
                Answer::Known(answer) => json!(seen(&answer)),
                Answer::Error(error) => json!(error.class),
                Answer::Unasked | Answer::Pending => Value::Null,
            };
        }
        let mut image = Value::Null;
        if let Some(wanted) = &config.image {
            let spec: need::Image =
                serde_json::from_value(wanted.clone()).map_err(|error| Failure::invalid("spec.image", error.to_string()))?;
            response = response.need(Need::poll("image", 1, &spec));
            image = match cx.answer::<need::Image>("image")? {
                Answer::Known(view) => json!(format!("{} {}", view.digest, view.signer.unwrap_or_default())),
                Answer::Error(error) => json!(format!("{} {}", error.class, error.message)),
                Answer::Unasked | Answer::Pending => Value::Null,
            };
        }
        let (mut ran, mut consumed) = (Value::Null, Value::Null);
        if let Some(key) = &config.run {
            let id = format!("run-{key}");
            response =
                response.action(Action::new(id.clone(), &run(cx.name(), key)?)).need(Need::watch("job", &need::Job { key: key.clone() }));
            ran = match cx.answer::<need::Job>("job")? {
                Answer::Known(view) => json!(view),
                Answer::Error(error) => json!(error.class),
                Answer::Unasked | Answer::Pending => Value::Null,
            };
            outcomes.insert("run".to_owned(), done(cx.outcome::<action::Run>(&id)?));
        }
        if let Some(other) = &config.consume {
            let owner =
                ObjectRef { api_version: format!("{GROUP}/v1alpha1"), kind: "Errand".to_owned(), namespace: None, name: other.clone() };
            response = response.need(Need::watch("consume", &need::Outputs { owner, component: Self::NAME.to_owned() }));
            consumed = match cx.answer::<need::Outputs>("consume")? {
                Answer::Known(view) => json!(view.outputs.get("said")),
                Answer::Error(error) => json!(error.class),
                Answer::Unasked | Answer::Pending => Value::Null,
            };
        }
        let response = response.output("said", config.say.as_ref());
        Ok(response.status(&json!({"outcomes": outcomes, "looked": looked, "image": image, "ran": ran, "consumed": consumed})))
    }
}

fn done(outcome: Outcome<action::Done>) -> String {
    match outcome {
        Outcome::NotRun => "waiting".to_owned(),
        Outcome::Done(_) => "done".to_owned(),
        Outcome::Error(error) => error.class,
        Outcome::Unknown => "unknown".to_owned(),
    }
}

fn told(outcome: Outcome<HttpAnswer>) -> String {
    match outcome {
        Outcome::NotRun => "waiting".to_owned(),
        Outcome::Done(answer) => seen(&answer),
        Outcome::Error(error) => error.class,
        Outcome::Unknown => "unknown".to_owned(),
    }
}

/// `200 7`: the status and what the server says.
fn seen(answer: &HttpAnswer) -> String {
    format!("{} {}", answer.status, answer.exposed.get("/said").unwrap_or(&Value::Null))
}

fn endpoint(name: &str, path: &str) -> Endpoint {
    Endpoint {
        destination: Destination::Service(ServiceDestination { name: name.to_owned(), namespace: None, port: 80, hostname: None }),
        scheme: Scheme::Http,
        path: path.to_owned(),
        query: BTreeMap::new(),
        headers: BTreeMap::new(),
        tls: None,
        credential: None,
        inject: vec![],
        expose: vec!["/said".to_owned()],
        timeout_seconds: Some(30),
    }
}

fn run(name: &str, key: &str) -> Result<action::Run, Failure> {
    let template = json!({"metadata": {"labels": {"app.kubernetes.io/name": "errand-run"}}, "spec": pod(name, &json!({"name": "run", "image": IMAGE}))});
    let pod_template = template.as_object().cloned().ok_or_else(|| Failure::internal("PodTemplate", "expected an object"))?;
    Ok(action::Run { key: key.to_owned(), pod_template, deadline_seconds: 600 })
}

/// A pod of one container, restricted.
fn pod(account: &str, container: &Value) -> Value {
    let mut container = container.clone();
    container["securityContext"] =
        json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}});
    json!({
        "serviceAccountName": account,
        "automountServiceAccountToken": false,
        "securityContext": {"runAsNonRoot": true, "runAsUser": 65535, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    })
}

fn objects(name: &str, namespace: &str, port: u16) -> [Value; 3] {
    let labels = json!({"app.kubernetes.io/name": "errand", "app.kubernetes.io/instance": name});
    let metadata = json!({"name": name, "namespace": namespace, "labels": labels});
    let pod = pod(name, &json!({"name": "errand", "image": IMAGE, "ports": [{"name": "api", "containerPort": port}]}));
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata,
        "spec": {"clusterIP": "None", "publishNotReadyAddresses": true, "selector": labels, "ports": [{"name": "api", "port": 80, "targetPort": "api"}]},
    });
    let stateful_set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata,
        "spec": {"replicas": 1, "serviceName": name, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    });
    [json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}), service, stateful_set]
}

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "errands.errands.tests.banhbaoring.io"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": "Errand", "listKind": "ErrandList", "plural": "errands", "singular": "errand"},
            "versions": [{
                "name": "v1alpha1",
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "properties": {
                        "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "x-kubernetes-map-type": "atomic"},
                    },
                }},
            }],
        },
    })
}

export_plugin!(
    name: "errand",
    summary: "What tests of side effects ask with",
    components: [Errand],
    kinds: [KindSource::watch(&definition())],
    images: {"errand": IMAGE},
    permissions: json!({
        "resources": [
            {"apiGroups": [""], "resources": ["serviceaccounts", "services"], "verbs": VERBS, "namespaces": ["owner"]},
            {"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": VERBS, "namespaces": ["owner"]},
            {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "list", "watch", "create"], "namespaces": ["owner"]},
            {"apiGroups": [GROUP], "resources": ["errands"], "verbs": ["get"], "relation": "referenced", "namespaces": ["owner"]},
        ],
        "pods": {"serviceAccounts": ["own"], "images": [IMAGE]},
        "http": [{"service": "owned", "methods": ["GET", "PUT"], "paths": ["/v1/"]}],
        "kinds": [KIND],
    }),
);
