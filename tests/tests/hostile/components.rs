//! Components that are no plugins, or go wrong before they are asked anything: each ends on its own Plugin.

use banhbaoring_hostile::Broken;
use banhbaoring_tests::objects;
use serde_json::json;

use crate::crowd::Crowd;
use crate::villain::{Villain, config_map};

#[tokio::test]
async fn a_component_that_cannot_be_used_ends_on_its_own_plugin() {
    let crowd = Crowd::shared().await;
    for (name, broken, reason, speaks_of) in [
        ("garbage", Broken::Garbage, "InvalidComponent", "not valid"),
        ("core-module", Broken::CoreModule, "NotAComponent", "core module"),
        ("imports-wasi", Broken::ImportsWasi, "ForbiddenImports", "wasi:clocks/wall-clock@0.2.0"),
        ("other-contract", Broken::OtherContract("0.2.0"), "UnsupportedContract", "0.2.0"),
        ("without-metadata", Broken::WithoutMetadata, "MissingMetadata", "banhbaoring:plugin/metadata"),
        ("other-type", Broken::OtherType, "WrongInterfaceType", "metadata"),
        ("describe-loops", Broken::DescribeLoops, "CpuLimitExceeded", "200 ms"),
        ("start-loops", Broken::StartLoops, "CpuLimitExceeded", "200 ms"),
        ("start-bomb", Broken::StartBomb, "MemoryLimitExceeded", "67108864"),
    ] {
        let villain = Villain::idle(name).await;
        villain.publish(&broken.component(), "broken").await;
        let plugin = villain.until_plugin(&[("Verified", "True", "SignatureVerified"), ("Loaded", "False", reason)]).await;
        let told = objects::message(&plugin, "Loaded");
        assert!(told.contains(speaks_of), "{name}: {told}");
        assert_eq!(objects::condition(&plugin, "Ready").map(|ready| &ready["reason"]), Some(&json!(reason)), "{name}");
        assert!(plugin["status"]["active"].is_null(), "{name}: {plugin}");
    }
    crowd.has_not_noticed().await;
}

#[tokio::test]
async fn an_instance_that_is_too_large_from_the_start_ends_on_its_own_plugin() {
    let crowd = Crowd::shared().await;
    for (name, broken) in
        [("huge-memory", Broken::HugeMemory), ("huge-table", Broken::HugeTable), ("many-instances", Broken::ManyInstances(40))]
    {
        let villain = Villain::idle(name).await;
        villain.publish(&broken.component(), "broken").await;
        let plugin =
            villain.until_plugin(&[("Verified", "True", "SignatureVerified"), ("PermissionsGranted", "Unknown", "NotReached")]).await;
        // Which of them depends on where instances come from on this machine.
        let reason = objects::condition(&plugin, "Loaded").and_then(|loaded| loaded["reason"].as_str()).unwrap();
        assert!(["MemoryLimitExceeded", "InstanceTooLarge", "InvalidComponent"].contains(&reason), "{name}: {plugin}");
        assert_eq!(objects::condition(&plugin, "Ready").map(|ready| &ready["reason"]), Some(&json!(reason)), "{name}");
    }
    crowd.has_not_noticed().await;
}

#[tokio::test]
async fn a_version_that_imports_something_leaves_the_good_one_serving() {
    let crowd = Crowd::shared().await;
    let villain = Villain::active("turns-bad").await;
    villain.good_owners(["owner"]).await;
    villain.publish(&Broken::ImportsWasi.component(), "bad").await;
    villain.until_plugin(&[("Loaded", "False", "ForbiddenImports"), ("Ready", "True", "ServingPrevious")]).await;
    villain.asks("owner", &json!({"objects": [config_map("owner", "changed")]})).await;
    villain.until_child_says("owner", "changed").await;
    crowd.has_not_noticed().await;
}
