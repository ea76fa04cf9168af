//! Creation, change, drift, create-only and exclusive fields, immutable fields, failures and what they hold up.

use banhbaoring_cluster::{Dependencies, StepOutcome};
use banhbaoring_pipeline::contract::{ApplyMode, Recreate};
use banhbaoring_pipeline::plan::{Cause, ObjectWrite, Step};
use serde_json::{Value, json};

use crate::support::{Fixture, outcomes, plan, refused, written};

fn deployment(fixture: &Fixture, app: &str) -> Value {
    fixture.completed(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": app}}, "template": {"metadata": {"labels": {"app": app}},
            "spec": {"containers": [{"name": "c", "image": "registry.test/c:1"}]}}}}))
}

#[tokio::test]
async fn what_was_created_is_recorded_and_seen_unchanged() {
    let fixture = Fixture::new("apply").await;
    let applied = fixture.apply(vec![fixture.create(fixture.config_map("a", "1")), fixture.create(deployment(&fixture, "web"))]).await;
    assert!(applied.components["database"].is_complete(), "{:?}", outcomes(&applied));
    for (name, kind) in [("a", "ConfigMap"), ("web", "Deployment")] {
        let entry = fixture.entry(name).await;
        let child = fixture.observe(&fixture.reference(&entry.api_version, kind, name)).await.expect("it exists");
        assert_eq!(entry.uid.as_ref(), Some(&child.uid));
        assert_eq!(entry.intent, None);
        assert_eq!(entry.fields_hash, child.fields_hash, "{name}: nothing differs right after the apply");
        assert_eq!(child.controller.as_ref(), Some(&fixture.owner.uid));
        assert!(entry.desired_hash.is_some());
    }
    let live = fixture.get("configmap", "a").await;
    assert_eq!(live["data"]["key"], "1");
}

#[tokio::test]
async fn a_changed_child_is_written_once_and_drift_is_corrected() {
    let fixture = Fixture::new("apply").await;
    let uid = written(&fixture.apply(vec![fixture.create(fixture.config_map("a", "1"))]).await);
    let step = fixture.update(Cause::Changed, fixture.config_map("a", "2"), &uid);
    assert_eq!(written(&fixture.apply(vec![step]).await), uid);
    let live = fixture.get("configmap", "a").await;
    assert_eq!(live["data"]["key"], "2");
    assert!(live["metadata"]["annotations"].get("banhbaoring.io/intent").is_none(), "the token goes with the next apply");

    fixture.kubectl.run(&["patch", "configmap", "a", "--type=merge", "-p", r#"{"data":{"key":"x","other":"y"}}"#]).await.unwrap();
    let entry = fixture.entry("a").await;
    let reference = fixture.reference("v1", "ConfigMap", "a");
    assert_ne!(fixture.observe(&reference).await.unwrap().fields_hash, entry.fields_hash);
    fixture.apply(vec![fixture.update(Cause::Drifted, fixture.config_map("a", "2"), &uid)]).await;
    let live = fixture.get("configmap", "a").await;
    assert_eq!(live["data"], json!({"key": "2", "other": "y"}), "ours is corrected, theirs stays");
    assert_eq!(fixture.observe(&reference).await.unwrap().fields_hash, fixture.entry("a").await.fields_hash);
}

#[tokio::test]
async fn an_empty_plan_writes_nothing_at_all() {
    let fixture = Fixture::new("apply").await;
    fixture.apply(vec![fixture.create(fixture.config_map("a", "1"))]).await;
    let inventory = fixture.inventory().await;
    let version = fixture.get("configmap", "a").await["metadata"]["resourceVersion"].clone();
    for _ in 0..20 {
        let applied = fixture.apply(Vec::new()).await;
        assert!(!applied.has_written());
    }
    assert_eq!(fixture.inventory().await.resource_version, inventory.resource_version);
    assert_eq!(fixture.get("configmap", "a").await["metadata"]["resourceVersion"], version);
}

#[tokio::test]
async fn an_immutable_field_is_named_and_nothing_is_deleted() {
    let fixture = Fixture::new("apply").await;
    let uid = written(&fixture.apply(vec![fixture.create(deployment(&fixture, "web"))]).await);
    let applied = fixture.apply(vec![fixture.update(Cause::Changed, deployment(&fixture, "other"), &uid)]).await;
    let (reason, message) = refused(&applied);
    assert_eq!(reason, "ImmutableField");
    assert!(message.contains("spec.selector"), "{message}");
    assert!(!applied.mishaps()[0].transient);
    assert_eq!(fixture.get("deployment", "web").await["metadata"]["uid"], json!(uid));
    assert_eq!(fixture.entry("web").await.uid, Some(uid));
}

#[tokio::test]
async fn who_opted_in_gets_an_immutable_difference_by_a_recreate_with_another_uid() {
    let fixture = Fixture::new("apply").await;
    let uid = written(&fixture.apply(vec![fixture.create(deployment(&fixture, "web"))]).await);
    let wanted = deployment(&fixture, "other");
    let write = ObjectWrite { uid: Some(uid.clone()), recreate: Some(Recreate { orphan: true }), ..fixture.write(wanted.clone()) };
    let applied = fixture.apply(vec![fixture.step(Cause::Changed, write)]).await;
    assert_eq!(outcomes(&applied), [StepOutcome::Leaving]);
    let entry = fixture.entry("web").await;
    assert_eq!(entry.uid, None);
    assert!(entry.intent.is_some(), "the inventory intends the new one before it is made");
    let made = banhbaoring_testing::wait::until(banhbaoring_testing::wait::PATIENCE, "the recreate", async || {
        match outcomes(&fixture.apply(vec![fixture.create(wanted.clone())]).await).as_slice() {
            [StepOutcome::Written { uid, created: true, .. }] => Ok(uid.clone()),
            [StepOutcome::Leaving] => Err("its predecessor is still there".to_owned()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .expect("the garbage collector lets the old one go");
    assert_ne!(made, uid);
    assert_eq!(fixture.entry("web").await.uid, Some(made));
}

#[tokio::test]
async fn a_field_set_at_creation_is_then_left_to_others() {
    let fixture = Fixture::new("apply").await;
    let whole = deployment(&fixture, "web");
    let mut lasting = whole.clone();
    lasting["spec"].as_object_mut().unwrap().remove("replicas");
    let create_only = vec!["/spec/replicas".to_owned()];
    let create = ObjectWrite { create: true, create_only_fields: create_only.clone(), ..fixture.write(whole) };
    let uid = written(&fixture.apply(vec![fixture.step(Cause::Missing, create)]).await);
    assert_eq!(fixture.get("deployment", "web").await["spec"]["replicas"], 2);

    lasting["metadata"]["annotations"] = json!({"changed": "yes"});
    let change = || ObjectWrite { uid: Some(uid.clone()), create_only_fields: create_only.clone(), ..fixture.write(lasting.clone()) };
    fixture.apply(vec![fixture.step(Cause::Changed, change())]).await;
    assert_eq!(fixture.get("deployment", "web").await["spec"]["replicas"], 2, "not reset to the default when it is no longer sent");

    fixture.kubectl.run(&["scale", "deployment", "web", "--replicas=7"]).await.unwrap();
    let entry = fixture.entry("web").await;
    let reference = fixture.reference("apps/v1", "Deployment", "web");
    assert_eq!(fixture.observe(&reference).await.unwrap().fields_hash, entry.fields_hash, "scaling is no drift");
    fixture.apply(vec![fixture.step(Cause::Changed, change())]).await;
    assert_eq!(fixture.get("deployment", "web").await["spec"]["replicas"], 7);
}

#[tokio::test]
async fn foreign_additions_under_an_exclusive_pointer_are_drift_and_go() {
    let fixture = Fixture::new("apply").await;
    let write = |create: bool, uid: Option<String>| ObjectWrite {
        create,
        uid,
        exclusive: vec!["/data".to_owned()],
        ..fixture.write(fixture.config_map("a", "1"))
    };
    let uid = written(&fixture.apply(vec![fixture.step(Cause::Missing, write(true, None))]).await);
    let reference = fixture.reference("v1", "ConfigMap", "a");
    assert_eq!(fixture.observe(&reference).await.unwrap().fields_hash, fixture.entry("a").await.fields_hash);
    fixture.kubectl.run(&["patch", "configmap", "a", "--type=merge", "-p", r#"{"data":{"foreign":"x"}}"#]).await.unwrap();
    fixture.kubectl.run(&["label", "configmap", "a", "theirs=1"]).await.unwrap();
    assert_ne!(fixture.observe(&reference).await.unwrap().fields_hash, fixture.entry("a").await.fields_hash);
    fixture.apply(vec![fixture.step(Cause::Drifted, write(false, Some(uid)))]).await;
    let live = fixture.get("configmap", "a").await;
    assert_eq!(live["data"], json!({"key": "1"}));
    assert_eq!(live["metadata"]["labels"]["theirs"], "1");
    assert_eq!(fixture.observe(&reference).await.unwrap().fields_hash, fixture.entry("a").await.fields_hash);
}

#[tokio::test]
async fn what_is_applied_only_where_it_exists_is_never_made() {
    let fixture = Fixture::new("apply").await;
    let step = || {
        let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": fixture.namespace}, "data": {"ours": "1"}});
        Step { keep: true, ..fixture.step(Cause::Missing, ObjectWrite { mode: ApplyMode::IfExists, ..fixture.write(manifest) }) }
    };
    assert_eq!(outcomes(&fixture.apply(vec![step()]).await), [StepOutcome::Absent]);
    assert!(!fixture.exists("configmap", "theirs").await);
    assert_eq!(fixture.find_entry("theirs").await, None);
    fixture.kubectl.run(&["create", "configmap", "theirs", "--from-literal=a=b"]).await.unwrap();
    written(&fixture.apply(vec![step()]).await);
    assert_eq!(fixture.get("configmap", "theirs").await["data"], json!({"a": "b", "ours": "1"}));
}

#[tokio::test]
async fn a_failure_holds_up_its_component_and_those_after_it_and_nobody_else() {
    let fixture = Fixture::new("apply").await;
    let of = |component: &str, name: &str, manifest: Value| {
        let mut step = fixture.create(manifest);
        step.component = component.into();
        step.reference.name = name.into();
        step
    };
    let mut broken = fixture.config_map("broken", "1");
    broken["data"] = json!({"key": 1});
    let mut deployment_of_a = of("a", "web", deployment(&fixture, "web"));
    deployment_of_a.component = "a".into();
    let steps = vec![
        of("a", "broken", broken),
        deployment_of_a,
        of("b", "after", fixture.config_map("after", "1")),
        of("c", "apart", fixture.config_map("apart", "1")),
    ];
    let after: Dependencies = [("b".to_owned(), ["a".to_owned()].into())].into();
    let applied = fixture.apply_after(plan(steps, Vec::new()), &after).await;
    let (reason, _) = refused(&applied);
    assert_eq!(reason, "Invalid");
    assert!(!fixture.exists("deployment", "web").await, "a later step of the same component");
    assert!(!fixture.exists("configmap", "after").await, "a component after it");
    assert!(fixture.exists("configmap", "apart").await);
    assert!(fixture.entry("apart").await.uid.is_some(), "what was made is recorded although a part failed");
    assert_eq!(fixture.entry("after").await.uid, None);
}
