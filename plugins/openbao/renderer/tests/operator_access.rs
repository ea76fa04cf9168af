//! What day 2 sends, sent to three real nodes as the host would send it: the user `operator` can do that, and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod nodes;
mod support;

use banhbaoring_testing::bao::{Bao, Pod};
use banhbaoring_testing::wait;
use nodes::{PATIENCE, admin, authority, logged_in, node, send, until_voters};
use reqwest::Method;
use serde_json::{Value, json};
use support::rendered;
use support::world::World;

/// What is asked and told while the node with that ordinal, which leads, is upgraded, and while nodes are taken away.
fn spoken(leader: i32) -> (String, String, String, String, String) {
    let of = |spec: &str, step: &str, leader: i32| {
        let mut world = World::calm("");
        world.leader = Some((leader, 9));
        world.spec = spec.to_owned();
        world.until(step, |_, response| response.status.parse::<Value>().unwrap()["operation"]["step"] == step)
    };
    let upgrade = of("logLevel: debug", "SteppingDown", leader);
    let need =
        |id: &str| upgrade.needs.iter().find(|need| need.id == id).unwrap_or_else(|| panic!("{id}: {:?}", upgrade.needs)).spec.clone();
    let shrink = of("replicas: 1", "RemovingPeer", 0);
    (need("raft"), need("tolerance"), need("leader-2"), upgrade.actions[0].spec.clone(), shrink.actions[0].spec.clone())
}

async fn leads(bao: &Bao, question: &str) -> (bool, String) {
    let (status, exposed) = send(bao, question).await;
    assert_eq!(status, 200, "whoever leads, a node says whether it does");
    (exposed["/is_self"] == true, exposed["/active_time"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_day_2_sends_a_real_store_does_and_what_it_does_not_send_is_refused() {
    let (configuration, tolerance, leader, step_down, remove) = spoken(2);
    let response = rendered("replicas: 3");
    let authority = authority();
    let nodes: Vec<Pod> = (0..3).map(|ordinal| node(&response, &authority, [6; 32], ordinal)).collect();
    let mut bao = vec![nodes[0].start(&nodes[0].address(), &[]).unwrap()];
    bao[0].until_answering(PATIENCE).await.unwrap();
    let admin = admin(&bao[0]).await;
    bao.extend(nodes[1..].iter().map(|node| node.start(&nodes[0].address(), &[]).unwrap()));
    until_voters(&bao[0], &admin, &["prod-0", "prod-1", "prod-2"]).await;

    let (status, exposed) = send(&bao[0], &configuration).await;
    assert_eq!((status, exposed["/data/config/servers"].as_array().unwrap().len()), (200, 3));
    assert_eq!(exposed["/data/config/servers"][0]["node_id"], "prod-0");
    wait::until(PATIENCE, "a node that may fail", async || {
        let (status, exposed) = send(&bao[0], &tolerance).await;
        if status == 200 && exposed["/data/failure_tolerance"] == 1 { Ok(()) } else { Err(format!("{status} {exposed:?}")) }
    })
    .await
    .unwrap();

    let (is_leader, since) = leads(&bao[0], &leader).await;
    assert!(is_leader && leads(&bao[0], &leader).await.1 == since, "it stands still while it leads");
    assert!(!leads(&bao[1], &leader).await.0);
    assert_eq!(send(&bao[0], &step_down).await.0, 204);
    wait::until(PATIENCE, "another leader", async || {
        let found = (leads(&bao[1], &leader).await.0, leads(&bao[2], &leader).await.0);
        if found.0 || found.1 { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await
    .unwrap();
    assert!(!leads(&bao[0], &leader).await.0);

    let login = configuration.parse::<Value>().unwrap()["endpoint"]["credential"]["login"].clone();
    let token = logged_in(&bao[1], &login).await;
    let admin = nodes::admin(&bao[1]).await;
    bao[1].succeed(Method::POST, "/v1/sys/mounts/kept", Some(&admin), Some(&json!({"type": "kv"}))).await.unwrap();
    bao[1].succeed(Method::POST, "/v1/kept/one", Some(&admin), Some(&json!({"a": "b"}))).await.unwrap();
    let all = json!({"policy": "path \"*\" { capabilities = [\"sudo\"] }"});
    for (method, path, body) in [
        (Method::GET, "/v1/kept/one", None),
        (Method::GET, "/v1/sys/mounts", None),
        (Method::GET, "/v1/sys/policies/acl/operator", None),
        (Method::PUT, "/v1/sys/policies/acl/operator", Some(&all)),
        (Method::POST, "/v1/auth/userpass/users/operator", Some(&json!({"token_policies": "admin"}))),
        (Method::POST, "/v1/auth/token/create", Some(&json!({}))),
        (Method::GET, "/v1/sys/storage/raft/snapshot", None),
        (Method::POST, "/v1/sys/storage/raft/promote", Some(&json!({"server_id": "prod-1"}))),
        (Method::PUT, "/v1/sys/storage/raft/remove-peer", Some(&json!({"server_id": "someone-else"}))),
        (Method::PUT, "/v1/sys/seal", None),
    ] {
        // Sealing is nothing that a standby hands on: there it fails before anybody is asked for a right.
        let leading = if leads(&bao[1], &leader).await.0 { &bao[1] } else { &bao[2] };
        let answer = leading.send(method.clone(), path, Some(&token), body).await.unwrap();
        assert_eq!(answer.status.as_u16(), 403, "{method} {path}");
    }

    // Whoever leads now, the highest node goes only after another one leads.
    if leads(&bao[2], &leader).await.0 {
        assert_eq!(send(&bao[2], &step_down).await.0, 204);
    }
    wait::until(PATIENCE, "the highest node to be counted no more", async || {
        let (status, _) = send(&bao[1], &remove).await;
        let (_, exposed) = send(&bao[1], &configuration).await;
        let peers = exposed.get("/data/config/servers").and_then(Value::as_array).map(Vec::len);
        if status == 204 && peers == Some(2) { Ok(()) } else { Err(format!("{status} {exposed:?}")) }
    })
    .await
    .unwrap();
}
