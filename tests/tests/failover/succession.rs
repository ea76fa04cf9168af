//! Who leads: one replica at a time, and there is always a next one.

use banhbaoring_testing::wait;
use banhbaoring_tests::survey::{uids, versions};
use banhbaoring_tests::team::{PATIENCE, cluster, parts_of_one_node};
use banhbaoring_tests::{Operator, Team};
use serde_json::{Value, json};

use crate::{finish, world};

/// The spec of the Lease.
pub async fn lease(team: &Team, namespace: &str) -> Value {
    let text = team.kubectl.in_namespace(namespace).run(&["get", "lease", "banhbaoring-operator", "-o", "json"]).await.unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["spec"].clone()
}

pub async fn leads(operator: &Operator) -> bool {
    operator.metric("banhbaoring_leading").await.unwrap() == Some(1.0)
}

async fn until_ready(operator: &Operator) {
    wait::until(PATIENCE, "ready", async || match operator.get("/readyz").await {
        Ok(said) if said == "ok" => Ok(()),
        Ok(said) => Err(said),
        Err(error) => Err(format!("{error:#}")),
    })
    .await
    .unwrap();
}

/// A cluster of one node, whose parts must all come.
pub async fn serves(team: &Team, name: &str) {
    team.apply(&[cluster(name, &json!({"replicas": 1}))]).await.unwrap();
    team.until_children(name, &parts_of_one_node(name)).await.unwrap();
    team.until_condition(name, "Reconciled", "True").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_from_a_leader_that_is_killed_and_from_one_that_is_asked_to_stop() {
    let world = world().await;
    let host = world.installation.namespace.clone();
    let team = world.team("succession").await.unwrap();
    let first = Operator::start(&world.operator("first")).unwrap();
    world.until_serving(&first).await.unwrap();
    serves(&team, "under-first").await;

    let second = Operator::start(&world.operator("second")).unwrap();
    second.until_standing_by().await.unwrap();
    until_ready(&second).await;
    let loaded = second.metric(r#"banhbaoring_plugin_active{plugin="openbao",version="0.1.0"}"#).await.unwrap();
    assert_eq!(loaded, Some(1.0), "it stands by with its plugins loaded");
    assert!(leads(&first).await && !leads(&second).await);
    assert_eq!(lease(&team, &host).await["holderIdentity"], "first");
    // While both run the first works and the second does not.
    let before = team.children("under-first").await.unwrap();
    serves(&team, "beside-each-other").await;
    assert!(leads(&first).await && !leads(&second).await);
    assert_eq!(second.metric(r#"banhbaoring_reconcile_total{controller="openbaocluster"}"#).await.unwrap(), None);

    first.server().kill();
    second.until_leading().await.unwrap();
    let after_kill = lease(&team, &host).await;
    assert_eq!(after_kill["holderIdentity"], "second");
    serves(&team, "under-second").await;
    assert!(leads(&second).await);
    let after = team.children("under-first").await.unwrap();
    assert_eq!(uids(&after), uids(&before));
    let same = |name: &str| versions(&after)[name] == versions(&before)[name];
    assert!(["Secret/under-first-unseal-key", "ConfigMap/under-first-config", "Role/under-first"].into_iter().all(same));

    // The one that was killed comes back, and has to wait.
    first.start_again().unwrap();
    first.until_standing_by().await.unwrap();
    until_ready(&first).await;
    assert!(!leads(&first).await);
    assert_eq!(lease(&team, &host).await["holderIdentity"], "second");

    assert!(second.server().stop(PATIENCE).await, "it ends when it is asked to: {}", second.server().log_tail());
    assert!(second.log().contains(r#""message":"stopped""#), "{}", second.server().log_tail());
    assert!(second.server().exit_status().unwrap().success(), "{:?}", second.server().exit_status());
    assert_ne!(lease(&team, &host).await["holderIdentity"], "second", "it gave the Lease back");
    first.until_leading().await.unwrap();
    let at_last = lease(&team, &host).await;
    assert_eq!(at_last["holderIdentity"], "first");
    assert!(at_last["leaseTransitions"].as_i64() > after_kill["leaseTransitions"].as_i64(), "{at_last} after {after_kill}");
    serves(&team, "under-first-again").await;
    finish(&team, &first).await;
}
