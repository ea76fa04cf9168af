//! Side effects as they are performed once they are admitted and written down.

use banhbaoring_api::inventory::ChildEntry;
use banhbaoring_cluster::act::Acting;
use banhbaoring_pipeline::contract::{Action, ActionOutcome};
use serde_json::{Value, json};

use crate::support::asks::{Asks, admitted};
use crate::support::store::{Store, endpoint};
use crate::support::{COMPONENT, outcomes};
use banhbaoring_testing::http_server::{HttpServer, Told};

async fn act(store: &Store, kind: &str, spec: Value) -> ActionOutcome {
    act_through(store, kind, spec, &|| Ok(())).await
}

async fn act_through(store: &Store, kind: &str, spec: Value, gate: &(dyn Fn() -> Result<(), String> + Send + Sync)) -> ActionOutcome {
    let action = Action { id: "a".to_owned(), kind: kind.to_owned(), spec };
    let permitted = admitted(&store.fixture, &store.plugin, Asks::action(action), &store.inventory).await;
    let since = store.fixture.get("configmap", "owner").await["metadata"]["creationTimestamp"].as_str().unwrap().to_owned();
    let acting = Acting { plugin: &store.plugin, component: COMPONENT, inventory: &store.inventory, owner_since: &since, gate };
    store.fixture.cluster.act(acting, &permitted.components[0].actions[0]).await.outcome
}

fn class(outcome: &ActionOutcome) -> &str {
    match outcome {
        ActionOutcome::Error(error) => &error.class,
        other => panic!("{other:?}"),
    }
}

fn done() -> ActionOutcome {
    ActionOutcome::Ok(json!({}))
}

fn put(path: &str, more: Value) -> Value {
    json!({"endpoint": endpoint(path, more), "method": "PUT", "body": {"n": 1}})
}

#[tokio::test]
async fn a_request_is_sent_once_and_its_status_is_told_whatever_it_is() {
    let server = HttpServer::start(|asked| Told::Json(if asked.target == "/v1/down" { 503 } else { 200 }, json!({"a": 1}))).await.unwrap();
    let store = Store::new(server.address.port()).await;
    assert_eq!(
        act(&store, "http", put("/v1/x", json!({"expose": ["/a"]}))).await,
        ActionOutcome::Ok(json!({"status": 200, "exposed": {"/a": 1}}))
    );
    assert_eq!(act(&store, "http", put("/v1/down", json!({}))).await, ActionOutcome::Ok(json!({"status": 503, "exposed": {}})));
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!((asked[0].method.as_str(), &asked[0].body), ("PUT", &json!({"n": 1})));
}

#[tokio::test]
async fn what_may_have_been_received_is_unknown_and_what_was_not_is_an_error() {
    let server = HttpServer::start(|_| Told::Hangup).await.unwrap();
    let store = Store::new(server.address.port()).await;
    assert_eq!(act(&store, "http", put("/v1/x", json!({}))).await, ActionOutcome::Unknown);
    assert_eq!(server.asked().len(), 1, "it was not repeated");
    let fenced = act_through(&store, "http", put("/v1/x", json!({})), &|| Err("another leads".to_owned())).await;
    assert_eq!((class(&fenced), server.asked().len()), ("unavailable", 1));
    drop(server);
    let nobody = Store::new(1).await;
    assert_eq!(class(&act(&nobody, "http", put("/v1/x", json!({}))).await), "unavailable");
}

#[tokio::test]
async fn what_is_captured_goes_into_a_secret_of_the_owners_and_nowhere_else() {
    let answer = json!({"keys": ["the only key"], "root_token": "s.root", "n": 5});
    let server = HttpServer::start(move |asked| Told::Json(if asked.target == "/v1/refused" { 400 } else { 200 }, answer.clone()));
    let server = server.await.unwrap();
    let mut store = Store::new(server.address.port()).await;
    let capture = |key: &str, secret: &str| {
        let mut spec = put("/v1/init", json!({"expose": ["/n"]}));
        spec["capture"] = json!([{"pointer": "/root_token", "secret": secret, "key": key}]);
        spec
    };
    store.access("x").await;
    let refused = act(&store, "http", capture("token", "access")).await;
    assert_eq!((class(&refused), server.asked().len()), ("not-permitted", 0), "a Secret that is not the owner's: nothing was sent");
    assert_eq!(class(&act(&store, "http", capture("token", "none")).await), "not-found");
    // As if the owner's components had made it.
    let vessel = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "vessel"}, "stringData": {"attempt": "1"}});
    store.fixture.kubectl.apply(&vessel.to_string()).await.unwrap();
    let uid = store.fixture.get("secret", "vessel").await["metadata"]["uid"].as_str().unwrap().to_owned();
    store.inventory.children.push(ChildEntry {
        api_version: "v1".into(),
        kind: "Secret".into(),
        namespace: Some(store.fixture.namespace.clone()),
        name: "vessel".into(),
        component: COMPONENT.into(),
        uid: Some(uid),
        ..ChildEntry::default()
    });
    assert_eq!(act(&store, "http", capture("token", "vessel")).await, ActionOutcome::Ok(json!({"status": 200, "exposed": {"/n": 5}})));
    let data = store.fixture.get("secret", "vessel").await["data"].clone();
    assert_eq!(data, json!({"attempt": "MQ==", "token": "cy5yb290"}));
    assert_eq!((class(&act(&store, "http", capture("token", "vessel")).await), server.asked().len()), ("conflict", 1), "never overwritten");

    // What belongs together is stored together: a key that is taken keeps the others from being asked for.
    let mut both = capture("other-token", "vessel");
    both["capture"].as_array_mut().unwrap().push(json!({"pointer": "/keys", "secret": "vessel", "key": "token"}));
    assert_eq!((class(&act(&store, "http", both.clone()).await), server.asked().len()), ("conflict", 1));
    both["capture"][1]["key"] = json!("keys");
    both["capture"].as_array_mut().unwrap().push(json!({"pointer": "/none", "secret": "vessel", "key": "none"}));
    assert_eq!(class(&act(&store, "http", both).await), "lost", "something is missing");
    let data = store.fixture.get("secret", "vessel").await["data"].clone();
    assert_eq!(data["other-token"], "cy5yb290", "what was answered is kept all the same: {data}");
    assert_eq!(data["keys"], "WyJ0aGUgb25seSBrZXkiXQ==", "a list is kept as JSON");

    let mut refused = capture("third-token", "vessel");
    refused["endpoint"]["path"] = json!("/v1/refused");
    assert_eq!(
        act(&store, "http", refused).await,
        ActionOutcome::Ok(json!({"status": 400, "exposed": {"/n": 5}})),
        "a refusal is told, and is no loss"
    );
}

#[tokio::test]
async fn fields_of_an_object_are_taken_and_given_back() {
    let mut store = Store::new(1).await;
    store.plugin.grants.resources[0].relation = banhbaoring_api::grants::Relation::Any;
    store
        .fixture
        .kubectl
        .apply(r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "foreign"}, "data": {"theirs": "1"}}"#)
        .await
        .unwrap();
    let target = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "foreign"});
    assert_eq!(act(&store, "patch", json!({"target": target, "fields": {"data": {"ours": "2"}}})).await, done());
    assert_eq!(store.fixture.get("configmap", "foreign").await["data"], json!({"theirs": "1", "ours": "2"}));
    assert_eq!(act(&store, "patch", json!({"target": target, "release": true})).await, done());
    assert_eq!(store.fixture.get("configmap", "foreign").await["data"], json!({"theirs": "1"}));
    let none = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "none"});
    assert_eq!(class(&act(&store, "patch", json!({"target": none, "fields": {"data": {"a": "b"}}})).await), "not-found");
    assert!(!store.fixture.exists("configmap", "none").await, "it is not made");
}

#[tokio::test]
async fn only_the_object_that_was_seen_is_deleted_and_only_one_in_the_granted_relation() {
    let store = Store::new(1).await;
    let created = store.fixture.apply(vec![store.fixture.create(store.fixture.config_map("mine", "1"))]).await;
    assert_eq!(outcomes(&created).len(), 1);
    let store = Store { inventory: store.fixture.inventory().await.spec, ..store };
    let delete = |kind: &str, name: &str, uid: &str| json!({"target": {"apiVersion": "v1", "kind": kind, "name": name}, "uid": uid});
    let uid_of = async |resource: &str, name: &str| store.fixture.get(resource, name).await["metadata"]["uid"].as_str().unwrap().to_owned();
    assert_eq!(class(&act(&store, "delete", delete("ConfigMap", "mine", "another")).await), "conflict");
    assert_eq!(act(&store, "delete", delete("ConfigMap", "mine", &uid_of("configmap", "mine").await)).await, done());
    assert!(!store.fixture.exists("configmap", "mine").await);
    assert_eq!(act(&store, "delete", delete("ConfigMap", "mine", "whatever")).await, done(), "gone is gone");
    // The claim of the owner's own StatefulSet, and one that only has such a name.
    let claim = uid_of("persistentvolumeclaim", "data-store-0").await;
    let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    let foreign = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "other-store-0", "labels": {"app": "store"}}, "spec": spec});
    store.fixture.kubectl.apply(&foreign.to_string()).await.unwrap();
    let other = uid_of("persistentvolumeclaim", "other-store-0").await;
    assert_eq!(class(&act(&store, "delete", delete("PersistentVolumeClaim", "other-store-0", &other)).await), "not-permitted");
    assert_eq!(act(&store, "delete", delete("PersistentVolumeClaim", "data-store-0", &claim)).await, done());
    let left = store.fixture.kubectl.run(&["get", "persistentvolumeclaim", "-o", "name"]).await.unwrap();
    assert_eq!(left.trim(), "persistentvolumeclaim/other-store-0");
}

#[tokio::test]
async fn an_object_is_adopted_once_and_a_finalizer_taken_off_alone() {
    let mut store = Store::new(1).await;
    store.plugin.grants.resources[0].relation = banhbaoring_api::grants::Relation::Any;
    let manifest =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "foreign", "finalizers": ["a.example/x", "b.example/y"]}});
    store.fixture.kubectl.apply(&manifest.to_string()).await.unwrap();
    let uid = store.fixture.get("configmap", "foreign").await["metadata"]["uid"].as_str().unwrap().to_owned();
    let target = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "foreign"});
    assert_eq!(class(&act(&store, "adopt", json!({"target": target, "uid": "another"})).await), "conflict");
    for _ in 0..2 {
        assert_eq!(act(&store, "adopt", json!({"target": target, "uid": uid})).await, done());
    }
    assert_eq!(act(&store, "remove-finalizer", json!({"target": target, "uid": uid, "finalizer": "a.example/x"})).await, done());
    let metadata = store.fixture.get("configmap", "foreign").await["metadata"].clone();
    assert_eq!(metadata["finalizers"], json!(["b.example/y"]));
    let owners = metadata["ownerReferences"].as_array().unwrap();
    assert_eq!((owners.len(), owners[0]["uid"].as_str()), (1, Some(store.fixture.owner.uid.as_str())));
    store
        .fixture
        .kubectl
        .run(&["patch", "configmap", "foreign", "--type=merge", "-p", r#"{"metadata": {"finalizers": null}}"#])
        .await
        .unwrap();
}
