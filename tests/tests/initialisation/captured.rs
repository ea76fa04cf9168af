//! `initialization.mode: Captured`: the operator initialises the store, keeps the answer, lets itself and `admin` in, and gives the root token up.

use banhbaoring_testing::wait;
use banhbaoring_tests::operator::LOG_RECONCILES;
use banhbaoring_tests::team::{PATIENCE, condition};
use banhbaoring_tests::{Operator, World};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Running, world};

/// Initialisations that are tried until the answer of one is lost.
const TRIES: usize = 8;

async fn operator(world: &World, name: &str) -> Operator {
    let operator = Operator::start_logging(&world.operator(name), LOG_RECONCILES).unwrap();
    world.until_serving(&operator).await.unwrap();
    operator
}

async fn stop(operator: &Operator) {
    assert!(operator.server().stop(PATIENCE).await, "it ends when it is asked to: {}", operator.server().log_tail());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_initialises_one_node_keeps_the_keys_and_lets_the_others_join() {
    let world = world().await;
    let operator = operator(&world, "captured").await;
    let team = world.team("captured").await.unwrap();
    let mut prod = Running::apply(&world, &team, "prod", 3, json!({"mode": "Captured", "recovery": {"shares": 3, "threshold": 2}})).await;
    let replicas = async || team.get("statefulset/prod").await.map(|set| set["spec"]["replicas"].clone()).unwrap_or_default();
    wait::until(PATIENCE, "one node", async || if replicas().await == 1 { Ok(()) } else { Err("not yet") }).await.unwrap();
    assert_eq!(
        prod.secret("init", "holder").await.unwrap(),
        format!("{}/prod-0", team.namespace),
        "the Secret is there before the store is"
    );
    assert_eq!(prod.secret("init", "attempt").await.unwrap().len(), 32);
    assert_eq!(prod.secret("init", "root-token").await, None);
    prod.run();
    prod.until_reason("MakingUsers").await;
    assert_eq!(replicas().await, 1, "nobody joins before the users are made");
    let owner = prod.until_ready().await;
    assert_eq!(owner["status"]["initialization"]["step"], "Done", "{}", owner["status"]);
    assert_eq!(owner["status"]["operatorAccess"], "Confirmed");
    assert_eq!(replicas().await, 3);

    let admin = prod.log_in("admin").await.unwrap();
    prod.log_in("operator").await.unwrap();
    let bao = prod.bao(0).await;
    let root = prod.secret("init", "root-token").await.unwrap();
    let refused = bao.send(Method::GET, "/v1/auth/token/lookup-self", Some(&root), None).await.unwrap();
    assert_eq!(refused.status.as_u16(), 403, "the root token is revoked");
    let peers = bao.succeed(Method::GET, "/v1/sys/storage/raft/configuration", Some(&admin), None).await.unwrap();
    assert_eq!(peers["data"]["config"]["servers"].as_array().unwrap().len(), 3, "{peers}");
    assert_eq!(prod.beginnings(), 1);

    // The recovery keys are this store's: two of the three make another root token.
    let keys: Vec<String> = prod
        .secret("init", "recovery-keys")
        .await
        .unwrap()
        .parse::<Value>()
        .unwrap()
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(keys.len(), 3);
    let begun = bao.succeed(Method::PUT, "/v1/sys/generate-root/attempt", None, Some(&json!({}))).await.unwrap();
    let mut last = Value::Null;
    for key in &keys[..2] {
        let body = json!({"key": key, "nonce": begun["nonce"]});
        last = bao.succeed(Method::PUT, "/v1/sys/generate-root/update", None, Some(&body)).await.unwrap();
    }
    assert_eq!(last["complete"], true, "{last}");

    // Nothing of it is anywhere else.
    let log = operator.log();
    let status = prod.team.cluster("prod").await.unwrap().to_string();
    let inventory = serde_json::to_string(&prod.team.inventory("prod").await.unwrap()).unwrap();
    for kept in keys.iter().chain([&root]) {
        assert!(!log.contains(kept.as_str()) && !status.contains(kept.as_str()) && !inventory.contains(kept.as_str()));
    }
    // And it costs nothing any more.
    assert!(prod.team.inventory("prod").await.unwrap().spec.journal.is_empty(), "nothing is asked for that was done");
    prod.end().await;
    stop(&operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_with_its_operator_is_told_with_commands_that_begin_it_again() {
    let world = world().await;
    let operator = operator(&world, "loser").await;
    let team = world.team("lost").await.unwrap();
    for attempt in 0..TRIES {
        let mut one = Running::apply(&world, &team, &format!("lost{attempt}"), 1, json!({"mode": "Captured"})).await;
        one.run();
        let bao = one.bao(0).await;
        // The barrier is there, and the answer is not sent yet.
        while !bao.server().log().contains("security barrier initialized") {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        operator.server().kill();
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let is_lost = one.secret("init", "root-token").await.is_none();
        operator.start_again().unwrap();
        if !is_lost {
            one.until_ready().await;
            one.end().await;
            continue;
        }
        let message = one.until_reason("InitializationAnswerLost").await;
        println!("{message}");
        let owner = one.team.cluster(&one.name).await.unwrap();
        let initialized = condition(&owner, "Initialized");
        assert_eq!((&initialized["status"], &initialized["reason"]), (&json!("False"), &json!("InitializationAnswerLost")));
        assert_eq!(condition(&owner, "Ready")["status"], "False");
        assert!(message.contains("Not if somebody else sent"), "{message}");
        one.obey(&message).await;
        one.until_ready().await;
        one.log_in("admin").await.unwrap();
        one.end().await;
        stop(&operator).await;
        return;
    }
    panic!("{TRIES} times the answer was kept before the operator could be killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_one_node_whose_users_were_never_made_is_told_and_not_ready() {
    let world = world().await;
    let operator = operator(&world, "users").await;
    let team = world.team("users").await.unwrap();
    for attempt in 0..TRIES {
        let mut one = Running::apply(&world, &team, &format!("users{attempt}"), 1, json!({})).await;
        one.run();
        // The store is there, and the node has not sent itself all requests yet.
        one.kill_once_initialised().await;
        let look = async || match one.told().await {
            (reason, message) if ["OperatorRefused", "Ready", "InitializationInterrupted"].contains(&reason.as_str()) => {
                Ok((reason, message))
            }
            (reason, message) => Err(format!("{reason}: {message}")),
        };
        let (reason, message) = wait::until(PATIENCE, "its fate", look).await.unwrap();
        if reason != "OperatorRefused" {
            println!("{reason}");
            one.end().await;
            continue;
        }
        println!("{message}");
        let owner = one.team.cluster(&one.name).await.unwrap();
        let access = condition(&owner, "OperatorAccess");
        assert_eq!((&access["status"], &access["reason"]), (&json!("False"), &json!("Refused")));
        assert_eq!(condition(&owner, "Ready")["status"], "False");
        one.obey(&message).await;
        one.until_ready().await;
        one.log_in("admin").await.unwrap();
        one.end().await;
        stop(&operator).await;
        return;
    }
    panic!("{TRIES} times the users were made before the node could be killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_gone_while_its_keys_are_there_is_lost_and_not_initialised_again() {
    let world = world().await;
    let operator = operator(&world, "lossy").await;
    let team = world.team("loss").await.unwrap();
    let mut gone = Running::apply(&world, &team, "gone", 1, json!({"mode": "Captured"})).await;
    wait::until(PATIENCE, "the Secret", async || gone.secret("init", "holder").await.ok_or("none")).await.unwrap();
    // As a store that was initialised and lost its volume leaves it.
    let data = json!({"root-token": STANDARD.encode("s.of-before"), "recovery-keys": STANDARD.encode("[]")});
    team.patch("secret/gone-init", &json!({"data": data})).await.unwrap();
    gone.run();
    let message = gone.until_reason("DataLost").await;
    println!("{message}");
    let bao = gone.bao(0).await;
    let said = bao.succeed(Method::GET, "/v1/sys/init", None, None).await.unwrap();
    assert_eq!(said["initialized"], false);
    assert_eq!(gone.secret("init", "root-token").await.unwrap(), "s.of-before");
    gone.obey(&message).await;
    gone.until_ready().await;
    gone.log_in("admin").await.unwrap();
    gone.end().await;
    stop(&operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_somebody_else_initialised_is_left_to_them() {
    let world = world().await;
    let operator = operator(&world, "stranger").await;
    let team = world.team("theirs").await.unwrap();
    operator.server().kill();
    let mut theirs = Running::apply(&world, &team, "theirs", 1, json!({"mode": "Manual"})).await;
    operator.start_again().unwrap();
    theirs.run();
    theirs.until_reason("WaitingForInitialization").await;
    theirs.bao(0).await.initialise().await.unwrap();
    theirs.until_ready().await;
    theirs.team.patch("openbaocluster/theirs", &json!({"spec": {"initialization": {"mode": "Captured"}}})).await.unwrap();
    let foreign = |owner: &Value| match &owner["status"]["initialization"]["step"] {
        step if *step == "Foreign" => Ok(()),
        step => Err(step.to_string()),
    };
    theirs.team.until("theirs", "to be left alone", foreign).await.unwrap();
    theirs.until_ready().await;
    assert_eq!(theirs.secret("init", "root-token").await, None);
    theirs.end().await;
    stop(&operator).await;
}
