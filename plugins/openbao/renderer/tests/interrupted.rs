//! A first node that is killed while it initialises the store, at one moment after the other: what OpenBao makes of it is what the plugin has words for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "how often it ended how is for the reader")]

mod nodes;
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use banhbaoring_plugin_openbao::live::is_cut_short;
use banhbaoring_testing::bao::Bao;
use banhbaoring_testing::wait;
use nodes::{PASSWORD, PATIENCE, authority, node};
use reqwest::Method;
use serde_json::json;
use support::rendered;

/// How often, where nobody asks for more.
const KILLS: u32 = 8;
/// Bytes of a log in the state of a container.
const KEPT: usize = 2048;
/// The first initialisation is over by then, on a machine that has time: a node waits for five seconds and more until it elects itself.
const LATEST: Duration = Duration::from_secs(9);
/// What it logs then. All the rest of the initialisation follows within half a second.
const ELECTED: &str = "entering leader state";
/// How long the rest takes.
const REST: Duration = Duration::from_millis(600);

/// How it ended, in the words of whoever looks.
async fn fate(bao: &Bao) -> &'static str {
    let log_before = bao.server().log().len();
    bao.server().start_again().unwrap();
    let look = async || {
        if bao.server().exit_status().is_some() {
            let log = bao.server().log();
            // As much of it as the kubelet keeps.
            let kept = log[log_before.max(log.len().saturating_sub(KEPT))..].to_owned();
            assert!(is_cut_short(&kept), "the plugin has no words for {kept}");
            return Ok("InitializationInterrupted");
        }
        let health = bao.send(Method::GET, "/v1/sys/health", None, None).await.map_err(|error| error.to_string())?;
        if health.status.as_u16() != 200 {
            return Err(format!("health {}", health.status));
        }
        let login = json!({"password": PASSWORD});
        let login = bao.send(Method::POST, "/v1/auth/userpass/login/admin", None, Some(&login)).await.map_err(|error| error.to_string())?;
        match login.status.as_u16() {
            200 => Ok("usable"),
            400 | 403 => Ok("nobody is let in"),
            other => Err(format!("login {other}")),
        }
    };
    wait::until(PATIENCE, "the node's fate", look).await.unwrap_or_else(|error| panic!("{error}\n{}", bao.server().log_tail()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_at_any_moment_ends_initialised_once_or_in_a_way_that_is_told() {
    let kills = std::env::var("BANHBAORING_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let response = rendered("{replicas: 1}");
    let mut fates = BTreeMap::new();
    for kill in 0..kills {
        let node = node(&response, &authority(), [7; 32], 0);
        let bao = node.start(&node.address(), &[]).unwrap();
        // Every other one at some time, the rest where the most happens.
        if kill % 2 == 0 {
            tokio::time::sleep(LATEST * kill / kills).await;
        } else {
            while !bao.server().log().contains(ELECTED) && bao.server().exit_status().is_none() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            tokio::time::sleep(REST * kill / kills).await;
        }
        bao.server().kill();
        *fates.entry(fate(&bao).await).or_insert(0) += 1;
    }
    eprintln!("{kills} kills: {fates:?}");
    assert!(fates.contains_key("usable"), "{fates:?}");
}
