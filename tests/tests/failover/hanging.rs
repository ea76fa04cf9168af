//! A leader that stands still for longer than its Lease is good for: whatever it was about to do when it wakes up, another does by then.

use banhbaoring_testing::wait;
use banhbaoring_tests::survey::text;
use banhbaoring_tests::team::{PATIENCE, cluster, condition, parts_of_one_node};
use banhbaoring_tests::{Operator, World, audit, operator};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::kills::{is_any_partly_applied, labelled};
use crate::succession::{leads, lease, serves};
use crate::{finish, world};

/// An operator with an account of its own: the audit log tells its requests from those of others, in whosever name they are made.
async fn operator(world: &World, identity: &str) -> Operator {
    let namespace = &world.installation.namespace;
    let account = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": identity, "namespace": namespace}},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": identity},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": identity, "namespace": namespace}]},
    ]});
    world.cluster.kubectl().unwrap().apply(&account.to_string()).await.unwrap();
    let kubeconfig = world.cluster.kubeconfig_of(namespace, identity).await.unwrap();
    Operator::start(&operator::Options { kubeconfig, ..world.operator(identity) }).unwrap()
}

/// What the operator with that identity asked the API server so far.
fn requests_of(world: &World, identity: &str) -> Vec<Value> {
    let user = format!("system:serviceaccount:{}:{identity}", world.installation.namespace);
    audit::requests(&world.cluster).unwrap().into_iter().filter(|request| text(request, "/user/username") == user).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_hangs_loses_the_lead_and_changes_nothing_when_it_wakes_up() {
    let world = world().await;
    let host = world.installation.namespace.clone();
    let team = world.team("hangs").await.unwrap();
    let first = operator(&world, "hanging").await;
    world.until_serving(&first).await.unwrap();
    serves(&team, "a").await;
    let second = operator(&world, "waiting").await;
    second.until_standing_by().await.unwrap();
    let hanging = first.server().pid().to_string();
    let signal = async |signal: &str| {
        assert!(Command::new("kill").args([signal, &hanging]).status().await.unwrap().success());
    };

    // It is stopped while it has its hands full.
    let begun: Vec<String> = (0..8).map(|number| format!("begun-{number}")).collect();
    let objects: Vec<Value> = begun.iter().map(|name| cluster(name, &json!({"replicas": 1}))).collect();
    team.apply(&objects).await.unwrap();
    let uid = team.uid(&begun[0]).await.unwrap();
    wait::until(PATIENCE, format!("a trace of {}", begun[0]), async || match team.survey.inventory(&uid).await {
        Ok(Some(_)) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await
    .unwrap();
    signal("-STOP").await;
    assert!(is_any_partly_applied(&team, &labelled(&team).await, &begun).await, "it was stopped too late: all is applied");

    second.until_leading().await.unwrap();
    let acquired = lease(&team, &host).await;
    assert_eq!(acquired["holderIdentity"], "waiting");
    let lost: DateTime<Utc> = text(&acquired, "/acquireTime").parse().unwrap();

    // Everything that it may want to write about is other than it knows: owners, a child, a plugin.
    team.patch("openbaocluster/a", &json!({"spec": {"logLevel": "debug"}})).await.unwrap();
    team.kubectl.run(&["delete", "service/a-public"]).await.unwrap();
    team.patch("plugin/unseal-azurekv", &json!({"spec": {"limits": {"timeout": "6s"}}})).await.unwrap();
    for name in &begun {
        team.until_children(name, &parts_of_one_node(name)).await.unwrap();
    }
    team.until_children("a", &parts_of_one_node("a")).await.unwrap();
    let all = begun.iter().map(String::as_str).chain(["a"]);
    for name in all {
        team.until_condition(name, "Reconciled", "True").await.unwrap();
    }
    wait::until(PATIENCE, "the plugin to be told of", async || {
        let plugin = team.get("plugin/unseal-azurekv").await.map_err(|error| error.to_string())?;
        let ready = condition(&plugin, "Ready");
        if ready["observedGeneration"] == plugin["metadata"]["generation"] { Ok(()) } else { Err(ready.to_string()) }
    })
    .await
    .unwrap();

    let woken = Utc::now();
    signal("-CONT").await;
    let ended = first.server().until_ended(PATIENCE).await.unwrap();
    assert!(!ended.success(), "it says that it lost the lead");
    assert_eq!(lease(&team, &host).await["holderIdentity"], "waiting");
    assert!(leads(&second).await);
    // Meanwhile the API server has answered, and noted, whatever the one that woke up still sent.
    serves(&team, "b").await;

    let (before, after): (Vec<_>, Vec<_>) =
        requests_of(&world, "hanging").into_iter().partition(|request| audit::received(request).unwrap() < lost);
    for resource in ["inventories", "openbaoclusters", "plugins", "configmaps", "secrets", "leases"] {
        let written = |request: &&Value| audit::is_write(request) && request["objectRef"]["resource"] == resource;
        assert!(before.iter().any(|request| written(&request)), "the log does not show its writes to {resource}");
    }
    let awake = after.iter().any(|request| audit::received(request).unwrap() >= woken);
    assert!(awake, "the log does not show that it did anything when it woke up: {:?}", after.iter().map(audit::told).collect::<Vec<_>>());
    // What its kernel had in hand when it was stopped still goes out, and is refused: another made the object meanwhile. 504 is a request that the API
    // server gave up, because whoever had sent it was gone before it was answered.
    let is_void = |request: &Value| request["responseStatus"]["code"] == 409 || request["responseStatus"]["code"] == 504;
    let has_effect = |request: &&Value| audit::is_write(request) && !is_void(request);
    let writes: Vec<String> = after.iter().filter(has_effect).map(audit::told).collect();
    assert_eq!(writes, [] as [String; 0], "writes after {lost}, when another led; it woke up at {woken}");

    // Neither does one that waits, except for the definitions of its own kinds.
    let stands_by =
        |request: &Value| audit::received(request).unwrap() < lost && request["objectRef"]["resource"] != "customresourcedefinitions";
    let requests = requests_of(&world, "waiting");
    let writes: Vec<String> = requests.iter().filter(|request| audit::is_write(request) && stands_by(request)).map(audit::told).collect();
    assert_eq!(writes, [] as [String; 0], "writes before {lost}, when it began to lead");
    finish(&team, &second).await;
}
