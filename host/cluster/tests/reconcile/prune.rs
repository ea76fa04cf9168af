//! Deletion: only ours, only as observed.

use banhbaoring_cluster::prune::PruneOutcome;
use banhbaoring_pipeline::plan::Step;

use crate::support::{Fixture, names, plan, written};

#[tokio::test]
async fn what_is_no_longer_desired_goes_from_the_cluster_and_the_inventory() {
    let fixture = Fixture::new("prune").await;
    fixture.apply(vec![fixture.create(fixture.config_map("a", "1")), fixture.create(fixture.config_map("b", "1"))]).await;
    let child = fixture.observe(&fixture.reference("v1", "ConfigMap", "a")).await.unwrap();
    let applied = fixture.apply_plan(plan(Vec::new(), vec![fixture.prune(&child)])).await;
    assert_eq!(applied.pruned[0].outcome, PruneOutcome::Gone);
    assert_eq!(names(&applied), ["b".to_owned()].into());
    assert!(!fixture.exists("configmap", "a").await);
    assert!(fixture.exists("configmap", "b").await);
}

#[tokio::test]
async fn a_look_alike_is_never_deleted() {
    let fixture = Fixture::new("prune").await;
    let uid = written(&fixture.apply(vec![fixture.create(fixture.config_map("a", "1"))]).await);
    let look_alike = fixture.config_map("b", "theirs");
    fixture
        .kubectl
        .run_with_input(&["apply", "--server-side", "--field-manager=banhbaoring/database", "-f", "-"], &look_alike.to_string())
        .await
        .unwrap();
    let mut child = fixture.observe(&fixture.reference("v1", "ConfigMap", "a")).await.unwrap();
    assert_eq!(fixture.observe(&fixture.reference("v1", "ConfigMap", "b")).await, None, "what is not in the inventory is not even seen");
    child.reference.name = "b".into();
    let applied = fixture.apply_plan(plan(Vec::new(), vec![fixture.prune(&child)])).await;
    assert!(matches!(applied.pruned[0].outcome, PruneOutcome::Left(_)));
    assert!(fixture.exists("configmap", "b").await);

    // Replaced under the name that is in the inventory: another uid.
    fixture.kubectl.run(&["delete", "configmap", "a"]).await.unwrap();
    fixture.kubectl.run_with_input(&["create", "-f", "-"], &fixture.config_map("a", "theirs").to_string()).await.unwrap();
    let replaced = fixture.observe(&fixture.reference("v1", "ConfigMap", "a")).await.unwrap();
    assert_ne!(replaced.uid, uid);
    let applied = fixture.apply_plan(plan(Vec::new(), vec![fixture.prune(&replaced)])).await;
    assert!(matches!(applied.pruned[0].outcome, PruneOutcome::Left(_)));
    assert_eq!(fixture.get("configmap", "a").await["data"]["key"], "theirs");
}

#[tokio::test]
async fn what_changed_since_it_was_observed_is_left_until_it_is_observed_again() {
    let fixture = Fixture::new("prune").await;
    fixture.apply(vec![fixture.create(fixture.config_map("a", "1"))]).await;
    let child = fixture.observe(&fixture.reference("v1", "ConfigMap", "a")).await.unwrap();
    fixture.kubectl.run(&["annotate", "configmap", "a", "wait=please"]).await.unwrap();
    let applied = fixture.apply_plan(plan(Vec::new(), vec![fixture.prune(&child)])).await;
    assert!(matches!(applied.pruned[0].outcome, PruneOutcome::Left(_)));
    assert!(fixture.exists("configmap", "a").await);
    assert_eq!(names(&applied).len(), 1);
}

#[tokio::test]
async fn what_waits_for_a_finalizer_stays_in_the_inventory_until_it_is_gone() {
    let fixture = Fixture::new("prune").await;
    fixture.apply(vec![fixture.create(fixture.config_map("a", "1"))]).await;
    fixture
        .kubectl
        .run(&["patch", "configmap", "a", "--type=merge", "-p", r#"{"metadata":{"finalizers":["test.example/hold"]}}"#])
        .await
        .unwrap();
    let child = fixture.observe(&fixture.reference("v1", "ConfigMap", "a")).await.unwrap();
    let applied = fixture.apply_plan(plan(Vec::new(), vec![fixture.prune(&child)])).await;
    assert_eq!(applied.pruned[0].outcome, PruneOutcome::Terminating);
    assert!(fixture.observe(&child.reference).await.unwrap().deleting);
    fixture.kubectl.run(&["patch", "configmap", "a", "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#]).await.unwrap();
    let mut done = plan(Vec::new(), Vec::new());
    done.release = vec![child.reference.clone()];
    assert!(names(&fixture.apply_plan(done).await).is_empty());
}

#[tokio::test]
async fn kept_objects_are_never_deleted() {
    let fixture = Fixture::new("prune").await;
    fixture.apply(vec![Step { keep: true, ..fixture.create(fixture.config_map("a", "1")) }]).await;
    let child = fixture.observe(&fixture.reference("v1", "ConfigMap", "a")).await.unwrap();
    let applied = fixture.apply_plan(plan(Vec::new(), vec![fixture.prune(&child)])).await;
    assert!(matches!(applied.pruned[0].outcome, PruneOutcome::Left(_)));
    assert!(fixture.exists("configmap", "a").await);
    assert!(fixture.entry("a").await.keep);
}
