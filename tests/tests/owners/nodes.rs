//! What the nodes tell of themselves reaches the status: the component asks about their pods, which the StatefulSet made and not the operator.

use banhbaoring_tests::team::cluster;
use serde_json::{Value, json};

use crate::support::crew;

#[tokio::test(flavor = "multi_thread")]
async fn labels_of_the_nodes_pods_reach_the_status() {
    let crew = crew("nodes").await;
    crew.apply(&[cluster("prod", &json!({"replicas": 1}))]).await.unwrap();
    let told = |owner: &Value| owner.pointer("/status/members").cloned().unwrap_or_default();
    crew.until("prod", "its node, of which nothing is known yet", |owner| match told(owner) {
        nodes if nodes[0]["name"] == "prod-0" => Ok(()),
        nodes => Err(nodes.to_string()),
    })
    .await
    .unwrap();
    let labels = json!({"openbao-active": "true", "openbao-initialized": "true", "openbao-sealed": "false", "openbao-version": "2.4.0"});
    crew.patch("pod/prod-0", &json!({"metadata": {"labels": labels}})).await.unwrap();
    let wanted = json!([{"name": "prod-0", "active": true, "initialized": true, "sealed": false, "version": "2.4.0", "ready": false, "upToDate": true}]);
    crew.until("prod", "what its node says", |owner| {
        let nodes = told(owner);
        if nodes == wanted { Ok(()) } else { Err(nodes.to_string()) }
    })
    .await
    .unwrap();
}
