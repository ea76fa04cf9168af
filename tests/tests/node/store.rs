//! What `examples/minimal.yaml` becomes: three nodes that initialise, find each other, unseal themselves and keep what was written.

use banhbaoring_testing::tools::workspace_root;
use banhbaoring_tests::Team;
use banhbaoring_tests::team::condition;
use serde_json::Value;

use crate::support::{Platform, bao, platform};

const PODS: [&str; 3] = ["minimal-0", "minimal-1", "minimal-2"];

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_initialise_join_unseal_and_keep_what_was_written_when_all_pods_are_killed() {
    let platform = platform().await;
    let team = platform.world.team("store").await.unwrap();
    let example = std::fs::read_to_string(workspace_root().join("examples/minimal.yaml")).expect("the example");
    team.kubectl.run_with_input(&["apply", "-f", "-"], &example).await.unwrap();

    let owner = until(platform, &team, "it is ready", is_ready).await;
    platform.tell(&format!("Ready=True: {}", owner["status"]["members"]));
    assert_eq!(actives(&owner), 1, "{}", owner["status"]);

    // As people get in who read docs/cluster-users.md.
    let password = team.kubectl.run(&["get", "secret/minimal-admin", "-o", "go-template={{.data.password | base64decode}}"]).await.unwrap();
    let login = format!("login -method=userpass -token-only username=admin password='{password}'");
    let token = bao(&team, PODS[0], "", &login).await.unwrap().trim().to_owned();
    bao(&team, PODS[0], &token, "secrets enable -path=kept kv").await.unwrap();
    bao(&team, PODS[1], &token, "kv put kept/it value=still-here").await.unwrap();
    let peers = bao(&team, PODS[2], &token, "operator raft list-peers -format=json").await.unwrap();
    let peers: Value = serde_json::from_str(&peers).expect("JSON");
    assert_eq!(peers.pointer("/data/config/servers").and_then(Value::as_array).map(Vec::len), Some(3), "{peers}");

    let before = uids(&team).await;
    team.kubectl.run(&["delete", "pods", "--force", "--grace-period=0", PODS[0], PODS[1], PODS[2]]).await.unwrap();
    platform.tell("all pods are killed");
    let deadline = std::time::Duration::from_secs(120);
    let look = async || {
        let now = uids(&team).await;
        if now.len() != 3 || now.iter().any(|uid| before.contains(uid)) {
            return Err(format!("pods {now:?}"));
        }
        bao(&team, PODS[2], &token, "kv get -field=value kept/it").await.map_err(|error| error.to_string())
    };
    let kept = banhbaoring_testing::wait::until(deadline, "what was written to be read", look).await;
    match kept {
        Ok(kept) => assert_eq!(kept.trim(), "still-here"),
        Err(failed) => panic!("{failed}\n{}", platform.sight(&team, "minimal").await),
    }
    platform.tell("what was written is read from new pods");
    let owner = until(platform, &team, "it is ready with new pods", is_ready).await;
    assert_eq!(actives(&owner), 1, "{}", owner["status"]);
}

async fn until(platform: &Platform, team: &Team, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let look = |owner: &Value| if holds(owner) { Ok(()) } else { Err("not yet".to_owned()) };
    match team.until("minimal", what, look).await {
        Ok(owner) => owner,
        Err(failed) => panic!("{failed}\n{}", platform.sight(team, "minimal").await),
    }
}

fn is_ready(owner: &Value) -> bool {
    condition(owner, "Ready")["status"] == "True" && condition(owner, "Unsealed")["status"] == "True"
}

fn actives(owner: &Value) -> usize {
    let members = owner.pointer("/status/members").and_then(Value::as_array);
    members.into_iter().flatten().filter(|member| member["active"] == true).count()
}

async fn uids(team: &Team) -> Vec<String> {
    let printed = team.kubectl.run(&["get", "pods", "-o", "jsonpath={.items[*].metadata.uid}"]).await.unwrap_or_default();
    printed.split_whitespace().map(str::to_owned).collect()
}
