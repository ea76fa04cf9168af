//! What is sent, deleted and left alone, by what is recorded and what was seen.

use std::sync::Arc;

use banhbaoring_api::inventory::ChildEntry;
use serde_json::json;

use super::*;
use crate::admit::{Permitted, PermittedComponent, PermittedObject, PermittedSecret};
use crate::contract::{GeneratedSecret, Object, Publication, ReadinessState, SecretClass, SecretEntry};
use crate::observation::Observation;
use crate::sample;

/// An owner whose component wants these, and what came of it once it was sent.
struct World {
    observation: Observation,
    objects: Vec<Object>,
    secrets: Vec<GeneratedSecret>,
    is_blocked: bool,
}

impl World {
    fn wanting(objects: Vec<Object>, secrets: Vec<GeneratedSecret>) -> Self {
        Self { observation: sample::observation(sample::owner(json!({}))), objects, secrets, is_blocked: false }
    }

    fn permitted(&self) -> Permitted {
        let plugin = Arc::new(sample::plugin("store", Vec::new()));
        let object = |object: &Object| PermittedObject {
            reference: reference("ConfigMap", object.manifest["metadata"]["name"].as_str().unwrap()),
            object: object.clone(),
        };
        let secret = |secret: &GeneratedSecret| PermittedSecret { plugin: plugin.clone(), secret: secret.clone() };
        let component = PermittedComponent {
            component: "db".to_owned(),
            plugin: plugin.clone(),
            objects: self.objects.iter().map(object).collect(),
            secrets: self.secrets.iter().map(secret).collect(),
            needs: Vec::new(),
            actions: Vec::new(),
            is_blocked: self.is_blocked,
        };
        Permitted { components: vec![component], ..Permitted::default() }
    }

    fn plan(&self) -> Plan {
        plan(&self.permitted(), &self.observation)
    }

    /// Everything that the plan says was sent, and is seen as it was sent.
    fn converged(mut self) -> Self {
        for step in self.plan().steps {
            let (hash, keep, publish) = match &step.write {
                Write::Object(write) => (write.desired_hash.clone(), step.keep, Vec::new()),
                Write::Secret(write) => (write.desired_hash.clone(), step.keep, write.secret.publish.clone()),
            };
            self.made(&step.reference.kind, &step.reference.name, Some(hash), keep);
            for publication in publish {
                self.made("ConfigMap", &publication.config_map, None, keep);
            }
        }
        self
    }

    fn made(&mut self, kind: &str, name: &str, hash: Option<String>, keep: bool) {
        sample::child(&mut self.observation, "db", kind, name, Some(ReadinessState::Ready), json!({}));
        let entry = self.entry(name);
        (entry.desired_hash, entry.fields_hash, entry.keep) = (hash, Some("fields".to_owned()), keep);
        self.child(kind, name).fields_hash = Some("fields".to_owned());
    }

    fn entry(&mut self, name: &str) -> &mut ChildEntry {
        self.observation.inventory.children.iter_mut().find(|entry| entry.name == name).unwrap()
    }

    fn child(&mut self, kind: &str, name: &str) -> &mut crate::observation::ObservedChild {
        self.observation.children.get_mut(&reference(kind, name)).unwrap()
    }

    fn gone(&mut self, kind: &str, name: &str) {
        self.observation.children.remove(&reference(kind, name)).unwrap();
    }
}

fn reference(kind: &str, name: &str) -> ObjectReference {
    ObjectReference { api_version: "v1".into(), kind: kind.into(), namespace: Some("team".into()), name: name.into() }
}

fn secret(name: &str, class: SecretClass) -> GeneratedSecret {
    GeneratedSecret {
        name: name.to_owned(),
        class,
        labels: Vec::new(),
        entries: vec![SecretEntry { key: "key".to_owned(), generator: "bytes".to_owned(), spec: json!({"length": 32}) }],
        publish: Vec::new(),
        restore_from: None,
        keep: true,
    }
}

fn causes(plan: &Plan) -> Vec<(&str, Cause)> {
    plan.steps.iter().map(|step| (step.reference.name.as_str(), step.cause)).collect()
}

fn one() -> World {
    World::wanting(vec![sample::config_map("a")], Vec::new())
}

#[test]
fn what_is_missing_is_created_and_what_is_as_desired_is_left_alone() {
    let plan = one().plan();
    assert_eq!(causes(&plan), [("a", Cause::Missing)]);
    assert!(matches!(&plan.steps[0].write, Write::Object(write) if write.create && write.uid.is_none()));
    let plan = one().converged().plan();
    assert!(plan.is_empty() && plan.release.is_empty());
    assert_eq!(plan.unchanged, [reference("ConfigMap", "a")]);
}

#[test]
fn a_change_of_what_is_desired_and_of_what_is_there_is_sent_to_the_very_object() {
    let mut world = one().converged();
    world.objects[0].manifest["data"] = json!({"x": "1"});
    let plan = world.plan();
    assert_eq!(causes(&plan), [("a", Cause::Changed)]);
    assert!(matches!(&plan.steps[0].write, Write::Object(write) if !write.create && write.uid.as_deref() == Some("uid-ConfigMap-a")));
    let mut world = one().converged();
    world.child("ConfigMap", "a").fields_hash = Some("others".to_owned());
    assert_eq!(causes(&world.plan()), [("a", Cause::Drifted)]);
    let mut world = one().converged();
    world.child("ConfigMap", "a").uid = "another".to_owned();
    let plan = world.plan();
    assert_eq!(causes(&plan), [("a", Cause::Drifted)]);
    assert!(
        matches!(&plan.steps[0].write, Write::Object(write) if write.create),
        "the one that is there is not ours: only a creation can tell"
    );
}

#[test]
fn a_creation_of_which_nothing_is_known_is_tried_again() {
    let mut world = one().converged();
    (world.entry("a").uid, world.entry("a").intent) = (None, Some("token".to_owned()));
    assert_eq!(causes(&world.plan()), [("a", Cause::Interrupted)]);
}

#[test]
fn what_is_on_its_way_out_is_waited_for() {
    let mut world = one().converged();
    world.child("ConfigMap", "a").deleting = true;
    let plan = world.plan();
    assert!(plan.is_empty());
    assert_eq!(plan.waiting.len(), 1);
}

#[test]
fn only_what_is_recorded_and_the_very_object_is_pruned() {
    let mut world = one().converged();
    world.objects.clear();
    let plan = world.plan();
    assert_eq!((plan.prune[0].uid.as_str(), plan.prune[0].resource_version.as_str()), ("uid-ConfigMap-a", "5"));
    world.child("ConfigMap", "a").uid = "another".to_owned();
    let plan = world.plan();
    assert_eq!((plan.prune.len(), plan.release.len()), (0, 1), "a look-alike is left, and the record of ours ends");
    let mut world = one().converged();
    world.objects.clear();
    world.observation.unobserved.insert("db".to_owned(), "forbidden".to_owned());
    let plan = world.plan();
    assert!(plan.is_empty() && plan.release.is_empty(), "what is not known is not absent");
    world.observation.unobserved.clear();
    let nobody = plan_nobody(&world);
    assert!(nobody.is_empty() && nobody.release.is_empty(), "a component without an answer keeps what it has");
    world.is_blocked = true;
    let blocked = world.plan();
    assert!(blocked.is_empty() && blocked.release.is_empty(), "so does one that waits for somebody");
}

fn plan_nobody(world: &World) -> Plan {
    plan(&Permitted::default(), &world.observation)
}

#[test]
fn what_is_kept_stays_ours_while_there_is_an_owner_and_is_let_go_with_it() {
    let kept = || World::wanting(Vec::new(), vec![secret("unseal", SecretClass::Identity)]).converged();
    let mut world = kept();
    world.secrets.clear();
    let plan = world.plan();
    assert!(plan.is_empty() && plan.release.is_empty());
    world.secrets.push(secret("unseal", SecretClass::Identity));
    let again = world.plan();
    assert_eq!(again.unchanged, [reference("Secret", "unseal")], "desired again, it is the one that is there");
    let removal = plan_removal(&kept().observation);
    assert_eq!((removal.prune.len(), removal.release.len()), (0, 1));
}

#[test]
fn a_lost_identity_is_a_problem_and_nothing_else_of_its_component_is_sent() {
    let mut world = World::wanting(vec![sample::config_map("a")], vec![secret("unseal", SecretClass::Identity)]).converged();
    world.gone("Secret", "unseal");
    world.gone("ConfigMap", "a");
    let plan = world.plan();
    assert!(plan.is_empty());
    assert_eq!(plan.problems[0].reason, "IdentityLost");
    world.secrets[0].restore_from = Some("backup".to_owned());
    assert_eq!(causes(&world.plan()), [("unseal", Cause::Missing), ("a", Cause::Missing)]);
}

#[test]
fn an_identity_is_never_written_over_and_a_renewable_one_is_when_it_is_due() {
    let mut world = World::wanting(Vec::new(), vec![secret("unseal", SecretClass::Identity)]).converged();
    world.child("Secret", "unseal").fields_hash = Some("others".to_owned());
    world.entry("unseal").renew_at = Some(1);
    assert!(world.plan().is_empty());
    let renewable = || World::wanting(Vec::new(), vec![secret("tls", SecretClass::Renewable(60))]).converged();
    let mut world = renewable();
    world.entry("tls").renew_at = Some(i64::try_from(world.observation.now).unwrap() + 1);
    assert!(world.plan().is_empty());
    world.observation.now += 1;
    assert_eq!(causes(&world.plan()), [("tls", Cause::Expiring)]);
}

#[test]
fn a_publication_that_was_lost_or_changed_is_made_again() {
    let published = || {
        let mut authority = secret("authority", SecretClass::Identity);
        authority.publish = vec![Publication { key: "ca.crt".into(), config_map: "trust".into(), config_map_key: "ca.crt".into() }];
        World::wanting(Vec::new(), vec![authority]).converged()
    };
    assert!(published().plan().is_empty());
    let mut world = published();
    world.gone("ConfigMap", "trust");
    assert_eq!(causes(&world.plan()), [("authority", Cause::Drifted)]);
    let mut world = published();
    world.child("ConfigMap", "trust").fields_hash = Some("others".to_owned());
    assert_eq!(causes(&world.plan()), [("authority", Cause::Drifted)]);
}

#[test]
fn an_object_that_carries_a_hash_waits_for_its_secret_and_rolls_when_that_changes() {
    let mut object = sample::config_map("a");
    object.manifest["data"] = json!({"roll": "$(hash:unseal/key)"});
    let wanting = || World::wanting(vec![object.clone()], vec![secret("unseal", SecretClass::Identity)]);
    let plan = wanting().plan();
    assert_eq!(causes(&plan), [("unseal", Cause::Missing)]);
    assert_eq!(plan.waiting.len(), 1);
    let mut world = wanting().converged();
    world.entry("unseal").material.insert("key".to_owned(), "one".to_owned());
    let mut world = world.converged();
    assert!(world.plan().is_empty());
    world.entry("unseal").material.insert("key".to_owned(), "two".to_owned());
    assert_eq!(causes(&world.plan()), [("a", Cause::Changed)]);
}
