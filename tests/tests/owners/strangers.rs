//! Objects that look like ours: with copied labels, owner references and field managers. They are neither trusted, nor taken over, nor deleted.

use std::path::PathBuf;

use banhbaoring_hostile::Puppet;
use banhbaoring_testing::scratch::Scratch;
use banhbaoring_testing::wait;
use banhbaoring_tests::survey::text;
use banhbaoring_tests::team::{PATIENCE, condition, parts_of};
use serde_json::{Value, json};

use crate::support::{Crew, crew};

/// A copy of an object under another name, made by somebody who claims to be our field manager.
async fn copy(crew: &Crew, object: &Value, name: &str, change: impl Fn(&mut Value)) -> Value {
    let mut copy = object.clone();
    for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"] {
        copy["metadata"].as_object_mut().unwrap().remove(field);
    }
    copy.as_object_mut().unwrap().remove("status");
    copy["metadata"]["name"] = name.into();
    change(&mut copy);
    let forged = ["apply", "--server-side", "--field-manager=banhbaoring/openbao", "-f", "-"];
    crew.kubectl.run_with_input(&forged, &copy.to_string()).await.unwrap();
    crew.get(&format!("{}/{name}", text(object, "/kind").to_lowercase())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn look_alikes_are_neither_pruned_nor_adopted_nor_changed() {
    let crew = crew("alike").await;
    crew.settled("a", json!({})).await;
    let policy = crew.get("networkpolicy/a-network-policy").await.unwrap();
    let settings = crew.get("configmap/a-config").await.unwrap();
    let with_all = copy(&crew, &policy, "copy-with-owner", |_| {}).await;
    let with_labels =
        copy(&crew, &policy, "copy-with-labels", |copy| drop(copy["metadata"].as_object_mut().unwrap().remove("ownerReferences"))).await;
    // One that says what ours would, were it still desired.
    let other = copy(&crew, &settings, "copy-of-settings", |copy| copy["data"]["config.hcl"] = "theirs".into()).await;
    let copies = [("networkpolicy", with_all), ("networkpolicy", with_labels), ("configmap", other)];

    // A prune of the very kind, then a change, then looks.
    crew.patch("openbaocluster/a", &json!({"spec": {"networkPolicy": {"enabled": false}, "logLevel": "debug"}})).await.unwrap();
    wait::until(PATIENCE, "ours to go", async || match crew.get("networkpolicy/a-network-policy").await {
        Ok(_) => Err("it is there"),
        Err(_) => Ok(()),
    })
    .await
    .unwrap();
    crew.resync(&["a"], 5).await;
    let held = crew.inventory("a").await.unwrap().spec.children;
    for (kind, copy) in &copies {
        let name = text(copy, "/metadata/name");
        assert_eq!(&crew.get(&format!("{kind}/{name}")).await.unwrap(), copy, "untouched");
        assert!(!held.iter().any(|child| child.name == name), "{name} is in the inventory");
    }
    // What has no owner reference outlives the owner, whose uid its label carries.
    crew.kubectl.run(&["delete", "openbaocluster/a"]).await.unwrap();
    wait::until(PATIENCE, "the StatefulSet to be gone", async || match crew.get("statefulset/a").await {
        Ok(_) => Err("it is there"),
        Err(_) => Ok(()),
    })
    .await
    .unwrap();
    assert_eq!(crew.get("networkpolicy/copy-with-labels").await.unwrap(), copies[1].1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_was_replaced_by_a_look_alike_is_refused_by_name() {
    let crew = crew("replaced").await;
    crew.settled("a", json!({})).await;
    let role = crew.get("role/a").await.unwrap();
    // In one request: there is no moment without an object of that name.
    let mut alike = role.clone();
    for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields"] {
        alike["metadata"].as_object_mut().unwrap().remove(field);
    }
    alike["rules"][0]["verbs"] = json!(["*"]);
    crew.while_stopped(crew.kubectl.run_with_input(&["replace", "--force", "-f", "-"], &alike.to_string())).await.unwrap();
    let strange = crew.get("role/a").await.unwrap();
    assert_ne!(strange["metadata"]["uid"], role["metadata"]["uid"]);
    crew.pulse().await;
    let told = crew.until_condition("a", "Reconciled", "False").await.unwrap();
    assert_eq!(told["reason"], "NameTaken", "{told}");
    assert!(told["message"].as_str().unwrap().contains("Role"), "{told}");
    crew.resync(&["a"], 3).await;
    assert_eq!(crew.get("role/a").await.unwrap(), strange, "not ours to mend");
    crew.kubectl.run(&["delete", "role/a"]).await.unwrap();
    crew.pulse().await;
    crew.until_children("a", &parts_of("a")).await.unwrap();
    crew.until_condition("a", "Reconciled", "True").await.unwrap();
    assert_eq!(crew.get("role/a").await.unwrap()["rules"], role["rules"]);
}

/// A plugin whose owners render what their spec says, and a kind of children that say themselves whether they are ready.
async fn puppet(crew: &Crew) -> Puppet {
    let group = "strangers.tests.banhbaoring.io";
    let gauge = Puppet { group: group.into(), kind: "Gauge".into(), ..Puppet::default() };
    crew.kubectl.apply(&gauge.crd().to_string()).await.unwrap();
    let definition = format!("crd/gauges.{group}");
    crew.kubectl.run(&["wait", "--for=condition=Established", "--timeout=300s", &definition]).await.unwrap();
    let puppet = Puppet {
        name: "strangers".into(),
        group: group.into(),
        kind: "Stranger".into(),
        permissions: json!({"kinds": [format!("{group}/Stranger")], "resources": [
            {"apiGroups": [group], "resources": ["gauges"], "verbs": ["get", "list", "watch", "create", "patch", "delete"]}]}),
        ..Puppet::default()
    };
    let scratch = Scratch::new("puppet").unwrap();
    let component: PathBuf = scratch.write("strangers.wasm", puppet.component()).unwrap();
    let world = &crew.platform.world;
    world.publisher.push(&component, &puppet.name, "v1").await.unwrap();
    world.publisher.sign(&puppet.name, "v1").await.unwrap();
    world.installation.add(&world.publisher, &puppet.name, "v1").await.unwrap();
    crew.kubectl.run(&["wait", "plugin/strangers", "--for=condition=Ready", "--timeout=300s"]).await.unwrap();
    puppet
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readiness_of_a_look_alike_is_not_believed() {
    let crew = crew("ready").await;
    let puppet = puppet(&crew).await;
    let api_version = format!("{}/v1alpha1", puppet.group);
    let gauge = |name: &str| json!({"apiVersion": api_version, "kind": "Gauge", "metadata": {"name": name}});
    let owner =
        |objects: Value| json!({"apiVersion": api_version, "kind": "Stranger", "metadata": {"name": "a"}, "spec": {"objects": objects}});
    let tell = async |name: &str, ready: &str| {
        let status = json!({"status": {"conditions": [{"type": "Ready", "status": ready, "reason": "Told", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
        crew.kubectl
            .run(&["patch", &format!("gauge/{name}"), "--subresource=status", "--type=merge", "-p", &status.to_string()])
            .await
            .unwrap();
    };
    let until = async |what: &str, status: &str, reason: &str| {
        wait::until(PATIENCE, what, async || {
            let stranger = crew.get("stranger/a").await.map_err(|error| error.to_string())?;
            let told = condition(&stranger, "Ready");
            if told["status"] == status && (reason.is_empty() || told["reason"] == reason) { Ok(()) } else { Err(stranger.to_string()) }
        })
        .await
        .unwrap();
    };
    crew.apply(&[owner(json!([gauge("mine")]))]).await.unwrap();
    wait::until(PATIENCE, "the gauge", async || crew.get("gauge/mine").await.map_err(|error| error.to_string())).await.unwrap();
    // Its own child is believed, both ways.
    tell("mine", "False").await;
    until("not ready with its gauge", "False", "").await;
    tell("mine", "True").await;
    until("ready with its gauge", "True", "").await;
    tell("mine", "False").await;
    until("not ready with its gauge", "False", "").await;

    // Another one, that has all but the uid.
    let mine = crew.get("gauge/mine").await.unwrap();
    copy(&crew, &mine, "next", |_| {}).await;
    tell("next", "True").await;
    let ready = crew.get("gauge/next").await.unwrap();
    // From now on the owner wants one of that name as well, and gives up the one that says no.
    crew.apply(&[owner(json!([gauge("next")]))]).await.unwrap();
    until("the name to be taken", "False", "NameTaken").await;
    assert_eq!(crew.get("gauge/next").await.unwrap(), ready, "not touched");
    // Without it the owner gets its own.
    crew.kubectl.run(&["delete", "gauge/next"]).await.unwrap();
    until("ready with a gauge of its own", "True", "").await;
    assert_ne!(crew.get("gauge/next").await.unwrap()["metadata"]["uid"], ready["metadata"]["uid"]);
}
