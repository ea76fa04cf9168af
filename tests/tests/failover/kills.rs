//! SIGKILL in the middle of applying: whoever comes next makes nothing twice, loses track of nothing and overwrites no key.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use banhbaoring_testing::wait;
use banhbaoring_tests::operator::LOG_RECONCILES;
use banhbaoring_tests::survey::{OWNER_LABEL, Objects, name_of, recorded, text, versions};
use banhbaoring_tests::team::{PATIENCE, cluster, parts_of_one_node};
use banhbaoring_tests::{Operator, Team};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::{finish, world};

/// Names the seed of an earlier run.
const SEED_VARIABLE: &str = "BANHBAORING_SEED";
/// Kills that have to hit an owner that is partly applied.
const HITS: usize = 20;
/// Kills at most.
const ROUNDS: usize = 60;
/// The longest time from the first trace of a new owner to the kill. Applying one takes a second and more: its StatefulSet waits for a hash.
const LONGEST: u64 = 1_200;

/// What was seen of every object at its first sight.
#[derive(Default)]
struct FirstSight {
    uids: BTreeMap<String, String>,
    material: BTreeMap<String, Value>,
}

impl FirstSight {
    /// Nothing that was seen before may be another now.
    fn compare(&mut self, objects: &[Value]) {
        for object in objects {
            let name = name_of(object);
            let uid = text(object, "/metadata/uid");
            let first = self.uids.entry(name.clone()).or_insert_with(|| uid.to_owned());
            assert_eq!(first, uid, "{name} was made twice");
            if object["kind"] == "Secret" {
                let first = self.material.entry(name.clone()).or_insert_with(|| object["data"].clone());
                assert_eq!(*first, object["data"], "{name} has other material than at first");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_killed_while_it_applies_makes_nothing_twice() {
    let seed = std::env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| rand::rng().random());
    println!("{SEED_VARIABLE}={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let world = world().await;
    let team = world.team("kills").await.unwrap();
    let operator = Operator::start_logging(&world.operator("killed"), LOG_RECONCILES).unwrap();
    world.until_serving(&operator).await.unwrap();

    let mut sight = FirstSight::default();
    let mut owners: Vec<String> = Vec::new();
    let (mut hits, mut round) = (0, 0);
    while hits < HITS {
        assert!(round < ROUNDS, "only {hits} of {round} kills met an owner that was partly applied");
        operator.server().kill();
        let fresh: Vec<String> = ["a", "b"].map(|letter| format!("{letter}{round}")).into();
        let objects: Vec<Value> = fresh.iter().map(|name| cluster(name, &json!({"replicas": 1}))).collect();
        team.apply(&objects).await.unwrap();
        owners.extend(fresh.iter().cloned());
        let uid = team.uid(&fresh[0]).await.unwrap();
        operator.start_again().unwrap();
        operator.until_leading().await.unwrap();
        wait::until(PATIENCE, format!("a trace of {}", fresh[0]), async || match team.survey.inventory(&uid).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err("none".to_owned()),
            Err(error) => Err(format!("{error:#}")),
        })
        .await
        .unwrap();
        tokio::time::sleep(Duration::from_millis(random.random_range(0..LONGEST))).await;
        operator.server().kill();
        let objects = labelled(&team).await;
        sight.compare(&objects);
        hits += usize::from(is_any_partly_applied(&team, &objects, &owners).await);
        round += 1;
    }
    println!("{hits} of {round} kills met an owner that was partly applied; {} objects were seen until then", sight.uids.len());

    operator.start_again().unwrap();
    operator.until_leading().await.unwrap();
    for owner in &owners {
        team.until_children(owner, &parts_of_one_node(owner)).await.unwrap();
        team.until_condition(owner, "Reconciled", "True").await.unwrap();
    }
    let objects = labelled(&team).await;
    sight.compare(&objects);
    assert_all_recorded(&team, &objects).await;

    // One more start, with nothing left to do.
    let before = until_still(&team, &operator, &owners).await;
    operator.start_again().unwrap();
    operator.until_leading().await.unwrap();
    until_looked_at(&team, &operator, &owners, 2).await;
    assert_eq!(all_versions(&labelled(&team).await), before, "a restart writes nothing");

    team.kubectl.run(&["delete", "openbaoclusters", "--all", "--wait=false"]).await.unwrap();
    let kept: BTreeSet<String> = owners
        .iter()
        .flat_map(|owner| [format!("ConfigMap/{owner}-ca"), format!("Secret/{owner}-tls-ca"), format!("Secret/{owner}-unseal-key")])
        .collect();
    wait::until(PATIENCE, "only keys to be left", async || {
        let left: BTreeSet<String> = labelled(&team).await.iter().map(name_of).collect();
        let inventories = team.survey.inventories().await.map_err(|error| format!("{error:#}"))?;
        let inventories = inventories.iter().filter(|inventory| inventory.spec.owner.namespace.as_ref() == Some(&team.namespace)).count();
        let more: Vec<_> = left.symmetric_difference(&kept).collect();
        if more.is_empty() && inventories == 0 { Ok(()) } else { Err(format!("{more:?}, {inventories} inventories")) }
    })
    .await
    .unwrap();
    sight.compare(&labelled(&team).await);
    finish(&team, &operator).await;
}

/// Everything in the team's namespace that says it belongs to an owner.
pub async fn labelled(team: &Team) -> Vec<Value> {
    let objects = team.survey.everything(OWNER_LABEL).await.unwrap();
    objects.into_iter().filter(|object| text(object, "/metadata/namespace") == team.namespace).collect()
}

/// Whether an owner has some of its parts and not all, or an inventory that does not know yet what came of an intent.
pub async fn is_any_partly_applied(team: &Team, objects: &[Value], owners: &[String]) -> bool {
    let inventories = team.survey.inventories().await.unwrap();
    owners.iter().any(|owner| {
        let inventory = inventories.iter().find(|inventory| inventory.spec.owner.name == *owner);
        let Some(inventory) = inventory else { return false };
        let there: BTreeSet<String> = objects
            .iter()
            .filter(|object| text(object, "/metadata/labels/banhbaoring.io~1owner-uid") == inventory.spec.owner.uid)
            .map(name_of)
            .collect();
        there != parts_of_one_node(owner) || recorded(&inventory.spec).values().any(Option::is_none)
    })
}

/// Whatever says it belongs to an owner is in that owner's inventory, by uid, and the other way round.
async fn assert_all_recorded(team: &Team, objects: &[Value]) {
    let live: BTreeSet<(String, String)> = objects
        .iter()
        .map(|object| (text(object, "/metadata/labels/banhbaoring.io~1owner-uid").to_owned(), text(object, "/metadata/uid").to_owned()))
        .collect();
    let inventories = team.survey.inventories().await.unwrap();
    let of_the_team = inventories.iter().filter(|inventory| inventory.spec.owner.namespace.as_ref() == Some(&team.namespace));
    let held: BTreeSet<(String, String)> = of_the_team
        .flat_map(|inventory| {
            let owner = inventory.spec.owner.uid.clone();
            inventory.spec.children.iter().map(move |child| (owner.clone(), child.uid.clone().unwrap_or_default()))
        })
        .collect();
    assert_eq!(live, held);
}

fn all_versions(objects: &[Value]) -> BTreeMap<String, String> {
    versions(&objects.iter().map(|object| (name_of(object), object.clone())).collect::<Objects>())
}

/// Waits until every owner was looked at so many times more and nothing had to be told.
async fn until_looked_at(team: &Team, operator: &Operator, owners: &[String], times: usize) {
    let counts = || {
        let counts = operator.idle_reconciles();
        owners.iter().map(|owner| counts.get(&(team.namespace.clone(), owner.clone())).copied().unwrap_or(0)).collect::<Vec<_>>()
    };
    let before = counts();
    wait::until(PATIENCE, "every owner to be looked at", async || {
        let now = counts();
        let enough = now.iter().zip(&before).all(|(now, before)| *now >= before + times);
        if enough { Ok(()) } else { Err(format!("before {before:?}, now {now:?}")) }
    })
    .await
    .unwrap();
}

/// Waits until nobody, Kubernetes' own controllers included, changes anything any more.
async fn until_still(team: &Team, operator: &Operator, owners: &[String]) -> BTreeMap<String, String> {
    wait::until(PATIENCE, "all to stand still", async || {
        let before = all_versions(&labelled(team).await);
        until_looked_at(team, operator, owners, 1).await;
        if all_versions(&labelled(team).await) == before { Ok(before) } else { Err("something still changes") }
    })
    .await
    .unwrap()
}
