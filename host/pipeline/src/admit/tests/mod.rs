//! One owner, one plugin with grants that just suffice for a small store, and one hostile case after the other.

mod accounts;
mod generated;
mod http;
mod needs;
mod objects;
mod pods;
mod properties;
mod rbac;
mod reviews;
mod seals;
mod told;

use std::sync::Arc;

use banhbaoring_api::Grants;
use banhbaoring_api::grants::Relation;
use banhbaoring_api::inventory::{ChildEntry, InventorySpec, OwnerReference};
use banhbaoring_api::plugin::NamespacedName;
use serde_json::json;

use super::*;
use crate::contract::{
    ApplyMode, ComponentDescriptor, Criticality, Dependency, Descriptor, Gate, GeneratedSecret, Json, MetricDescriptor, MetricType,
    Platform, Response, Seal, SealCredentials, SecretClass, SecretEntry, State,
};
use crate::kinds::KindTable;
use crate::observation::Owner;
use crate::render::RenderedSlot;

pub(super) const NAMESPACE: &str = "team-a";

/// The smallest grants under which [`store`] is permitted.
pub(super) fn grants() -> Grants {
    serde_json::from_value(json!({
        "resources": [
            {"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": ["get", "create", "patch", "delete"]},
            {"apiGroups": [""], "resources": ["serviceaccounts", "services", "secrets"], "verbs": ["get", "create", "patch", "delete"], "namespaces": ["owner"]},
            {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["get", "create", "patch", "delete"]},
        ],
        "pods": {"serviceAccounts": ["own"], "secretRefs": ["own", "owner-spec"], "images": ["quay.io/store/*"]},
        "rbac": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}],
        "audiences": ["store"],
    }))
    .unwrap()
}

pub(super) fn plugin(name: &str, grants: Grants) -> Arc<ActivePlugin> {
    Arc::new(ActivePlugin {
        name: name.to_owned(),
        digest: "sha256:0".to_owned(),
        descriptor: Descriptor {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            summary: String::new(),
            homepage: None,
            license: None,
            kinds: vec![],
            components: vec![component("server"), component("other")],
            unseal_providers: vec![],
            admissions: vec![],
            webhooks: vec![],
            images: vec![],
            permissions: Json::Null,
            config_schema: None,
        },
        grants,
        account: NamespacedName { namespace: "plugins".to_owned(), name: name.to_owned() },
        config: json!({}),
        allowed_namespaces: vec![],
    })
}

/// `plugin` whose `component` comes after `other`.
pub(super) fn comes_after(mut plugin: Arc<ActivePlugin>, component: &str, other: &str) -> Arc<ActivePlugin> {
    let described = Arc::make_mut(&mut plugin).descriptor.components.iter_mut().find(|known| known.name == component).unwrap();
    described.after.push(Dependency { component: other.to_owned(), gate: Gate::Outputs });
    plugin
}

fn component(name: &str) -> ComponentDescriptor {
    ComponentDescriptor {
        name: name.to_owned(),
        kind: "shop.example.com/Store".to_owned(),
        config_path: String::new(),
        after: vec![],
        criticality: Criticality::Required,
        phase_on_failure: None,
        status_path: String::new(),
        condition_types: vec!["Sealed".to_owned()],
        slots: vec![],
        config_schema: None,
        children: vec![],
        metrics: vec![MetricDescriptor {
            name: "store_keys".to_owned(),
            metric_type: MetricType::Gauge,
            help: String::new(),
            labels: vec!["shard".to_owned()],
        }],
        clock_seconds: None,
        consumable: false,
    }
}

pub(super) fn observation() -> Observation {
    let mut kinds = KindTable::default();
    kinds.insert("plugins.banhbaoring.io/v1alpha1", "Plugin", crate::kinds::KindInfo { plural: "plugins".to_owned(), namespaced: false });
    kinds.insert("shop.example.com/v1", "Store", crate::kinds::KindInfo { plural: "stores".to_owned(), namespaced: true });
    Observation {
        owner: Owner {
            reference: OwnerReference {
                api_version: "shop.example.com/v1".to_owned(),
                kind: "Store".to_owned(),
                namespace: Some(NAMESPACE.to_owned()),
                name: "prod".to_owned(),
                uid: "uid-1".to_owned(),
            },
            generation: 1,
            deleting: false,
            object: json!({"spec": {
                "credentialsSecretRef": {"name": "from-spec"},
                "image": "registry.example.com/mirror/store:2",
                "gateway": "edge",
                "annotations": {"cloud.example/role": "store"},
            }}),
        },
        inventory: InventorySpec::default(),
        children: Default::default(),
        platform: Platform::default(),
        kinds,
        answers: Default::default(),
        results: Default::default(),
        material: Default::default(),
        unobserved: Default::default(),
        now: 0,
    }
}

pub(super) fn recorded(kind: &str, api_version: &str, name: &str, component: &str) -> ChildEntry {
    ChildEntry {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: Some(NAMESPACE.to_owned()),
        name: name.to_owned(),
        component: component.to_owned(),
        uid: Some("uid-2".to_owned()),
        ..ChildEntry::default()
    }
}

pub(super) fn object(manifest: Json) -> Object {
    Object { manifest, mode: ApplyMode::Apply, keep: false, create_only_fields: vec![], exclusive: vec![], recreate: None }
}

pub(super) fn response(objects: Vec<Json>) -> Response {
    Response {
        objects: objects.into_iter().map(object).collect(),
        secrets: vec![],
        needs: vec![],
        actions: vec![],
        outputs: json!({}),
        status: json!({}),
        conditions: vec![],
        events: vec![],
        metrics: vec![],
        state: State::Ready,
        reason: String::new(),
        message: String::new(),
        requeue_after_seconds: None,
        finalized: false,
    }
}

pub(super) fn rendered(component: &str, plugin: &Arc<ActivePlugin>, response: Response) -> Rendered {
    Rendered {
        component: component.to_owned(),
        plugin: Arc::clone(plugin),
        criticality: Criticality::Required,
        slots: vec![],
        outcome: Outcome::Answered(Arc::new(response)),
    }
}

pub(super) fn permitted(components: Vec<Rendered>) -> Permitted {
    admit(&Desired { components }, &observation())
}

/// The refusal of one answer under given grants.
pub(super) fn refusal_under(grants: Grants, response: Response) -> Option<Refusal> {
    permitted(vec![rendered("server", &plugin("store", grants), response)]).refused.pop()
}

/// Asserts that an answer is refused for that reason, and that the message says something about it.
#[track_caller]
pub(super) fn refused(response: Response, reason: Reason, about: &str) -> Refusal {
    let refusal = refusal_under(grants(), response).expect("this must be refused");
    assert_eq!(refusal.reason, reason.as_str(), "{}", refusal.message);
    assert!(refusal.message.contains(about), "{} does not speak of {about}", refusal.message);
    refusal
}

#[track_caller]
pub(super) fn allowed(response: Response) {
    if let Some(refusal) = refusal_under(grants(), response) {
        panic!("refused: {} {}", refusal.reason, refusal.message);
    }
}

/// A pod as Pod Security `restricted` wants it.
pub(super) fn pod() -> Json {
    json!({
        "serviceAccountName": "prod",
        "securityContext": {"runAsNonRoot": true, "runAsUser": 100, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": "store",
            "image": "quay.io/store/store:2.4",
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
        }],
    })
}

pub(super) fn stateful_set(pod: Json) -> Json {
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "prod"},
        "spec": {"template": {"metadata": {"labels": {"app": "prod"}}, "spec": pod}}})
}

pub(super) fn account() -> Json {
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "prod"}})
}

/// An account and a workload that uses it.
pub(super) fn workload(pod: Json) -> Response {
    response(vec![account(), stateful_set(pod)])
}

/// The pod with the value at `pointer` replaced or added.
pub(super) fn pod_with(pointer: &str, value: Json) -> Json {
    with(pod(), pointer, value)
}

pub(super) fn with(mut document: Json, pointer: &str, value: Json) -> Json {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Json::Object(fields) => {
            fields.insert(key.to_owned(), value);
        }
        Json::Array(items) => match key.parse::<usize>() {
            Ok(index) if index < items.len() => items[index] = value,
            _ => items.push(value),
        },
        _ => panic!("{parent} is no parent"),
    }
    document
}

pub(super) fn generated(name: &str) -> GeneratedSecret {
    GeneratedSecret {
        name: name.to_owned(),
        class: SecretClass::Identity,
        labels: vec![],
        entries: vec![SecretEntry { key: "key".to_owned(), generator: "bytes".to_owned(), spec: json!({"length": 32}) }],
        publish: vec![],
        restore_from: None,
        keep: false,
    }
}

pub(super) fn role(rules: Json) -> Json {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "prod"}, "rules": rules})
}

pub(super) fn role_binding() -> Json {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "prod"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "prod"},
        "subjects": [{"kind": "ServiceAccount", "name": "prod", "namespace": NAMESPACE}]})
}

/// Something that needs every line of [`grants`].
pub(super) fn store() -> Response {
    let mut pod = pod_with(
        "/volumes",
        json!([
            {"name": "key", "secret": {"secretName": "prod-key"}},
            {"name": "creds", "secret": {"secretName": "from-spec"}},
            {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"audience": "store", "path": "token"}}]}},
        ]),
    );
    pod["automountServiceAccountToken"] = json!(false);
    Response {
        secrets: vec![generated("prod-key")],
        ..response(vec![
            account(),
            role(json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}])),
            role_binding(),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "prod"}, "spec": {"selector": {"app": "prod"}}}),
            stateful_set(pod),
        ])
    }
}

pub(super) fn seal() -> Seal {
    Seal {
        stanza: "static".to_owned(),
        attributes: vec![],
        env: vec![],
        volumes: vec![],
        secrets: vec![],
        service_account_annotations: vec![],
        pod_labels: vec![],
        kms_plugin: None,
        egress: vec![],
        credentials: SealCredentials::Ambient,
        warnings: vec![],
    }
}

pub(super) fn slot(plugin: &Arc<ActivePlugin>, seal: Seal) -> RenderedSlot {
    RenderedSlot { slot: "seal".to_owned(), provider: "static".to_owned(), plugin: Arc::clone(plugin), seal: Arc::new(seal) }
}

#[test]
fn a_store_within_its_grants_is_permitted_wholly() {
    let permitted = permitted(vec![rendered("server", &plugin("store", grants()), store())]);
    assert_eq!(permitted.refused, vec![]);
    let component = &permitted.components[0];
    assert_eq!((component.objects.len(), component.secrets.len()), (5, 1));
    for one in &component.objects {
        assert_eq!(one.reference.namespace.as_deref(), Some(NAMESPACE));
        assert_eq!(one.object.manifest["metadata"]["namespace"], NAMESPACE, "the namespace is filled in");
    }
}

#[test]
fn one_bad_part_refuses_the_whole_answer() {
    let mut answer = store();
    answer.objects.push(object(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}})));
    let permitted = permitted(vec![rendered("server", &plugin("store", grants()), answer)]);
    assert!(permitted.components.is_empty());
    assert_eq!(permitted.refused.len(), 1);
}

#[test]
fn a_refused_component_does_not_touch_the_others() {
    let store_plugin = plugin("store", grants());
    let bad = response(vec![json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}})]);
    let permitted = permitted(vec![rendered("other", &store_plugin, bad), rendered("server", &store_plugin, store())]);
    assert_eq!(permitted.components.len(), 1);
    assert_eq!(permitted.refused[0].component, "other");
}
