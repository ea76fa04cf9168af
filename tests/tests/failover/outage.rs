//! A start while the registry is down: what was active serves on.

use banhbaoring_testing::wait;
use banhbaoring_tests::survey::uids;
use banhbaoring_tests::team::{PATIENCE, cluster, condition, parts_of_one_node};
use banhbaoring_tests::{FIRST_PARTY, Operator};
use serde_json::json;

use crate::{finish, world};

#[tokio::test(flavor = "multi_thread")]
async fn plugins_that_were_active_serve_on_after_a_restart_without_a_registry() {
    let world = world().await;
    let team = world.team("outage").await.unwrap();
    let operator = Operator::start(&world.operator("outage")).unwrap();
    world.until_serving(&operator).await.unwrap();
    team.apply(&[cluster("before", &json!({"replicas": 1}))]).await.unwrap();
    let before = team.until_children("before", &parts_of_one_node("before")).await.unwrap();

    world.publisher.registry.server().kill();
    operator.start_again().unwrap();
    operator.until_leading().await.unwrap();
    // It tells what it serves, and why that is not the newest.
    for plugin in FIRST_PARTY {
        wait::until(PATIENCE, format!("{plugin} to serve without a registry"), async || {
            let object = team.get(&format!("plugin/{plugin}")).await.map_err(|error| error.to_string())?;
            let (ready, resolved) = (condition(&object, "Ready"), condition(&object, "Resolved"));
            let serves = ready["status"] == "True" && ready["reason"] == "ServingPrevious";
            let told = resolved["status"] == "False" && resolved["reason"] == "RegistryUnreachable";
            if serves && told { Ok(()) } else { Err(format!("{ready}, {resolved}")) }
        })
        .await
        .unwrap();
        let series = format!(r#"banhbaoring_plugin_active{{plugin="{plugin}",version="0.1.0"}}"#);
        assert_eq!(operator.metric(&series).await.unwrap(), Some(1.0));
    }
    // An owner that is new, and one that changes.
    team.apply(&[cluster("during", &json!({"replicas": 1}))]).await.unwrap();
    team.until_children("during", &parts_of_one_node("during")).await.unwrap();
    team.patch("openbaocluster/before", &json!({"spec": {"networkPolicy": {"enabled": false}}})).await.unwrap();
    let mut parts = parts_of_one_node("before");
    parts.remove("NetworkPolicy/before-network-policy");
    let after = team.until_children("before", &parts).await.unwrap();
    let mut expected = uids(&before);
    expected.remove("NetworkPolicy/before-network-policy");
    assert_eq!(uids(&after), expected);

    world.publisher.registry.server().start_again().unwrap();
    world.publisher.registry.until_ready().await.unwrap();
    for plugin in FIRST_PARTY {
        wait::until(PATIENCE, format!("{plugin} to be resolved again"), async || {
            let object = team.get(&format!("plugin/{plugin}")).await.map_err(|error| error.to_string())?;
            let (ready, resolved) = (condition(&object, "Ready"), condition(&object, "Resolved"));
            if resolved["status"] == "True" && ready["reason"] == "Active" { Ok(()) } else { Err(format!("{ready}, {resolved}")) }
        })
        .await
        .unwrap();
    }
    finish(&team, &operator).await;
}
