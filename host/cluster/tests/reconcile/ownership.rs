//! Whose an object is: names that are taken, look-alikes, replacements, and what an account may not do.

use banhbaoring_api::plugin::NamespacedName;
use banhbaoring_cluster::observe::Views;
use banhbaoring_pipeline::contract::HostIdentity;
use banhbaoring_pipeline::observation::Owner;
use banhbaoring_pipeline::plan::Cause;
use serde_json::json;

use crate::support::{Fixture, refused, written};

#[tokio::test]
async fn a_taken_name_is_refused_and_the_object_is_not_touched() {
    let fixture = Fixture::new("own").await;
    // With our labels, our owner reference and our field manager: all of it can be copied.
    let look_alike = fixture.config_map("a", "theirs");
    let arguments = ["apply", "--server-side", "--field-manager=banhbaoring/database", "-f", "-"];
    fixture.kubectl.run_with_input(&arguments, &look_alike.to_string()).await.unwrap();
    let before = fixture.get("configmap", "a").await;
    let applied = fixture.apply(vec![fixture.create(fixture.config_map("a", "ours"))]).await;
    assert_eq!(refused(&applied).0, "NameTaken");
    assert_eq!(fixture.get("configmap", "a").await, before);
    // Nor is it taken for ours later.
    let applied = fixture.apply(vec![fixture.create(fixture.config_map("a", "ours"))]).await;
    assert_eq!(refused(&applied).0, "NameTaken");
    assert_eq!(fixture.entry("a").await.uid, None);
}

#[tokio::test]
async fn an_object_that_was_replaced_is_a_conflict_and_not_overwritten() {
    let fixture = Fixture::new("own").await;
    let uid = written(&fixture.apply(vec![fixture.create(fixture.config_map("a", "1"))]).await);
    fixture.kubectl.run(&["delete", "configmap", "a"]).await.unwrap();
    let gone = fixture.apply(vec![fixture.update(Cause::Changed, fixture.config_map("a", "2"), &uid)]).await;
    assert_eq!(refused(&gone).0, "Conflict");
    assert!(!fixture.exists("configmap", "a").await, "an update never creates");
    fixture.kubectl.run_with_input(&["create", "-f", "-"], &fixture.config_map("a", "theirs").to_string()).await.unwrap();
    let replaced = fixture.apply(vec![fixture.update(Cause::Changed, fixture.config_map("a", "2"), &uid)]).await;
    assert_eq!(refused(&replaced).0, "Conflict");
    assert_eq!(fixture.get("configmap", "a").await["data"]["key"], "theirs");
}

#[tokio::test]
async fn what_somebody_deleted_is_made_again() {
    let fixture = Fixture::new("own").await;
    let uid = written(&fixture.apply(vec![fixture.create(fixture.config_map("a", "1"))]).await);
    fixture.kubectl.run(&["delete", "configmap", "a"]).await.unwrap();
    let again = written(&fixture.apply(vec![fixture.create(fixture.config_map("a", "1"))]).await);
    assert_ne!(uid, again);
    assert_eq!(fixture.entry("a").await.uid, Some(again));
}

#[tokio::test]
async fn what_the_account_may_not_do_is_named() {
    let mut fixture = Fixture::new("own").await;
    fixture.kubectl.run(&["create", "serviceaccount", "weak"]).await.unwrap();
    fixture.account = NamespacedName { namespace: fixture.namespace.clone(), name: "weak".into() };
    let applied = fixture.apply(vec![fixture.create(fixture.config_map("a", "1"))]).await;
    let (reason, message) = refused(&applied);
    assert_eq!(reason, "Forbidden");
    for part in [format!("{}/weak", fixture.namespace), "patch".to_owned(), "configmaps".to_owned()] {
        assert!(message.contains(&part), "{part} in {message}");
    }
    let observed = fixture.cluster.observe_children(&fixture.inventory().await.spec, &Views::new()).await;
    let [failure] = observed.failures.as_slice() else { panic!("{observed:?}") };
    assert!(failure.to_string().contains("may not get configmaps"), "{failure}");
    assert_eq!(observed.children.len(), 0);
}

#[tokio::test]
async fn only_asked_fields_are_kept_and_secrets_are_never_read_whole() {
    let fixture = Fixture::new("own").await;
    let secret = fixture.completed(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "v"}}));
    fixture.apply(vec![fixture.create(fixture.config_map("a", "1")), fixture.create(secret)]).await;
    let views: Views = [
        (("v1".to_owned(), "ConfigMap".to_owned()), ["/data/key".to_owned()].into()),
        (("v1".to_owned(), "Secret".to_owned()), ["/data/k".to_owned()].into()),
    ]
    .into();
    let observed = fixture.cluster.observe_children(&fixture.inventory().await.spec, &views).await;
    assert_eq!(observed.children[&fixture.reference("v1", "ConfigMap", "a")].fields, json!({"/data/key": "1"}));
    assert_eq!(observed.children[&fixture.reference("v1", "Secret", "s")].fields, json!({}));
}

#[tokio::test]
async fn one_observation_says_what_is_there_and_what_is_not_known() {
    let mut fixture = Fixture::new("own").await;
    fixture.apply(vec![fixture.create(fixture.config_map("a", "1"))]).await;
    fixture.kubectl.run(&["create", "serviceaccount", "weak"]).await.unwrap();
    fixture.account.name = "weak".into();
    let mut step = fixture.create(fixture.config_map("b", "1"));
    step.component = "other".into();
    fixture.apply(vec![step]).await;
    let owner = Owner { reference: fixture.owner.clone(), ..Owner::default() };
    let (inventory, observation) = fixture.cluster.observe(owner, &Views::new(), "cluster.local", &HostIdentity::default()).await.unwrap();
    assert_eq!(observation.inventory, inventory.spec);
    assert_eq!(observation.children.keys().map(|child| child.name.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(observation.unobserved.keys().collect::<Vec<_>>(), ["other"]);
    assert_eq!(observation.platform.cluster_domain, "cluster.local");
    assert!(observation.now > 1_700_000_000);
}
