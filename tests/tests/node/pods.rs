//! Pods of a cluster start on a real kubelet and say of themselves what they are; the owner's status repeats it.

use banhbaoring_testing::wait;
use banhbaoring_tests::release::look;
use banhbaoring_tests::team::{PATIENCE, cluster};
use serde_json::{Value, json};

use crate::support::platform;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_openbao_starts_and_the_labels_that_it_gives_itself_reach_the_status() {
    let platform = platform().await;
    let clock = platform.clock.about("pods");
    let team = platform.release.team("pods").await.unwrap();
    team.apply(&[cluster("one", &json!({"version": "2.4.0", "replicas": 1}))]).await.unwrap();
    let labelled = async || {
        let pod = team.get("pod/one-0").await.map_err(|error| error.to_string())?;
        let has = |label: &str| pod["metadata"]["labels"][label].is_string();
        let whole = pod["status"]["phase"] == "Running" && has("openbao-sealed") && has("openbao-initialized");
        if whole { Ok(()) } else { Err(format!("{} {}", pod["metadata"]["labels"], pod["status"])) }
    };
    if let Err(failed) = wait::until(PATIENCE, "one-0 to run and to be labelled", labelled).await {
        let of_pod = look(&team.kubectl, &[&["describe", "pod/one-0"], &["logs", "pod/one-0", "--tail=20"]]).await;
        panic!("{failed}\n{of_pod}\n{}", platform.release.sight().await);
    }
    clock.tell("one-0 runs and is labelled");
    let told = |owner: &Value| {
        let member = owner.pointer("/status/members/0").cloned().unwrap_or_default();
        let whole = member["name"] == "one-0" && member["version"] == "2.4.0" && member["sealed"].is_boolean();
        if whole && member["initialized"].is_boolean() { Ok(()) } else { Err(member.to_string()) }
    };
    let owner = team.until("one", "what its node says", told).await.unwrap();
    clock.tell(&format!("status of one: {}", owner["status"]));
}
