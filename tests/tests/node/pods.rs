//! Pods of a cluster start on a real kubelet and say of themselves what they are; the owner's status repeats it.

use banhbaoring_testing::wait;
use banhbaoring_tests::Team;
use banhbaoring_tests::team::{PATIENCE, cluster};
use serde_json::{Value, json};

use crate::support::Platform;

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_openbao_start_and_their_labels_reach_the_status() {
    let platform = Platform::start().await;
    let team = platform.world.team("pods").await.unwrap();
    for replicas in [1, 3] {
        let name = format!("of-{replicas}");
        team.apply(&[cluster(&name, &json!({"version": "2.4.0", "replicas": replicas}))]).await.unwrap();
        until_labelled(&platform, &team, &name, replicas).await;
        platform.tell(&format!("{replicas} pods of {name} run and are labelled"));
        let told = |owner: &Value| {
            let members = owner.pointer("/status/members").and_then(Value::as_array).cloned().unwrap_or_default();
            members.iter().filter(|member| member["sealed"].is_boolean() && member["initialized"].is_boolean()).count()
        };
        let look = |owner: &Value| if told(owner) == replicas { Ok(()) } else { Err("not all members tell".to_owned()) };
        let owner = team.until(&name, "what all its nodes say", look).await.unwrap();
        platform.tell(&format!("status of {name}: {}", serde_json::to_string_pretty(&owner["status"]).unwrap()));
    }
    platform.node.stop().expect("nothing left");
}

/// Waits until the pods run and OpenBao itself has put its labels on each.
async fn until_labelled(platform: &Platform, team: &Team, name: &str, replicas: usize) {
    let selector = format!("app.kubernetes.io/instance={name}");
    let look = async || {
        let pods = team.kubectl.run(&["get", "pods", "-l", &selector, "-o", "json"]).await.map_err(|error| error.to_string())?;
        let pods: Value = serde_json::from_str(&pods).map_err(|error| error.to_string())?;
        let pods = pods["items"].as_array().cloned().unwrap_or_default();
        let labelled = |pod: &&Value| {
            let has = |label: &str| pod.pointer("/metadata/labels").is_some_and(|labels| labels[label].is_string());
            pod["status"]["phase"] == "Running" && has("openbao-sealed") && has("openbao-initialized")
        };
        if pods.iter().filter(labelled).count() == replicas {
            return Ok(());
        }
        Err(pods
            .iter()
            .map(|pod| format!("{} {} {}", pod["metadata"]["name"], pod["metadata"]["labels"], pod["status"]))
            .collect::<Vec<_>>()
            .join("\n"))
    };
    if let Err(failed) = wait::until(PATIENCE, format!("the pods of {name} to be labelled"), look).await {
        let mut saw = failed.to_string();
        for words in [vec!["describe", "pods", "-l", &selector], vec!["logs", "-l", &selector, "--tail=20"], vec!["get", "events"]] {
            saw.push_str(&format!("\n--- kubectl {}\n{}", words.join(" "), team.kubectl.run(&words).await.unwrap_or_default()));
        }
        panic!("{saw}\n--- operator\n{}", platform.operator.server().log_tail());
    }
}
