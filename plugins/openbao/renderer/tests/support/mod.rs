//! Requests as the host would send them: a cluster from YAML, and what an unseal provider would have answered.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

mod machines;
pub mod opening;
pub mod seals;
pub mod world;

use banhbaoring_openbao_api::OpenBaoClusterSpec;
use banhbaoring_plugin_openbao::Exports;
use banhbaoring_sdk::wit::{Child, Failure, ObjectReference, ReadinessState, Request, Response, Seal, SlotAnswer, SlotFilling};
use banhbaoring_sdk::{Plugin, testing};
use serde_json::{Value, json};

/// A cluster `prod` in the namespace `bao`.
pub fn owner(spec: &str) -> Value {
    let spec: Value = serde_yaml::from_str(spec).unwrap();
    json!({
        "apiVersion": "openbao.org/v1alpha1",
        "kind": "OpenBaoCluster",
        "metadata": {"name": "prod", "namespace": "bao", "uid": "6b1f5e0a-0000-4000-8000-000000000001", "generation": 1},
        "spec": if spec.is_null() { json!({}) } else { spec },
    })
}

/// An example of the repository, in the namespace `bao`.
pub fn example(name: &str) -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../examples/");
    let text = std::fs::read_to_string(format!("{path}{name}.yaml")).unwrap();
    let mut owner: Value = serde_yaml::from_str(&text).unwrap();
    owner["metadata"]["namespace"] = "bao".into();
    owner["metadata"]["uid"] = "6b1f5e0a-0000-4000-8000-000000000001".into();
    owner["metadata"]["generation"] = 1.into();
    owner
}

/// The first request for an owner.
pub fn request(owner: &Value, seal: Option<Seal>) -> Request {
    // The API server would have filled in the defaults.
    let spec: OpenBaoClusterSpec = serde_json::from_value(owner["spec"].clone()).unwrap();
    let provider = spec.unseal.provider.clone();
    let spec = serde_json::to_value(spec).unwrap();
    let mut owner = owner.clone();
    owner["spec"] = spec.clone();
    let mut request = testing::request("openbao", &owner, &spec);
    request.platform.apis.push("cert-manager.io/v1/Certificate".to_owned());
    request.platform.apis.sort();
    request.platform.host.pod_labels =
        vec![banhbaoring_sdk::wit::KeyValue { key: "app.kubernetes.io/name".to_owned(), value: "banhbaoring".to_owned() }];
    request.slots =
        seal.map(|seal| SlotAnswer { slot: "unseal".to_owned(), provider, filling: SlotFilling::Seal(seal) }).into_iter().collect();
    request
}

/// The StatefulSet as the host sees it.
pub fn stateful_set(readiness: ReadinessState, fields: &Value) -> Child {
    Child {
        reference: ObjectReference {
            api_version: "apps/v1".to_owned(),
            kind: "StatefulSet".to_owned(),
            namespace: Some("bao".to_owned()),
            name: "prod".to_owned(),
        },
        readiness,
        reason: "RollingOut".to_owned(),
        message: "1 of 3 updated".to_owned(),
        fields: fields.to_string(),
    }
}

/// What the plugin answers.
pub fn render(request: &Request) -> Result<Response, Failure> {
    Exports::reconcile(request.clone())
}

/// What the plugin answers to the first request for `prod` with this spec and the static seal.
pub fn rendered(spec: &str) -> Response {
    render(&request(&owner(spec), Some(seals::generated_key("prod")))).unwrap()
}

/// Why the plugin refuses this spec.
pub fn refused(spec: &str) -> Failure {
    render(&request(&owner(spec), Some(seals::generated_key("prod")))).unwrap_err()
}

/// All objects, parsed.
pub fn objects(response: &Response) -> Vec<Value> {
    response.objects.iter().map(|object| serde_json::from_str(&object.manifest).unwrap()).collect()
}

/// The object of a kind and name.
pub fn object(response: &Response, kind: &str, name: &str) -> Value {
    let objects = objects(response);
    let found = objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name} among {objects:#?}")).clone()
}

/// The text of `config.hcl`.
pub fn config(response: &Response) -> String {
    let maps = objects(response);
    let map = maps.iter().find(|object| object["kind"] == "ConfigMap" && object["data"].get("config.hcl").is_some()).unwrap();
    map["data"]["config.hcl"].as_str().unwrap().to_owned()
}

/// The pod template of the StatefulSet.
pub fn template(response: &Response) -> Value {
    let objects = objects(response);
    objects.iter().find(|object| object["kind"] == "StatefulSet").unwrap()["spec"]["template"].clone()
}

/// The container of OpenBao.
pub fn container(response: &Response) -> Value {
    template(response)["spec"]["containers"][0].clone()
}
