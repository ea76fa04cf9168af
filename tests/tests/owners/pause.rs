//! Hands off: an owner whose spec says `paused: true`.

use std::time::Duration;

use banhbaoring_testing::wait;
use banhbaoring_tests::survey::text;
use banhbaoring_tests::team::{PATIENCE, condition, parts_of};
use serde_json::json;

use crate::support::crew;

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_cluster_is_left_alone_until_it_goes_on_or_is_deleted() {
    let crew = crew("paused").await;
    crew.settled("a", json!({})).await;
    crew.patch("openbaocluster/a", &json!({"spec": {"paused": true, "logLevel": "debug"}})).await.unwrap();
    let told = crew.until_condition("a", "Paused", "True").await.unwrap();
    assert!(text(&told, "/message").contains("spec.paused"), "{told}");
    let cluster = crew.cluster("a").await.unwrap();
    assert!(condition(&cluster, "TLSReady").is_object(), "what was said before stays: {cluster}");
    assert_eq!(cluster["status"]["nodes"], "0/3");

    crew.kubectl.run(&["delete", "service/a-public"]).await.unwrap();
    for round in 0..3 {
        crew.patch("openbaocluster/a", &json!({"metadata": {"labels": {"round": round.to_string()}}})).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let children = crew.children("a").await.unwrap();
    assert!(!children.contains_key("Service/a-public"));
    assert!(!text(&children["ConfigMap/a-config"], "/data/config.hcl").contains("debug"));

    crew.patch("openbaocluster/a", &json!({"spec": {"paused": false}})).await.unwrap();
    let children = crew.until_children("a", &parts_of("a")).await.unwrap();
    assert!(children.contains_key("Service/a-public"));
    let going_on = wait::until(PATIENCE, "it goes on where it stood", async || {
        let (cluster, children) = (crew.cluster("a").await.unwrap(), crew.children("a").await.unwrap());
        let hcl = text(&children["ConfigMap/a-config"], "/data/config.hcl");
        let is_paused = condition(&cluster, "Paused").is_object();
        if !is_paused && hcl.contains("debug") { Ok(()) } else { Err(format!("paused {is_paused}, {hcl}")) }
    });
    going_on.await.unwrap();

    crew.patch("openbaocluster/a", &json!({"spec": {"paused": true}})).await.unwrap();
    crew.until_condition("a", "Paused", "True").await.unwrap();
    let uid = crew.uid("a").await.unwrap();
    crew.kubectl.run(&["delete", "openbaocluster/a", "--timeout=300s"]).await.unwrap();
    let gone = wait::until(PATIENCE, "what belongs to it to go", async || {
        let left = crew.survey.children(&crew.namespace, &uid).await.map_err(|error| format!("{error:#}"))?;
        let left: Vec<_> = left.into_keys().filter(|name| !name.starts_with("Secret/") && !name.ends_with("-ca")).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    gone.await.unwrap();
}
