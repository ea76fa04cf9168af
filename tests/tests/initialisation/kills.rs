//! SIGKILL while a store is initialised: of the operator, of its node, of both, at one moment after the other. Each store ends initialised once and usable, or
//! says why not, with the commands that begin it again.

use std::collections::BTreeMap;
use std::time::Duration;

use banhbaoring_testing::wait;
use banhbaoring_tests::Operator;
use banhbaoring_tests::team::{PATIENCE, condition};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;

use crate::support::{ELECTED, Running, world};

/// Names the seed of an earlier run.
const SEED_VARIABLE: &str = "BANHBAORING_SEED";
/// How many stores are hit.
const KILLS_VARIABLE: &str = "BANHBAORING_KILLS";
/// How many, where nobody asks for more: one of each variant.
const KILLS: u32 = 6;
/// The longest time from the start of the first node to the kill. A node waits for some seconds until it elects itself.
const LONGEST: u64 = 9_000;
/// The longest time from there to the kill, where that is waited for.
const CLOSE: u64 = 600;

/// Who is killed.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Operator,
    Node,
    Both,
}

/// How a store ended.
async fn fate(store: &Running) -> Result<String, String> {
    let owner = store.team.cluster(&store.name).await.map_err(|error| error.to_string())?;
    let (reason, message) = store.told().await;
    if condition(&owner, "Ready")["status"] == "True" {
        store.log_in("operator").await?;
        store.log_in("admin").await?;
        return match store.beginnings() {
            1 => Ok("usable, initialised once".to_owned()),
            more => panic!("{} was initialised {more} times", store.name),
        };
    }
    let said = ["InitializationInterrupted", "InitializationAnswerLost", "OperatorRefused"].contains(&reason.as_str());
    if said && message.contains("kubectl") && message.contains("delete pvc data-") {
        Ok(reason)
    } else {
        Err(format!("{reason}: {message}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_operator_or_node_is_killed_while_it_is_initialised_is_usable_or_says_why_not() {
    let seed = std::env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| rand::rng().random());
    let kills: u32 = std::env::var(KILLS_VARIABLE).ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    println!("{SEED_VARIABLE}={seed} {KILLS_VARIABLE}={kills}");
    let mut random = StdRng::seed_from_u64(seed);
    let world = world().await;
    let operator = Operator::start(&world.operator("killed")).unwrap();
    world.until_serving(&operator).await.unwrap();
    let team = world.team("kills").await.unwrap();
    let variants: Vec<(&str, Victim)> = ["SelfInit", "Captured"]
        .into_iter()
        .flat_map(|mode| [Victim::Operator, Victim::Node, Victim::Both].map(|victim| (mode, victim)))
        .collect();
    let mut fates: BTreeMap<String, BTreeMap<String, u32>> = BTreeMap::new();
    let mut hit = 0;
    while hit < kills {
        // One of each mode at a time: a kill costs more than a store.
        let victim = variants[usize::try_from(hit / 2 + hit / 6).unwrap() % 3].1;
        let mut stores = Vec::new();
        for mode in ["SelfInit", "Captured"] {
            let name = format!("{}{hit}", mode.to_lowercase());
            stores.push((mode, Running::apply(&world, &team, &name, 1, json!({"mode": mode})).await));
            hit += 1;
        }
        for (_, store) in &mut stores {
            store.run();
        }
        stores[0].1.bao(0).await;
        // Two of three are aimed at where the most happens, at one store of the pair or the other.
        let round = hit / 2;
        let (aim, longest) = if round % 3 == 0 { ("start", LONGEST) } else { ("election", CLOSE) };
        if aim == "election" {
            let store = &stores[usize::try_from(round / 3 % 2).unwrap()].1;
            let elected = async || if store.bao(0).await.server().log().contains(ELECTED) { Ok(()) } else { Err("not yet") };
            while elected().await.is_err() {
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        }
        let moment = Duration::from_millis(random.random_range(0..longest));
        tokio::time::sleep(moment).await;
        if matches!(victim, Victim::Operator | Victim::Both) {
            operator.server().kill();
        }
        if matches!(victim, Victim::Node | Victim::Both) {
            for bao in stores.iter().filter_map(|(_, store)| store.kubelets[0].bao()) {
                bao.server().kill();
            }
        }
        if operator.server().exit_status().is_some() {
            operator.start_again().unwrap();
        }
        for (mode, store) in stores {
            let ended = wait::until(PATIENCE, format!("{} to end somehow", store.name), async || fate(&store).await).await;
            let ended = ended.unwrap_or_else(|error| panic!("{error}\n{}", store.kubelets[0].bao().unwrap().server().log_tail()));
            println!("{mode} {victim:?} {moment:?} after the {aim}: {ended}");
            *fates.entry(format!("{mode:<9} {victim:?}")).or_default().entry(ended).or_default() += 1;
            store.end().await;
        }
    }
    println!("{hit} stores were hit:");
    for (variant, fates) in &fates {
        println!("  {variant:<19} {}", fates.iter().map(|(fate, count)| format!("{count} × {fate}")).collect::<Vec<_>>().join(", "));
    }
    let usable: u32 = fates.values().filter_map(|fates| fates.get("usable, initialised once")).sum();
    assert!(usable > 0, "{fates:?}");
    assert!(operator.server().stop(PATIENCE).await, "it ends when it is asked to: {}", operator.server().log_tail());
}
